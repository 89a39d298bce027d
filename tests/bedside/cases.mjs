// What goes wrong at the bedside, and what the page does then.

import {
  SMALL,
  assert,
  at,
  checkAxe,
  checkSizes,
  closePage,
  named,
  openPage,
  reachByKeys,
  row,
  says,
  scan,
  signIn,
  touch,
  until,
} from './house.mjs';
import { startIssuer } from './issuer.mjs';
import { longRound, shortRound } from './round.mjs';
import { startStub } from './stub.mjs';

const AINO = { wristband: 'P10000001', patient: 'Virtanen Aino Maria', device: 'D000012' };
export const WHAT = {
  ...AINO,
  person: 'Harjoitus-Hoitaja Helmi',
  reject: 'spo2',
  pain: 'pain-nrs',
  as_of_minutes: 5,
};

/** A box and a phone on which somebody is signed in. */
async function begin(browser, { box: boxOptions, ...options } = {}) {
  const box = await startStub(boxOptions);
  const page = await openPage(browser, box.url, options);
  await signIn(page);
  return { box, page };
}

async function end({ box, page }) {
  await closePage(page);
  box.close();
}

/** Aino with her monitor, as it is shown. */
async function withValues(browser, options) {
  const here = await begin(browser, options);
  here.association = here.box.world.associate('monitor-12', 'p-aino', 1800_000);
  await scan(here.page, AINO.wristband);
  await at(here.page, 'patient');
  await here.page.locator('#confirm:enabled').waitFor();
  return here;
}

const refusal = (page) => page.locator('.refusal');
const refusedWith = (page, words) => page.locator('.refusal h2', { hasText: words }).waitFor();
const confirmations = (box) => box.requests.filter((one) => one.url === '/v1/confirmations');

async function countedRound(browser) {
  const here = await begin(browser);
  const counted = await shortRound(here.page, AINO);
  assert.deepEqual(counted, { touches: 2, scans: 2 });
  const [filed] = here.box.world.confirmations;
  assert.equal(filed.values.length, 7);
  assert.equal(
    filed.values.filter((one) => one.act === 'confirm').length,
    6,
    'temperature is absent',
  );
  assert.equal(filed.patient, 'p-aino');
  await end(here);
}

async function nursesRound(browser, { look } = {}) {
  const box = await startStub();
  const page = await openPage(browser, box.url);
  await longRound(page, WHAT, async (on, name) => {
    await look?.(on, name);
    await checkAxe(on, name);
    await checkSizes(on, name);
  });
  const [filed] = box.world.confirmations;
  const ago = Date.parse(filed.stated) - Date.parse(filed.at);
  assert.ok(ago >= 5 * 60_000 && ago < 6 * 60_000 + 30_000, `as of ${ago} ms ago`);
  assert.deepEqual(
    filed.values.filter((one) => one.act === 'reject').map(({ reason }) => reason),
    ['artefact'],
  );
  assert.deepEqual(filed.entries, [{ parameter: 'pain-nrs', value: '3' }]);
  assert.notEqual(box.world.associations.at(-1).until, null, 'the association has ended');
  await end({ box, page });
}

async function smallPhoneLargeText(browser) {
  const box = await startStub();
  // The phone's own setting for text: everything is in rem.
  const before = () =>
    document.addEventListener('DOMContentLoaded', () => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync('html { font-size: 200% }');
      document.adoptedStyleSheets = [sheet];
    });
  const page = await openPage(browser, box.url, { size: SMALL, before, scheme: 'dark' });
  await longRound(page, { ...WHAT, as_of_minutes: 1 }, async (on, name) => {
    await checkSizes(on, name);
    if (name === 'values' || name === 'done') await checkAxe(on, `${name}, dark`);
  });
  await end({ box, page });
}

