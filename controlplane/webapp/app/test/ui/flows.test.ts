// What the app does: everything by keyboard, media both ways, and coming back
// after a break as if nothing had been.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Page } from 'playwright-core';
import { endVisits, visit } from '../support/browser';
import { joinByLink, open, seePicture, type Place } from '../support/meeting';
import { person } from '../support/mockServer';

let place: Place;
beforeAll(async () => {
  place = await open();
});
afterAll(() => place.stop());
beforeEach(() => place.server.reset());
afterEach(endVisits);

/** Tries until it holds: what is awaited crosses a socket or the browser's media. */
const soon = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000, interval: 100 });

/** What has the focus: its name, as a screen reader says it. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    const labelled = element?.getAttribute('aria-labelledby')?.split(' ') ?? [];
    const label = labelled.map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
    const own = element instanceof HTMLInputElement ? (element.labels?.[0]?.textContent ?? '') : (element?.textContent ?? '');
    return (label === '' ? (element?.getAttribute('aria-label') ?? own) : label).trim();
  });
}

/** Presses Tab until the focus is on what is so named, and fails if it never is. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const passed: string[] = [];
  for (let presses = 0; presses < 40; presses += 1) {
    const now = await focused(page);
    if (name.test(now)) return;
    passed.push(now);
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never came to ${String(name)}, but to: ${passed.join(', ')}`);
}

/** Whether one can see where the focus is. */
function focusShows(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    const element = document.activeElement;
    return element !== null && getComputedStyle(element).outlineStyle !== 'none';
  });
}

test('a meeting from beginning to end by keyboard alone', async () => {
  const { page, complaints } = await visit(place.browser, {}, {});
  const { server, farEnd } = place;
  server.answer = (sdp) => farEnd.answer(sdp);
  await page.goto(server.url);
  await page.locator('form input').waitFor();
  await page.keyboard.type('1234');
  await page.keyboard.press('Enter');
  await page.locator('.preview video').waitFor();
  await tabTo(page, /Your name/);
  await page.keyboard.type('Ann');
  await tabTo(page, /^Join meeting/);
  expect(await focusShows(page)).toBe(true);
  await page.keyboard.press('Enter');
  await page.locator('.view video').waitFor();
  server.people([person('b', 'Bob')]);

  // The first Tab leads past everything, to the controls; arrows go along them.
  await tabTo(page, /Skip to the controls/);
  await page.keyboard.press('Enter');
  await tabTo(page, /^Mute/);
  expect(await focusShows(page)).toBe(true);
  await page.keyboard.press('Enter');
  await soon(() => expect(server.sent('mute').at(-1)).toEqual({ type: 'mute', audio: true }));
  expect(await focused(page)).toMatch(/^Unmute/);
  for (let presses = 0; presses < 3; presses += 1) await page.keyboard.press('ArrowRight');
  expect(await focused(page)).toMatch(/^Raise hand/);
  await page.keyboard.press('Space');
  await soon(() => expect(server.sent('raiseHand')).toEqual([{ type: 'raiseHand', raised: true }]));

  // Chat by its shortcut: the focus goes in, and comes back.
  await page.keyboard.press('Alt+c');
  await page.locator('.chat-write textarea:focus').waitFor();
  await page.keyboard.type('Hello');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('all');
  await page.keyboard.press('Enter');
  await soon(() => expect(server.sent('chat')).toMatchObject([{ text: 'Hello\nall', to: null }]));
  await page.keyboard.press('Escape');
  expect(await focused(page)).toMatch(/^Lower hand/);

  // Somebody is muted from their menu.
  await page.keyboard.press('Alt+u');
  await tabTo(page, /^Actions for Bob/);
  await page.keyboard.press('Enter');
  await page.locator('[role=menuitem]:focus').first().waitFor();
  await page.keyboard.press('Enter');
  await soon(() => expect(server.sent('muteOther')).toEqual([{ type: 'muteOther', participantId: 'b', audio: true }]));
  await page.keyboard.press('Escape');

  // The layout, by arrow keys.
  await page.keyboard.press('Alt+k');
  await page.locator('.shortcuts').waitFor();
  await page.keyboard.press('Escape');
  await tabTo(page, /^Layout/);
  await page.keyboard.press('Enter');
  await page.locator('[role=menuitemradio]:focus').waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await soon(() => expect(server.sent('layout')).toHaveLength(1));

  // The bar remembers where one was in it; from there to its end.
  await tabTo(page, /^(Unmute|Lower hand|People|Chat)/);
  for (let presses = 0; presses < 8 && (await focused(page)) !== 'Leave'; presses += 1) await page.keyboard.press('ArrowRight');
  expect(await focused(page)).toBe('Leave');
  await page.keyboard.press('Enter');
  await page.locator('.card.centred').waitFor();
  expect(await focused(page)).toBe('You left the meeting');
  expect(server.sent('leave')).toHaveLength(1);
  expect(complaints).toEqual([]);
});

