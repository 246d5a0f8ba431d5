// What every view needs, handed down once: preferences, this device's media, and
// what the server offers.

import { createContext, use } from 'react';
import type { Config } from '../http/api';
import type { LocalMedia } from '../state/localMedia';
import type { Preferences } from '../state/preferences';
import { useStore, type Store } from '../state/store';

export interface AppParts {
  preferences: Store<Preferences>;
  local: LocalMedia;
  config: Config;
}

export const AppContext = createContext<AppParts | null>(null);

export function useApp(): AppParts {
  const parts = use(AppContext);
  if (parts === null) throw new Error('used outside of the app');
  return parts;
}

/** The preferences, and how to change some of them. */
export function usePreferences(): [Preferences, (part: Partial<Preferences>) => void] {
  const { preferences } = useApp();
  return [useStore(preferences), (part) => preferences.update((of) => ({ ...of, ...part }))];
}