async function wrongWristband(browser) {
  const { box, page } = await withValues(browser);
  await scan(page, 'P10000002');
  await at(page, 'other-patient');
  const text = await page.locator('main').innerText();
  for (const words of [
    'Eri potilaan ranneke',
    'Virtanen Aino Maria',
    'Korhonen Eero',
    'Mitään ei ole kirjattu',
  ]) {
    assert.ok(text.includes(words), words);
  }
  await checkAxe(page, 'another wristband');
  await touch(page, named(page, /^Jatka: Virtanen/));
  await at(page, 'patient');
  assert.ok((await page.locator('.patient').innerText()).includes('Virtanen'));
  await scan(page, 'P10000002');
  await at(page, 'other-patient');
  await touch(page, named(page, /^Vaihda: Korhonen/));
  await at(page, 'patient');
  assert.match(await page.locator('.patient').innerText(), /Korhonen Eero[\s\S]*Turvakielto/);
  assert.equal(confirmations(box).length, 0);
  await end({ box, page });
}

async function neighboursDevice(browser) {
  const { box, page } = await begin(browser);
  await scan(page, AINO.wristband);
  await at(page, 'patient');
  await scan(page, 'D000014');
  await at(page, 'connect');
  const text = await page.locator('main').innerText();
  for (const words of [
    'Siirretäänkö laite tälle potilaalle?',
    'Korhonen Eero',
    'Virtanen Aino Maria',
    'Tarkista',
  ]) {
    assert.ok(text.includes(words), words);
  }
  await checkAxe(page, 'move');
  await touch(page, '#cancel');
  await at(page, 'patient');
  assert.equal(box.world.current('monitor-14').patient, 'p-eero', 'nothing was moved');
  await scan(page, 'D000014');
  await at(page, 'connect');
  await touch(page, '#connect');
  await page.locator('.connected', { hasText: 'Potilasmonitori 14' }).waitFor();
  assert.equal(box.world.current('monitor-14').patient, 'p-aino');
  await end({ box, page });
}

async function refusedCodes(browser) {
  const { box, page } = await begin(browser);
  const codes = [
    ['S00012345', 'Tämä on näytetarra, ei potilasranneke'],
    ['0106430000000016', 'Koodissa on vain laitetyyppi, ei sarjanumeroa'],
    ['P10000001P10000002', 'Kaksi koodia tuli yhdessä'],
    ['P10000001+', 'Näppäimistö muutti koodia'],
    ['123456-7', 'Skanneria ei ole testattu tällä puhelimella'],
    ['X99999999', 'Koodia ei tunnisteta'],
  ];
  for (const [code, words] of codes) {
    await scan(page, code);
    await refusedWith(page, words);
  }
  await checkAxe(page, 'a refusal');
  assert.equal(await page.locator('main').getAttribute('data-screen'), 'ready');
  // The test label: read as printed, then as a keyboard with another layout types it.
  await scan(page, 'LT-+/:()&=');
  await refusedWith(page, 'Skanneri lukee testitarran oikein');
  assert.equal(await page.evaluate(() => localStorage.getItem('layout')), 'proven');
  await scan(page, 'LT+?-Ö)=/');
  await refusedWith(page, 'Skanneri ja puhelin eivät sovi yhteen');
  assert.equal(await page.evaluate(() => localStorage.getItem('layout')), 'unproven');
  assert.ok(
    !box.world.scans.some((one) => one.text.startsWith('LT')),
    "a test label is nobody's code",
  );
  await end({ box, page });
}

