// Which meeting an address or a typed text means.

import type { Config, Meeting } from './api';

/** What the page's own address asks for: `/meeting/<callId>?secret=`, or `/join?uri=`. */
export function meetingOfLocation(path: string, query: string): Meeting | null {
  const asked = new URLSearchParams(query);
  const secret = asked.get('secret');
  const withSecret = secret ? { secret } : {};
  const byId = /^\/meeting\/([^/]+)\/?$/.exec(path);
  if (byId?.[1] !== undefined) {
    try {
      return { callId: decodeURIComponent(byId[1]), ...withSecret };
    } catch {
      return null;
    }
  }
  const uri = asked.get('uri');
  if (path === '/join' && uri) return { uri, ...withSecret };
  return null;
}

/** The page's address for a meeting. The secret stays in it: a reload needs it. */
export function locationOfMeeting(meeting: Meeting): string {
  const query = new URLSearchParams();
  if (meeting.callId === undefined && meeting.uri !== undefined) query.set('uri', meeting.uri);
  if (meeting.secret !== undefined) query.set('secret', meeting.secret);
  const path = meeting.callId === undefined ? '/join' : `/meeting/${encodeURIComponent(meeting.callId)}`;
  const asked = query.toString();
  return asked === '' ? path : `${path}?${asked}`;
}

/**
 * What a typed text means: digits (spaces and dashes are for the eye) are a
 * meeting's number, a pasted link is that link, and anything else is an address,
 * completed by the server's own domain where that is offered. Null if nothing
 * that this server resolves.
 */
export function meetingOfText(typed: string, config: Config): Meeting | null {
  const text = typed.trim();
  if (text === '') return null;
  if (/^https?:\/\//i.test(text)) {
    try {
      const link = new URL(text);
      return meetingOfLocation(link.pathname, link.search);
    } catch {
      return null;
    }
  }
  const digits = text.replace(/[\s-]/g, '');
  if (/^\d+$/.test(digits)) return config.resolveCallIds ? { callId: digits } : null;
  if (config.resolveUris === 'off' || /\s/.test(text)) return null;
  const uri = text.replace(/^sips?:/i, '');
  if (uri.includes('@') || config.resolveUris !== 'domainSuggestionEnabled' || config.domainSuggestion === null) {
    return { uri };
  }
  return { uri: `${uri}@${config.domainSuggestion}` };
}
