// When to open the WebSocket, when to give it up, when to try again: a pure
// state machine. Sockets, timers and the clock are the driver's (`client.ts`);
// time is an argument, in milliseconds of any origin that never goes back.
//
//   connecting --opened--> greeting --welcome--> open
//       ^  \                  |                   |
//       |   `--- closed, silent too long, offline '
//       |                     v
//       '----- timer ----- waiting                         any --bye, given up--> ended
//
// A break is not the end: the server keeps our place for a minute, so the same
// token is shown again until that time has passed without success.

import type { ByeReason, ServerMessage } from './messages';

/** A ping is sent this often while the connection is open. */
export const PING_EVERY_MS = 5_000;
/** Nothing heard for this long is a break, whatever the socket says. */
export const SILENCE_MS = 15_000;
/** A socket that has not led to a welcome by then is given up. */
export const GREETING_MS = 10_000;
/** How long the server keeps our place after a break. Trying goes on a little longer: its clock began later than ours. */
export const GIVE_UP_MS = 65_000;
/** Waiting before the first, second, ... new attempt; the last one repeats. */
export const BACKOFF_MS = [0, 500, 1_000, 2_000, 4_000] as const;

export type EndReason = ByeReason | 'lost';

interface Shared {
  /** Since when there has been no open connection, or null while there is one. */
  brokenSinceMs: number | null;
  /** Attempts since the last welcome. */
  attempts: number;
}

export type Connection =
  | ({ at: 'connecting'; sinceMs: number } & Shared)
  | ({ at: 'greeting'; sinceMs: number } & Shared)
  | ({ at: 'open'; heardMs: number; pingAtMs: number; pings: number } & Shared)
  | ({ at: 'waiting'; untilMs: number } & Shared)
  | { at: 'ended'; reason: EndReason };

export type Event =
  | { is: 'opened' }
  | { is: 'closed' }
  | { is: 'received'; message: ServerMessage | null }
  /** The browser says that there is a network again, or another one. */
  | { is: 'online' }
  | { is: 'timer' }
  /** The user leaves. */
  | { is: 'leave' };

export type Effect =
  | { do: 'open' }
  | { do: 'close' }
  | { do: 'hello' }
  | { do: 'ping'; n: number }
  | { do: 'leave' };

export interface Step {
  next: Connection;
  effects: Effect[];
}

/** The state to begin with; the driver opens a socket for it at once. */
export function begin(nowMs: number): Step {
  return {
    next: { at: 'connecting', sinceMs: nowMs, brokenSinceMs: nowMs, attempts: 1 },
    effects: [{ do: 'open' }],
  };
}

function ended(reason: EndReason): Step {
  return { next: { at: 'ended', reason }, effects: [{ do: 'close' }] };
}

function attempt(from: Shared, nowMs: number): Step {
  return {
    next: {
      at: 'connecting',
      sinceMs: nowMs,
      brokenSinceMs: from.brokenSinceMs ?? nowMs,
      attempts: from.attempts + 1,
    },
    effects: [{ do: 'close' }, { do: 'open' }],
  };
}

/** After a break: wait, or give up when our place is gone. */
function broken(from: Shared, nowMs: number): Step {
  const brokenSinceMs = from.brokenSinceMs ?? nowMs;
  const wait = BACKOFF_MS[Math.min(from.attempts, BACKOFF_MS.length - 1)] ?? 0;
  const untilMs = nowMs + wait;
  if (untilMs - brokenSinceMs >= GIVE_UP_MS) return ended('lost');
  return {
    next: { at: 'waiting', untilMs, brokenSinceMs, attempts: from.attempts },
    effects: [{ do: 'close' }],
  };
}

/** What follows from an event. Events that mean nothing now change nothing. */
export function step(state: Connection, event: Event, nowMs: number): Step {
  const same: Step = { next: state, effects: [] };
  if (state.at === 'ended') return same;
  if (event.is === 'leave') {
    const effects: Effect[] = state.at === 'open' ? [{ do: 'leave' }, { do: 'close' }] : [{ do: 'close' }];
    return { next: { at: 'ended', reason: 'left' }, effects };
  }
  if (event.is === 'received' && event.message?.type === 'bye') {
    // A server that restarts says so: our place is kept, and it is back soon.
    if (event.message.reason === 'serverStops') return broken(state, nowMs);
    return ended(event.message.reason);
  }
  switch (state.at) {
    case 'connecting':
      if (event.is === 'opened') {
        return { next: { ...state, at: 'greeting' }, effects: [{ do: 'hello' }] };
      }
      if (event.is === 'closed') return broken(state, nowMs);
      if (event.is === 'timer' && nowMs - state.sinceMs >= GREETING_MS) return broken(state, nowMs);
      return same;
    case 'greeting':
      if (event.is === 'received' && event.message?.type === 'welcome') {
        return {
          next: {
            at: 'open',
            heardMs: nowMs,
            pingAtMs: nowMs + PING_EVERY_MS,
            pings: 0,
            brokenSinceMs: null,
            attempts: 0,
          },
          effects: [],
        };
      }
      if (event.is === 'closed') return broken(state, nowMs);
      if (event.is === 'timer' && nowMs - state.sinceMs >= GREETING_MS) return broken(state, nowMs);
      return same;
    case 'open':
      if (event.is === 'received') return { next: { ...state, heardMs: nowMs }, effects: [] };
      if (event.is === 'closed') return broken(state, nowMs);
      // On another network the old socket is dead, though nobody will say so.
      if (event.is === 'online') return attempt(state, nowMs);
      if (event.is === 'timer') {
        if (nowMs - state.heardMs >= SILENCE_MS) return broken(state, nowMs);
        if (nowMs >= state.pingAtMs) {
          const n = state.pings + 1;
          return {
            next: { ...state, pings: n, pingAtMs: nowMs + PING_EVERY_MS },
            effects: [{ do: 'ping', n }],
          };
        }
      }
      return same;
    case 'waiting':
      if (event.is === 'online' || (event.is === 'timer' && nowMs >= state.untilMs)) return attempt(state, nowMs);
      return same;
  }
}

/** When the next `timer` event is due, or null if none is. */
export function deadline(state: Connection): number | null {
  switch (state.at) {
    case 'connecting':
    case 'greeting':
      return state.sinceMs + GREETING_MS;
    case 'open':
      return Math.min(state.pingAtMs, state.heardMs + SILENCE_MS);
    case 'waiting':
      return state.untilMs;
    case 'ended':
      return null;
  }
}
