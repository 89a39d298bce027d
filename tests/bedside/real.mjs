// The nurse's round on a real box: the daemon with two simulated oximeters and two admitted
// patients, all made up, in a folder of its own.
//   node tests/bedside/real.mjs FOLDER-WITH-THE-PROGRAMS

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  assert,
  at,
  checkSizes,
  closePage,
  named,
  openPage,
  row,
  says,
  scan,
  signIn,
  startBrowser,
  touch,
  until,
} from './house.mjs';
import { longRound, shortRound } from './round.mjs';

const programs = path.resolve(process.argv[2]);
const profiles = path.resolve(import.meta.dirname, '../../device-profiles');
const folder = mkdtempSync(path.join(tmpdir(), 'bedside-box-'));
const children = [];

const ROOT = '1.2.246.10.1234567.22.2026';
const WHAT = {
  person: 'Harjoitus-Hoitaja Helmi',
  wristband: 'P10000001',
  patient: 'Virtanen Aino',
  device: 'D000012',
  reject: 'spo2',
  pain: 'pain-nrs',
  as_of_minutes: 0,
};

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const oximeter = (n, code) => `
[[device]]
name = "oksimetri-${n}"
profile = "nordpuls/po-100"
place = "osasto-5/vuode-${n}"
firmware = "2.2"
codes = ["${code}"]
link = { serial = "${folder}/line-${n}" }
`;

const configuration = ({ port, adt, core }) => `
[gateway]
id = "urn:uuid:0b5b9a52-6a1a-4d5b-9f2e-3c1d2e3f4a5b"
tenant = "region"
site = "Esimerkkisairaala"
ward = "osasto-5"
name = "box-1"
data = "${folder}/data"
device_profiles = "${profiles}"
socket = "${folder}/socket"
mode = "bench"
time_zone = "Europe/Helsinki"
${oximeter(1, 'D000012')}${oximeter(2, 'D000014')}
[[destination]]
name = "core"
files = "trial"
required = "best-effort"
order = "lanes"
proves = "stored-by-core"
mqtt = { host = "127.0.0.1", port = ${core}, receivers = ["aptj"] }

[association.scan]
code = [
  { means = "wristband", form = "P{8 digits}", root = "${ROOT}" },
  { means = "device", form = "D{6 digits}" },
  { means = "specimen", form = "S{8 digits}" },
]

[adt]
listen = "127.0.0.1:${adt}"
[adt.patients]
main_roots = ["${ROOT}"]
authorities.HOSP = "${ROOT}"
[adt.patients.places]
"osasto-5^^vuode-1" = "osasto-5/vuode-1"
"osasto-5^^vuode-2" = "osasto-5/vuode-2"

[charting]
listen = "127.0.0.1:${port}"
origins = ["http://127.0.0.1:${port}"]
owner = "box"

[identity]
issuer = "https://box.example"
audience = "wardgate-bedside"
clients = ["bedside"]
development = true
role = [{ value = "registered-nurse", role = "registered-nurse" }]
person = [{ id = "n1", name = "Harjoitus-Hoitaja Helmi", roles = ["registered-nurse"], wards = ["osasto-5"] }]
`;

function start(program, ...given) {
  const child = spawn(path.join(programs, program), given, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      child.said += text;
    });
  children.push(child);
  return child;
}

/** Admits a patient by MLLP and waits for the answer. */
function admit(port, { number, code, name, born, bed, kept }) {
  const now = new Date().toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const message = [
    `MSH|^~\\&|ADT|HOSP|BOX|HOSP|${now}+0000||ADT^A01^ADT_A01|${number}|P|2.5|||AL|NE||UNICODE UTF-8`,
    `EVN|A01|${now}+0000`,
    `PID|1||${code}^^^HOSP^PI||${name}||${born}|F`,
    ...(kept ? ['PD1||||||||||||Y'] : []),
    `PV1|1|I|osasto-5^^${bed}|||||||||||||||||${number}00^^^HOSP^VN`,
  ].join('\r');
  return new Promise((resolve, reject) => {
    const line = connect(port, '127.0.0.1', () => line.write(`\x0b${message}\r\x1c\r`));
    let answer = '';
    line.on('data', (text) => {
      answer += text;
      if (answer.includes('\x1c')) {
        line.destroy();
        resolve(answer);
      }
    });
    line.on('error', reject);
  });
}

