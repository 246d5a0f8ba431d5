// What `getStats` says, turned into the few figures that people look at.
//
// Reports carry totals since the beginning; rates are the difference of two
// samples. Everything here is a function of two reports, so it is tested without
// a connection. Which figures are good or bad is `quality.ts`'s to say.

/** One direction of one stream. Absent figures are null: not every browser counts all. */
export interface Flow {
  bitsPerSecond: number;
  /** Packets lost in this interval, of all that were sent, 0..1. */
  loss: number | null;
  jitterMs: number | null;
  codec: string | null;
  width: number | null;
  height: number | null;
  framesPerSecond: number | null;
  /** Sound that had to be made up, of all that was played, 0..1. */
  concealed: number | null;
  /** Simulcast layers that are being sent. */
  layers: number;
  /** Why the picture is sent smaller than it could be: `cpu`, `bandwidth`. */
  limitedBy: string | null;
}

export interface Sample {
  roundTripMs: number | null;
  availableOutgoingBitsPerSecond: number | null;
  /** `udp`, `tcp`, `tls`: how packets travel; and whether by a relay. */
  transport: string | null;
  relayed: boolean;
  send: { audio: Flow | null; video: Flow | null; content: Flow | null };
  receive: { audio: Flow | null; video: Flow | null; content: Flow | null };
}

/** The reports of one call of `getStats`, by their id. */
export type Report = ReadonlyMap<string, Stat>;

/** A report's fields, which differ by its type and by browser. */
export type Stat = Readonly<Record<string, unknown>>;

/** Copies what a browser returned into plain values. */
export function reportOf(stats: RTCStatsReport): Report {
  const report = new Map<string, Stat>();
  stats.forEach((value: Stat, id: string) => report.set(id, value));
  return report;
}

function number(of: Stat | undefined, field: string): number | null {
  const value = of?.[field];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function string(of: Stat | undefined, field: string): string | null {
  const value = of?.[field];
  return typeof value === 'string' && value !== '' ? value : null;
}

function linked(report: Report, of: Stat | undefined, field: string): Stat | undefined {
  const id = string(of, field);
  return id === null ? undefined : report.get(id);
}

/** How much a total has grown; a total that went back began anew. */
function grown(now: Stat, before: Stat | undefined, field: string): number | null {
  const after = number(now, field);
  if (after === null) return null;
  const earlier = number(before, field) ?? 0;
  return after >= earlier ? after - earlier : after;
}

function secondsBetween(now: Stat, before: Stat | undefined): number | null {
  const after = number(now, 'timestamp');
  const earlier = number(before, 'timestamp');
  return after === null || earlier === null || after <= earlier ? null : (after - earlier) / 1000;
}

function share(part: number | null, whole: number | null): number | null {
  if (part === null || whole === null || whole <= 0) return null;
  return Math.min(1, Math.max(0, part / whole));
}

function toMs(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000;
}

/** `video/VP8` as people say it. */
function codecOf(report: Report, of: Stat): string | null {
  return string(linked(report, of, 'codecId'), 'mimeType')?.replace(/^\w+\//, '') ?? null;
}

function rate(now: Stat, before: Stat | undefined, field: string): number {
  const seconds = secondsBetween(now, before);
  const bytes = grown(now, before, field);
  return seconds === null || bytes === null ? 0 : (bytes * 8) / seconds;
}

function received(report: Report, earlier: Report | null, of: Stat, id: string): Flow {
  const before = earlier?.get(id);
  const lost = grown(of, before, 'packetsLost');
  const got = grown(of, before, 'packetsReceived');
  return {
    bitsPerSecond: rate(of, before, 'bytesReceived'),
    loss: lost === null || got === null ? null : share(lost, lost + got),
    jitterMs: toMs(number(of, 'jitter')),
    codec: codecOf(report, of),
    width: number(of, 'frameWidth'),
    height: number(of, 'frameHeight'),
    framesPerSecond: number(of, 'framesPerSecond'),
    concealed: share(grown(of, before, 'concealedSamples'), grown(of, before, 'totalSamplesReceived')),
    layers: 0,
    limitedBy: null,
  };
}

/** Layers of one stream are sent as streams of their own; people see one. */
function sent(report: Report, earlier: Report | null, layers: readonly (readonly [string, Stat])[]): Flow | null {
  const active = layers.filter(([, of]) => of.active !== false);
  const [largest] = [...active].sort(([, a], [, b]) => (number(b, 'frameHeight') ?? 0) - (number(a, 'frameHeight') ?? 0));
  if (largest === undefined) return null;
  const of = largest[1];
  const far = layers.map(([, layer]) => linked(report, layer, 'remoteId')).filter((one) => one !== undefined);
  const losses = far.map((one) => number(one, 'fractionLost')).filter((one) => one !== null);
  const jitters = far.map((one) => number(one, 'jitter')).filter((one) => one !== null);
  const limit = string(of, 'qualityLimitationReason');
  const rates = active.map(([id, layer]) => rate(layer, earlier?.get(id), 'bytesSent'));
  return {
    bitsPerSecond: rates.reduce((sum, one) => sum + one, 0),
    loss: losses.length === 0 ? null : Math.max(...losses),
    jitterMs: jitters.length === 0 ? null : toMs(Math.max(...jitters)),
    codec: codecOf(report, of),
    width: number(of, 'frameWidth'),
    height: number(of, 'frameHeight'),
    framesPerSecond: number(of, 'framesPerSecond'),
    concealed: null,
    layers: rates.filter((one) => one > 0).length,
    limitedBy: limit === 'none' ? null : limit,
  };
}

/** The candidate pair in use. Firefox says it on the pair, others on the transport. */
function pairInUse(report: Report): Stat | undefined {
  for (const of of report.values()) {
    if (of.type === 'transport') {
      const pair = linked(report, of, 'selectedCandidatePairId');
      if (pair !== undefined) return pair;
    }
  }
  return [...report.values()].find(
    (of) => of.type === 'candidate-pair' && (of.selected === true || (of.nominated === true && of.state === 'succeeded')),
  );
}

/** The m-lines whose streams are shown; see `peer.ts`. */
const MIDS = { audio: '0', video: '1', content: '2' } as const;

/** Figures for the time between two reports. */
export function sampleOf(report: Report, earlier: Report | null): Sample {
  const entries = [...report.entries()];
  const inbound = (mid: string): Flow | null => {
    const found = entries.find(([, of]) => of.type === 'inbound-rtp' && of.mid === mid);
    return found === undefined ? null : received(report, earlier, found[1], found[0]);
  };
  const outbound = (mid: string): Flow | null =>
    sent(
      report,
      earlier,
      entries.filter(([, of]) => of.type === 'outbound-rtp' && of.mid === mid),
    );
  const pair = pairInUse(report);
  const local = linked(report, pair, 'localCandidateId');
  return {
    roundTripMs: toMs(number(pair, 'currentRoundTripTime')),
    availableOutgoingBitsPerSecond: number(pair, 'availableOutgoingBitrate'),
    transport: string(local, 'relayProtocol') ?? string(local, 'protocol'),
    relayed: string(local, 'candidateType') === 'relay',
    send: { audio: outbound(MIDS.audio), video: outbound(MIDS.video), content: outbound(MIDS.content) },
    receive: { audio: inbound(MIDS.audio), video: inbound(MIDS.video), content: inbound(MIDS.content) },
  };
}