test('sound, camera and screen flow both ways, on the lines the protocol names', async () => {
  const visitor = await visit(place.browser);
  const { page } = visitor;
  const { server, farEnd } = place;
  await joinByLink(place, visitor);
  await seePicture(visitor);
  const [offer] = server.sent('offer');
  const lines = [...(offer?.sdp ?? '').matchAll(/^m=(\w+)[\s\S]*?^a=(sendrecv|sendonly|inactive)\r?$/gm)].map(([, kind, way]) => `${kind} ${way}`);
  expect(lines).toEqual(['audio sendrecv', 'video sendrecv', 'video sendrecv', 'audio inactive']);
  expect(offer?.sdp).toMatch(/a=simulcast:send h;m;l/);
  expect(offer?.sdp).toMatch(/a=group:BUNDLE 0 1 2 3/);
  await soon(async () => {
    const received = await farEnd.received();
    expect(received[0]).toBeGreaterThan(10);
    expect(received[1]).toBeGreaterThan(5);
  });
  const playing = await page.evaluate(() => {
    const audio = document.querySelector('audio');
    return audio !== null && !audio.paused && audio.srcObject instanceof MediaStream && audio.srcObject.getAudioTracks().length === 1;
  });
  expect(playing).toBe(true);

  // A camera that is off sends nothing, and is off itself.
  await page.keyboard.press('Alt+v');
  await page.locator('.self-words').waitFor();
  const off = (await farEnd.received())[1];
  await page.waitForTimeout(1_000);
  expect((await farEnd.received())[1] - off).toBeLessThan(5);
  await page.keyboard.press('Alt+v');
  await soon(async () => expect((await farEnd.received())[1]).toBeGreaterThan(off + 5));

  // A shared screen goes out on a line of its own.
  expect((await farEnd.received())[2]).toBe(0);
  await page.keyboard.press('Alt+s');
  await page.locator('.sharing').waitFor();
  expect(server.sent('content')).toEqual([{ type: 'content', sharing: true }]);
  await soon(async () => expect((await farEnd.received())[2]).toBeGreaterThan(0));
  // Another shares: ours ends.
  server.push({ type: 'content', participantId: 'b', name: 'Bob' });
  await page.locator('.sharing').waitFor({ state: 'detached' });
  await page.locator('.content video').waitFor();
  expect(server.sent('content').at(-1)).toEqual({ type: 'content', sharing: false });
  expect(visitor.complaints).toEqual([]);
});

