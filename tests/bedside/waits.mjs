// What waits for a person: worklists, conflicts, a student's confirmation, acts of an outage.

import { begin, end, withValues } from './cases.mjs';
import {
  SMALL,
  assert,
  at,
  checkAxe,
  checkSizes,
  named,
  openPage,
  reachByKeys,
  scan,
  signIn,
  touch,
  until,
} from './house.mjs';
import { startStub } from './stub.mjs';
import { iso } from './world.mjs';

const MINUTE = 60_000;
const NAMES = ['Virtanen', 'Korhonen'];

const text = (page) => page.locator('main').innerText();
const refusedWith = (page, words) => page.locator('.refusal h2', { hasText: words }).waitFor();

async function check(page, where) {
  await checkAxe(page, where);
  await checkSizes(page, where);
}

/** Neither a patient's name nor a figure with its unit. */
async function saysNothingOfPatients(page, where) {
  const words = await text(page);
  for (const name of NAMES) assert.ok(!words.includes(name), `${name} on ${where}`);
  assert.doesNotMatch(words, /\d\s*(%|\/min|mmHg|°C|ml\/h)/, `a figure on ${where}`);
}

/** A scan says Aino, the device itself says somebody whose name is protected. */
export function twoPatients(world) {
  const ago = (minutes) => iso(world.now() - minutes * MINUTE);
  const conflict = {
    id: 'conflict-1',
    kind: 'two-patients',
    device: 'monitor-12',
    name: 'Potilasmonitori 12',
    place: 'Huone 2, vuode 1',
    from: ago(35),
    until: null,
    claims: [
      {
        entry: 'entry-scan',
        by: 'scan',
        person: 'Harjoitus-Hoitaja Oili',
        says: 'associated',
        patient_ref: 'p-aino',
        patient_name: 'Virtanen Aino Maria',
        place: 'Huone 2, vuode 1',
        from: ago(95),
        stated: ago(95),
      },
      {
        entry: 'entry-device',
        by: 'device',
        says: 'associated',
        patient_ref: 'p-eero',
        patient_name: null,
        place: 'Huone 2, vuode 2',
        from: ago(35),
        stated: ago(34),
      },
    ],
  };
  world.conflicts.push(conflict);
  return conflict;
}

export function disputedRows(world) {
  const measured = iso(world.now() - 50 * MINUTE);
  for (const n of [1, 2, 3])
    world.disputed.push({
      observation_id: `o-${n}`,
      act: 'act-1',
      device: 'Infuusiopumppu 7',
      measured,
    });
}

async function worklists(browser) {
  const { box, page } = await begin(browser);
  twoPatients(box.world);
  disputedRows(box.world);
  await touch(page, '#lists');
  await at(page, 'lists');
  const counts = () => page.locator('.list .n').allInnerTexts();
  await until('the lists have come', async () => !(await counts()).includes('…'));
  // Four devices are on nobody, one patient is on a device for an hour; three values, one act.
  assert.deepEqual(await counts(), ['4', '4', '1', '1', '1', '0', '0']);
  assert.match(await text(page), /Tilanne klo \d\d\.\d\d/);
  await saysNothingOfPatients(page, 'the lists');
  await check(page, 'the lists');
  const expected = {
    'devices-without-patient': /\(4\)[\s\S]*Infuusiopumppu 7\nHuone 2, vuode 1\nIlman potilasta 4[23] min/,
    'values-without-patient': /Pulssioksimetri 3\nViimeisin mittaus 1 min sitten/,
    unconfirmed: /Huone 2, vuode 2\nPotilasmonitori 14\nEi vielä vahvistettu\nLaite potilaalla 1 h [01] min/,
    conflicts: /Potilasmonitori 12\n[\s\S]*Laitteella on kaksi potilasta\nAlkoi 3[56] min sitten/,
    disputed: /\(1\)[\s\S]*Infuusiopumppu 7\n3 arvoa, mitattu/,
  };
  for (const [list, words] of Object.entries(expected)) {
    await touch(page, `[data-list="${list}"]`);
    await at(page, 'list');
    assert.match(await text(page), words);
    await saysNothingOfPatients(page, list);
    await checkSizes(page, list);
    if (list === 'conflicts') await checkAxe(page, list);
    await touch(page, '#back');
    await at(page, 'lists');
  }
  // What is not answered is not nothing.
  box.reach = 'down';
  await touch(page, '#fetch');
  await until('it says that nothing has come', async () =>
    (await counts()).every((one) => one === 'ei saatu'),
  );
  await refusedWith(page, 'Palvelin ei vastaa');
  box.reach = 'up';
  // From a list a patient opens by scan, as from anywhere.
  await scan(page, 'P10000002');
  await at(page, 'patient');
  await end({ box, page });
}

