import { expect, test } from 'vitest';
import type { ChatMessage, Participant, ServerMessage, Welcome } from '../signalling/messages';
import { CHAT_MAX, entered, heard, listed, type Happening, type Meeting } from './meeting';

function person(id: string, part: Partial<Participant> = {}): Participant {
  return {
    id,
    name: id.toUpperCase(),
    self: id === 'me',
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

const WELCOME: Welcome = {
  type: 'welcome',
  participantId: 'me',
  spaceName: 'Stand-up',
  resumed: false,
  layout: 'allEqual',
  layouts: ['allEqual', 'speakerOnly'],
  audioMuted: false,
  videoMuted: false,
  roster: [person('me'), person('a')],
  speaker: null,
  content: null,
  chat: [],
  iceServers: [],
  permissions: { muteOthers: true, removeOthers: true, addParticipant: true, chat: true, share: true, layout: true },
};

function after(messages: ServerMessage[], meeting: Meeting = entered(WELCOME)): { meeting: Meeting; happenings: Happening[] } {
  const happenings: Happening[] = [];
  let now = meeting;
  for (const message of messages) {
    const change = heard(now, message);
    now = change.meeting;
    happenings.push(...change.happenings);
  }
  return { meeting: now, happenings };
}

function chat(id: string, part: Partial<ChatMessage> = {}): ServerMessage {
  return { type: 'chat', id, from: 'a', name: 'A', text: 'hello', to: null, atMs: 0, ...part };
}

test('who comes and goes is news, oneself is not', () => {
  const { happenings } = after([
    { type: 'roster', participants: [person('me'), person('a'), person('b'), person('c')] },
    { type: 'roster', participants: [person('me'), person('c')] },
  ]);
  expect(happenings).toEqual([
    { what: 'joined', names: ['B', 'C'] },
    { what: 'left', names: ['A', 'B'] },
  ]);
  expect(heard(entered({ ...WELCOME, roster: [] }), { type: 'roster', participants: [person('me')] }).happenings).toEqual([]);
});

test('a raised hand is news once', () => {
  const raised: ServerMessage = { type: 'roster', participants: [person('me'), person('a', { handRaised: true })] };
  expect(after([raised, raised]).happenings).toEqual([{ what: 'raisedHand', names: ['A'] }]);
});

test('my own hand is as the server has it', () => {
  const { meeting } = after([{ type: 'roster', participants: [person('me', { handRaised: true }), person('a')] }]);
  expect(meeting.handRaised).toBe(true);
});

test('after a break only what has changed is news', () => {
  const { meeting, happenings } = after([
    chat('1'),
    { ...WELCOME, resumed: true, roster: [person('me'), person('b')], chat: [{ ...(chat('1') as ChatMessage), text: 'hello' }], layout: 'speakerOnly' },
  ]);
  expect(happenings.map((one) => one.what)).toEqual(['chat', 'joined', 'left']);
  expect(meeting.layout).toBe('speakerOnly');
  expect(meeting.chat).toHaveLength(1);
});

test('chat that the server has forgotten is kept, and what it has more is added', () => {
  const missed = { id: '2', from: 'a', name: 'A', text: 'missed', to: null, atMs: 1 };
  const { meeting } = after([chat('1'), { ...WELCOME, chat: [missed] }, { ...WELCOME, chat: [] }]);
  expect(meeting.chat.map((one) => one.id)).toEqual(['1', '2']);
});

test('chat comes once, its own is no news, and the oldest goes', () => {
  const { meeting, happenings } = after([chat('1'), chat('1'), chat('1', { from: 'me' })]);
  expect(meeting.chat.map((one) => one.from)).toEqual(['a', 'me']);
  expect(happenings).toHaveLength(1);
  const full = after(Array.from({ length: CHAT_MAX + 3 }, (_, at) => chat(String(at))));
  expect(full.meeting.chat).toHaveLength(CHAT_MAX);
  expect(full.meeting.chat[0]?.id).toBe('3');
});

test('being muted by another is news, muting oneself is not', () => {
  const muted = (byOther: boolean, audioMuted = true): ServerMessage => ({ type: 'muted', audioMuted, videoMuted: false, byOther });
  expect(after([muted(false)]).happenings).toEqual([]);
  expect(after([muted(true), muted(true)]).happenings).toEqual([{ what: 'mutedByOther' }]);
  expect(after([muted(false), muted(true, false)]).happenings).toEqual([{ what: 'unmutedByOther' }]);
});

test('a shared screen is news, my own is not', () => {
  const shares = (participantId: string | null, name = ''): ServerMessage => ({ type: 'content', participantId, name });
  expect(after([shares('a', 'A'), shares('a', 'A'), shares(null), shares(null)]).happenings).toEqual([
    { what: 'sharing', name: 'A' },
    { what: 'sharingEnded' },
  ]);
  expect(after([shares('me', 'ME')]).happenings).toEqual([]);
});

test('a refusal is news', () => {
  expect(after([{ type: 'error', code: 'notAllowed', about: 'remove' }]).happenings).toEqual([
    { what: 'refused', code: 'notAllowed', about: 'remove' },
  ]);
});

test('people are listed: oneself, raised hands, then by name', () => {
  const roster = [person('z'), person('b', { handRaised: true }), person('a'), person('me')];
  expect(listed(roster).map((one) => one.id)).toEqual(['me', 'b', 'a', 'z']);
  expect(roster[0]?.id).toBe('z');
});
