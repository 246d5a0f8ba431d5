import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import ar from './ar.json';
import de from './de.json';
import en from './en.json';
import hi from './hi.json';
import { makeTranslator, pickLanguage } from './index';

type Tree = { [key: string]: string | Tree };

/** Every message by its whole key. */
function flat(tree: Tree, before = ''): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') all.set(before + key, value);
    else for (const [inner, text] of flat(value, `${before}${key}.`)) all.set(inner, text);
  }
  return all;
}

const PLURAL = /_(zero|one|two|few|many|other)$/;
const stem = (key: string) => key.replace(PLURAL, '');
const placeholders = (text: string) => [...text.matchAll(/\{\{\s*(\w+)/g)].map(([, name]) => name).sort();
const english = flat(en);

describe.each(Object.entries({ en, de, hi, ar }))('%s', (language, messages) => {
  const all = flat(messages);

  test('has every message and no other', () => {
    expect([...new Set([...all.keys()].map(stem))].sort()).toEqual([...new Set([...english.keys()].map(stem))].sort());
  });

  test('has every form of number that the language has', () => {
    const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
    const counted = new Set([...english.keys()].filter((key) => PLURAL.test(key)).map(stem));
    for (const key of counted) {
      for (const category of pluralCategories) expect(all.has(`${key}_${category}`), `${key}_${category}`).toBe(true);
    }
  });

  test('has the same blanks in each', () => {
    for (const [key, text] of all) {
      const other = english.get(`${stem(key)}_other`) ?? english.get(key) ?? '';
      // A form for one or two may say the number in words.
      const inWords = PLURAL.test(key) && !placeholders(text).includes('count');
      expect(placeholders(text), key).toEqual(placeholders(other).filter((name) => name !== 'count' || !inWords));
      expect(text.trim(), key).toBe(text);
      expect(text, key).not.toBe('');
    }
  });
});

test('every message is used', () => {
  const sources: string[] = [];
  const collect = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) collect(path);
      else if (/\.tsx?$/.test(entry.name) && !entry.name.includes('.test.')) sources.push(readFileSync(path, 'utf8'));
    }
  };
  collect(join(__dirname, '..'));
  const code = sources.join('\n');
  // A key made of parts, `refusal.${code}`, uses all below it.
  const made = [...code.matchAll(/`([\w.]+)\.\$\{[^}]+\}([\w.]*)`/g)].map(([, before, after]) => `${before}.*${after}`);
  const named = (key: string) => code.includes(`'${key}'`);
  const built = (key: string) =>
    made.some((pattern) => {
      const [before = '', after = ''] = pattern.split('*');
      return key.startsWith(before) && key.endsWith(after);
    });
  const unused = [...new Set([...english.keys()].map(stem))].filter((key) => !named(key) && !built(key));
  expect(unused).toEqual([]);
});

test('numbers choose the form, and the form is the language’s', async () => {
  const translator = makeTranslator();
  translator.addResourceBundle('ar', 'translation', ar);
  await translator.changeLanguage('ar');
  const forms = [1, 2, 3, 11, 100].map((count) => translator.t('control.peopleCount', { count }));
  expect(new Set(forms).size).toBe(5);
  expect(translator.dir('ar')).toBe('rtl');
});

test('a number in a sentence from right to left stays the way round it is', async () => {
  const translator = makeTranslator();
  translator.addResourceBundle('ar', 'translation', ar);
  expect(translator.t('people.removeTitle', { name: '+49 30 1' })).toBe('Remove +49 30 1?');
  await translator.changeLanguage('ar');
  expect(translator.t('people.removeTitle', { name: '+49 30 1' })).toContain('\u2068+49 30 1\u2069');
});

test('the language is the chosen one, or the first of the browser’s that there is', () => {
  expect(pickLanguage('hi', ['de'])).toBe('hi');
  expect(pickLanguage(null, ['fr-FR', 'de-AT', 'en'])).toBe('de');
  expect(pickLanguage('xx', ['ar-EG'])).toBe('ar');
  expect(pickLanguage(null, ['ja'])).toBe('en');
});