async function scannerAndFields(browser) {
  const { box, page } = await withValues(browser, {
    box: { settings: { scanner: { prefix: 'F8' } } },
  });
  await touch(page, '[data-parameter="note"]');
  const field = page.locator('#entry');
  await field.waitFor();
  await page.keyboard.type('Nukkuu', { delay: 120 });
  await until('what a person types is there', async () => (await field.inputValue()) === 'Nukkuu');
  // Half of a scan: no suffix.
  await scan(page, 'D0000', { suffix: '' });
  await page.waitForTimeout(350);
  assert.equal(await field.inputValue(), 'NukkuuD0000', 'five quick letters may be a person');
  await field.fill('Nukkuu');
  await scan(page, 'D000012', { suffix: '' });
  await refusedWith(page, 'Skannaus jäi kesken');
  assert.equal(await field.inputValue(), 'Nukkuu');
  const before = box.world.scans.length;
  await scan(page, 'D000012', { stallAfter: 3 });
  await until('the scan is read', () => box.world.scans.length === before + 1);
  assert.equal(box.world.scans.at(-1).text, 'D000012', 'whole, though the phone was busy');
  // With a separator, as Ctrl and ], while a button has the focus: the button is not pressed.
  await at(page, 'patient');
  await page.locator('#confirm').focus();
  await scan(page, '0106430000000016\u001d21SN-9');
  await until('the second scan is read', () => box.world.scans.length === before + 2);
  assert.equal(box.world.scans.at(-1).text, '0106430000000016\u001d21SN-9');
  await scan(page, '0106430000000016\u001d21SN-8', { separator: 'keypad' });
  await until('the third scan is read', () => box.world.scans.length === before + 3);
  assert.equal(box.world.scans.at(-1).text, '0106430000000016\u001d21SN-8');
  // A short code of the site needs the scanner's prefix to be told from typing.
  await scan(page, 'D12', { prefix: 'F8' });
  await until('the short scan is read', () => box.world.scans.length === before + 4);
  assert.equal(box.world.scans.at(-1).text, 'D12');
  assert.equal(confirmations(box).length, 0);
  await end({ box, page });
}

async function doubleTouch(browser) {
  const { box, page } = await withValues(browser);
  const { x, y, width, height } = await page.locator('#confirm').boundingBox();
  const tap = () => page.touchscreen.tap(x + width / 2, y + height / 2);
  await Promise.all([tap(), tap(), tap()]);
  await at(page, 'done');
  await page.waitForTimeout(300);
  assert.equal(confirmations(box).length, 1);
  assert.equal(await page.locator('main').getAttribute('data-screen'), 'done');
  // Back to the values: what is on the chart is not offered again.
  await touch(page, named(page, 'Takaisin arvoihin'));
  await at(page, 'patient');
  assert.equal(await says(page, 'nibp-systolic', 'state'), 'Potilaskertomuksessa');
  assert.ok(await row(page, 'nibp-systolic').isDisabled());
  await end({ box, page });
}

async function changedSet(browser) {
  const { box, page } = await withValues(browser);
  box.world.nextChange = true;
  await touch(page, '#confirm');
  await refusedWith(page, 'Arvot muuttuivat juuri');
  assert.equal(box.world.confirmations.length, 0);
  await at(page, 'patient');
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  assert.equal(box.world.confirmations.length, 1);
  // Withdrawn with a reason; and the next wristband opens the next patient.
  await touch(page, '#withdraw');
  await touch(page, named(page, 'Väärät arvot'));
  await page.locator('.state', { hasText: 'Peruttu' }).waitFor();
  assert.equal(box.world.confirmations[0].withdrawn, 'wrong-values');
  await scan(page, 'P10000002');
  await page.locator('.patient', { hasText: 'Korhonen' }).waitFor();
  await end({ box, page });
}

async function lockedInTheMiddle(browser) {
  const { box, page } = await withValues(browser);
  // The box does it, the answer is lost, the phone is locked and throws the page away.
  box.losesAnswers = true;
  await touch(page, '#confirm');
  await at(page, 'done');
  assert.match(
    await page.locator('.invitation').innerText(),
    /Ei vielä lähetetty[\s\S]*Odottaa lähetystä/,
  );
  await checkAxe(page, 'waiting');
  await page.reload();
  // Somebody looks before anything is sent; the box is asked, and has it.
  await at(page, 'ready');
  assert.equal(box.world.confirmations.length, 1);
  assert.equal(await page.locator('text=Virtanen').count(), 0, 'a patient is opened by scan only');
  await touch(page, named(page, /^Omat kirjaukset/));
  await page.locator('.acts .state', { hasText: 'Potilaskertomuksessa' }).waitFor();
  await checkAxe(page, 'own acts');
  assert.equal(box.world.confirmations.length, 1);
  await end({ box, page });
}

