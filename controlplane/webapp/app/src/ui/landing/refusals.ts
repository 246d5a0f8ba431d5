// A refusal in the user's words.

import type { TFunction } from 'i18next';
import { Refusal } from '../../http/api';

export function sayRefusal(t: TFunction, error: unknown): string {
  if (!(error instanceof Refusal)) throw error;
  if (error.code === 'tooManyTries' && error.retryAfterS !== null) {
    return t('refusal.tooManyTriesUntil', { count: Math.ceil(error.retryAfterS) });
  }
  return t(`refusal.${error.code}`);
}
