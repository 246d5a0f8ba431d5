// What a tab remembers across a reload: the call it is in. It is gone with the
// tab, and believed only for as long as the server keeps the place.

import { GIVE_UP_MS } from '../signalling/connection';

const KEY = 'plenum.call';
/** How often a tab in a call says that it still is. */
export const REFRESH_EVERY_MS = 10_000;

export interface Call {
  token: string;
  companion: boolean;
}

export function rememberCall(storage: Storage | null, path: string, call: Call, nowMs: number): void {
  try {
    storage?.setItem(KEY, JSON.stringify({ path, ...call, atMs: nowMs }));
  } catch {
    // Without storage a reload leads to the way in.
  }
}

/** The call this tab was in at `path`, unless that is too long ago. */
export function recallCall(storage: Storage | null, path: string, nowMs: number): Call | null {
  try {
    const of = JSON.parse(storage?.getItem(KEY) ?? '{}') as Record<string, unknown>;
    if (of.path !== path || typeof of.token !== 'string' || typeof of.atMs !== 'number') return null;
    if (nowMs - of.atMs > GIVE_UP_MS + REFRESH_EVERY_MS) return null;
    return { token: of.token, companion: of.companion === true };
  } catch {
    return null;
  }
}

/** Says that the tab is still in its call. */
export function refreshCall(storage: Storage | null, nowMs: number): void {
  const stored = storage?.getItem(KEY);
  if (stored === null || stored === undefined) return;
  storage?.setItem(KEY, JSON.stringify({ ...(JSON.parse(stored) as object), atMs: nowMs }));
}

export function forgetCall(storage: Storage | null): void {
  storage?.removeItem(KEY);
}
