import { expect, test } from 'vitest';
import { openPreferences, PREFERENCES_DEFAULT, readPreferences } from './preferences';

test('nothing stored, or nonsense, is the default', () => {
  for (const stored of [null, '', '{', '3', 'null', '[]', '{"theme":"pink","name":7,"chimes":"yes","language":4}']) {
    expect(readPreferences(stored)).toEqual(PREFERENCES_DEFAULT);
  }
});

test('what was chosen is there again, and nothing else is taken over', () => {
  const stored = { theme: 'dark', name: 'Ann', language: 'ar', blur: true, unknown: 1 };
  const { unknown: _, ...known } = stored;
  expect(readPreferences(JSON.stringify(stored))).toEqual({ ...PREFERENCES_DEFAULT, ...known });
});

test('changes are stored; without storage they last as long as the page', () => {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) };
  const first = openPreferences(storage as unknown as Storage);
  first.update((of) => ({ ...of, name: 'Ann' }));
  expect(openPreferences(storage as unknown as Storage).get().name).toBe('Ann');
  const none = openPreferences(null);
  none.update((of) => ({ ...of, name: 'Bob' }));
  expect(none.get().name).toBe('Bob');
});
