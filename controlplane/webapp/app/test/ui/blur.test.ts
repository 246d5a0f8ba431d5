// Background blur, with the network that finds the person, as far as a browser
// without a graphics card can show it: the files load under the policy, pictures
// come out, and no request leaves the server.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Browser } from 'playwright-core';
import { launch, visit } from '../support/browser';
import { MockServer } from '../support/mockServer';

let browser: Browser;
let server: MockServer;
beforeAll(async () => {
  const dist = process.env.PLENUM_WEBAPP_DIST;
  if (dist === undefined) throw new Error('PLENUM_WEBAPP_DIST names no built app; scripts/webapp.sh builds it');
  server = await MockServer.start(dist);
  // The network runs on WebGL, here drawn by the processor.
  browser = await launch(['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist']);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

test('the background is blurred here, by files of our own', async () => {
  const { page, complaints } = await visit(browser, {}, { noticeSeen: true, blur: true });
  const hosts = new Set<string>();
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.goto(`${server.url}/meeting/1234`);
  // Blurred or not at all: a camera's own track would have a device's name.
  await page.waitForFunction(() => {
    const video = document.querySelector<HTMLVideoElement>('.preview video');
    return video !== null && video.currentTime > 0.2;
  });
  const kind = await page.evaluate(() => {
    const stream = document.querySelector<HTMLVideoElement>('.preview video')?.srcObject;
    return stream instanceof MediaStream ? stream.getVideoTracks()[0]?.constructor.name : undefined;
  });
  expect(kind).toBe('CanvasCaptureMediaStreamTrack');
  expect([...hosts]).toEqual([new URL(server.url).host]);
  expect(complaints).toEqual([]);
});
