// The messages between the app and the Web Bridge, and their reading.
//
// What the server says is checked here, once: behind `decode` every field has
// the type it claims. A message that does not read is dropped by the caller, as
// is one of a type this version does not know: a newer server may say more.
// What each message means is `state/meeting.ts`'s business.

/** Version of the protocol this app speaks, in `hello`. */
export const PROTOCOL = 1;

/** Characters a chat message may have; the server refuses longer ones. */
export const CHAT_TEXT_MAX = 4000;

export type ParticipantState = 'connected' | 'onHold' | 'ringing' | 'reconnecting';

/** One row of the roster, as the server tells it. */
export interface Participant {
  id: string;
  name: string;
  self: boolean;
  kind: 'web' | 'sip';
  state: ParticipantState;
  audioMuted: boolean;
  videoMuted: boolean;
  hasVideo: boolean;
  handRaised: boolean;
  sharing: boolean;
  joinedAtMs: number;
}

/** A chat message; `to` is null when it is for everybody. */
export interface ChatMessage {
  id: string;
  from: string;
  name: string;
  text: string;
  to: string | null;
  atMs: number;
}

/** What this participant may do to others and to the meeting. */
export interface Permissions {
  muteOthers: boolean;
  removeOthers: boolean;
  addParticipant: boolean;
  chat: boolean;
  share: boolean;
  layout: boolean;
}

export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

export interface Welcome {
  type: 'welcome';
  participantId: string;
  spaceName: string;
  /** Whether the server still had our place, media and all. */
  resumed: boolean;
  layout: string;
  layouts: string[];
  audioMuted: boolean;
  videoMuted: boolean;
  roster: Participant[];
  speaker: string | null;
  content: { participantId: string; name: string } | null;
  chat: ChatMessage[];
  iceServers: IceServer[];
  permissions: Permissions;
}

export type ByeReason = 'left' | 'removed' | 'ended' | 'tokenInvalid' | 'replaced' | 'serverStops';

export type ServerMessage =
  | Welcome
  | { type: 'answer'; sdp: string }
  | { type: 'candidate'; candidate: string; sdpMid: string }
  | { type: 'reoffer'; iceRestart: boolean }
  | { type: 'roster'; participants: Participant[] }
  | { type: 'speaker'; participantId: string | null }
  | { type: 'muted'; audioMuted: boolean; videoMuted: boolean; byOther: boolean }
  | { type: 'layout'; layout: string }
  | { type: 'content'; participantId: string | null; name: string }
  | ({ type: 'chat' } & ChatMessage)
  | { type: 'error'; code: string; about: string }
  | { type: 'pong'; n: number }
  | { type: 'bye'; reason: ByeReason };

export type ClientMessage =
  | { type: 'hello'; protocol: number; token: string }
  | { type: 'offer'; sdp: string }
  | { type: 'candidate'; candidate: string; sdpMid: string; usernameFragment?: string }
  | { type: 'mute'; audio?: boolean; video?: boolean }
  | { type: 'muteOther'; participantId: string; audio: boolean }
  | { type: 'muteAll' }
  | { type: 'layout'; layout: string }
  | { type: 'content'; sharing: boolean }
  | { type: 'raiseHand'; raised: boolean }
  | { type: 'chat'; id: string; text: string; to: string | null }
  | { type: 'remove'; participantId: string }
  | { type: 'addParticipant'; uri: string }
  | { type: 'leave' }
  | { type: 'ping'; n: number };

/** Thrown inside this module when a field is not what it should be. */
class Malformed extends Error {}

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed();
  return value as Fields;
}

function string(value: unknown): string {
  if (typeof value !== 'string') throw new Malformed();
  return value;
}

function stringOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : string(value);
}

function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Malformed();
  return value;
}

/** Absent means no: fields may be added to the protocol, and old servers lack them. */
function flag(value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new Malformed();
  return value === true;
}

