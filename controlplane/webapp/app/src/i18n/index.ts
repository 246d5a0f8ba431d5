// The words, in the user's language: i18next with message files, one for each
// language. English is in the first download, the others come when they are
// asked for. Numbers, lists and times are `Intl`'s.

import i18next, { type i18n } from 'i18next';
import { initReactI18next } from 'react-i18next';
import en from './en.json';

/** Every language there is, by its own name. */
export const LANGUAGES = {
  en: 'English',
  de: 'Deutsch',
  hi: 'हिन्दी',
  ar: 'العربية',
} as const;

export type Language = keyof typeof LANGUAGES;

type Messages = { default: Record<string, unknown> };

const FILES: Record<Exclude<Language, 'en'>, () => Promise<Messages>> = {
  de: () => import('./de.json'),
  hi: () => import('./hi.json'),
  ar: () => import('./ar.json'),
};

/** Unicode's brackets around text of a direction of its own. */
const FIRST_STRONG_ISOLATE = '\u2068';
const POP_ISOLATE = '\u2069';

export function isLanguage(code: string): code is Language {
  return Object.hasOwn(LANGUAGES, code);
}

/** The chosen language, or the first of the browser's that there is, or English. */
export function pickLanguage(chosen: string | null, preferred: readonly string[]): Language {
  for (const tag of chosen === null ? preferred : [chosen, ...preferred]) {
    const code = tag.toLowerCase().split('-')[0] ?? '';
    if (isLanguage(code)) return code;
  }
  return 'en';
}

/** Ready with English; `useLanguage` changes it. */
export function makeTranslator(): i18n {
  const translator = i18next.createInstance();
  void translator.use(initReactI18next).init({
    lng: 'en',
    fallbackLng: 'en',
    resources: { en: { translation: en } },
    interpolation: {
      // React escapes for HTML. Here what is filled in is only kept from turning
      // around the sentence it stands in, or itself: a telephone number in Arabic.
      escape: (text) => (translator.dir() === 'rtl' ? `${FIRST_STRONG_ISOLATE}${text}${POP_ISOLATE}` : text),
    },
    // It would advertise itself in every user's console.
    showSupportNotice: false,
  });
  return translator;
}

/** Loads a language's messages if need be, speaks it, and turns the page its way. */
export async function speak(translator: i18n, language: Language): Promise<void> {
  if (language !== 'en' && !translator.hasResourceBundle(language, 'translation')) {
    const { default: messages } = await FILES[language]();
    translator.addResourceBundle(language, 'translation', messages);
  }
  await translator.changeLanguage(language);
  document.documentElement.lang = language;
  document.documentElement.dir = translator.dir(language);
}