/** By keys alone, in Swedish, on a small phone. */
async function conflictByKeys(browser) {
  const { box, page } = await begin(browser, { locale: 'sv-FI', size: SMALL });
  const conflict = twoPatients(box.world);
  const go = async (words, screen) => {
    await reachByKeys(page, words);
    await page.keyboard.press('Enter');
    if (screen) await at(page, screen);
  };
  await go(/^Arbetslistor/, 'lists');
  await go(/^Konflikter/, 'list');
  await go(/^Potilasmonitori 12/, 'conflict');
  const words = await text(page);
  for (const said of [
    /Apparaten har två patienter/,
    /Värdena går inte till någondera förrän någon avgör/,
    /Skanning · Harjoitus-Hoitaja Oili\s+Apparaten är hos Virtanen Aino Maria/,
    /Apparaten själv\s+Apparaten är hos en patient vars namn inte visas\s+Huone 2, vuode 2/,
    /från (\d+\.\d+\. )?\d\d\.\d\d · angivet/,
  ])
    assert.match(words, said);
  assert.ok(!words.includes('Korhonen'), 'a protected name is not shown');
  await check(page, 'a conflict');
  // Nothing is chosen before: no button stands out, none has the focus.
  assert.equal(await page.locator('main .main, main [aria-checked], main [aria-pressed]').count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await go(/^Det här stämmer: Apparaten själv/);
  await page.locator('dialog[open]').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H2', 'no reason either');
  await check(page, 'why');
  // Left: nothing was decided.
  await page.keyboard.press('Escape');
  assert.equal(conflict.settled, undefined);
  await go(/^Det här stämmer: Skanning/);
  await go(/^Jag såg apparaten hos patienten/, 'list');
  await refusedWith(page, 'Konflikten är avgjord');
  assert.equal(conflict.settled.holds, 'entry-scan');
  assert.equal(conflict.settled.reason, 'seen');
  assert.match(await text(page), /Konflikter \(0\)\s+Inget väntar/);
  await end({ box, page });
}

/** A value that the core's app and this page have both filed: the same screen, other reasons. */
async function filedTwice(page, world) {
  const conflict = {
    id: 'charted-twice-o-1',
    kind: 'charted-twice',
    device: 'monitor-12',
    name: 'Potilasmonitori 12',
    from: iso(world.now() - 50 * MINUTE),
    until: null,
    entries: ['core', 'box'],
    claims: [{ entry: 'core' }, { entry: 'box' }],
    parameter: 'spo2',
    patient_ref: 'p-aino',
    box: 'confirmed',
    core: 'rejected',
    core_at: iso(world.now() - 40 * MINUTE),
  };
  world.conflicts.push(conflict);
  await touch(page, '#back');
  await touch(page, '[data-list="conflicts"]');
  await touch(page, named(page, /^Potilasmonitori 12/));
  await at(page, 'conflict');
  assert.match(
    await text(page),
    /Sama arvo on kirjattu kahdesti[\s\S]*Potilastietojärjestelmä\s+spo2: hylätty\s+ilmoitettu \d[\s\S]*Tämä sivu\s+spo2: vahvistettu/,
  );
  await touch(page, named(page, /^Tämä pitää paikkansa: Potilastietojärjestelmä/));
  await touch(page, named(page, 'Potilastietojärjestelmän kirjaus on oikein'));
  await refusedWith(page, 'Ristiriita ratkaistu');
  assert.deepEqual([conflict.settled.holds, conflict.settled.reason], ['core', 'core-right']);
}

/** The administration lets a patient go: that the device is still there can be upheld, no more. */
async function dischargedButConnected(page, world) {
  const conflict = { ...twoPatients(world), id: 'conflict-gone', kind: 'administrative-end' };
  const [scanned] = conflict.claims;
  const gone = { ...scanned, entry: 'entry-gone', by: 'administration', person: null, says: 'gone' };
  conflict.claims = [scanned, gone];
  world.conflicts.splice(-1, 1, conflict);
  await touch(page, '#back');
  await touch(page, '[data-list="conflicts"]');
  await touch(page, named(page, /^Potilasmonitori 12/));
  await at(page, 'conflict');
  assert.match(
    await text(page),
    /Potilas on kirjattu pois[\s\S]*Potilashallinto\s+Virtanen Aino Maria on kirjattu pois[\s\S]*Jos laite on yhä potilaalla, vahvista se/,
  );
  assert.deepEqual(await page.locator('.claim button').count(), 1);
  await touch(page, named(page, /^Tämä pitää paikkansa: Skannaus/));
  await touch(page, named(page, 'Näin laitteen tällä potilaalla'));
  await refusedWith(page, 'Ristiriita ratkaistu');
  assert.equal(conflict.settled.holds, 'entry-scan');
}

async function conflictByScan(browser) {
  const { box, page } = await begin(browser, { box: { settings: { idle_seconds: 9 } } });
  const conflict = twoPatients(box.world);
  const open = async (from) => {
    await touch(page, from);
    await touch(page, '[data-list="conflicts"]');
    await touch(page, named(page, /^Potilasmonitori 12/));
    await at(page, 'conflict');
  };
  await open('#lists');
  await scan(page, 'D000014');
  await refusedWith(page, 'Tämä on toinen laite');
  await scan(page, 'P10000003');
  await refusedWith(page, 'Mikään näistä tiedoista ei koske tätä potilasta');
  assert.equal(await page.locator('main').getAttribute('data-screen'), 'conflict');
  await scan(page, 'D000012');
  await refusedWith(page, 'Oikea laite');
  // The wristband says which; the person says why.
  await scan(page, 'P10000002');
  await page.locator('dialog[open]', { hasText: 'Miksi tämä pitää paikkansa?' }).waitFor();
  assert.match(await page.locator('.claim', { hasText: 'Skannattu nyt' }).innerText(), /Laite itse/);
  await touch(page, named(page, 'Laite siirrettiin skannaamatta'));
  await refusedWith(page, 'Ristiriita ratkaistu');
  assert.deepEqual(
    [conflict.settled.holds, conflict.settled.reason],
    ['entry-device', 'not-scanned'],
  );
  await filedTwice(page, box.world);
  await dischargedButConnected(page, box.world);
  // Settled by somebody else meanwhile.
  const other = { ...twoPatients(box.world), id: 'conflict-2' };
  box.world.conflicts.splice(-1, 1, other);
  await open('#back');
  other.settled = { holds: 'entry-scan' };
  await touch(page, named(page, /^Tämä pitää paikkansa: Skannaus/));
  await touch(page, named(page, 'Näin laitteen tällä potilaalla'));
  await refusedWith(page, 'Ristiriita on jo ratkaistu tai muuttunut');
  assert.equal(other.settled.reason, undefined);
  // It names patients: untouched, it closes as a patient does.
  delete other.settled;
  await open('#back');
  await page.waitForSelector('main[data-screen="ready"]', { timeout: 15_000 });
  await end({ box, page });
}

/** A student confirms; somebody who may sees what, and signs or leaves it. In English. */
async function countersign(browser) {
  const box = await startStub();
  const page = await openPage(browser, box.url, { locale: 'en-GB' });
  box.world.associate('monitor-12', 'p-aino', 60_000);
  const open = async (person) => {
    await signIn(page, person);
    await scan(page, 'P10000001');
    await at(page, 'patient');
  };
  await open(/Onni/);
  assert.equal(await page.locator('#lists').count(), 0);
  await touch(page, '.row[data-parameter="spo2"]');
  await touch(page, named(page, 'Movement or artefact'));
  await touch(page, '[data-parameter="pain-nrs"]');
  await touch(page, named(page, '3'));
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  await page.locator('.state', { hasText: "Waits for the supervisor's signature" }).waitFor();
  assert.match(await page.locator('h1').innerText(), /^Entered, not signed yet · as of/);
  assert.ok(await page.locator('#withdraw').isHidden(), 'a student withdraws nothing');
  await touch(page, named(page, 'Back to the values'));
  await page.locator('.notice', { hasText: "Your entry waits for the supervisor's" }).waitFor();
  assert.equal(await page.locator('.notice button').count(), 0, 'nobody signs for themselves');
  const leave = async () => {
    await touch(page, '#close-patient');
    await at(page, 'ready');
    await touch(page, '#sign-out');
  };
  await leave();
  // A practical nurse sees that it waits.
  await open(/Lauri/);
  await page.locator('.notice', { hasText: 'A registered nurse, midwife or doctor' }).waitFor();
  assert.equal(await page.locator('.notice button').count(), 0);
  await leave();
  // What the devices say has changed since; what was signed has not.
  const [filed] = box.world.confirmations;
  const rate = filed.rows.get(filed.values.find((one) => /heart-rate$/.test(one.observation_id)).observation_id);
  box.world.devices.get('monitor-12').figures['heart-rate'] = '119';
  await open(/Helmi/);
  await touch(page, named(page, /^Look at the entry/));
  await at(page, 'sign');
  const words = await text(page);
  for (const said of [
    /Virtanen Aino Maria[\s\S]*Student's entry · as of/,
    /Confirmed by Harjoitus-Opiskelija Onni at/,
    /These are the values that the student confirmed, not those of now/,
    /Heart rate\s+72 \/min\s+Included · measured \d\d:\d\d:\d\d · Potilasmonitori 12/,
    /Oxygen saturation\s+97 %\s+Rejected: Movement or artefact/,
    /Pain \(NRS\)\s+3\s+Entered by hand/,
  ])
    assert.match(words, said);
  assert.ok(!words.includes('119'));
  const shown = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Helsinki', timeStyle: 'medium' });
  assert.ok(words.includes(`measured ${shown.format(new Date(rate.measured))}`), 'its own time');
  await check(page, 'a countersignature');
  await touch(page, '#leave');
  await at(page, 'patient');
  assert.equal(filed.unsigned, true, 'left as it was');
  await touch(page, named(page, /^Look at the entry/));
  await touch(page, '#sign');
  await at(page, 'done');
  await page.locator('h1', { hasText: 'Signed · as of' }).waitFor();
  assert.deepEqual([filed.unsigned, filed.countersigner], [false, 'n1']);
  await touch(page, named(page, 'Back to the values'));
  await at(page, 'patient');
  await until('it waits no more', async () => (await page.locator('.notice').count()) === 0);
  await end({ box, page });
}

/** Confirmed while the core was away, sent when somebody has looked; then disputed, and withdrawn. */
async function heldAndDisputed(browser) {
  const { box, page } = await withValues(browser);
  box.world.isDown = true;
  await touch(page, '#confirm');
  await at(page, 'done');
  const [filed] = box.world.confirmations;
  await page.locator('.state', { hasText: 'Palvelin pitää tämän, kunnes joku on katsonut' }).waitFor();
  await touch(page, named(page, 'Takaisin arvoihin'));
  await page.locator('.row[data-parameter="nibp-systolic"] .state', { hasText: 'Odottaa tarkistusta' }).waitFor();
  await touch(page, '#close-patient');
  await at(page, 'ready');
  await touch(page, '#lists');
  await touch(page, '[data-list="recovery"]');
  await at(page, 'list');
  assert.match(await text(page), /\(1\)[\s\S]*Huone 2, vuode 1\n6 arvoa, 0 käsin, vahvistettu \d\d\.\d\d/);
  await saysNothingOfPatients(page, 'the recovery list');
  await scan(page, 'P10000001');
  await touch(page, named(page, /^Katso kirjaus · klo/));
  await at(page, 'sign');
  assert.match(await text(page), /Lähetä vasta sitten[\s\S]*Syke\s+72 \/min/);
  await checkSizes(page, 'an entry of the downtime');
  assert.equal(filed.held, true, 'nothing goes out before');
  await touch(page, '#release');
  await at(page, 'done');
  assert.equal(filed.held, false);
  filed.disputed = true;
  await touch(page, named(page, 'Takaisin arvoihin'));
  await at(page, 'patient');
  await touch(page, named(page, /^Katso vahvistus · klo/));
  await at(page, 'sign');
  assert.match(await text(page), /Ne pysyvät, kunnes joku peruu vahvistuksen[\s\S]*Syke\s+72 \/min/);
  await checkSizes(page, 'a disputed confirmation');
  await touch(page, '#withdraw');
  await touch(page, named(page, 'Väärä potilas'));
  await at(page, 'patient');
  assert.equal(filed.withdrawn, 'wrong-patient');
  await until('it is gone', async () => (await page.locator('.notice').count()) === 0);
  await end({ box, page });
}

async function verifiedAfterOutage(browser) {
  const { box, page } = await withValues(browser);
  box.isAlone = true;
  await touch(page, '#confirm');
  await at(page, 'done');
  await page.locator('.state', { hasText: 'Henkilöllisyys odottaa varmistusta' }).waitFor();
  // Also after the page was loaded anew, when the phone itself has forgotten them.
  await page.reload();
  await at(page, 'ready');
  await page.locator('.notice h2', { hasText: '1 kirjausta odottaa' }).waitFor();
  await check(page, 'acts to be verified');
  await touch(page, named(page, /^Omat kirjaukset \(1\)/));
  await page.locator('.acts .state', { hasText: 'Henkilöllisyys odottaa' }).waitFor();
  await saysNothingOfPatients(page, 'acts of before');
  await touch(page, named(page, 'Takaisin'));
  await at(page, 'ready');
  box.isAlone = false;
  await touch(page, '#verify');
  await at(page, 'sign-in');
  await touch(page, named(page, /Helmi/));
  await at(page, 'ready');
  await refusedWith(page, 'Henkilöllisyytesi on varmistettu');
  assert.match(await page.locator('.refusal').innerText(), /Myös kirjaukset \d+\.\d+\. \d\d\.\d\d alkaen/);
  await until('none waits', async () => (await page.locator('.notice').count()) === 0);
  assert.equal(box.sessions.size, 1, 'the same session');
  await end({ box, page });
}

export const WAITS = {
  worklists,
  conflictByKeys,
  conflictByScan,
  countersign,
  heldAndDisputed,
  verifiedAfterOutage,
};
