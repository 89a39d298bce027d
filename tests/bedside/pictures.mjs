// Draws docs/bedside/*.png anew: node tests/bedside/pictures.mjs FOLDER

import path from 'node:path';

import { at, closePage, named, openPage, scan, signIn, startBrowser, touch } from './house.mjs';
import { WHAT } from './cases.mjs';
import { longRound, pictures } from './round.mjs';
import { startStub } from './stub.mjs';

const folder = process.argv[2];
const wanted = new Set(['ready', 'connect', 'reject', 'pain', 'before-confirming', 'done']);
const take = pictures(folder);
const browser = await startBrowser();

async function onPhone(options, work) {
  const box = await startStub();
  const page = await openPage(browser, box.url, options);
  await work(page, box);
  await closePage(page);
  box.close();
}

let n = 0;
await onPhone({}, async (page) => {
  await longRound(page, { ...WHAT, as_of_minutes: 0 }, async (on, name) => {
    if (name === 'pain' || name === 'reject') await on.waitForTimeout(200);
    if (!wanted.has(name)) return;
    n += n === 2 ? 2 : 1;
    await take(on, `${n}-${name}`);
  });
});
await onPhone({}, async (page, box) => {
  await signIn(page);
  box.world.associate('monitor-12', 'p-aino', 600_000);
  box.world.associate('oximeter-3', 'p-aino', 600_000);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await page.locator('#confirm:enabled').waitFor();
  await take(page, '3-two-sources');
});
await onPhone({}, async (page) => {
  await signIn(page);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await scan(page, 'S00012345');
  await page.locator('.refusal').waitFor();
  await take(page, '8-specimen-label');
  await scan(page, 'D000014');
  await at(page, 'connect');
  await take(page, '9-neighbours-device');
  await touch(page, '#cancel');
  await at(page, 'patient');
  await scan(page, 'P10000002');
  await at(page, 'other-patient');
  await take(page, '10-other-wristband');
});
await onPhone({ scheme: 'dark', locale: 'sv-FI' }, async (page, box) => {
  await signIn(page);
  box.world.associate('monitor-12', 'p-aino', 600_000);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  box.reach = 'down';
  await page.waitForTimeout(12_000);
  await take(page, '11-no-longer-now');
});
await onPhone({}, async (page, box) => {
  await signIn(page);
  box.world.associate('monitor-12', 'p-aino', 600_000);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await page.locator('#confirm:enabled').waitFor();
  box.isBusy = true;
  await touch(page, '#confirm');
  await at(page, 'done');
  await page.reload();
  await at(page, 'recovery');
  await take(page, '12-recovery');
  await named(page, 'Takaisin').waitFor();
});
await browser.close();
console.log(`drawn into ${path.resolve(folder)}`);
