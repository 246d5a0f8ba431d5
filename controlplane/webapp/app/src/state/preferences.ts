// What the app remembers on this device: names of devices and choices, nothing
// else, in the browser's own storage and never sent anywhere. The privacy notice
// says so.

import type { Definition, Optimise } from '../media/encodings';
import { Store } from './store';

export type Theme = 'system' | 'light' | 'dark';

export interface Preferences {
  name: string;
  language: string | null;
  theme: Theme;
  cameraId: string;
  microphoneId: string;
  speakerId: string;
  cameraOn: boolean;
  microphoneOn: boolean;
  definition: Definition;
  optimise: Optimise;
  blur: boolean;
  /** Tones when people come and go. */
  chimes: boolean;
  selfView: boolean;
  mirror: boolean;
  noticeSeen: boolean;
}

export const PREFERENCES_DEFAULT: Preferences = {
  name: '',
  language: null,
  theme: 'system',
  cameraId: '',
  microphoneId: '',
  speakerId: '',
  cameraOn: true,
  microphoneOn: true,
  definition: 'hd',
  optimise: 'text',
  blur: false,
  chimes: true,
  selfView: true,
  mirror: true,
  noticeSeen: false,
};

const KEY = 'plenum.preferences';

const CHOICES: { [key in keyof Preferences]?: readonly unknown[] } = {
  theme: ['system', 'light', 'dark'],
  definition: ['hd', 'sd'],
  optimise: ['text', 'motion'],
};

/** Reads what was stored; what is missing or not what it should be is the default. */
export function readPreferences(stored: string | null): Preferences {
  let of: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(stored ?? '{}');
    if (typeof value === 'object' && value !== null) of = value as Record<string, unknown>;
  } catch {
    // Not ours, or half written: begin anew.
  }
  const valid = Object.entries(PREFERENCES_DEFAULT).map(([key, otherwise]: [string, unknown]): [string, unknown] => {
    const value = of[key];
    const right =
      key === 'language'
        ? value === null || typeof value === 'string'
        : typeof value === typeof otherwise && (CHOICES[key as keyof Preferences]?.includes(value) ?? true);
    return [key, right ? value : otherwise];
  });
  return Object.fromEntries(valid) as unknown as Preferences;
}

/** The preferences of this device, kept in `storage` as they change. */
export function openPreferences(storage: Storage | null): Store<Preferences> {
  const store = new Store(readPreferences(storage?.getItem(KEY) ?? null));
  store.subscribe(() => {
    try {
      storage?.setItem(KEY, JSON.stringify(store.get()));
    } catch {
      // Storage is full or forbidden: choices last as long as the page then.
    }
  });
  return store;
}

/** The browser's storage, or null where a policy forbids it. */
export function browserStorage(which: 'localStorage' | 'sessionStorage'): Storage | null {
  try {
    return window[which];
  } catch {
    return null;
  }
}