async function offline(browser, { look } = {}) {
  const { box, page } = await withValues(browser);
  box.reach = 'down';
  await touch(page, '[data-parameter="pain-nrs"]');
  await touch(page, named(page, '7'));
  await touch(page, '#confirm');
  await at(page, 'done');
  assert.match(await page.locator('.invitation').innerText(), /Ei vielä lähetetty/);
  assert.match(await page.locator('#link-state').innerText(), /Ei yhteyttä palvelimeen/);
  await look?.(page, 'offline');
  // What waits is not to be read from the phone's memory by others.
  const kept = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const open = indexedDB.open('wardgate');
        open.onsuccess = () => {
          const all = open.result.transaction('acts').objectStore('acts').getAll();
          all.onsuccess = () =>
            resolve(all.result.map((one) => new TextDecoder('latin1').decode(one.sealed)));
        };
      }),
  );
  assert.equal(kept.length, 1);
  assert.ok(!kept[0].includes('Virtanen') && !kept[0].includes('pain'));
  // Sent again by itself while it is fresh.
  box.reach = 'up';
  await page.locator('.state', { hasText: 'Palvelin on tallentanut' }).waitFor();
  assert.match(await page.locator('h1').innerText(), /^Vahvistettu · klo/);
  assert.equal(box.world.confirmations.length, 1);
  assert.deepEqual(box.world.confirmations[0].entries, [{ parameter: 'pain-nrs', value: '7' }]);
  // Another, and the page is gone meanwhile: then a person looks first.
  await touch(page, named(page, 'Takaisin arvoihin'));
  await page.locator('#confirm:enabled').waitFor();
  box.isBusy = true;
  await touch(page, '#confirm');
  await at(page, 'done');
  await page.reload();
  await at(page, 'recovery');
  assert.match(
    await page.locator('main').innerText(),
    /Lähettämättä jääneet kirjaukset[\s\S]*Virtanen Aino Maria/,
  );
  await look?.(page, 'recovery');
  await checkAxe(page, 'recovery');
  box.isBusy = false;
  const sent = confirmations(box).length;
  await page.waitForTimeout(3000);
  assert.equal(confirmations(box).length, sent, 'nothing is sent before somebody looked');
  await touch(page, '#send-all');
  await at(page, 'acts');
  await until('the second confirmation is there', () => box.world.confirmations.length === 2);
  await end({ box, page });
}

async function keyboardAlone(browser) {
  const box = await startStub();
  const page = await openPage(browser, box.url);
  const press = (key) => page.keyboard.press(key);
  const reach = (words) => reachByKeys(page, words);
  await at(page, 'sign-in');
  await reach(/Helmi/);
  await press('Enter');
  await at(page, 'ready');
  const typeCode = async (code) => {
    await reach(/Kirjoita koodi/);
    await press('Enter');
    await page.locator('#code').waitFor();
    await page.keyboard.type(code, { delay: 70 });
    await until(
      'the code is typed',
      async () => (await page.locator('#code').inputValue()) === code,
    );
    await press('Enter');
  };
  await typeCode('P10000001');
  await at(page, 'patient');
  await checkAxe(page, 'patient');
  await typeCode('D000012');
  await at(page, 'connect');
  await reach(/^Liitä laite potilaaseen/);
  await press('Space');
  await at(page, 'patient');
  await reach(/^Happisaturaatio/);
  await press('Enter');
  await reach(/^Liike tai häiriö/);
  await press('Enter');
  await until('rejected', async () => /Hylätty/.test(await row(page, 'spo2').innerText()));
  await reach(/^Virtsamäärä/);
  await press('Enter');
  await page.locator('#entry').waitFor();
  await checkAxe(page, 'a figure by hand');
  await page.keyboard.type('9999', { delay: 70 });
  await press('Enter');
  await page.locator('.wrong', { hasText: 'Sallittu 0–5000' }).waitFor();
  await page.locator('#entry').fill('');
  await page.keyboard.type('350', { delay: 70 });
  await press('Enter');
  await until('entered', async () =>
    /350 ml/.test(await page.locator('[data-parameter="urine-output"]').innerText()),
  );
  await reach(/^Vahvista 6 · klo/);
  await press('Enter');
  await at(page, 'done');
  const [filed] = box.world.confirmations;
  assert.deepEqual(filed.entries, [{ parameter: 'urine-output', value: '350', unit: 'ml' }]);
  assert.ok(box.world.scans.every((one) => one.method === 'typed'));
  await end({ box, page });
}

