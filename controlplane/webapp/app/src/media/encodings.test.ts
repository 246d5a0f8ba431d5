import { expect, test } from 'vitest';
import { byPreference, cameraConstraints } from './encodings';

test('screens prefer the codec that keeps text sharp, and lose none', () => {
  const have = ['video/VP8', 'video/rtx', 'video/H264', 'video/ulpfec', 'video/AV1'].map((mimeType) => ({ mimeType }));
  expect(byPreference(have).map((one) => one.mimeType)).toEqual(['video/AV1', 'video/H264', 'video/VP8', 'video/rtx', 'video/ulpfec']);
  expect(byPreference([{ mimeType: 'video/vp8' }, { mimeType: 'VIDEO/av1' }])[0]?.mimeType).toBe('VIDEO/av1');
});

test('a camera is asked for its sixteen by nine, and a chosen one by name', () => {
  expect(cameraConstraints('', 'hd')).toMatchObject({ width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: 'user' });
  expect(cameraConstraints('c1', 'sd')).toMatchObject({ width: { ideal: 640 }, deviceId: { exact: 'c1' } });
  expect(cameraConstraints('c1', 'sd')).not.toHaveProperty('facingMode');
});
