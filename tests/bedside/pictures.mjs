// Draws docs/bedside/*.png anew: node tests/bedside/pictures.mjs FOLDER

import path from 'node:path';

import { at, closePage, named, openPage, scan, signIn, startBrowser, touch } from './house.mjs';
import { WHAT } from './cases.mjs';
import { longRound, pictures } from './round.mjs';
import { startStub } from './stub.mjs';
import { isKept } from './unreached.mjs';
import { disputedRows, twoPatients } from './waits.mjs';

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
await onPhone({}, async (page, box) => {
  await signIn(page);
  twoPatients(box.world);
  disputedRows(box.world);
  await touch(page, '#lists');
  await page.locator('.list .n', { hasText: '1' }).first().waitFor();
  await take(page, '13-worklists');
  await touch(page, '[data-list="unconfirmed"]');
  await at(page, 'list');
  await take(page, '14-unconfirmed');
  await touch(page, '#back');
  await touch(page, '[data-list="conflicts"]');
  await touch(page, named(page, /^Potilasmonitori 12/));
  await at(page, 'conflict');
  await take(page, '15-conflict');
  await scan(page, WHAT.wristband);
  await page.locator('dialog[open]').waitFor();
  await page.waitForTimeout(200);
  await take(page, '16-why');
});
await onPhone({}, async (page, box) => {
  box.world.associate('monitor-12', 'p-aino', 600_000);
  await signIn(page, /Onni/);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await touch(page, '.row[data-parameter="spo2"]');
  await touch(page, named(page, 'Liike tai häiriö'));
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  await take(page, '17-students-entry');
  await touch(page, '#close-patient');
  await at(page, 'ready');
  await touch(page, '#sign-out');
  await signIn(page);
  await scan(page, WHAT.wristband);
  await touch(page, named(page, /^Katso kirjaus/));
  await at(page, 'sign');
  await take(page, '18-countersign');
});
await onPhone({}, async (page, box) => {
  box.world.associate('ctg-2', 'p-eero', 600_000, 'fetus-b');
  box.world.patients.get('p-eero').protected = false;
  await signIn(page);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await scan(page, 'D000002');
  await at(page, 'part');
  await take(page, '19-which-part');
  for (const part of ['mother', 'fetus-a']) {
    if (part !== 'mother') await scan(page, 'D000002');
    await at(page, 'part');
    await touch(page, `[data-channel="${part}"]`);
    await at(page, 'connect');
    await touch(page, '#connect');
    await at(page, 'patient');
  }
  await page.locator('.row').nth(1).waitFor();
  await page.waitForTimeout(500);
  await take(page, '20-mother-and-child');
});
await onPhone({}, async (page, box) => {
  box.world.devices.get('monitor-12').owners = { spo2: 'core' };
  box.world.associate('monitor-12', 'p-aino', 600_000);
  box.isAlone = true;
  await signIn(page);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await page.locator('#confirm:enabled').waitFor();
  await take(page, '21-confirmed-elsewhere');
  await touch(page, '#confirm');
  await at(page, 'done');
  await touch(page, '#close-patient');
  await page.locator('#verify').waitFor();
  await page.waitForTimeout(500);
  await take(page, '22-to-be-verified');
});
await onPhone({ serviceWorkers: 'allow' }, async (page, box) => {
  box.world.associate('monitor-12', 'p-aino', 600_000);
  await signIn(page);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  box.isBusy = true;
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  await isKept(page);
  box.reach = 'down';
  await page.reload();
  await at(page, 'no-box');
  await take(page, '23-without-the-box');
});
await onPhone({}, async (page) => {
  await signIn(page);
  await scan(page, WHAT.wristband);
  await at(page, 'patient');
  await scan(page, WHAT.device);
  await at(page, 'connect');
  await touch(page, '#spot');
  await at(page, 'spot');
  await take(page, '24-one-measurement');
});
await browser.close();
console.log(`drawn into ${path.resolve(folder)}`);