test('after a break everything is as before, and what was said meanwhile is said', async () => {
  const visitor = await visit(place.browser);
  const { page } = visitor;
  const { server } = place;
  await joinByLink(place, visitor);
  await seePicture(visitor);
  await page.keyboard.press('Alt+a');
  await soon(() => expect(server.sent('mute').at(-1)).toMatchObject({ audio: true }));
  const [token] = server.sent('hello').map((one) => one.token);
  const ufrag = (sdp: string | undefined) => /a=ice-ufrag:(\S+)/.exec(sdp ?? '')?.[1];
  const before = ufrag(server.sent('offer').at(-1)?.sdp);

  server.down = true;
  server.drop();
  await page.locator('.chip.warn').waitFor();
  await page.keyboard.press('Alt+c');
  await page.locator('.chat-write textarea').fill('Are you there?');
  await page.keyboard.press('Enter');
  await page.locator('.message .spin').waitFor();
  server.received.length = 0;
  server.down = false;
  await page.locator('.chip.warn').waitFor({ state: 'detached' });

  await soon(() => expect(server.sent('chat')).toMatchObject([{ text: 'Are you there?' }]));
  await page.locator('.message.own time').waitFor();
  expect(server.sent('hello').at(-1)?.token).toBe(token);
  expect(server.sent('mute')).toContainEqual({ type: 'mute', audio: true, video: false });
  await soon(() => expect(server.sent('offer')).toHaveLength(1));
  expect(ufrag(server.sent('offer')[0]?.sdp)).not.toBe(before);
  const at = await page.evaluate(() => document.querySelector<HTMLVideoElement>('.view video')?.currentTime ?? 0);
  await page.waitForFunction((at) => (document.querySelector<HTMLVideoElement>('.view video')?.currentTime ?? 0) > at + 0.5, at);
  expect(visitor.complaints).toEqual([]);
});

test('a reload leads back into the meeting without asking', async () => {
  const visitor = await visit(place.browser);
  const { page } = visitor;
  const { server } = place;
  await joinByLink(place, visitor);
  await seePicture(visitor);
  await page.reload();
  await seePicture(visitor);
  const tokens = server.sent('hello').map((one) => one.token);
  expect(new Set(tokens).size).toBe(1);
  expect(tokens).toHaveLength(2);
});

test('muted by another one is muted; asked to unmute one stays muted until one does', async () => {
  const visitor = await visit(place.browser);
  const { page } = visitor;
  const { server } = place;
  await joinByLink(place, visitor);
  await seePicture(visitor);
  server.push({ type: 'muted', audioMuted: true, videoMuted: false, byOther: true });
  await page.locator('.toast', { hasText: 'You were muted.' }).waitFor();
  await page.locator('.control.off').waitFor();
  server.push({ type: 'muted', audioMuted: false, videoMuted: false, byOther: true });
  await page.locator('.toast', { hasText: 'asked to unmute' }).waitFor();
  expect(await page.locator('.control.off').count()).toBe(1);
  await soon(() => expect(server.sent('mute').at(-1)).toEqual({ type: 'mute', audio: true }));
});

test('what a server does not take is not asked for, and said in words', async () => {
  const { page, complaints } = await visit(place.browser);
  const { server } = place;
  server.config = { ...server.config, resolveUris: 'off', allowPasscodes: false, allowSecrets: false };
  await page.goto(`${server.url}/meeting/5678?secret=abc`);
  await page.getByText('Links with a secret are not accepted here.').waitFor();
  // The number is still there, and leads on without the secret.
  expect(await page.locator('form input').inputValue()).toBe('5678');
  await page.locator('form button[type=submit]').click();
  await page.getByText('This meeting needs a passcode, and this server takes none.').waitFor();
  expect(await page.locator('input[type=password]').count()).toBe(0);
  await page.locator('form input').fill('1234');
  await page.locator('form button[type=submit]').click();
  await page.getByText('Design review').waitFor();
  expect(await page.locator('input[type=password]').count()).toBe(0);
  // The refusals themselves are what the console may complain of.
  expect(complaints.filter((complaint) => !complaint.includes('403'))).toEqual([]);
});

test('a device for control only opens no camera and plays nothing', async () => {
  const visitor = await visit(place.browser);
  const { page } = visitor;
  const { server, farEnd } = place;
  server.answer = (sdp) => farEnd.answer(sdp);
  await page.goto(`${server.url}/meeting/1234`);
  await page.locator('input[autocomplete=name]').fill('Ann');
  await page.locator('.ready-form .switch').click();
  await page.locator('.preview.empty').waitFor();
  await page.locator('button[type=submit]').click();
  await page.locator('.stage').waitFor();
  await soon(() => expect(server.sent('mute')).toEqual([{ type: 'mute', audio: true, video: true }]));
  expect(await page.locator('.controls .control').count()).toBe(6);
  expect(await page.evaluate(() => document.querySelector('audio')?.srcObject ?? null)).toBeNull();
  expect(await visitor.violations()).toEqual([]);
});