function list<T>(value: unknown, item: (value: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new Malformed();
  return value.map(item);
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new Malformed();
  return found;
}

function participant(value: unknown): Participant {
  const of = fields(value);
  return {
    id: string(of.id),
    name: string(of.name),
    self: flag(of.self),
    kind: oneOf(of.kind, ['web', 'sip']),
    state: oneOf(of.state, ['connected', 'onHold', 'ringing', 'reconnecting']),
    audioMuted: flag(of.audioMuted),
    videoMuted: flag(of.videoMuted),
    hasVideo: flag(of.hasVideo),
    handRaised: flag(of.handRaised),
    sharing: flag(of.sharing),
    joinedAtMs: number(of.joinedAtMs),
  };
}

function chatMessage(value: unknown): ChatMessage {
  const of = fields(value);
  return {
    id: string(of.id),
    from: string(of.from),
    name: string(of.name),
    text: string(of.text),
    to: stringOrNull(of.to),
    atMs: number(of.atMs),
  };
}

/** Reads `iceServers`, which comes by HTTP too. `urls` may be one or several. */
export function iceServers(value: unknown): IceServer[] {
  return list(value ?? [], (item) => {
    const of = fields(item);
    const server: IceServer = { urls: typeof of.urls === 'string' ? [of.urls] : list(of.urls, string) };
    if (of.username !== undefined) server.username = string(of.username);
    if (of.credential !== undefined) server.credential = string(of.credential);
    return server;
  });
}

function permissions(value: unknown): Permissions {
  const of = fields(value ?? {});
  return {
    muteOthers: flag(of.muteOthers),
    removeOthers: flag(of.removeOthers),
    addParticipant: flag(of.addParticipant),
    chat: flag(of.chat),
    share: flag(of.share),
    layout: flag(of.layout),
  };
}

function content(value: unknown): { participantId: string; name: string } | null {
  if (value === null || value === undefined) return null;
  const of = fields(value);
  return of.participantId === null ? null : { participantId: string(of.participantId), name: string(of.name) };
}

const BYE_REASONS = ['left', 'removed', 'ended', 'tokenInvalid', 'replaced', 'serverStops'] as const;

function read(of: Fields): ServerMessage | null {
  switch (of.type) {
    case 'welcome':
      return {
        type: 'welcome',
        participantId: string(of.participantId),
        spaceName: string(of.spaceName),
        resumed: flag(of.resumed),
        layout: string(of.layout),
        layouts: list(of.layouts, string),
        audioMuted: flag(of.audioMuted),
        videoMuted: flag(of.videoMuted),
        roster: list(of.roster, participant),
        speaker: stringOrNull(of.speaker),
        content: content(of.content),
        chat: list(of.chat, chatMessage),
        iceServers: iceServers(of.iceServers),
        permissions: permissions(of.permissions),
      };
    case 'answer':
      return { type: 'answer', sdp: string(of.sdp) };
    case 'candidate':
      return { type: 'candidate', candidate: string(of.candidate), sdpMid: string(of.sdpMid) };
    case 'reoffer':
      return { type: 'reoffer', iceRestart: flag(of.iceRestart) };
    case 'roster':
      return { type: 'roster', participants: list(of.participants, participant) };
    case 'speaker':
      return { type: 'speaker', participantId: stringOrNull(of.participantId) };
    case 'muted':
      return {
        type: 'muted',
        audioMuted: flag(of.audioMuted),
        videoMuted: flag(of.videoMuted),
        byOther: flag(of.byOther),
      };
    case 'layout':
      return { type: 'layout', layout: string(of.layout) };
    case 'content':
      return { type: 'content', participantId: stringOrNull(of.participantId), name: stringOrNull(of.name) ?? '' };
    case 'chat':
      return { type: 'chat', ...chatMessage(of) };
    case 'error':
      return { type: 'error', code: string(of.code), about: stringOrNull(of.about) ?? '' };
    case 'pong':
      return { type: 'pong', n: number(of.n) };
    case 'bye':
      return { type: 'bye', reason: oneOf(of.reason, BYE_REASONS) };
    default:
      return null;
  }
}

/** The message in a WebSocket frame, or null if it is none that this version knows. */
export function decode(frame: unknown): ServerMessage | null {
  if (typeof frame !== 'string') return null;
  try {
    return read(fields(JSON.parse(frame)));
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** The frame for a message. Fields that are undefined are left out. */
export function encode(message: ClientMessage): string {
  return JSON.stringify(message);
}
