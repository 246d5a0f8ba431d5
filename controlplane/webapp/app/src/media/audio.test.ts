import { expect, test } from 'vitest';
import { levelOf } from './audio';

test('a level is loudness between silence and full scale', () => {
  expect(levelOf(0)).toBe(0);
  expect(levelOf(0.000_1)).toBe(0);
  expect(levelOf(0.001)).toBeCloseTo(0);
  expect(levelOf(0.0316)).toBeCloseTo(0.5, 2);
  expect(levelOf(1)).toBe(1);
  expect(levelOf(2)).toBe(1);
});
