// What the tests of the page share: a browser, a phone, a scanner that types, a way to count touches.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { load } from './modules.mjs';

const { chromium } = load('playwright-core');
const AXE = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

const PHONE = { width: 390, height: 844 };
export const SMALL = { width: 320, height: 640 };

/** Debian's Chromium. */
export const startBrowser = (args = []) =>
  chromium.launch({
    executablePath: process.env.WARDGATE_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', ...args],
  });

/** A phone with the page open. What the page complains of is a failure of the test. */
export async function openPage(
  browser,
  url,
  { size = PHONE, locale = 'fi-FI', before, scheme = 'light', ...rest } = {},
) {
  const context = await browser.newContext({
    viewport: size,
    locale,
    hasTouch: true,
    isMobile: true,
    colorScheme: scheme,
    // It would fetch every file a second time; who tests it says so.
    serviceWorkers: 'block',
    ...rest,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const isOurs =
      message.type() === 'error' && !/Failed to load resource|ERR_/.test(message.text());
    if (isOurs) page.complaints.push(message.text());
  });
  page.touches = 0;
  page.scans = 0;
  if (before) await page.addInitScript(before);
  // The first pages of a cold browser come together, on a machine that may be busy.
  await page.goto(url, { timeout: 40_000 });
  return page;
}

/** Ends a phone; nothing may have gone wrong on it. */
export async function closePage(page) {
  assert.deepEqual(page.complaints, []);
  await page.context().close();
}

/** One touch of a finger. */
export async function touch(page, target) {
  const found = typeof target === 'string' ? page.locator(target) : target;
  await found.tap({ timeout: 5000 });
  page.touches += 1;
}

export const named = (page, name) =>
  page.getByRole('button', { name, exact: typeof name === 'string' });

const CODES = { ' ': 'Space', Enter: 'Enter', ']': 'BracketRight' };

/** GS as scanners send it: `Ctrl` and the key of `]`, or `Alt` and 029 on the keypad (NumLock off: arrows). */
const GS_KEYS = {
  control: [{ key: ']', code: 'BracketRight', modifiers: 2 }],
  keypad: [
    { key: 'Alt', code: 'AltLeft', modifiers: 1 },
    { key: 'Insert', code: 'Numpad0', modifiers: 1 },
    { key: 'ArrowDown', code: 'Numpad2', modifiers: 1 },
    { key: 'PageUp', code: 'Numpad9', modifiers: 1 },
  ],
};

function keysOf(text, separator) {
  return [...text].flatMap((char) => {
    if (char === '\u001d') return GS_KEYS[separator];
    const code =
      CODES[char] ??
      (/\d/.test(char) ? `Digit${char}` : /[a-z]/i.test(char) ? `Key${char.toUpperCase()}` : '');
    return { key: char, code, text: char };
  });
}

/** A scanner in keyboard mode: keys faster than any person, GS as Ctrl and ], Enter at the end. */
export async function scan(
  page,
  text,
  { suffix = 'Enter', prefix, separator = 'control', stallAfter = 0 } = {},
) {
  page.client ??= await page.context().newCDPSession(page);
  const keys = keysOf(text, separator);
  if (prefix) keys.unshift({ key: prefix, code: prefix });
  if (suffix === 'Enter')
    keys.push({ key: 'Enter', code: 'Enter', text: '\r', windowsVirtualKeyCode: 13 });
  const sent = [];
  // The scanner's own time: a busy machine must not make a person of it.
  let timestamp = Date.now() / 1000;
  for (const [n, key] of keys.entries()) {
    // The phone is busy and hands the rest on later than it was typed.
    if (stallAfter > 0 && n === stallAfter)
      await Promise.all(sent.splice(0)).then(() => page.waitForTimeout(250));
    timestamp += 0.004;
    sent.push(
      page.client.send('Input.dispatchKeyEvent', {
        type: key.text ? 'keyDown' : 'rawKeyDown',
        timestamp,
        ...key,
      }),
    );
    // Alt is held until its number is complete.
    const up = key.key === 'Alt' ? null : key;
    if (up)
      sent.push(
        page.client.send('Input.dispatchKeyEvent', {
          type: 'keyUp',
          timestamp: timestamp + 0.001,
          key: up.key,
          code: up.code,
        }),
      );
    if (key.code === 'Numpad9')
      sent.push(
        page.client.send('Input.dispatchKeyEvent', {
          type: 'keyUp',
          timestamp: timestamp + 0.002,
          key: 'Alt',
          code: 'AltLeft',
        }),
      );
  }
  await Promise.all(sent);
  page.scans += 1;
}

/** Waits until a screen is shown. */
export const at = (page, screen) =>
  page.waitForSelector(`main[data-screen="${screen}"]:not(.settling)`);

/** Signs in as a made-up person. */
export async function signIn(page, name = /Harjoitus-Hoitaja Helmi/) {
  await at(page, 'sign-in');
  await touch(page, named(page, name));
  await at(page, 'ready');
}

/** A second opinion on how usable a screen is: nothing may be found. */
export async function checkAxe(page, where) {
  const source = `${AXE}; axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`;
  page.client ??= await page.context().newCDPSession(page);
  const { result, exceptionDetails } = await page.client.send('Runtime.evaluate', {
    expression: source,
    awaitPromise: true,
    returnByValue: true,
  });
  assert.equal(exceptionDetails, undefined, `axe-core on ${where}`);
  const found = result.value.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(', ')}`,
  );
  assert.deepEqual(found, [], `axe-core on ${where}`);
}

/** Every target is large enough for a gloved thumb, and nothing sticks out sideways. */
export async function checkSizes(page, where) {
  const found = await page.evaluate(() => {
    const small = [...document.querySelectorAll('button, select, input')]
      .filter((node) => {
        const { width, height } = node.getBoundingClientRect();
        return width > 0 && (height < 48 || width < 48);
      })
      .map((node) => node.textContent);
    const width = document.documentElement.clientWidth;
    const wide = [...document.body.querySelectorAll('*:not(.unseen)')].filter(
      (node) => node.getBoundingClientRect().right > width + 1,
    );
    return {
      small,
      wide: wide.map(
        (node) => `${node.tagName}.${node.className} ${node.textContent.slice(0, 40)}`,
      ),
    };
  });
  assert.deepEqual(found, { small: [], wide: [] }, `sizes on ${where}`);
}

/** Goes on by Tab until a control with the words has the focus, and it is seen to have it. */
export async function reachByKeys(page, words) {
  for (let n = 0; n < 60; n += 1) {
    await page.keyboard.press('Tab');
    const [text, outline] = await page.evaluate(() => {
      const node = document.activeElement;
      return [
        node.getAttribute('aria-label') ?? node.innerText ?? '',
        getComputedStyle(node).outlineStyle,
      ];
    });
    if (!words.test(text)) continue;
    assert.equal(outline, 'solid', `the focus on ${words} is seen`);
    return;
  }
  throw new Error(`not reached by keys: ${words}`);
}

/** What a row says, by the parameter's name. */
export const row = (page, parameter) => page.locator(`.row[data-parameter="${parameter}"]`);
export const says = (page, parameter, part) =>
  row(page, parameter).locator(`.${part}`).first().innerText();

export async function until(what, work, ms = 8000) {
  const end = Date.now() + ms;
  for (;;) {
    if (await work()) return;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}

export { assert };
