import { expect, test } from 'vitest';
import { decode, encode, iceServers, type ClientMessage } from './messages';

const PERSON = {
  id: '1',
  name: 'Ann',
  self: true,
  kind: 'web',
  state: 'connected',
  audioMuted: false,
  videoMuted: true,
  hasVideo: true,
  handRaised: false,
  sharing: false,
  joinedAtMs: 5,
};

const MESSAGES = [
  { type: 'answer', sdp: 'v=0' },
  { type: 'candidate', candidate: 'candidate:1', sdpMid: '0' },
  { type: 'reoffer', iceRestart: true },
  { type: 'roster', participants: [PERSON] },
  { type: 'speaker', participantId: null },
  { type: 'muted', audioMuted: true, videoMuted: false, byOther: true },
  { type: 'layout', layout: 'allEqual' },
  { type: 'content', participantId: null, name: '' },
  { type: 'chat', id: '7', from: '1', name: 'Ann', text: 'hello', to: null, atMs: 9 },
  { type: 'error', code: 'notAllowed', about: 'remove' },
  { type: 'pong', n: 3 },
  { type: 'bye', reason: 'ended' },
  {
    type: 'welcome',
    participantId: '1',
    spaceName: 'S',
    resumed: true,
    layout: 'allEqual',
    layouts: ['allEqual'],
    audioMuted: false,
    videoMuted: false,
    roster: [PERSON],
    speaker: '1',
    content: { participantId: '1', name: 'Ann' },
    chat: [{ id: '7', from: '1', name: 'Ann', text: 'hello', to: '1', atMs: 9 }],
    iceServers: [{ urls: ['turn:example.com'], username: 'u', credential: 'c' }],
    permissions: { muteOthers: true, removeOthers: false, addParticipant: true, chat: true, share: true, layout: false },
  },
];

test.each(MESSAGES)('reads $type as it is', (message) => {
  expect(decode(JSON.stringify(message))).toEqual(message);
});

test.each(MESSAGES)('refuses $type with any of its fields of another kind', (message) => {
  for (const key of Object.keys(message).filter((key) => key !== 'type')) {
    for (const wrong of [{ nested: [] }, 'unless a string is right'] as const) {
      const right = (message as Record<string, unknown>)[key];
      if (typeof right === 'string' && typeof wrong === 'string') continue;
      // Null stands for nobody there; a string is somebody.
      if (right === null && typeof wrong === 'string') continue;
      // Every permission of this is absent, which means no.
      if (key === 'permissions' && typeof wrong !== 'string') continue;
      expect(decode(JSON.stringify({ ...message, [key]: wrong })), key).toBeNull();
    }
  }
});

test('an absent switch is off, as from a server that does not know it', () => {
  const { handRaised: _, ...older } = PERSON;
  expect(decode(JSON.stringify({ type: 'roster', participants: [older] }))).toEqual({
    type: 'roster',
    participants: [PERSON],
  });
});

test('knows no other types and no other frames', () => {
  for (const frame of ['{"type":"poll"}', '{}', '3', '"x"', 'null', '[]', '', '{', new ArrayBuffer(4), undefined]) {
    expect(decode(frame)).toBeNull();
  }
});

test('takes one address of a server for a list of one', () => {
  expect(iceServers([{ urls: 'stun:example.com' }])).toEqual([{ urls: ['stun:example.com'] }]);
  expect(iceServers(undefined)).toEqual([]);
});

test('says what was said, and leaves out what was not', () => {
  const message: ClientMessage = { type: 'mute', audio: true };
  expect(encode(message)).toBe('{"type":"mute","audio":true}');
});
