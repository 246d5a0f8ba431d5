// What is known of the meeting, as a pure function of what the server has said.
//
// It knows no media, no timers and no words: what happened that people should
// notice comes out as `Happening`s, which the interface puts into sentences and
// sounds.

import type { ChatMessage, Participant, Permissions, ServerMessage, Welcome } from '../signalling/messages';

/** Chat that is kept; the oldest goes first. */
export const CHAT_MAX = 500;

export interface Meeting {
  selfId: string;
  spaceName: string;
  layout: string;
  layouts: string[];
  audioMuted: boolean;
  videoMuted: boolean;
  handRaised: boolean;
  roster: Participant[];
  speaker: string | null;
  content: { participantId: string; name: string } | null;
  chat: ChatMessage[];
  permissions: Permissions;
}

/** Something to tell the user of. */
export type Happening =
  | { what: 'joined' | 'left' | 'raisedHand'; names: string[] }
  | { what: 'chat'; message: ChatMessage }
  | { what: 'mutedByOther' | 'unmutedByOther' }
  | { what: 'sharing'; name: string }
  | { what: 'sharingEnded' }
  | { what: 'refused'; code: string; about: string };

export interface Change {
  meeting: Meeting;
  happenings: Happening[];
}

/** People in the order in which they are listed: oneself, raised hands by age, then by name. */
export function listed(roster: readonly Participant[]): Participant[] {
  return [...roster].sort(
    (a, b) =>
      Number(b.self) - Number(a.self) ||
      Number(b.handRaised) - Number(a.handRaised) ||
      a.name.localeCompare(b.name) ||
      a.id.localeCompare(b.id),
  );
}

/** The meeting as `welcome` tells it. */
export function entered(welcome: Welcome): Meeting {
  return {
    selfId: welcome.participantId,
    spaceName: welcome.spaceName,
    layout: welcome.layout,
    layouts: welcome.layouts,
    audioMuted: welcome.audioMuted,
    videoMuted: welcome.videoMuted,
    handRaised: welcome.roster.some((one) => one.id === welcome.participantId && one.handRaised),
    roster: welcome.roster,
    speaker: welcome.speaker,
    content: welcome.content,
    chat: welcome.chat.slice(-CHAT_MAX),
    permissions: welcome.permissions,
  };
}

/** Who is there now and was not before, by name. Oneself is no news. */
function newcomers(before: readonly Participant[], after: readonly Participant[]): string[] {
  const known = new Set(before.map((one) => one.id));
  return after.filter((one) => !known.has(one.id) && !one.self).map((one) => one.name);
}

function newHands(before: readonly Participant[], after: readonly Participant[]): string[] {
  const raised = new Set(before.filter((one) => one.handRaised).map((one) => one.id));
  return after.filter((one) => one.handRaised && !one.self && !raised.has(one.id)).map((one) => one.name);
}

function rosterChange(meeting: Meeting, roster: Participant[]): Change {
  const happenings: Happening[] = [];
  const joined = newcomers(meeting.roster, roster);
  const left = newcomers(roster, meeting.roster);
  const raised = newHands(meeting.roster, roster);
  if (joined.length > 0) happenings.push({ what: 'joined', names: joined });
  if (left.length > 0) happenings.push({ what: 'left', names: left });
  if (raised.length > 0) happenings.push({ what: 'raisedHand', names: raised });
  const self = roster.find((one) => one.id === meeting.selfId);
  return { meeting: { ...meeting, roster, handRaised: self?.handRaised ?? meeting.handRaised }, happenings };
}

/** What we have, and what of theirs is new. After a break or its own restart the server may tell again, or less. */
function merged(ours: readonly ChatMessage[], theirs: readonly ChatMessage[]): ChatMessage[] {
  const known = new Set(ours.map(({ from, id }) => `${from}/${id}`));
  return [...ours, ...theirs.filter(({ from, id }) => !known.has(`${from}/${id}`))].slice(-CHAT_MAX);
}

function chatChange(meeting: Meeting, message: ChatMessage): Change {
  const chat = merged(meeting.chat, [message]);
  if (chat.at(-1) !== message) return { meeting, happenings: [] };
  const happenings: Happening[] = message.from === meeting.selfId ? [] : [{ what: 'chat', message }];
  return { meeting: { ...meeting, chat }, happenings };
}

/** What follows from a message. A `welcome` after a break keeps what it does not repeat. */
export function heard(meeting: Meeting, message: ServerMessage): Change {
  const quiet = (meeting: Meeting): Change => ({ meeting, happenings: [] });
  switch (message.type) {
    case 'welcome': {
      const after = { ...entered(message), chat: merged(meeting.chat, message.chat) };
      const { happenings } = rosterChange(meeting, after.roster);
      return { meeting: after, happenings };
    }
    case 'roster':
      return rosterChange(meeting, message.participants);
    case 'speaker':
      return quiet({ ...meeting, speaker: message.participantId });
    case 'muted': {
      const { audioMuted, videoMuted } = message;
      const after = { ...meeting, audioMuted, videoMuted };
      if (!message.byOther || audioMuted === meeting.audioMuted) return quiet(after);
      return { meeting: after, happenings: [{ what: audioMuted ? 'mutedByOther' : 'unmutedByOther' }] };
    }
    case 'layout':
      return quiet({ ...meeting, layout: message.layout });
    case 'content': {
      const { participantId, name } = message;
      const content = participantId === null ? null : { participantId, name };
      const happenings: Happening[] = [];
      if (content !== null && content.participantId !== meeting.content?.participantId && content.participantId !== meeting.selfId) {
        happenings.push({ what: 'sharing', name });
      }
      if (content === null && meeting.content !== null) happenings.push({ what: 'sharingEnded' });
      return { meeting: { ...meeting, content }, happenings };
    }
    case 'chat':
      return chatChange(meeting, { id: message.id, from: message.from, name: message.name, text: message.text, to: message.to, atMs: message.atMs });
    case 'error':
      return { meeting, happenings: [{ what: 'refused', code: message.code, about: message.about }] };
    default:
      return quiet(meeting);
  }
}
