// Light or dark, as chosen or as the system has it.

import type { Preferences } from '../state/preferences';
import type { Store } from '../state/store';

/** Keeps the page's theme up with the choice and the system, for good. */
export function followTheme(preferences: Store<Preferences>): void {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    const { theme } = preferences.get();
    document.documentElement.dataset.theme = theme === 'system' ? (system.matches ? 'dark' : 'light') : theme;
  };
  system.addEventListener('change', apply);
  preferences.subscribe(apply);
  apply();
}
