// How good the connection is, in one word, from a sample of figures.
//
// The word follows the worst figure, because that is what people notice. It gets
// worse at once and better only after a while of good samples: an indicator that
// flickers is not believed.

import type { Sample } from './stats';

export type Quality = 'good' | 'fair' | 'poor';

/** At which value a figure makes the connection fair, and poor. */
const LIMITS = {
  /** Loss, 0..1: in-band FEC and retransmission hide a few per cent. */
  loss: { fair: 0.03, poor: 0.1 },
  /** Talking over each other begins at about 300 ms of round trip. */
  roundTripMs: { fair: 300, poor: 600 },
  jitterMs: { fair: 50, poor: 120 },
  /** Sound that was made up is heard from a few per cent on. */
  concealed: { fair: 0.05, poor: 0.15 },
} as const;

/** Good samples in a row that it takes to be believed. */
export const PATIENCE = 3;

const WORST_FIRST = ['poor', 'fair', 'good'] as const;

function grade(value: number | null | undefined, limit: { fair: number; poor: number }): Quality {
  if (value === null || value === undefined || value < limit.fair) return 'good';
  return value < limit.poor ? 'fair' : 'poor';
}

/** The quality of one sample by itself. */
export function qualityOf(sample: Sample): Quality {
  const flows = [...Object.values(sample.send), ...Object.values(sample.receive)];
  const grades = [
    grade(sample.roundTripMs, LIMITS.roundTripMs),
    ...flows.flatMap((flow) => [grade(flow?.loss, LIMITS.loss), grade(flow?.jitterMs, LIMITS.jitterMs)]),
    grade(sample.receive.audio?.concealed, LIMITS.concealed),
  ];
  return WORST_FIRST.find((one) => grades.includes(one)) ?? 'good';
}

export interface Steady {
  shown: Quality;
  /** Samples in a row that were better than what is shown. */
  better: number;
}

export const STEADY_AT_FIRST: Steady = { shown: 'good', better: 0 };

/** What to show after one more sample. */
export function steady(before: Steady, now: Quality): Steady {
  const rank = (one: Quality) => WORST_FIRST.indexOf(one);
  if (rank(now) <= rank(before.shown)) return { shown: now, better: 0 };
  const better = before.better + 1;
  return better >= PATIENCE ? { shown: now, better: 0 } : { shown: before.shown, better };
}
