// Two people at browsers and a telephone with a camera, in one meeting on a real
// server, by the app alone: what each sees and hears is read back from the page.

import { afterAll, expect, test, vi } from 'vitest';
import type { Browser } from 'playwright-core';
import { launch, visit, type Visitor } from '../support/browser';
import { levelsOf, meeting, named, shareOf, type Rgb } from '../support/real';

const RED: Rgb = [254, 0, 0];
const GREEN: Rgb = [0, 128, 0];
const BLUE: Rgb = [0, 0, 254];
const ANN_HZ = 660;
const BOB_HZ = 880;
const PHONE_HZ = 440;
/** What is heard is at least so far above what is not, dB. */
const APART_DB = 25;
/** A pane of the smallest layout used here is a quarter of the picture. */
const PANE = 0.1;

const soon = (check: () => unknown, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 100 });

const browsers: Browser[] = [];
afterAll(() => Promise.all(browsers.map((browser) => browser.close())));

/** Somebody with a browser, a camera and a voice of their own. */
async function person(name: string): Promise<Visitor> {
  const browser = await launch([
    `--use-file-for-fake-video-capture=${named(`PLENUM_CAMERA_${name}`)}`,
    `--use-file-for-fake-audio-capture=${named(`PLENUM_VOICE_${name}`)}`,
    // Loopback is all that there need be on a machine.
    '--allow-loopback-in-peer-connection',
  ]);
  browsers.push(browser);
  return visit(browser);
}

async function join({ page }: Visitor, name: string): Promise<void> {
  const { url, callId } = meeting();
  await page.goto(`${url}/meeting/${callId}`);
  await page.locator('input[autocomplete=name]').fill(name);
  await page.locator('button[type=submit]').click();
  await page.locator('.view video').waitFor();
}

/** Waits until the picture has these colours, and then looks that it has not those. */
async function sees({ page }: Visitor, colours: Rgb[], not: Rgb[]): Promise<void> {
  const selector = '.view video';
  const share = (colour: Rgb) => page.evaluate(shareOf, { selector, colour });
  for (const colour of colours) await soon(async () => expect(await share(colour), `of ${String(colour)}`).toBeGreaterThan(PANE));
  for (const colour of not) await soon(async () => expect(await share(colour), `of ${String(colour)}`).toBeLessThan(0.005));
}

async function hears({ page }: Visitor, tones: number[], not: number[]): Promise<void> {
  await soon(async () => {
    const levels = await page.evaluate(levelsOf, [...tones, ...not]);
    const least = Math.min(...levels.slice(0, tones.length));
    const most = Math.max(...levels.slice(tones.length));
    expect(least - most, `levels of ${String([...tones, ...not])} Hz: ${String(levels)}`).toBeGreaterThan(APART_DB);
  });
}

test('two browsers and a telephone see, hear and tell each other', async () => {
  const [ann, bob] = [await person('ANN'), await person('BOB')];
  await join(ann, 'Ann');
  await join(bob, 'Bob');

  await sees(ann, [GREEN, BLUE], [RED]);
  await sees(bob, [RED, BLUE], [GREEN]);
  await hears(ann, [BOB_HZ, PHONE_HZ], [ANN_HZ]);
  await hears(bob, [ANN_HZ, PHONE_HZ], [BOB_HZ]);
  await ann.picture('real-meeting');

  // Who is there, and who speaks.
  await ann.page.keyboard.press('Alt+u');
  await soon(async () => expect(await ann.page.locator('.person').count()).toBe(3));
  expect(await ann.page.locator('.person-name').allTextContents()).toContain('Bob');
  await soon(async () => expect(await ann.page.locator('.person[data-speaking]').count()).toBeGreaterThan(0));
  await ann.picture('real-people');
  await ann.page.keyboard.press('Escape');

  // What is written arrives, and is answered.
  for (const { page } of [ann, bob]) await page.keyboard.press('Alt+c');
  for (const [from, to, text] of [[ann, bob, 'Hello Bob'], [bob, ann, 'Hello Ann']] as const) {
    await from.page.locator('.chat-write textarea').fill(text);
    await from.page.keyboard.press('Enter');
    await to.page.locator('.message-text', { hasText: text }).waitFor();
  }
  await ann.picture('real-chat');
  for (const { page } of [ann, bob]) await page.keyboard.press('Escape');

  // Who is muted is not heard; whose camera is off is not seen.
  await ann.page.keyboard.press('Alt+a');
  await hears(bob, [PHONE_HZ], [ANN_HZ, BOB_HZ]);
  await ann.page.keyboard.press('Alt+a');
  await hears(bob, [ANN_HZ, PHONE_HZ], [BOB_HZ]);
  await ann.page.keyboard.press('Alt+v');
  await sees(bob, [BLUE], [RED, GREEN]);
  await ann.page.keyboard.press('Alt+v');
  await sees(bob, [RED, BLUE], [GREEN]);

  // Another layout for one's own eyes: only who speaks, whom one sees whole.
  await bob.page.locator('.top-layout').click();
  await bob.page.locator('[role=menuitemradio]', { hasText: /^Speaker only/ }).click();
  await soon(async () => {
    const shares = await Promise.all([RED, BLUE].map((colour) => bob.page.evaluate(shareOf, { selector: '.view video', colour })));
    expect(Math.max(...shares), `of red and blue: ${String(shares)}`).toBeGreaterThan(0.8);
  });
  await bob.picture('real-layout');

  // A screen is shared: it has a place of its own.
  await ann.page.keyboard.press('Alt+s');
  await ann.page.locator('.sharing').waitFor();
  const shared = Date.now();
  await bob.page.locator('.content video').waitFor();
  await bob.page.waitForFunction(() => (document.querySelector<HTMLVideoElement>('.content video')?.videoWidth ?? 0) > 0);
  console.warn(`the shared screen came after ${String(Date.now() - shared)} ms`);
  await bob.picture('real-content');
  await ann.page.keyboard.press('Alt+s');
  await bob.page.locator('.content video').waitFor({ state: 'detached' });

  for (const { page } of [ann, bob]) {
    await page.locator('.control', { hasText: 'Leave' }).click();
    await page.locator('.card.centred').waitFor();
  }
  expect(ann.complaints).toEqual([]);
  expect(bob.complaints).toEqual([]);
});
