import { expect, test } from 'vitest';
import { sampleOf, type Report, type Stat } from './stats';

function report(stats: Record<string, Stat>): Report {
  return new Map(Object.entries(stats));
}

const CODECS = {
  opus: { type: 'codec', mimeType: 'audio/opus' },
  vp8: { type: 'codec', mimeType: 'video/VP8' },
};

/** A second of a call, `at` seconds after its beginning, in the fields Chromium has. */
function call(at: number, lost = 0): Report {
  const timestamp = at * 1000;
  return report({
    ...CODECS,
    transport: { type: 'transport', selectedCandidatePairId: 'pair' },
    pair: { type: 'candidate-pair', currentRoundTripTime: 0.045, availableOutgoingBitrate: 1_500_000, localCandidateId: 'local' },
    local: { type: 'local-candidate', candidateType: 'host', protocol: 'udp' },
    mix: {
      type: 'inbound-rtp',
      mid: '0',
      timestamp,
      bytesReceived: at * 5_000,
      packetsReceived: at * 50,
      packetsLost: lost,
      jitter: 0.012,
      codecId: 'opus',
      concealedSamples: at * 480,
      totalSamplesReceived: at * 48_000,
    },
    high: { type: 'outbound-rtp', mid: '1', rid: 'h', timestamp, bytesSent: at * 100_000, frameWidth: 1280, frameHeight: 720, framesPerSecond: 30, codecId: 'vp8', remoteId: 'far', qualityLimitationReason: 'cpu', active: true },
    low: { type: 'outbound-rtp', mid: '1', rid: 'l', timestamp, bytesSent: at * 10_000, frameWidth: 320, frameHeight: 180, codecId: 'vp8', qualityLimitationReason: 'none', active: true },
    idle: { type: 'outbound-rtp', mid: '1', rid: 'm', timestamp, bytesSent: 999, frameWidth: 640, frameHeight: 360, active: false },
    far: { type: 'remote-inbound-rtp', fractionLost: 0.02, jitter: 0.004 },
  });
}

test('rates and shares are of the time between two reports', () => {
  const sample = sampleOf(call(4, 10), call(2));
  expect(sample.receive.audio).toEqual({
    bitsPerSecond: 40_000,
    loss: 10 / 110,
    jitterMs: 12,
    codec: 'opus',
    width: null,
    height: null,
    framesPerSecond: null,
    concealed: 0.01,
    layers: 0,
    limitedBy: null,
  });
});

test('the layers of a camera are one stream, of the size of the largest', () => {
  const video = sampleOf(call(4), call(2)).send.video;
  expect(video).toMatchObject({
    bitsPerSecond: 880_000,
    width: 1280,
    height: 720,
    codec: 'VP8',
    layers: 2,
    loss: 0.02,
    jitterMs: 4,
    limitedBy: 'cpu',
  });
});

test('says how packets travel', () => {
  const direct = sampleOf(call(2), null);
  expect(direct).toMatchObject({ roundTripMs: 45, availableOutgoingBitsPerSecond: 1_500_000, transport: 'udp', relayed: false });
  const relayed = new Map(call(2));
  relayed.set('local', { type: 'local-candidate', candidateType: 'relay', protocol: 'udp', relayProtocol: 'tls' });
  expect(sampleOf(relayed, null)).toMatchObject({ transport: 'tls', relayed: true });
});

test('finds the pair in use where a browser has no transport report', () => {
  const without = new Map(call(2));
  without.delete('transport');
  without.set('other', { type: 'candidate-pair', nominated: true, state: 'failed', currentRoundTripTime: 9 });
  without.set('pair', { ...without.get('pair'), nominated: true, state: 'succeeded' });
  expect(sampleOf(without, null).roundTripMs).toBe(45);
});

test('the first report has no rate yet, and a total that begins anew is no negative one', () => {
  expect(sampleOf(call(2), null).receive.audio?.bitsPerSecond).toBe(0);
  const restarted = sampleOf(call(1), new Map([['mix', { ...call(9).get('mix'), timestamp: 0 }]]));
  expect(restarted.receive.audio?.bitsPerSecond).toBe(40_000);
});

test('of a browser that counts nothing, nothing is said', () => {
  expect(sampleOf(new Map(), null)).toEqual({
    roundTripMs: null,
    availableOutgoingBitsPerSecond: null,
    transport: null,
    relayed: false,
    send: { audio: null, video: null, content: null },
    receive: { audio: null, video: null, content: null },
  });
});
