// The page opens while the box cannot be reached, from the files that the phone keeps: these and
// nothing else.

import { end } from './cases.mjs';
import { assert, at, checkAxe, checkSizes, openPage, scan, signIn, touch, until } from './house.mjs';
import { startStub } from './stub.mjs';

/** Every address in Cache Storage, the name of each cache, and whether a text stands anywhere in it. */
export const cached = (page, ...texts) =>
  page.evaluate(async (wanted) => {
    const names = await caches.keys();
    const paths = [];
    const found = new Set();
    for (const name of names) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) {
        paths.push(request.url.slice(location.origin.length));
        const body = await (await cache.match(request)).text();
        for (const text of wanted) if (body.includes(text)) found.add(text);
      }
    }
    return { names, paths: paths.sort(), found: [...found] };
  }, texts);

export const isKept = (page) =>
  until('the page is kept', async () =>
    page.evaluate(async () => {
      const { active } = await navigator.serviceWorker.ready;
      const list = await caches.match('/bedside/files.json');
      return active.state === 'activated' && list !== undefined && Boolean(navigator.serviceWorker.controller);
    }),
  );

const waitingOnPhone = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const open = indexedDB.open('wardgate');
        open.onsuccess = () => {
          const all = open.result.transaction('acts').objectStore('acts').count();
          all.onsuccess = () => {
            open.result.close();
            resolve(all.result);
          };
        };
      }),
  );

const style = (page) => page.evaluate(async () => (await fetch('/bedside/page.css')).text());

async function openedUnreached(browser) {
  const box = await startStub();
  const page = await openPage(browser, box.url, { serviceWorkers: 'allow' });
  await signIn(page);
  box.world.associate('monitor-12', 'p-aino', 600_000);
  await scan(page, 'P10000001');
  await at(page, 'patient');
  box.isBusy = true;
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  await isKept(page);
  // Loaded anew through what is kept, with the box there: the same page, and its acts.
  await page.reload();
  await at(page, 'recovery');
  const before = box.files.length;
  for (const reach of ['down', 'silent']) {
    box.reach = reach;
    await page.reload();
    await at(page, 'no-box');
    const words = await page.locator('main').innerText();
    assert.match(words, /Palvelin ei vastaa[\s\S]*Sivu jatkaa itsestään/);
    assert.match(words, /1 kirjausta odottaa tässä puhelimessa\. Ne ovat tallessa/);
    assert.ok(!words.includes('Virtanen'), 'nobody has signed in');
    assert.match(await page.locator('#no-alarms').innerText(), /ei hälytä/);
    assert.equal(await waitingOnPhone(page), 1);
  }
  assert.equal(box.files.length, before, 'nothing came from the box');
  await checkAxe(page, 'unreached');
  await checkSizes(page, 'unreached');
  // The box is there again: the page goes on by itself, a person looks, and it is sent once.
  Object.assign(box, { reach: 'up', isBusy: false });
  await at(page, 'recovery');
  await touch(page, '#send-all');
  await until('the confirmation is there', () => box.world.confirmations.length === 1);
  await until('nothing waits on the phone', async () => (await waitingOnPhone(page)) === 0);
  // Files of the page only, no answer of the box: not one, and no name.
  const kept = await cached(page, 'Virtanen', 'Korhonen', 'Harjoitus-Hoitaja', 'p-aino');
  assert.equal(kept.names.length, 1);
  assert.ok(box.requests.length > 10 && kept.paths.length > 30, 'there was something to keep');
  const foreign = kept.paths.filter((one) => one !== '/' && !one.startsWith('/bedside/'));
  assert.deepEqual([foreign, kept.found], [[], []]);
  await end({ box, page });
}

async function laterRelease(browser) {
  const box = await startStub();
  const page = await openPage(browser, box.url, { serviceWorkers: 'allow' });
  await at(page, 'sign-in');
  await isKept(page);
  const first = (await cached(page)).names;
  const now = await style(page);
  box.released.set('page.css', `${now}\n/* later */\n`);
  await page.reload();
  await at(page, 'sign-in');
  const second = (await cached(page)).names;
  assert.equal(second.length, 1, 'the earlier set is gone');
  assert.notDeepEqual(second, first, 'another digest, another set');
  assert.match(await style(page), /\/\* later \*\//);
  // One file of the next release comes other than its digest says: the set is not taken.
  box.released.set('page.css', `${now}\n/* latest */\n`);
  box.mangled.set('page.css', 'mangled');
  await page.reload();
  await at(page, 'sign-in');
  assert.deepEqual((await cached(page)).names, second);
  assert.match(await style(page), /\/\* later \*\//);
  box.mangled.clear();
  await page.reload();
  await at(page, 'sign-in');
  assert.match(await style(page), /\/\* latest \*\//);
  // The browser's own judgement of whether it can stand among the phone's programs.
  const client = await page.context().newCDPSession(page);
  const manifest = await client.send('Page.getAppManifest');
  assert.deepEqual([manifest.errors, new URL(manifest.url).pathname], [[], '/bedside/page.webmanifest']);
  const { installabilityErrors: errors } = await client.send('Page.getInstallabilityErrors');
  assert.deepEqual(errors.map((one) => one.errorId).filter((id) => id !== 'in-incognito'), []);
  await end({ box, page });
}

export const UNREACHED = { openedUnreached, laterRelease };
