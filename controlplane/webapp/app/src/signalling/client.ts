// Drives the connection machine with a real WebSocket, timers and a clock.
//
// It decides nothing: what to do is `connection.ts`'s, what a message means its
// listener's. Messages given to `send` while there is no connection are dropped;
// the state they speak of is told again after a welcome (`state/session.ts`).

import { begin, deadline, step, type Connection, type Effect, type Event } from './connection';
import { decode, encode, PROTOCOL, type ClientMessage, type ServerMessage } from './messages';

/** The part of a WebSocket that is used, so that tests can bring their own. */
export interface Socket {
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  send(frame: string): void;
  close(): void;
}

/** A socket to the Web Bridge that this page came from. */
export function openWebSocket(): Socket {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return new WebSocket(`${scheme}://${location.host}/api/ws`) as Socket;
}

export interface Listener {
  /** Every message that reads, in order, also while greeting. */
  message(message: ServerMessage): void;
  /** After every change of the connection's state. */
  connection(state: Connection): void;
}

export class SignallingClient {
  private state: Connection;
  private socket: Socket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly open: () => Socket,
    private readonly token: string,
    private readonly listener: Listener,
    private readonly now: () => number = () => performance.now(),
  ) {
    const first = begin(now());
    this.state = first.next;
    this.carryOut(first.effects);
    this.schedule();
  }

  /** Sends, and says whether it could. */
  send(message: ClientMessage): boolean {
    if (this.state.at !== 'open' || this.socket === null) return false;
    this.socket.send(encode(message));
    return true;
  }

  /** Tell that the network came back or changed. */
  networkChanged(): void {
    this.handle({ is: 'online' });
  }

  /** Says goodbye, and is over. */
  leave(): void {
    this.handle({ is: 'leave' });
  }

  private handle(event: Event): void {
    const before = this.state;
    const { next, effects } = step(before, event, this.now());
    this.state = next;
    this.carryOut(effects);
    this.schedule();
    if (next !== before) this.listener.connection(next);
  }

  private schedule(): void {
    clearTimeout(this.timer);
    const at = deadline(this.state);
    if (at === null) return;
    this.timer = setTimeout(() => this.handle({ is: 'timer' }), Math.max(0, at - this.now()));
  }

  private carryOut(effects: Effect[]): void {
    for (const effect of effects) {
      switch (effect.do) {
        case 'open':
          this.attach(this.open());
          break;
        case 'close':
          this.detach();
          break;
        case 'hello':
          this.socket?.send(encode({ type: 'hello', protocol: PROTOCOL, token: this.token }));
          break;
        case 'ping':
          this.socket?.send(encode({ type: 'ping', n: effect.n }));
          break;
        case 'leave':
          this.socket?.send(encode({ type: 'leave' }));
          break;
      }
    }
  }

  private attach(socket: Socket): void {
    this.socket = socket;
    socket.onopen = () => this.handle({ is: 'opened' });
    socket.onclose = () => this.handle({ is: 'closed' });
    socket.onmessage = ({ data }) => {
      const message = decode(data);
      this.handle({ is: 'received', message });
      if (message !== null && this.socket === socket) this.listener.message(message);
    };
  }

  /** A socket that was given up is not listened to: what it says is about the past. */
  private detach(): void {
    const socket = this.socket;
    if (socket === null) return;
    this.socket = null;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
  }
}
