// A device with several patients, and values that the core's own app confirms.

import { begin, end, withValues } from './cases.mjs';
import { assert, at, checkAxe, checkSizes, named, row, scan, touch } from './house.mjs';

const text = (page) => page.locator('main').innerText();

async function motherAndTwins(browser) {
  const { box, page } = await begin(browser);
  const { world } = box;
  // One of the twins is another patient's already.
  world.associate('ctg-2', 'p-eero', 600_000, 'fetus-b');
  world.patients.get('p-eero').protected = false;
  const choose = async (part) => {
    await scan(page, 'D000002');
    await at(page, 'part');
    await touch(page, `[data-channel="${part}"]`);
  };
  await scan(page, 'P10000001');
  await at(page, 'patient');
  await scan(page, 'D000002');
  await at(page, 'part');
  const said = await page.locator('.part').allInnerTexts();
  assert.deepEqual(said.map((one) => one.trim()), ['Äiti', 'Sikiö A', 'Sikiö B\nNyt potilaalla Korhonen Eero']);
  assert.match(await text(page), /Mikä osa laitteesta\?[\s\S]*KTG-laite 2[\s\S]*Virtanen Aino Maria/);
  // None is chosen before: they are alike, and none has the focus.
  assert.equal(await page.locator('main .main, main [aria-pressed]').count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await checkAxe(page, 'parts');
  await checkSizes(page, 'parts');
  await touch(page, '[data-channel="mother"]');
  await at(page, 'connect');
  assert.match(await text(page), /KTG-laite 2 · Äiti/);
  await touch(page, '#connect');
  await at(page, 'patient');
  await choose('fetus-a');
  await at(page, 'connect');
  await touch(page, '#connect');
  await page.locator('.row').nth(1).waitFor();
  const mine = world.associations.filter((one) => one.patient === 'p-aino' && !one.until);
  assert.deepEqual(mine.map((one) => one.channel), ['mother', 'fetus-a']);
  // A mother's rate is not her child's: two rows, each by its name; both devices by theirs.
  const rows = await row(page, 'heart-rate').allInnerTexts();
  assert.equal(rows.length, 2);
  assert.match(rows[0], /^Syke · Äiti\s+84/);
  assert.match(rows[1], /^Syke · Sikiö A\s+142/);
  assert.ok(rows.every((one) => !one.includes('lähdettä')), 'they are not two sources of one');
  assert.match(await text(page), /KTG-laite 2 · Äiti\s+Liitetty[\s\S]*KTG-laite 2 · Sikiö A\s+Liitetty/);
  await checkAxe(page, 'rows of parts');
  await checkSizes(page, 'rows of parts');
  // Scanned again: the part that is here already is looked at, not connected twice.
  await choose('mother');
  await at(page, 'patient');
  assert.ok(box.requests.some((one) => one.url === `/v1/associations/${mine[0].id}/seen`));
  assert.equal(world.associations.filter((one) => one.patient === 'p-aino').length, 2);
  // The other's part is not taken without a word, and a move leaves this patient's parts alone.
  await choose('fetus-b');
  await at(page, 'connect');
  assert.match(await text(page), /Siirretäänkö laite[\s\S]*KTG-laite 2 · Sikiö B[\s\S]*Korhonen Eero/);
  await touch(page, '#cancel');
  await at(page, 'patient');
  assert.equal(world.current('ctg-2', 'fetus-b').patient, 'p-eero');
  // One part is rejected by its own name, one ends by its own name.
  await touch(page, row(page, 'heart-rate').nth(1));
  await page.locator('dialog[open] h2', { hasText: 'Syke · Sikiö A 142 /min' }).waitFor();
  await touch(page, named(page, 'Takaisin'));
  await touch(page, named(page, 'Irrota: KTG-laite 2 · Sikiö A'));
  await touch(page, named(page, 'Laitetta ei enää tarvita'));
  await page.locator('.connected', { hasText: 'Sikiö A' }).waitFor({ state: 'detached' });
  assert.equal(mine[1].until !== null && mine[0].until === null, true);
  await end({ box, page });
}

async function ownedByCore(browser) {
  const { box, page } = await withValues(browser);
  box.world.devices.get('monitor-12').owners = { spo2: 'core', 'heart-rate': 'box' };
  await page.locator('.row[data-parameter="spo2"][data-act="core"]').waitFor();
  const said = (await row(page, 'spo2').innerText()).replaceAll('\u00ad', '');
  assert.match(said, /Happisaturaatio\s+97\s*%[\s\S]*Vahvistetaan potilastietojärjestelmässä/);
  assert.ok(await row(page, 'spo2').isDisabled());
  assert.equal(await row(page, 'heart-rate').isDisabled(), false);
  assert.match(await page.locator('#confirm').innerText(), /^Vahvista 5 · klo/);
  assert.match(await page.locator('.action').innerText(), /1 vahvistetaan muualla/);
  await checkAxe(page, 'a row of the core');
  await checkSizes(page, 'a row of the core');
  await touch(page, '#confirm');
  await at(page, 'done');
  const [filed] = box.world.confirmations;
  const of = (parameter) =>
    filed.values.find((one) => filed.rows.get(one.observation_id).parameter === parameter).act;
  assert.deepEqual([of('spo2'), of('heart-rate')], ['leave', 'confirm']);
  // What is entered by hand is the core's too: it says so, and offers no field.
  box.world.entriesOwner = 'core';
  await touch(page, named(page, 'Takaisin arvoihin'));
  await page.locator('p', { hasText: 'Käsin kirjattavat arvot kirjataan täällä' }).waitFor();
  assert.ok(await page.locator('.by-hand').first().isHidden());
  await end({ box, page });
}

/** A monitor that is wheeled about: one blood pressure is Aino's, and nothing else of it. */
async function spotCheck(browser) {
  const { box, page } = await begin(browser, { locale: 'sv-FI' });
  const { world } = box;
  await scan(page, 'P10000001');
  await at(page, 'patient');
  await scan(page, 'D000012');
  await at(page, 'connect');
  await touch(page, '#spot');
  await at(page, 'spot');
  const words = await text(page);
  assert.match(words, /Vilken mätning är den här patientens\?[\s\S]*Potilasmonitori 12[\s\S]*Virtanen/);
  assert.match(words, /Apparaten kopplas inte/);
  const pressure = page.locator('.spot', { hasText: 'Blodtryck, systoliskt' });
  assert.match(
    await pressure.innerText(),
    /^uppmätt \d\d\.\d\d\.\d\d\s+Blodtryck, systoliskt\s+128 mmHg\s+Blodtryck, diastoliskt\s+74 mmHg$/,
  );
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1', 'none is chosen');
  await checkAxe(page, 'a spot check');
  await checkSizes(page, 'a spot check');
  await touch(page, pressure);
  await page.locator('.refusal h2', { hasText: 'Mätningen finns bland' }).waitFor();
  await at(page, 'patient');
  const [check] = world.spots;
  assert.deepEqual(
    [check.patient, check.device, check.rows.map((one) => one.value), check.scanned],
    ['p-aino', 'monitor-12', ['128', '74'], { patient: true, device: true }],
  );
  assert.equal(world.current('monitor-12'), undefined, 'the device is on nobody');
  assert.equal(await page.locator('.row').count(), 2);
  // Of a device on somebody there is no such choice.
  await scan(page, 'D000014');
  await at(page, 'connect');
  assert.equal(await page.locator('#spot').count(), 0);
  await end({ box, page });
}

export const PARTS = { motherAndTwins, ownedByCore, spotCheck };
