// Keyboard shortcuts of the meeting. All have Alt in them: a letter by itself
// would fire while people dictate or type (WCAG 2.1.4). The physical key counts,
// so that they are in the same place on every keyboard and in every script.

export const SHORTCUTS = {
  mute: 'KeyA',
  video: 'KeyV',
  share: 'KeyS',
  hand: 'KeyY',
  chat: 'KeyC',
  people: 'KeyU',
  statistics: 'KeyI',
  fullScreen: 'KeyF',
  list: 'KeyK',
} as const;

export type Shortcut = keyof typeof SHORTCUTS;

/** The part of a keyboard event that decides. */
export interface Keys {
  code: string;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  repeat: boolean;
}

/** Which shortcut was pressed, if one was. A key held down counts once. */
export function shortcutOf(keys: Keys): Shortcut | null {
  if (!keys.altKey || keys.ctrlKey || keys.metaKey || keys.shiftKey || keys.repeat) return null;
  const found = Object.entries(SHORTCUTS).find(([, code]) => code === keys.code);
  return found === undefined ? null : (found[0] as Shortcut);
}

/** How it is written, `Alt+A` or `⌥A`. */
export function written(shortcut: Shortcut, apple: boolean): string {
  const letter = SHORTCUTS[shortcut].slice('Key'.length);
  return apple ? `⌥${letter}` : `Alt+${letter}`;
}

/** Whether this is one of Apple's keyboards. */
export function isApple(): boolean {
  return /Mac|iPhone|iPad/.test(navigator.userAgent);
}