async function startBox() {
  const [port, adt, core] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(path.join(folder, 'wardgate.toml'), configuration({ port, adt, core }));
  for (const n of [1, 2])
    start(
      'wardgate-hil',
      'device',
      'line-oximeter',
      '--link',
      `${folder}/line-${n}`,
      '--seed',
      String(n),
      '--serial',
      `70012${n}`,
    );
  await new Promise((resolve) => {
    setTimeout(resolve, 500);
  });
  const box = start('wardgate', 'run', '--config', path.join(folder, 'wardgate.toml'));
  const url = `http://127.0.0.1:${port}`;
  const isUp = async () => {
    assert.equal(box.exitCode, null, box.said);
    return fetch(`${url}/v1/settings`).then(
      (answer) => answer.ok,
      () => false,
    );
  };
  await until('the box answers', isUp, 20_000);
  const patients = [
    { number: 'A1', code: 'P10000001', name: 'Virtanen^Aino', born: '19460502', bed: 'vuode-1' },
    {
      number: 'A2',
      code: 'P10000002',
      name: 'Korhonen^Eeva',
      born: '19511130',
      bed: 'vuode-2',
      kept: true,
    },
  ];
  for (const patient of patients) assert.match(await admit(adt, patient), /MSA\|[AC]A\|/);
  return { url, box };
}

async function refusals(page) {
  for (const [code, words] of [
    ['S00012345', 'näytetarra'],
    ['0106430000000016', 'vain laitetyyppi'],
    ['X99999999', 'ei tunnisteta'],
  ]) {
    await scan(page, code);
    await page.locator('.refusal h2', { hasText: words }).waitFor();
  }
}

async function neighboursDevice(page) {
  await scan(page, 'P10000002');
  await at(page, 'patient');
  assert.match(
    await page.locator('.patient').innerText(),
    /Korhonen Eeva[\s\S]*(30\.11\.1951|19511130)[\s\S]*osasto-5\/vuode-2[\s\S]*Turvakielto/,
  );
  await scan(page, 'D000014');
  await at(page, 'connect');
  await touch(page, '#connect');
  await page.locator('.connected', { hasText: 'oksimetri-2' }).waitFor();
  await scan(page, 'P10000001');
  await at(page, 'other-patient');
  await touch(page, named(page, /^Vaihda/));
  await at(page, 'patient');
  await scan(page, 'D000014');
  await at(page, 'connect');
  const text = await page.locator('main').innerText();
  // Her data are protected: beside another bed she is not named.
  assert.ok(
    text.includes('Siirretäänkö laite') &&
      text.includes('toinen potilas') &&
      !text.includes('Korhonen'),
    text,
  );
  await touch(page, '#cancel');
  await at(page, 'patient');
}

async function stopped(page, box) {
  await page.locator('#confirm:enabled').waitFor();
  assert.equal(await row(page, 'spo2').getAttribute('data-present'), 'true');
  box.kill('SIGSTOP');
  await until(
    'nothing passes as present',
    async () => (await page.locator('.row[data-present="true"]').count()) === 0,
    13_000,
  );
  assert.match(await says(page, 'spo2', 'age'), /Vanha arvo/);
  await touch(page, '#confirm');
  await at(page, 'done');
  assert.match(await page.locator('h1').innerText(), /Ei vielä lähetetty/);
  box.kill('SIGCONT');
  await page.locator('h1', { hasText: 'Vahvistettu' }).waitFor();
}

const browser = await startBrowser();
let isGood = false;
try {
  const { url, box } = await startBox();
  const page = await openPage(browser, url);
  await longRound(page, WHAT, checkSizes);
  await refusals(page);
  console.log(`ok      on a real box: ${JSON.stringify(await shortRound(page, WHAT))}`);
  await touch(page, '#close-patient');
  await at(page, 'ready');
  await neighboursDevice(page);
  await stopped(page, box);
  // Signed in on the phone, and again after the page was loaded anew.
  await page.reload();
  await at(page, 'ready');
  await touch(page, '#sign-out');
  await signIn(page, /Helmi/);
  await closePage(page);
  isGood = true;
  console.log("ok      on a real box: refusals, a neighbour's device, a stopped box, signing out");
} catch (error) {
  console.log(
    `FAILED  on a real box\n${error.stack}\n${children.map((child) => child.said.slice(-3000)).join('\n')}`,
  );
} finally {
  await browser.close();
  for (const child of children) child.kill('SIGCONT') && child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit(isGood ? 0 : 1);