async function scriptInName(browser) {
  const { box, page } = await begin(browser);
  box.world.devices.get('oximeter-3').name = '<script>window.bitten=2</script>';
  box.world.associate('oximeter-3', 'p-script', 60_000);
  await scan(page, 'P10000003');
  await at(page, 'patient');
  const name = await page.locator('.patient .name').innerText();
  assert.equal(name, '<img src=x onerror="window.bitten=1"><script>window.bitten=1</script>');
  const marks = await page.locator('.patient .marks').innerText();
  assert.ok(marks.includes('Ei varmistettu') && marks.includes('Testipotilas'));
  await touch(page, '#confirm:enabled');
  await at(page, 'done');
  await touch(page, '#close-patient');
  await touch(page, named(page, /^Omat kirjaukset/));
  await page.locator('.acts').waitFor();
  assert.equal(await page.evaluate(() => window.bitten), undefined);
  assert.equal(await page.locator('main img, main script').count(), 0);
  await end({ box, page });
}

async function marksOnOldValues(browser) {
  const { box, page } = await withValues(browser);
  await touch(page, row(page, 'spo2'));
  await touch(page, named(page, 'Anturi huonosti paikallaan'));
  await page.waitForTimeout(3500);
  assert.match(
    await row(page, 'spo2').innerText(),
    /Hylätty: Anturi huonosti paikallaan/,
    'the set stays while it is worked on',
  );
  await touch(page, '#newest');
  await refusedWith(page, '1 merkintää koski aiempia arvoja');
  assert.match(await row(page, 'spo2').innerText(), /Mukana/);
  await end({ box, page });
}

async function twoSources(browser) {
  const { box, page } = await withValues(browser);
  box.world.associate('oximeter-3', 'p-aino', 600_000);
  await page.locator('.row[data-parameter="spo2"]').nth(1).waitFor();
  const texts = await row(page, 'spo2').allInnerTexts();
  assert.equal(texts.length, 2);
  assert.ok(texts.every((text) => text.includes('2 lähdettä: vertaa')));
  assert.match(texts[1], /94\s*%[\s\S]*Pulssioksimetri 3[\s\S]*Heikko pulssisignaali/);
  assert.match(await row(page, 'temperature').innerText(), /Ei arvoa[\s\S]*Anturi irti/);
  await checkAxe(page, 'two sources');
  await end({ box, page });
}

async function otherWard(browser) {
  const { box, page } = await begin(browser);
  await scan(page, 'P10000004');
  await page.locator('dialog[open]', { hasText: 'Miksi avaat tämän potilaan?' }).waitFor();
  await checkAxe(page, 'reason for opening');
  await touch(page, named(page, 'Autan toisella osastolla'));
  await at(page, 'patient');
  assert.ok(box.requests.some((one) => one.url === '/v1/patients/p-other?reason=covering'));
  assert.ok(box.requests.some((one) => one.url === '/v1/patients/p-other/values?reason=covering'));
  await touch(page, named(page, 'Tulostettava lomake'));
  await page.frameLocator('iframe').locator('h1', { hasText: 'Lahtinen Veikko' }).waitFor();
  await checkAxe(page, 'the sheet');
  await end({ box, page });
}

