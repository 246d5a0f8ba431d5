import { expect, test } from 'vitest';
import { CONFIG_DEFAULT, readConfig, type Config } from './api';
import { locationOfMeeting, meetingOfLocation, meetingOfText } from './meetingLink';

test.each([
  ['/meeting/1234', '', { callId: '1234' }],
  ['/meeting/1234/', '?secret=a%2Bb', { callId: '1234', secret: 'a+b' }],
  ['/join', '?uri=board%40example.com', { uri: 'board@example.com' }],
  ['/join', '', null],
  ['/', '', null],
  ['/meeting/', '', null],
  ['/meeting/1/2', '', null],
  ['/meeting/%E0%A4%A', '', null],
])('%s%s is %o', (path, query, meeting) => {
  expect(meetingOfLocation(path, query)).toEqual(meeting);
});

test('an address leads back to the meeting that it was made for', () => {
  for (const meeting of [{ callId: '12' }, { callId: '1', secret: 'x&y=z/ä' }, { uri: 'a b@example.com', secret: '?' }]) {
    const [path = '', query = ''] = locationOfMeeting(meeting).split(/(?=\?)/);
    expect(meetingOfLocation(path, query)).toEqual(meeting);
  }
});

const config = (part: Partial<Config>): Config => ({ ...CONFIG_DEFAULT, ...part });

test.each([
  ['123 456-789', {}, { callId: '123456789' }],
  ['  ', {}, null],
  ['board@example.com', {}, { uri: 'board@example.com' }],
  ['sip:board@example.com', {}, { uri: 'board@example.com' }],
  ['board', {}, { uri: 'board' }],
  ['two words', {}, null],
  ['123', { resolveCallIds: false }, null],
  ['board@example.com', { resolveUris: 'off' as const }, null],
  ['board', { resolveUris: 'domainSuggestionEnabled' as const, domainSuggestion: 'example.com' }, { uri: 'board@example.com' }],
  ['https://meet.example.com/meeting/77?secret=s', {}, { callId: '77', secret: 's' }],
  ['https://meet.example.com/elsewhere', {}, null],
  ['https://', {}, null],
])('%j with %o means %o', (typed, part, meeting) => {
  expect(meetingOfText(typed, config(part))).toEqual(meeting);
});

test('an unknown or missing setting of the server is its default', () => {
  expect(readConfig({})).toEqual(CONFIG_DEFAULT);
  expect(readConfig({ resolveUris: 'later', allowSecrets: 1, productName: '' })).toEqual(CONFIG_DEFAULT);
  expect(readConfig({ resolveUris: 'off', allowUnauthenticatedGuests: false })).toMatchObject({
    resolveUris: 'off',
    allowUnauthenticatedGuests: false,
  });
});
