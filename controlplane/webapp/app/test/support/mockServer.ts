// A Web Bridge for tests of the interface: the same HTTP and WebSocket messages,
// and nothing behind them. A test decides what the others do, with `push`, and
// looks at what the app has sent, in `received`.
//
// The app is served with the very policy of the Rust crate, so that a violation
// shows here.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { WebSocketServer, type WebSocket } from 'ws';
import type { ClientMessage, Participant, ServerMessage, Welcome } from '../../src/signalling/messages';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** The policy as the crate beside the app has it. */
export function policy(): string {
  return readFileSync(new URL('../../../src/policy.txt', import.meta.url), 'utf8').trim();
}

export function person(id: string, name: string, part: Partial<Participant> = {}): Participant {
  return {
    id,
    name,
    self: false,
    kind: 'web',
    state: 'connected',
    audioMuted: false,
    videoMuted: false,
    hasVideo: true,
    handRaised: false,
    sharing: false,
    joinedAtMs: 0,
    ...part,
  };
}

const EVERYTHING = { muteOthers: true, removeOthers: true, addParticipant: true, chat: true, share: true, layout: true };

/** What is offered unless a test says otherwise. */
const CONFIG = { productName: 'Plenum', resolveUris: 'domainSuggestionDisabled' };

/** Meetings there are: a number, its name, and its passcode if it has one. */
const MEETINGS: Record<string, { spaceName: string; passcode?: string }> = {
  '1234': { spaceName: 'Design review' },
  '5678': { spaceName: 'Board', passcode: '4321' },
};

export class MockServer {
  readonly received: ClientMessage[] = [];
  roster: Participant[] = [];
  /** What `welcome` says beside the roster. */
  welcome: Partial<Welcome> = {};
  config: Record<string, unknown> = CONFIG;
  /** Answers an offer; without it media never connects. */
  answer: ((sdp: string) => Promise<string>) | null = null;
  /** Whether new sockets are closed at once. */
  down = false;
  private name = 'Me';
  private readonly seen = new Set<string>();
  private readonly sockets = new Set<WebSocket>();

  private constructor(
    private readonly http: Server,
    readonly url: string,
  ) {}

  static async start(dist: string): Promise<MockServer> {
    const csp = policy();
    const http = createServer();
    await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
    const { port } = http.address() as AddressInfo;
    const server = new MockServer(http, `http://127.0.0.1:${port}`);
    http.on('request', (request, response) => {
      if (request.url?.startsWith('/api/') === true) void server.api(request, response);
      else serve(dist, csp, request, response);
    });
    const ws = new WebSocketServer({ server: http, path: '/api/ws' });
    ws.on('connection', (socket) => server.connected(socket));
    return server;
  }

  /** As it was at the start, for the next test. */
  reset(): void {
    this.drop();
    this.received.length = 0;
    this.roster = [];
    this.welcome = {};
    this.config = CONFIG;
    this.answer = null;
    this.down = false;
  }

  push(message: ServerMessage): void {
    for (const socket of this.sockets) socket.send(JSON.stringify(message));
  }

  /** Tells a new roster: oneself and these. */
  people(others: Participant[]): void {
    this.roster = others;
    this.push({ type: 'roster', participants: this.everybody() });
  }

  /** Cuts every connection, without a word. */
  drop(): void {
    for (const socket of this.sockets) socket.terminate();
    this.sockets.clear();
  }

  async stop(): Promise<void> {
    this.drop();
    this.http.closeAllConnections();
    await new Promise((done) => this.http.close(done));
  }

  sent<T extends ClientMessage['type']>(type: T): (ClientMessage & { type: T })[] {
    return this.received.filter((message): message is ClientMessage & { type: T } => message.type === type);
  }

  private everybody(): Participant[] {
    return [person('me', this.name, { self: true }), ...this.roster];
  }

  private async api(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = (status: number, body: object) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.url === '/api/config') {
      reply(200, this.config);
      return;
    }
    const asked = JSON.parse(await bodyOf(request)) as Record<string, string | undefined>;
    const meeting = MEETINGS[asked.callId ?? ''];
    if (asked.secret !== undefined && this.config.allowSecrets === false) reply(403, { error: 'secretsNotAllowed' });
    else if (meeting === undefined) reply(404, { error: 'notFound' });
    else if (meeting.passcode !== undefined && this.config.allowPasscodes === false) reply(403, { error: 'passcodesNotAllowed' });
    else if (request.url === '/api/lookup') {
      reply(200, { spaceName: meeting.spaceName, passcodeRequired: meeting.passcode !== undefined });
    } else if (meeting.passcode !== undefined && asked.passcode !== meeting.passcode) {
      reply(asked.passcode === undefined ? 401 : 403, {
        error: asked.passcode === undefined ? 'passcodeRequired' : 'passcodeWrong',
      });
    } else {
      this.name = asked.name ?? '';
      const token = `token-${this.seen.size}-${this.received.length}`;
      reply(200, { token, participantId: 'me', spaceName: meeting.spaceName, iceServers: [] });
    }
  }

  private connected(socket: WebSocket): void {
    if (this.down) {
      socket.terminate();
      return;
    }
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as ClientMessage;
      this.received.push(message);
      void this.respond(socket, message);
    });
  }

  private async respond(socket: WebSocket, message: ClientMessage): Promise<void> {
    const reply = (answer: ServerMessage) => socket.send(JSON.stringify(answer));
    switch (message.type) {
      case 'hello': {
        const resumed = this.seen.has(message.token);
        this.seen.add(message.token);
        reply({
          type: 'welcome',
          participantId: 'me',
          spaceName: 'Design review',
          resumed,
          layout: 'allEqual',
          layouts: ['automatic', 'allEqual', 'speakerOnly', 'onePlusN'],
          audioMuted: false,
          videoMuted: false,
          roster: this.everybody(),
          speaker: null,
          content: null,
          chat: [],
          iceServers: [],
          permissions: EVERYTHING,
          ...this.welcome,
        });
        break;
      }
      case 'offer':
        if (this.answer !== null) {
          // The other end may be closed before it has answered, at a test's end.
          const sdp = await this.answer(message.sdp).catch(() => null);
          if (sdp !== null) reply({ type: 'answer', sdp });
        }
        break;
      case 'ping':
        reply({ type: 'pong', n: message.n });
        break;
      case 'chat':
        reply({ type: 'chat', id: message.id, from: 'me', name: this.name, text: message.text, to: message.to, atMs: Date.now() });
        break;
      case 'layout':
        this.push({ type: 'layout', layout: message.layout });
        break;
      case 'leave':
        reply({ type: 'bye', reason: 'left' });
        break;
      default:
        break;
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function serve(dist: string, csp: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const asset = pathname.startsWith('/assets/') ? join(dist, pathname) : join(dist, 'index.html');
  if (!existsSync(asset)) {
    response.writeHead(404);
    response.end();
    return;
  }
  response.writeHead(200, {
    'Content-Type': TYPES[extname(asset)] ?? 'application/octet-stream',
    'Content-Security-Policy': csp,
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(readFileSync(asset));
}