async function provider(browser) {
  const issuer = await startIssuer();
  const box = await startStub({ provider: issuer });
  const page = await openPage(browser, box.url, { locale: 'sv-FI' });
  await at(page, 'sign-in');
  await touch(page, named(page, 'Gå till inloggningen'));
  await at(page, 'ready');
  assert.equal(page.url(), `${box.url}/`, 'the code is not in the address');
  assert.deepEqual([issuer.logins, issuer.refusals.length], [1, 0]);
  assert.match(await page.locator('#bar').innerText(), /Harjoitus-Hoitaja Oili/);
  // Somebody else's answer is not taken.
  await touch(page, '#sign-out');
  await at(page, 'sign-in');
  await page.goto(`${box.url}/?code=abc&state=forged`);
  await refusedWith(page, 'Inloggningen misslyckades');
  assert.equal(issuer.refusals.length, 0, 'the forged code went nowhere');
  await end({ box, page });
  issuer.close();
}

async function vouchedAgain(browser) {
  const { box, page } = await withValues(browser);
  // The provider was out of reach for long, and has to vouch for the session again.
  box.isUnverified = true;
  await touch(page, '#confirm');
  await refusedWith(page, 'Kirjautuminen ei onnistunut');
  await at(page, 'sign-in');
  assert.match(await refusal(page).innerText(), /Kirjauksesi ovat tallessa/);
  assert.equal(await page.locator('text=Virtanen').count(), 0);
  await touch(page, named(page, /Helmi/));
  await page.locator('main[data-screen="ready"], main[data-screen="recovery"]').first().waitFor();
  if (await page.locator('#send-all').count()) await touch(page, '#send-all');
  await until('the act is there', () => box.world.confirmations.length === 1);
  assert.equal(box.sessions.size, 1, 'the same session: its acts are verified');
  // A session that is over is over.
  box.sessions.clear();
  await scan(page, AINO.wristband);
  await at(page, 'sign-in');
  assert.match(await refusal(page).innerText(), /Istunto päättyi/);
  await touch(page, named(page, /Helmi/));
  await at(page, 'ready');
  assert.equal(box.sessions.size, 1);
  await end({ box, page });
}

async function untouched(browser) {
  const { box, page } = await withValues(browser, { box: { settings: { idle_seconds: 6 } } });
  await page.locator('#leaving', { hasText: /Potilas suljetaan \d s kuluttua/ }).waitFor();
  await touch(page, named(page, 'Jatka'));
  await page.waitForTimeout(4000);
  assert.equal(
    await page.locator('main').getAttribute('data-screen'),
    'patient',
    'a touch keeps it open',
  );
  await refusedWith(page, 'Potilas suljettiin, koska näyttöön ei koskettu 6 sekuntiin');
  await at(page, 'ready');
  assert.equal(await page.locator('text=Virtanen').count(), 0);
  await end({ box, page });
}

async function studentsEntry(browser) {
  const box = await startStub();
  const page = await openPage(browser, box.url, { locale: 'en-GB' });
  await signIn(page, /Onni/);
  box.world.associate('monitor-12', 'p-aino', 60_000);
  await scan(page, AINO.wristband);
  await at(page, 'patient');
  assert.match(
    await page.locator('.action').innerText(),
    /Student: the entry waits for the supervisor/,
  );
  assert.match(await page.locator('.action').innerText(), /This screen gives no alarms/);
  assert.equal(await refusal(page).count(), 0);
  await end({ box, page });
}

export const CASES = {
  countedRound,
  nursesRound,
  smallPhoneLargeText,
  wrongWristband,
  neighboursDevice,
  refusedCodes,
  scannerAndFields,
  doubleTouch,
  changedSet,
  lockedInTheMiddle,
  offline,
  keyboardAlone,
  scriptInName,
  marksOnOldValues,
  twoSources,
  otherWard,
  provider,
  vouchedAgain,
  untouched,
  studentsEntry,
};
export { begin, end, withValues };
