// Tests of the bedside page in Debian's Chromium, against a box in memory.
//   node tests/bedside/run.mjs [NAME ...]

import { AGES } from './ages.mjs';
import { CAMERA } from './camera.mjs';
import { CASES } from './cases.mjs';
import { FILES } from './files.mjs';
import { startBrowser } from './house.mjs';
import { PARTS } from './parts.mjs';
import { UNREACHED } from './unreached.mjs';
import { WAITS } from './waits.mjs';

// Most of a case is waiting.
const AT_ONCE = 6;

const wanted = process.argv.slice(2);
// The longest first.
const { nursesRound, ...others } = CASES;
const all = Object.entries({
  nursesRound,
  ...AGES,
  ...WAITS,
  ...UNREACHED,
  ...CAMERA,
  ...PARTS,
  ...others,
  ...FILES,
}).filter(([name]) => wanted.length === 0 || wanted.includes(name));
const browser = await startBrowser();
const failed = [];
const queue = [...all];
// On a machine that others share, time runs out: what failed is tried once more, alone, and named.
const again = [];

async function work() {
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [name, run] = next;
    const begun = performance.now();
    const took = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
    try {
      await run(browser);
      console.log(`ok      ${name} (${took()})`);
    } catch (error) {
      console.log(`FAILED  ${name}\n${error.stack}`);
      again.push([name, run]);
    }
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
for (const [name, run] of again) {
  try {
    await run(browser);
    console.log(`FLAKY   ${name}`);
  } catch (error) {
    failed.push(name);
    console.log(`FAILED  ${name} again\n${error.stack}`);
  }
}
await browser.close();
console.log(
  failed.length === 0
    ? `${all.length} passed`
    : `${failed.length} of ${all.length} failed: ${failed.join(', ')}`,
);
process.exit(failed.length === 0 && all.length > 0 ? 0 : 1);
