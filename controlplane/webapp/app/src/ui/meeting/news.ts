// What happened in the meeting, as sentences that come and go, and as tones.

import type { TFunction } from 'i18next';
import type { Happening } from '../../state/meeting';
import { Store } from '../../state/store';

/** How long a sentence stays. */
export const STAYS_MS = 6_000;
/** Sentences at a time; the oldest goes first. */
export const NEWS_MAX = 4;
/** More people than this are told by number. */
const NAMES_MAX = 3;

export interface Item {
  id: number;
  text: string;
}

export class News {
  readonly items = new Store<Item[]>([]);
  private next = 1;

  say(text: string): void {
    const item = { id: this.next, text };
    this.next += 1;
    this.items.update((items) => [...items, item].slice(-NEWS_MAX));
    setTimeout(() => this.dismiss(item.id), STAYS_MS);
  }

  dismiss(id: number): void {
    this.items.update((items) => items.filter((item) => item.id !== id));
  }
}

function listOf(names: string[], language: string): string {
  return new Intl.ListFormat(language, { type: 'conjunction' }).format(names);
}

const REFUSED: Record<string, 'news.refusedShare' | 'news.refusedChat' | 'news.refusedAdd'> = {
  content: 'news.refusedShare',
  chat: 'news.refusedChat',
  addParticipant: 'news.refusedAdd',
};

/** What happened, in one sentence. */
export function sentence(t: TFunction, language: string, happening: Happening): string {
  switch (happening.what) {
    case 'joined':
    case 'left': {
      const count = happening.names.length;
      if (count > NAMES_MAX) return t(`news.${happening.what}Many`, { count });
      return t(`news.${happening.what}`, { count, names: listOf(happening.names, language) });
    }
    case 'raisedHand':
      return t('news.raisedHand', { count: happening.names.length, names: listOf(happening.names, language) });
    case 'chat': {
      const { name, text, to } = happening.message;
      return t(to === null ? 'news.chat' : 'news.chatPrivate', { name, text });
    }
    case 'mutedByOther':
    case 'unmutedByOther':
    case 'sharingEnded':
      return t(`news.${happening.what}`);
    case 'sharing':
      return t('news.sharing', { name: happening.name });
    case 'refused':
      return t(REFUSED[happening.about] ?? 'news.refused');
  }
}

/** The tone that goes with it, if one does. */
export function tone(happening: Happening): 'join' | 'leave' | 'hand' | null {
  switch (happening.what) {
    case 'joined':
      return 'join';
    case 'left':
      return 'leave';
    case 'raisedHand':
      return 'hand';
    default:
      return null;
  }
}
