// The Web Bridge's HTTP interface: what is offered, which meeting is meant, and
// the way in. Same origin only.
//
// Every failure is a `Refusal` with one of a closed set of codes, so that the
// interface can say each in the user's words; a broken network is one of them.

import { iceServers, type IceServer } from '../signalling/messages';

/** What this server offers to guests. */
export interface Config {
  productName: string;
  allowPasscodes: boolean;
  allowSecrets: boolean;
  resolveCallIds: boolean;
  resolveUris: 'off' | 'domainSuggestionDisabled' | 'domainSuggestionEnabled';
  domainSuggestion: string | null;
  allowUnauthenticatedGuests: boolean;
}

/** Taken until the server has said otherwise, or if it does not answer. */
export const CONFIG_DEFAULT: Config = {
  productName: 'Plenum',
  allowPasscodes: true,
  allowSecrets: true,
  resolveCallIds: true,
  resolveUris: 'domainSuggestionDisabled',
  domainSuggestion: null,
  allowUnauthenticatedGuests: true,
};

const CODES = [
  'notFound',
  'passcodeRequired',
  'passcodeWrong',
  'guestsNotAllowed',
  'secretWrong',
  'passcodesNotAllowed',
  'secretsNotAllowed',
  'locked',
  'tooManyTries',
  'full',
  'unavailable',
  'invalid',
] as const;

export type RefusalCode = (typeof CODES)[number];

/** The server said no, or nothing. */
export class Refusal extends Error {
  constructor(
    readonly code: RefusalCode,
    /** When to try again, in seconds, if the server said so. */
    readonly retryAfterS: number | null = null,
  ) {
    super(code);
  }
}

/** A meeting by its number or by its address, as it is typed or linked. */
export interface Meeting {
  callId?: string;
  uri?: string;
  secret?: string;
}

export interface Found {
  spaceName: string;
  passcodeRequired: boolean;
}

export interface Admission {
  token: string;
  participantId: string;
  spaceName: string;
  iceServers: IceServer[];
}

type Fields = Record<string, unknown>;

async function ask(path: string, body?: Fields): Promise<Fields> {
  let response: Response;
  try {
    response = await fetch(path, {
      credentials: 'same-origin',
      ...(body === undefined
        ? {}
        : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new Refusal('unavailable');
  }
  const answer: unknown = await response.json().catch(() => null);
  const fields = typeof answer === 'object' && answer !== null ? (answer as Fields) : null;
  if (response.ok && fields !== null) return fields;
  const code = CODES.find((code) => code === fields?.error) ?? 'unavailable';
  const retry = fields?.retryAfterSeconds;
  throw new Refusal(code, typeof retry === 'number' ? retry : null);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Reads an answer of `/api/config`; what is missing keeps its default. */
export function readConfig(of: Fields): Config {
  const flag = (value: unknown, otherwise: boolean) => (typeof value === 'boolean' ? value : otherwise);
  const uris = (['off', 'domainSuggestionDisabled', 'domainSuggestionEnabled'] as const).find(
    (one) => one === of.resolveUris,
  );
  return {
    productName: text(of.productName) || CONFIG_DEFAULT.productName,
    allowPasscodes: flag(of.allowPasscodes, CONFIG_DEFAULT.allowPasscodes),
    allowSecrets: flag(of.allowSecrets, CONFIG_DEFAULT.allowSecrets),
    resolveCallIds: flag(of.resolveCallIds, CONFIG_DEFAULT.resolveCallIds),
    resolveUris: uris ?? CONFIG_DEFAULT.resolveUris,
    domainSuggestion: text(of.domainSuggestion) || null,
    allowUnauthenticatedGuests: flag(of.allowUnauthenticatedGuests, CONFIG_DEFAULT.allowUnauthenticatedGuests),
  };
}

export async function config(): Promise<Config> {
  return readConfig(await ask('/api/config'));
}

export async function lookup(meeting: Meeting): Promise<Found> {
  const answer = await ask('/api/lookup', { ...meeting });
  return { spaceName: text(answer.spaceName), passcodeRequired: answer.passcodeRequired === true };
}

export async function join(meeting: Meeting, name: string, passcode: string): Promise<Admission> {
  const answer = await ask('/api/join', { ...meeting, name, ...(passcode === '' ? {} : { passcode }) });
  return {
    token: text(answer.token),
    participantId: text(answer.participantId),
    spaceName: text(answer.spaceName),
    iceServers: iceServers(answer.iceServers),
  };
}
