import { describe, expect, test } from 'vitest';
import {
  BACKOFF_MS,
  begin,
  deadline,
  GIVE_UP_MS,
  GREETING_MS,
  PING_EVERY_MS,
  SILENCE_MS,
  step,
  type Connection,
  type Effect,
  type Event,
} from './connection';
import type { ServerMessage } from './messages';

const WELCOME = { type: 'welcome' } as ServerMessage;
const PONG: ServerMessage = { type: 'pong', n: 1 };

/** Runs the machine through events at given times and collects the effects. */
class Run {
  state: Connection;
  effects: Effect['do'][];

  constructor(public nowMs = 0) {
    const first = begin(nowMs);
    this.state = first.next;
    this.effects = first.effects.map((one) => one.do);
  }

  event(event: Event, afterMs = 0): this {
    this.nowMs += afterMs;
    const { next, effects } = step(this.state, event, this.nowMs);
    this.state = next;
    this.effects.push(...effects.map((one) => one.do));
    return this;
  }

  /** Fires the timer when it is due. */
  timer(): this {
    const at = deadline(this.state);
    if (at === null) throw new Error('no timer');
    return this.event({ is: 'timer' }, at - this.nowMs);
  }

  opened(): this {
    return this.event({ is: 'opened' }).event({ is: 'received', message: WELCOME });
  }
}

test('opens a socket, says hello, and is open with the welcome', () => {
  const run = new Run().opened();
  expect(run.effects).toEqual(['open', 'hello']);
  expect(run.state.at).toBe('open');
});

test('a message before the welcome does not count as one', () => {
  const run = new Run().event({ is: 'opened' }).event({ is: 'received', message: PONG });
  expect(run.state.at).toBe('greeting');
});

test('pings every five seconds as long as it hears something', () => {
  const run = new Run().opened();
  for (let n = 1; n <= 10; n += 1) run.timer().event({ is: 'received', message: PONG });
  expect(run.nowMs).toBe(10 * PING_EVERY_MS);
  expect(run.effects.filter((one) => one === 'ping')).toHaveLength(10);
  expect(run.state.at).toBe('open');
});

test('silence is a break even though the socket says nothing', () => {
  const run = new Run().opened().timer().timer();
  expect(run.state.at).toBe('open');
  run.timer();
  expect(run.nowMs).toBe(SILENCE_MS);
  expect(run.state.at).toBe('waiting');
});

test('any frame is a sign of life, also one that does not read', () => {
  const run = new Run().opened();
  run.event({ is: 'received', message: null }, SILENCE_MS - 1);
  run.event({ is: 'timer' }, 1);
  expect(run.state.at).toBe('open');
});

test('a break is mended at once, then later each time', () => {
  const run = new Run().opened();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 7; attempt += 1) {
    run.event({ is: 'closed' });
    const before = run.nowMs;
    run.timer();
    waits.push(run.nowMs - before);
    expect(run.state.at).toBe('connecting');
  }
  expect(waits).toEqual([0, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  expect(BACKOFF_MS).toHaveLength(5);
});

test('gives up when the server has let the place go', () => {
  const run = new Run().opened().event({ is: 'closed' });
  while (run.state.at !== 'ended') {
    run.timer();
    if (run.state.at === 'connecting') run.event({ is: 'closed' });
  }
  expect(run.state).toEqual({ at: 'ended', reason: 'lost' });
  expect(run.nowMs).toBeGreaterThan(60_000);
  expect(run.nowMs).toBeLessThanOrEqual(GIVE_UP_MS);
  expect(deadline(run.state)).toBeNull();
});

test('the minute begins anew with every welcome', () => {
  const run = new Run().opened();
  for (let day = 0; day < 5; day += 1) {
    run.event({ is: 'closed' }, 50_000).timer().opened();
    expect(run.state.at).toBe('open');
  }
});

test('a socket that leads to no welcome is given up', () => {
  const run = new Run().event({ is: 'opened' }, 3_000).timer();
  expect(run.nowMs).toBe(GREETING_MS);
  expect(run.state.at).toBe('waiting');
  expect(run.effects).toEqual(['open', 'hello', 'close']);
});

test('a network that is back is used at once, and another one too', () => {
  const waiting = new Run().opened().event({ is: 'closed' }).timer().event({ is: 'closed' });
  expect(waiting.state.at).toBe('waiting');
  expect(waiting.event({ is: 'online' }).state.at).toBe('connecting');
  const open = new Run().opened().event({ is: 'online' });
  expect(open.state.at).toBe('connecting');
  expect(open.effects).toEqual(['open', 'hello', 'close', 'open']);
});

describe('a goodbye', () => {
  test.each(['left', 'removed', 'ended', 'tokenInvalid', 'replaced'] as const)('%s is the end', (reason) => {
    const run = new Run().opened().event({ is: 'received', message: { type: 'bye', reason } });
    expect(run.state).toEqual({ at: 'ended', reason });
  });

  test('while greeting is the end too', () => {
    const run = new Run().event({ is: 'opened' });
    run.event({ is: 'received', message: { type: 'bye', reason: 'tokenInvalid' } });
    expect(run.state).toEqual({ at: 'ended', reason: 'tokenInvalid' });
  });

  test('of a server that restarts is a break', () => {
    const run = new Run().opened().event({ is: 'received', message: { type: 'bye', reason: 'serverStops' } });
    expect(run.state.at).toBe('waiting');
  });
});

test('leaving says so where it can, and nothing happens after', () => {
  const run = new Run().opened().event({ is: 'leave' });
  expect(run.effects).toEqual(['open', 'hello', 'leave', 'close']);
  run.event({ is: 'closed' }).event({ is: 'online' }).event({ is: 'received', message: WELCOME });
  expect(run.state).toEqual({ at: 'ended', reason: 'left' });
  expect(new Run().event({ is: 'leave' }).effects).toEqual(['open', 'close']);
});

test('whatever happens in whatever order, a socket is closed before the next is opened', () => {
  // A small generator, so that a failure can be replayed: the seed is in the message.
  for (let seed = 1; seed <= 300; seed += 1) {
    let random = seed;
    const next = (below: number) => {
      random = (random * 48_271) % 2_147_483_647;
      return random % below;
    };
    const run = new Run();
    const events: Event[] = [
      { is: 'opened' },
      { is: 'closed' },
      { is: 'received', message: WELCOME },
      { is: 'received', message: null },
      { is: 'received', message: { type: 'bye', reason: 'serverStops' } },
      { is: 'online' },
      { is: 'timer' },
    ];
    for (let turn = 0; turn < 60; turn += 1) run.event(events[next(events.length)] ?? { is: 'timer' }, next(4_000));
    run.event({ is: 'leave' });
    let open = 0;
    for (const effect of run.effects) {
      if (effect === 'open') open += 1;
      if (effect === 'close') open = 0;
      expect(open, `seed ${seed}`).toBeLessThanOrEqual(1);
    }
    expect(open, `seed ${seed}`).toBe(0);
    expect(run.state.at).toBe('ended');
  }
});
