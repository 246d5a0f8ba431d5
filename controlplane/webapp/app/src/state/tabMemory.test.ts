import { beforeEach, expect, test } from 'vitest';
import { GIVE_UP_MS } from '../signalling/connection';
import { forgetCall, recallCall, refreshCall, rememberCall, REFRESH_EVERY_MS } from './tabMemory';

let kept: Map<string, string>;
let storage: Storage;

beforeEach(() => {
  kept = new Map();
  storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as unknown as Storage;
});

const CALL = { token: 't', companion: false };

test('a reload finds the call at the same address only', () => {
  rememberCall(storage, '/meeting/1', CALL, 1_000);
  expect(recallCall(storage, '/meeting/1', 2_000)).toEqual(CALL);
  expect(recallCall(storage, '/meeting/2', 2_000)).toBeNull();
  forgetCall(storage);
  expect(recallCall(storage, '/meeting/1', 2_000)).toBeNull();
});

test('a call is believed as long as the server may keep the place', () => {
  rememberCall(storage, '/m', CALL, 0);
  const last = GIVE_UP_MS + REFRESH_EVERY_MS;
  expect(recallCall(storage, '/m', last)).toEqual(CALL);
  expect(recallCall(storage, '/m', last + 1)).toBeNull();
  refreshCall(storage, 50_000);
  expect(recallCall(storage, '/m', last + 50_000)).toEqual(CALL);
});

test('nonsense and no storage are no call', () => {
  kept.set('plenum.call', '{"path":"/m","token":4}');
  expect(recallCall(storage, '/m', 0)).toBeNull();
  kept.set('plenum.call', '{');
  expect(recallCall(storage, '/m', 0)).toBeNull();
  expect(recallCall(null, '/m', 0)).toBeNull();
  rememberCall(null, '/m', CALL, 0);
  refreshCall(null, 0);
  forgetCall(null);
});
