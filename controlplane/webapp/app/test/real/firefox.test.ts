// The way into a meeting by Firefox, as Debian has it, on a real server. What
// steers it is the standard for that (WebDriver BiDi), which needs no changed browser.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import puppeteer, { type Browser } from 'puppeteer-core';
import { meeting, shareOf, type Rgb } from '../support/real';

const BLUE: Rgb = [0, 0, 254];

interface Watched {
  connections: RTCPeerConnection[];
}

/** Keeps the connections that the app makes, to ask them. */
function watch(): void {
  // Before the page itself there is an empty one, which may store nothing.
  if (location.protocol !== 'https:') return;
  localStorage.setItem('plenum.preferences', JSON.stringify({ noticeSeen: true }));
  const connections: RTCPeerConnection[] = [];
  (window as unknown as Watched).connections = connections;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(options?: RTCConfiguration) {
      super(options);
      connections.push(this);
    }
  };
}

/** Loudness of what is received now, 0 to 1. */
async function loudness(): Promise<number> {
  const levels: number[] = [];
  for (const connection of (window as unknown as Watched).connections) {
    (await connection.getStats()).forEach((one: { type: string; kind?: string; audioLevel?: number }) => {
      if (one.type === 'inbound-rtp' && one.kind === 'audio') levels.push(one.audioLevel ?? 0);
    });
  }
  return Math.max(0, ...levels);
}

let browser: Browser;
beforeAll(async () => {
  browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.PLENUM_FIREFOX ?? '/usr/bin/firefox-esr',
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.autoplay.default': 0,
      'media.peerconnection.ice.loopback': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      // It opens no connection to somewhere else.
      'app.update.auto': false,
      'browser.safebrowsing.downloads.remote.enabled': false,
      'media.gmp-manager.updateEnabled': false,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
      'services.settings.server': '',
    },
  });
});
afterAll(() => browser.close());

test('Firefox joins by the link, and sees and hears the telephone', async () => {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.evaluateOnNewDocument(watch);
  const { url, callId } = meeting();
  await page.goto(`${url}/meeting/${callId}`);
  await page.locator('input[autocomplete=name]').fill('Fox');
  await page.locator('button[type=submit]').click();
  await page.waitForSelector('.view video');

  const soon = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000, interval: 200 });
  await soon(async () => expect(await page.evaluate(shareOf, { selector: '.view video', colour: BLUE })).toBeGreaterThan(0.3));
  // Without a sound card an AudioContext of Firefox stands still, so that no tone can
  // be told from another; that what is decoded is not silence, it says itself.
  await soon(async () => expect(await page.evaluate(loudness)).toBeGreaterThan(0.01));
  const folder = process.env.PLENUM_SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: `${folder}/real-firefox.png` });
  expect(complaints).toEqual([]);
});
