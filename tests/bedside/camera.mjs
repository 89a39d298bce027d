// Chromium's fake camera shows codes to the page's own decoder.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  assert,
  at,
  checkAxe,
  closePage,
  openPage,
  signIn,
  startBrowser,
  touch,
} from './house.mjs';
import { load } from './modules.mjs';
import { startStub } from './stub.mjs';

const bwip = load('bwip-js');

const WIDTH = 640;
const HEIGHT = 480;
const FRAMES = 15;

/** A picture in grey with the code in its middle, dark on light. */
function picture(bcid, text) {
  const [{ pixs, pixx, pixy, bbs, sbs }] = bwip.raw({ bcid, text });
  const grey = Buffer.alloc(WIDTH * HEIGHT, 230);
  const paint = (x, y, w, h) => {
    for (let n = y; n < y + h; n += 1) grey.fill(25, n * WIDTH + x, n * WIDTH + x + w);
  };
  if (pixs) {
    const size = Math.floor(300 / Math.max(pixx, pixy));
    const [left, top] = [(WIDTH - pixx * size) >> 1, (HEIGHT - pixy * size) >> 1];
    pixs.forEach((dark, n) => {
      if (dark) paint(left + (n % pixx) * size, top + Math.floor(n / pixx) * size, size, size);
    });
    return grey;
  }
  assert.ok(bbs.every((base) => base === 0));
  const size = Math.floor(520 / sbs.reduce((sum, one) => sum + one, 0));
  let x = (WIDTH - size * sbs.reduce((sum, one) => sum + one, 0)) >> 1;
  sbs.forEach((bars, n) => {
    if (n % 2 === 0) paint(x, 140, bars * size, 200);
    x += bars * size;
  });
  return grey;
}

/** A film: each code for a while, again and again. */
function film(codes) {
  const colour = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
  const frames = codes.flatMap(([bcid, text]) =>
    Array(FRAMES).fill([Buffer.from('FRAME\n'), picture(bcid, text), colour]),
  );
  return Buffer.concat([
    Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420mpeg2\n`),
    ...frames.flat(),
  ]);
}

async function camera() {
  const folder = mkdtempSync(path.join(tmpdir(), 'bedside-'));
  const file = path.join(folder, 'codes.y4m');
  writeFileSync(
    file,
    film([
      ['code128', 'P10000001'],
      ['gs1datamatrix', '(01)06430000000016(11)250131(21)SN-0042'],
    ]),
  );
  const browser = await startBrowser([
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    `--use-file-for-fake-video-capture=${file}`,
  ]);
  const box = await startStub();
  try {
    const page = await openPage(browser, box.url);
    await signIn(page);
    page.touches = 0;
    // The camera stays on between wristband and device: three touches from here to the chart.
    await touch(page, '#camera-on');
    await page.locator('video').waitFor();
    await checkAxe(page, 'the camera');
    await at(page, 'connect');
    assert.equal(
      await page.locator('video').count(),
      0,
      'the camera is off once the device is read',
    );
    await touch(page, '#connect');
    await at(page, 'patient');
    await touch(page, '#confirm:enabled');
    await at(page, 'done');
    assert.equal(page.touches, 3);
    const read = box.world.scans.map(({ text, method, symbology }) => [text, method, symbology]);
    assert.deepEqual(read.filter(([, , symbology]) => symbology === ']C0')[0], [
      'P10000001',
      'camera',
      ']C0',
    ]);
    // GS1 as it stands in the symbol, not as it is printed for reading.
    assert.deepEqual(read.at(-1), ['01064300000000161125013121SN-0042', 'camera', ']d2']);
    assert.equal(box.world.confirmations.length, 1);
    await closePage(page);
  } finally {
    await browser.close();
    box.close();
    rmSync(folder, { recursive: true });
  }
}

export const CAMERA = { camera };
