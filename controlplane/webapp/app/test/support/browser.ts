// Debian's Chromium with devices that are not there, for tests of the app against
// any server: the mock beside this file, or a real one.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

export interface Look {
  theme: 'light' | 'dark';
  language: 'en' | 'de' | 'hi' | 'ar';
  size: 'desktop' | 'phone';
}

const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
} as const;

/** Everything that opens a connection to somewhere else is off. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Addresses instead of mDNS names, which nobody resolves here.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

export function launch(flags: string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.PLENUM_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [...FLAGS, ...flags],
  });
}

/** A page of its own, as of a new visitor, who fails the test by any error or violated policy. */
export async function visit(browser: Browser, look: Partial<Look> = {}, stored: object = { noticeSeen: true }): Promise<Visitor> {
  const { theme = 'light', language = 'en', size = 'desktop' } = look;
  const context = await browser.newContext({
    viewport: SIZES[size],
    hasTouch: size === 'phone',
    isMobile: size === 'phone',
    colorScheme: theme,
    locale: language,
    ignoreHTTPSErrors: true,
    reducedMotion: 'reduce',
    permissions: ['camera', 'microphone', 'clipboard-read', 'clipboard-write'],
  });
  await context.addInitScript((preferences) => {
    if (localStorage.getItem('plenum.preferences') === null) {
      localStorage.setItem('plenum.preferences', JSON.stringify(preferences));
    }
  }, stored);
  visitors.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  return new Visitor(context, page);
}

const visitors: BrowserContext[] = [];

/** Ends every visit, also of a test that failed half-way. */
export async function endVisits(): Promise<void> {
  await Promise.all(visitors.splice(0).map((context) => context.close()));
}

export class Visitor {
  /** Errors and warnings of the page that nobody expects. */
  readonly complaints: string[] = [];

  constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // A refused request is the server's word, and is shown to the user.
      if (message.type() === 'error' && !message.text().includes('Failed to load resource')) {
        this.complaints.push(message.text());
      }
    });
  }

  /** Names of the rules that the view breaks, seriously or worse. */
  async violations(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() =>
      (window as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ['violations'] }),
    );
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  }

  async picture(name: string): Promise<void> {
    const folder = process.env.PLENUM_SCREENSHOTS;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }
}
