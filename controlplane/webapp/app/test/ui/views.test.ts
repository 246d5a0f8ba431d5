// Every view, as it looks: no serious violation of accessibility rules, no error,
// no violated policy, nothing wider than the screen; and a screenshot of each.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { endVisits, visit, type Look, type Visitor } from '../support/browser';
import { joinByLink, open, seePicture, type Place } from '../support/meeting';
import { person } from '../support/mockServer';

let place: Place;
beforeAll(async () => {
  place = await open();
});
afterAll(() => place.stop());
beforeEach(() => place.server.reset());
afterEach(endVisits);

const LOOKS: Look[] = [
  { theme: 'light', size: 'desktop', language: 'en' },
  { theme: 'dark', size: 'desktop', language: 'ar' },
  { theme: 'dark', size: 'phone', language: 'en' },
  { theme: 'light', size: 'phone', language: 'ar' },
];

const others = () => [
  person('a', 'Amira Haddad', { handRaised: true }),
  person('j', 'Jonas Weber', { audioMuted: true, videoMuted: true }),
  person('m', 'Meera Iyer', { audioMuted: true }),
  person('r', 'Room 4.12', { kind: 'sip' }),
  person('p', '+49 30 123456', { kind: 'sip', state: 'ringing', hasVideo: false, videoMuted: true }),
];

async function good(visitor: Visitor, name: string): Promise<void> {
  expect(await visitor.violations(), `${name}: accessibility`).toEqual([]);
  const overflow = await visitor.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow, `${name}: wider than the screen`).toBeLessThanOrEqual(0);
  await visitor.picture(name);
  expect(visitor.complaints, name).toEqual([]);
}

test.each(LOOKS)('outside of the meeting: $language, $theme, $size', async (look) => {
  const visitor = await visit(place.browser, look, {});
  const { page } = visitor;
  const name = (view: string) => `${look.language}-${look.theme}-${look.size}-${view}`;
  await page.goto(place.server.url);
  await page.locator('.notice').waitFor();
  await good(visitor, name('01-notice'));
  await page.locator('.notice button').click();
  await page.locator('form input').fill('999');
  await page.locator('button[type=submit]').click();
  await page.locator('.error').waitFor();
  await good(visitor, name('02-not-found'));
  await page.locator('form input').fill('5678');
  await page.locator('button[type=submit]').click();
  await page.locator('.preview video').waitFor();
  await page.locator('button[type=submit]').click();
  await page.locator('.error').first().waitFor();
  await page.waitForFunction(() => (document.querySelector<HTMLVideoElement>('.preview video')?.currentTime ?? 0) > 0.2);
  await good(visitor, name('03-ready'));
});

test.each(LOOKS)('in the meeting: $language, $theme, $size', async (look) => {
  const visitor = await visit(place.browser, look);
  const { page } = visitor;
  const { server } = place;
  const phone = look.size === 'phone';
  const name = (view: string) => `${look.language}-${look.theme}-${look.size}-${view}`;
  const control = (at: number) => page.locator('.controls button').nth(at);
  const more = async (entry: number) => {
    await page.locator('.control-more').click();
    await page.locator('[role=menuitem]').nth(entry).click();
  };

  await joinByLink(place, visitor);
  await good(visitor, name('10-alone'));
  server.people(others());
  server.push({ type: 'speaker', participantId: 'r' });
  await seePicture(visitor);
  await page.locator('.toast').first().waitFor();
  await good(visitor, name('11-meeting'));

  await page.locator('.control-people').click();
  await page.locator('.people .person').nth(5).waitFor();
  await good(visitor, name('12-people'));
  await page.locator('.people .person button').nth(1).click();
  await page.locator('[role=menu]').waitFor();
  await good(visitor, name('13-person-menu'));
  await page.locator('[role=menuitem]').last().click();
  await page.locator('[role=alertdialog]').waitFor();
  await good(visitor, name('14-remove'));
  await page.locator('[role=alertdialog] button').first().click();
  await page.locator('.panel-tools button').first().click();
  await page.locator('[role=dialog] input').waitFor();
  await good(visitor, name('15-add'));
  await page.keyboard.press('Escape');
  await page.locator('.panel-head button').click();

  await page.locator('.control-chat').click();
  const chat = { type: 'chat', name: 'Amira Haddad', from: 'a', atMs: Date.UTC(2026, 0, 5, 9, 4) } as const;
  server.push({ ...chat, id: '1', text: 'Good morning! Shall we begin with the plan?', to: null });
  server.push({ ...chat, id: '2', text: 'صباح الخير، أنا جاهز.', to: null, from: 'm', name: 'Meera Iyer' });
  server.push({ ...chat, id: '3', text: 'Could you take notes today?', to: 'me' });
  await page.locator('.chat-write textarea').fill('Yes, gladly.');
  await page.keyboard.press('Enter');
  await page.locator('.message.own time').waitFor();
  await good(visitor, name('16-chat'));
  await page.locator('.panel-head button').click();

  server.push({ type: 'content', participantId: 'a', name: 'Amira Haddad' });
  await page.waitForFunction(() => (document.querySelector<HTMLVideoElement>('.content video')?.currentTime ?? 0) > 0.2);
  await good(visitor, name('17-content'));
  server.push({ type: 'content', participantId: null, name: '' });

  await more(1);
  await page.locator('.figure-group').first().waitFor();
  await good(visitor, name('18-statistics'));
  await page.locator('.panel-head button').click();
  await more(3);
  await page.locator('.shortcuts').waitFor();
  await good(visitor, name('19-shortcuts'));
  await page.keyboard.press('Escape');
  await more(4);
  for (const [at, tab] of ['devices', 'picture', 'general'].entries()) {
    await page.locator('[role=tab]').nth(at).click();
    await good(visitor, name(`2${at}-settings-${tab}`));
  }
  await page.keyboard.press('Escape');

  await control(0).click();
  await control(1).click();
  await page.locator('.self-words').waitFor();
  if (!phone) {
    await page.locator('.top-layout').click();
    await page.locator('[role=menuitemradio]').first().waitFor();
    await good(visitor, name('23-layout'));
    await page.keyboard.press('Escape');
  }
  server.down = true;
  server.drop();
  await page.locator('.chip.warn').waitFor();
  await good(visitor, name('24-reconnecting'));
  server.down = false;
  await page.locator('.quality').waitFor();
  await page.locator('.control-leave').click();
  await page.locator('.card.centred').waitFor();
  await good(visitor, name('25-ended'));
});
