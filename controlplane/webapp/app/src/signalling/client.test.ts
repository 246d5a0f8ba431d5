import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SignallingClient, type Listener, type Socket } from './client';
import type { Connection } from './connection';
import type { ServerMessage } from './messages';

class FakeSocket implements Socket {
  onopen: Socket['onopen'] = null;
  onclose: Socket['onclose'] = null;
  onmessage: Socket['onmessage'] = null;
  sent: unknown[] = [];
  closed = false;

  send(frame: string): void {
    this.sent.push(JSON.parse(frame));
  }

  close(): void {
    this.closed = true;
  }

  hears(message: object | string): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
}

const WELCOME = {
  type: 'welcome',
  participantId: 'me',
  spaceName: 'S',
  resumed: false,
  layout: 'allEqual',
  layouts: [],
  audioMuted: false,
  videoMuted: false,
  roster: [],
  speaker: null,
  content: null,
  chat: [],
  iceServers: [],
  permissions: {},
};

let sockets: FakeSocket[];
let messages: ServerMessage[];
let states: Connection['at'][];
let client: SignallingClient;

function socket(at: number): FakeSocket {
  const found = sockets[at];
  if (found === undefined) throw new Error(`only ${sockets.length} sockets`);
  return found;
}

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  messages = [];
  states = [];
  const listener: Listener = {
    message: (message) => messages.push(message),
    connection: (state) => states.push(state.at),
  };
  client = new SignallingClient(
    () => {
      const made = new FakeSocket();
      sockets.push(made);
      return made;
    },
    'the token',
    listener,
    () => Date.now(),
  );
});

afterEach(() => {
  client.leave();
  vi.useRealTimers();
});

test('shows its token first, and hands on what it hears', () => {
  socket(0).onopen?.();
  expect(socket(0).sent).toEqual([{ type: 'hello', protocol: 1, token: 'the token' }]);
  expect(client.send({ type: 'muteAll' })).toBe(false);
  socket(0).hears(WELCOME);
  expect(messages.map((one) => one.type)).toEqual(['welcome']);
  expect(client.send({ type: 'muteAll' })).toBe(true);
  expect(socket(0).sent).toContainEqual({ type: 'muteAll' });
});

test('pings in time, and takes silence for a break', () => {
  socket(0).onopen?.();
  socket(0).hears(WELCOME);
  vi.advanceTimersByTime(10_000);
  expect(socket(0).sent.slice(1)).toEqual([
    { type: 'ping', n: 1 },
    { type: 'ping', n: 2 },
  ]);
  expect(sockets).toHaveLength(1);
  vi.advanceTimersByTime(5_001);
  expect(socket(0).closed).toBe(true);
  expect(sockets).toHaveLength(2);
  expect(states).toContain('waiting');
});

test('comes back by itself with the same token', () => {
  socket(0).onopen?.();
  socket(0).hears(WELCOME);
  socket(0).onclose?.();
  vi.advanceTimersByTime(1);
  socket(1).onclose?.();
  vi.advanceTimersByTime(499);
  expect(sockets).toHaveLength(2);
  vi.advanceTimersByTime(1);
  socket(2).onopen?.();
  expect(socket(2).sent).toEqual([{ type: 'hello', protocol: 1, token: 'the token' }]);
  socket(2).hears({ ...WELCOME, resumed: true });
  expect(states.at(-1)).toBe('open');
});

test('does not listen to a socket that it has given up', () => {
  socket(0).onopen?.();
  socket(0).hears(WELCOME);
  const stale = socket(0);
  client.networkChanged();
  expect(stale.onmessage).toBeNull();
  expect(stale.closed).toBe(true);
});

test('drops what does not read, and lives on', () => {
  socket(0).onopen?.();
  socket(0).hears(WELCOME);
  for (const frame of ['', 'null', '[]', '{', '{"type":"roster","participants":7}', '{"type":"later"}']) socket(0).hears(frame);
  expect(messages).toHaveLength(1);
  expect(states.at(-1)).toBe('open');
});

test('asks for no more attempts after the user has left', () => {
  client.leave();
  vi.advanceTimersByTime(120_000);
  expect(sockets).toHaveLength(1);
  expect(states).toEqual(['ended']);
});
