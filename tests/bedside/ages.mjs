// The age shown is never less than the true one, and nothing old passes as present.

import { assert, says, until } from './house.mjs';
import { end, withValues } from './cases.mjs';

const HOUR = 3600_000;
const PARAMETERS = ['heart-rate', 'spo2', 'pulse-rate', 'resp-rate'];

/** The age in words, as milliseconds. */
function read(text) {
  const [, hours, minutes, seconds] =
    /(?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s)?/.exec(text.slice(text.search(/\d/))) ?? [];
  return (Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)) * 1000;
}

/** What is shown, against when the box says that it was measured. */
async function check(page, world, parameters = PARAMETERS) {
  for (const parameter of parameters) {
    const rows = world.set('p-aino', world.now()).rows;
    // The device measures on; what is shown was measured no later than at the last answer.
    const shown = read(await says(page, parameter, 'age'));
    const newest =
      world.now() - Date.parse(rows.find((row) => row.parameter === parameter).measured);
    assert.ok(
      shown + 1000 >= newest,
      `${parameter}: shown ${shown} ms, true at least ${newest} ms`,
    );
  }
}

const present = (page) =>
  page
    .locator('.row[data-present="true"]')
    .evaluateAll((rows) => rows.map((one) => one.dataset.parameter));

async function nothingPresent(page, ms) {
  await until(
    'no periodic figure is shown as present',
    async () => !(await present(page)).some((one) => PARAMETERS.includes(one)),
    ms,
  );
  for (const parameter of PARAMETERS)
    assert.match(await says(page, parameter, 'age'), /Vanha arvo|Ikä epävarma/);
}

const wrongClock = (hours) => async (browser) => {
  const before = `{ const Real = Date; const by = ${hours * HOUR};
    globalThis.Date = class extends Real { constructor(...given) { if (given.length) super(...given); else super(Real.now() + by); } static now() { return Real.now() + by; } }; }`;
  const { box, page } = await withValues(browser, { before, timezoneId: 'America/Los_Angeles' });
  await check(page, box.world);
  assert.ok((await present(page)).includes('spo2'));
  // The ward's time, not the phone's: neither its clock nor its zone.
  const shown = (await page.locator('.as-of .time').innerText()).match(/(\d\d)\.(\d\d)\.\d\d/);
  const helsinki = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'Europe/Helsinki',
    hour: '2-digit',
    minute: '2-digit',
  });
  const around = [0, -5000].map((by) =>
    helsinki.format(new Date(box.world.now() + by)).replace(':', '.'),
  );
  assert.ok(around.includes(`${shown[1]}.${shown[2]}`), `${shown[0]} is not ${around[0]}`);
  await end({ box, page });
};

async function stoppedBox(browser) {
  const { box, page } = await withValues(browser);
  const measured = Object.fromEntries(PARAMETERS.map((one) => [one, 0]));
  box.reach = 'silent';
  await page.waitForTimeout(200);
  const stopped = box.world.now();
  for (const parameter of PARAMETERS)
    measured[parameter] = stopped - read(await says(page, parameter, 'age'));
  // 10 s are over for each of them within 11 s.
  await nothingPresent(page, 11_500);
  for (const parameter of PARAMETERS) {
    const shown = read(await says(page, parameter, 'age'));
    assert.ok(shown + 1000 >= box.world.now() - stopped, `${parameter}: shown ${shown} ms`);
    assert.ok(
      Math.abs(box.world.now() - shown - measured[parameter]) <= 2500,
      `${parameter} ages with the time`,
    );
  }
  assert.match(await page.locator('#link-state').innerText(), /Ei yhteyttä palvelimeen/);
  await until(
    'the set is not of now',
    async () => /ei enää nyt/.test(await page.locator('.as-of .time').innerText()),
    2500,
  );
  // The box is there again: present figures again.
  box.reach = 'up';
  await until('present again', async () => (await present(page)).includes('spo2'));
  await end({ box, page });
}

async function silentDevice(browser) {
  const { box, page } = await withValues(browser);
  box.world.silentSince = box.world.now();
  await nothingPresent(page, 13_000);
  await check(page, box.world);
  // The box answers, so the link is not to blame; the set of now leaves the old out by itself.
  assert.equal(await page.locator('#link-state').innerText(), '');
  await until('left out', async () => (await says(page, 'spo2', 'state')) === 'Jätetty pois');
  await end({ box, page });
}

async function sleepingPhone(browser) {
  // The clock that nobody sets stands still in sleep on some phones; the wall's goes on.
  const before =
    '{ globalThis.slept = 0; const now = Date.now; Date.now = () => now() + globalThis.slept; }';
  const { box, page } = await withValues(browser, { before });
  box.reach = 'silent';
  await page.evaluate(() => {
    globalThis.slept = 60_000;
  });
  box.world.shift += 60_000;
  await until(
    'the ages are doubted',
    async () => /Ikä epävarma/.test(await says(page, 'spo2', 'age')),
    3000,
  );
  assert.deepEqual(
    (await present(page)).filter((one) => PARAMETERS.includes(one)),
    [],
  );
  box.reach = 'up';
  await until('fetched anew', async () => (await present(page)).includes('spo2'));
  await check(page, box.world);
  // Hidden, it is doubted before it sleeps: what is on the glass at waking says so.
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await until(
    'doubted while hidden',
    async () => /Ikä epävarma/.test(await says(page, 'spo2', 'age')),
    1000,
  );
  await page.waitForTimeout(4000);
  assert.match(await says(page, 'spo2', 'age'), /Ikä epävarma/);
  await page.evaluate(() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await until('fetched anew at waking', async () => (await present(page)).includes('spo2'));
  // Asleep for longer than a patient stays open: by whichever clock says so.
  await page.evaluate(() => {
    globalThis.slept += 180_000;
  });
  box.world.shift += 180_000;
  await page.waitForSelector('main[data-screen="ready"]');
  assert.equal(await page.locator('text=Virtanen').count(), 0);
  await end({ box, page });
}

export const AGES = {
  wrongClockAhead: wrongClock(5),
  wrongClockBehind: wrongClock(-3),
  stoppedBox,
  silentDevice,
  sleepingPhone,
};
