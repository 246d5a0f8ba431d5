import { expect, test, vi } from 'vitest';
import { makeTranslator } from '../../i18n';
import { News, NEWS_MAX, sentence, STAYS_MS, tone } from './news';
import { shortcutOf, SHORTCUTS, written, type Keys } from './shortcuts';
import { elapsed } from './TopBar';

const KEYS: Keys = { code: 'KeyA', altKey: true, ctrlKey: false, metaKey: false, shiftKey: false, repeat: false };

test('a shortcut is Alt and its key, and nothing more', () => {
  expect(shortcutOf(KEYS)).toBe('mute');
  for (const part of [{ altKey: false }, { ctrlKey: true }, { metaKey: true }, { shiftKey: true }, { repeat: true }, { code: 'KeyZ' }]) {
    expect(shortcutOf({ ...KEYS, ...part })).toBeNull();
  }
});

test('no two shortcuts share a key', () => {
  expect(new Set(Object.values(SHORTCUTS)).size).toBe(Object.keys(SHORTCUTS).length);
  expect(written('mute', false)).toBe('Alt+A');
  expect(written('mute', true)).toBe('⌥A');
});

test('time is written as long as it has to be', () => {
  expect(elapsed(0, 'en')).toBe('0:00');
  expect(elapsed(247_900, 'en')).toBe('4:07');
  expect(elapsed(3_847_000, 'en')).toBe('1:04:07');
  expect(elapsed(-5, 'en')).toBe('0:00');
});

test('what happens is one sentence; many people are a number', () => {
  const { t } = makeTranslator();
  expect(sentence(t, 'en', { what: 'joined', names: ['Ann', 'Bob'] })).toBe('Ann and Bob joined');
  expect(sentence(t, 'en', { what: 'left', names: ['A', 'B', 'C', 'D'] })).toBe('4 people left');
  expect(sentence(t, 'en', { what: 'refused', code: 'x', about: 'addParticipant' })).toBe('That address could not be called.');
  const message = { id: '1', from: 'a', name: 'Ann', text: '<b>hi</b> {{name}}', to: 'me', atMs: 0 };
  expect(sentence(t, 'en', { what: 'chat', message })).toBe('Ann, privately: <b>hi</b> {{name}}');
});

test('people coming and going are heard, chat is not', () => {
  expect(tone({ what: 'joined', names: ['A'] })).toBe('join');
  expect(tone({ what: 'left', names: ['A'] })).toBe('leave');
  expect(tone({ what: 'sharingEnded' })).toBeNull();
});

test('news goes by itself, and the oldest first when there is much', () => {
  vi.useFakeTimers();
  const news = new News();
  for (let n = 1; n <= NEWS_MAX + 1; n += 1) news.say(String(n));
  expect(news.items.get().map((item) => item.text)).toEqual(['2', '3', '4', '5']);
  vi.advanceTimersByTime(STAYS_MS);
  expect(news.items.get()).toEqual([]);
  vi.useRealTimers();
});
