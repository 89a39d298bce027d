// The nurse's round on a real box: the demo runs, the page is opened at the address it tells, and
// what the core has at the end is compared with what was done.
//   node tests/bedside/box.mjs [FOLDER-FOR-PICTURES]
// The demo is started as a person does, by `cargo demo`; or it is the program that WARDGATE_DEMO names.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { acts } from './acts.mjs';
import { checkAxe, closePage, openPage, startBrowser } from './house.mjs';
import { longRound, pictures, shortRound } from './round.mjs';
import { cached, isKept } from './unreached.mjs';

const [folder] = process.argv.slice(2);
const LASTS_S = 60;

const WHAT = {
  person: 'Sari Sairaanhoitaja', wristband: 'P00000001', patient: 'Testinen', device: 'D000001',
  reject: 'pulse-rate-pleth', pain: 'pain-nrs', as_of_minutes: 0,
};

const [program, first] = process.env.WARDGATE_DEMO
  ? [process.env.WARDGATE_DEMO, ['demo']]
  : ['cargo', ['demo', '--']];
const demo = spawn(program, [...first, '--for', `${LASTS_S}s`, '--keep', '--json'], {
  stdio: ['ignore', 'pipe', 'pipe'], detached: true,
});
let [said, told] = ['', ''];
demo.stdout.on('data', (piece) => { said += piece; });
demo.stderr.on('data', (piece) => { told += piece; });
const ended = new Promise((resolve) => { demo.on('exit', resolve); });

async function until(what, found) {
  for (let tries = 0; tries < 600; tries += 1) {
    const value = found();
    if (value) return value;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error(`${what}: not there after a minute\n${told}`);
}

/** The core's records of a kind, in order. */
const records = (store, kind) => readFileSync(store, 'utf8').split('\n').filter(Boolean)
  .map((line) => JSON.parse(line)).map((one) => one.record ?? one)
  .filter((one) => one.type === `fi.wardgate.${kind}.v1`);

/** The summary as another reader sees it. */
function judgeSummary() {
  const python = process.env.WARDGATE_PYTHON;
  if (!python) return;
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'summary-')), 'summary.json');
  writeFileSync(file, said);
  execFileSync(python, [path.join(import.meta.dirname, '../judges/demo_summary.py'), file], { stdio: 'inherit' });
  rmSync(path.dirname(file), { recursive: true });
}

try {
  const url = await until('the address of the page', () => told.match(/open at (http:\S+)/)?.[1]);
  await until('the devices', () => /go|send/i.test(told));
  const browser = await startBrowser();
  const picture = folder ? pictures(folder) : () => {};
  const page = await openPage(browser, url, { serviceWorkers: 'allow' });
  // A few seconds of data come first.
  await new Promise((resolve) => { setTimeout(resolve, 4000); });
  await longRound(page, WHAT, async (on, name) => { await picture(on, name); await checkAxe(on, name); });
  const counted = await shortRound(page, { ...WHAT, wristband: 'P00000002', device: 'D000002' });
  console.log(`from unlocked phone to confirmed set: ${counted.touches} touches, ${counted.scans} scans`);
  // What the program lists and serves is what the phone keeps: all of it, and no answer.
  await isKept(page);
  const { paths, found } = await cached(page, 'Testinen', 'Sairaanhoitaja');
  assert.ok(paths.length > 30 && paths.every((one) => one === '/' || one.startsWith('/bedside/')), `${paths}`);
  assert.deepEqual(found, []);
  await closePage(page);

  await browser.close();
  const wristbands = ['P00000001', 'P00000002'];
  await acts(url, { wristbands, devices: ['D000001', 'D000002'], analyser: 'D000003' });
  console.log('acts and attacks over the interface: as they should be');

  const code = await ended;
  const summary = JSON.parse(said.trim().split('\n').at(-1));
  assert.equal(code, 0, told.slice(-2000));
  assert.equal(summary.lost, 0);
  assert.equal(summary.duplicates, 0);
  judgeSummary();
  const kept = told.match(/kept: (\S+)/)[1];
  const store = path.join(kept, 'core-store.jsonl');
  const confirmations = records(store, 'confirmation').map((one) => one.data);
  const all = confirmations.filter((one) => one.act === 'confirm');
  // The round's two, and one over the interface, which is withdrawn.
  assert.equal(all.length, 3);
  assert.equal(confirmations.filter((one) => one.act === 'withdraw').length, 1);
  assert.equal(confirmations.filter((one) => one.act === 'countersign').length, 1);
  const signed = all.slice(0, 2);
  const values = signed.flatMap((one) => one.values);
  const ids = values.filter((one) => one.act === 'confirm').map((one) => one.observation_id);
  assert.ok(ids.length >= 2 && new Set(ids).size === ids.length, `${ids}`);
  assert.equal(values.filter((one) => one.act === 'reject').length, 1);
  // Each confirmed value is stated once, final, with the digits that the device sent.
  const clientIds = new Set(signed.map((one) => one.client_id));
  const stated = confirmations.filter((one) => one.act === 'statement' && clientIds.has(one.client_id.split('.')[0]));
  const metrics = stated.flatMap((one) => one.metrics);
  assert.deepEqual(metrics.map((one) => one.observation_id).sort(), [...ids].sort());
  for (const metric of metrics) assert.equal(metric.status, 'final');
  const pain = signed.flatMap((one) => one.entries).filter((one) => one.parameter === 'pain-nrs');
  assert.deepEqual(pain.map((one) => one.value), ['3']);
  const observations = records(store, 'observation').map((one) => one.data);
  const known = new Map(observations.flatMap((one) => one.metrics.map((metric) => [metric.observation_id, metric.value])));
  for (const metric of metrics) assert.equal(metric.value, known.get(metric.observation_id));
  assert.ok(observations.some((one) => one.patient?.id === 'P00000001' || one.patient?.value === 'P00000001'));
  const text = readFileSync(path.join(kept, 'gateway.err'), 'utf8');
  for (const secret of ['P00000001', 'Testinen']) assert.ok(!text.includes(secret), `${secret} stands in the log`);
  rmSync(kept, { recursive: true, force: true });
  console.log(`the round on a real box: ${signed.length} sets, ${ids.length} values confirmed, 1 rejected, pain 3; nothing lost`);
} finally {
  // With all that it started; it has ended by itself where all is well.
  try { process.kill(-demo.pid, 'SIGTERM'); } catch { /* gone */ }
}
