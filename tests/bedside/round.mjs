// The nurse's round, in Finnish, on a phone, against any box:
//   node tests/bedside/round.mjs URL DESCRIPTION.json [FOLDER-FOR-PICTURES]
// The description says what there is to scan:
//   { "person": "name to sign in as", "wristband": "code", "patient": "name", "device": "code",
//     "reject": "parameter", "pain": "parameter", "as_of_minutes": 5 }
// `as_of_minutes: 0` confirms as of now.

import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import {
  assert,
  at,
  checkAxe,
  checkSizes,
  closePage,
  named,
  openPage,
  row,
  scan,
  signIn,
  startBrowser,
  touch,
} from './house.mjs';

const TOUCHES_MAX = 3;
const SCANS_MAX = 2;

/** Signed in, phone unlocked: wristband, device, connect, confirm. Counts. */
export async function shortRound(page, what) {
  Object.assign(page, { touches: 0, scans: 0 });
  await scan(page, what.wristband);
  await at(page, 'patient');
  await scan(page, what.device);
  await at(page, 'connect');
  await touch(page, '#connect');
  await at(page, 'patient');
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  assert.ok(page.touches <= TOUCHES_MAX, `${page.touches} touches`);
  assert.ok(page.scans <= SCANS_MAX, `${page.scans} scans`);
  return { touches: page.touches, scans: page.scans };
}

/** `look(page, name)` for each screen of the round. */
export async function longRound(page, what, look) {
  const settings = await (await fetch(new URL('/v1/settings', page.url()))).json();
  await at(page, 'sign-in');
  await look(page, 'sign-in');
  await signIn(page, new RegExp(what.person));
  await look(page, 'ready');
  await scan(page, what.wristband);
  await at(page, 'patient');
  assert.ok((await page.locator('.patient').innerText()).includes(what.patient));
  await look(page, 'patient-without-device');
  await scan(page, what.device);
  await at(page, 'connect');
  await look(page, 'connect');
  await connectSince(page, what.as_of_minutes);
  await at(page, 'patient');
  await page.locator('#confirm:enabled').waitFor();
  await look(page, 'values');
  if (what.as_of_minutes > 0) await chooseTime(page, what.as_of_minutes, look);
  await touch(page, row(page, what.reject).first());
  await page.locator('dialog[open]').waitFor();
  await look(page, 'reject');
  await touch(page, named(page, settings.reject_reasons[0].words.fi));
  assert.match(await row(page, what.reject).first().innerText(), /Hylätty/);
  await touch(page, `[data-parameter="${what.pain}"]`);
  await page.locator('dialog[open]').waitFor();
  await look(page, 'pain');
  await touch(page, named(page, '3'));
  await look(page, 'before-confirming');
  await touch(page, '#confirm');
  await at(page, 'done');
  assert.match(await page.locator('h1').innerText(), /^Vahvistettu · klo \d\d\.\d\d$/);
  await look(page, 'done');
  await touch(page, named(page, 'Takaisin arvoihin'));
  await at(page, 'patient');
  await touch(page, named(page, /^Irrota/));
  await page.locator('dialog[open]').waitFor();
  await look(page, 'end');
  await touch(page, named(page, 'Laitetta ei enää tarvita'));
  await page.locator('text=Ei liitettyjä laitteita.').waitFor();
  await touch(page, '#close-patient');
  await at(page, 'ready');
  assert.equal(await page.locator(`text=${what.patient}`).count(), 0);
}

async function connectSince(page, minutes) {
  if (minutes === 0) {
    await touch(page, '#connect');
    return;
  }
  await touch(page, '#since');
  await touch(page, named(page, '−15 min'));
  await touch(page, named(page, 'Käytä tätä aikaa'));
}

async function chooseTime(page, minutes, look) {
  await touch(page, '#change-time');
  await page.locator('dialog[open]').waitFor();
  for (let n = 0; n < minutes; n += 1) await touch(page, named(page, '−1 min'));
  await look(page, 'time');
  await touch(page, named(page, 'Käytä tätä aikaa'));
  await page.locator('.as-of .time', { hasText: 'Arvot ajalta' }).waitFor();
  await look(page, 'values-of-earlier');
}

/** Takes a picture of each screen. */
export const pictures = (folder) => {
  mkdirSync(folder, { recursive: true });
  return (page, name) => page.screenshot({ path: path.join(folder, `${name}.png`), scale: 'css' });
};

if (import.meta.filename === process.argv[1]) {
  const [url, description, folder] = process.argv.slice(2);
  const what = JSON.parse(readFileSync(description, 'utf8'));
  const browser = await startBrowser();
  const page = await openPage(browser, url);
  const picture = folder ? pictures(folder) : () => {};
  await longRound(page, what, async (on, name) => {
    await picture(on, name);
    await checkAxe(on, name);
    await checkSizes(on, name);
  });
  console.log(JSON.stringify(await shortRound(page, what)));
  await closePage(page);
  await browser.close();
}
