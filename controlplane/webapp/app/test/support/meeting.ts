// The way into a meeting, as a user goes it.

import type { Browser } from 'playwright-core';
import { FarEnd } from './farEnd';
import { MockServer } from './mockServer';
import { launch, type Visitor } from './browser';

export interface Place {
  browser: Browser;
  server: MockServer;
  farEnd: FarEnd;
  stop(): Promise<void>;
}

/** A browser, a server with the built app, and somebody to talk to. */
export async function open(): Promise<Place> {
  const dist = process.env.PLENUM_WEBAPP_DIST;
  if (dist === undefined) throw new Error('PLENUM_WEBAPP_DIST names no built app; scripts/webapp.sh builds it');
  const server = await MockServer.start(dist);
  const browser = await launch();
  const farEnd = await FarEnd.open(browser);
  return {
    browser,
    server,
    farEnd,
    stop: async () => {
      await browser.close();
      await server.stop();
    },
  };
}

/** Joins by a link, whatever the language: fields are found by what they are, not by their words. */
export async function joinByLink({ server, farEnd }: Place, { page }: Visitor, name = 'Ann'): Promise<void> {
  server.answer = (sdp) => farEnd.answer(sdp);
  await page.goto(`${server.url}/meeting/1234`);
  await page.locator('input[autocomplete=name]').fill(name);
  await page.locator('button[type=submit]').click();
  await page.locator('.view video').waitFor();
}

/** Waits until the composed picture moves. */
export async function seePicture({ page }: Visitor): Promise<void> {
  await page.waitForFunction(() => (document.querySelector<HTMLVideoElement>('.view video')?.currentTime ?? 0) > 0);
}
