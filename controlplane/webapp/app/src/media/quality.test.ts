import { expect, test } from 'vitest';
import { PATIENCE, qualityOf, steady, STEADY_AT_FIRST, type Quality } from './quality';
import type { Flow, Sample } from './stats';

const FLOW: Flow = {
  bitsPerSecond: 40_000,
  loss: 0,
  jitterMs: 5,
  codec: 'opus',
  width: null,
  height: null,
  framesPerSecond: null,
  concealed: 0,
  layers: 0,
  limitedBy: null,
};

const GOOD: Sample = {
  roundTripMs: 40,
  availableOutgoingBitsPerSecond: 2_000_000,
  transport: 'udp',
  relayed: false,
  send: { audio: FLOW, video: FLOW, content: null },
  receive: { audio: FLOW, video: FLOW, content: null },
};

function withFlow(way: 'send' | 'receive', stream: 'audio' | 'video' | 'content', part: Partial<Flow>): Sample {
  return { ...GOOD, [way]: { ...GOOD[way], [stream]: { ...FLOW, ...part } } };
}

test.each<[string, Sample, Quality]>([
  ['nothing wrong', GOOD, 'good'],
  ['nothing known', { ...GOOD, roundTripMs: null, send: { audio: null, video: null, content: null } }, 'good'],
  ['loss below what FEC hides', withFlow('receive', 'audio', { loss: 0.029 }), 'good'],
  ['some loss', withFlow('receive', 'audio', { loss: 0.03 }), 'fair'],
  ['much loss of what we send', withFlow('send', 'video', { loss: 0.1 }), 'poor'],
  ['a long way', { ...GOOD, roundTripMs: 300 }, 'fair'],
  ['a very long way', { ...GOOD, roundTripMs: 600 }, 'poor'],
  ['jitter', withFlow('receive', 'content', { jitterMs: 50 }), 'fair'],
  ['sound made up', withFlow('receive', 'audio', { concealed: 0.2 }), 'poor'],
  ['the worst counts', { ...withFlow('receive', 'audio', { loss: 0.05 }), roundTripMs: 700 }, 'poor'],
])('%s', (_, sample, quality) => {
  expect(qualityOf(sample)).toBe(quality);
});

test('gets worse at once and better only when it lasts', () => {
  let shown = steady(STEADY_AT_FIRST, 'poor');
  expect(shown.shown).toBe('poor');
  for (let n = 1; n < PATIENCE; n += 1) {
    shown = steady(shown, 'good');
    expect(shown.shown).toBe('poor');
  }
  expect(steady(shown, 'good').shown).toBe('good');
  // One bad sample in between, and it begins anew.
  expect(steady(steady(shown, 'poor'), 'good').shown).toBe('poor');
});
