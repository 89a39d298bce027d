// Time. An age is what the box said plus what has passed here since it was asked, by a clock that
// nobody sets. That clock may stand still while the phone sleeps, so whenever that may have
// happened the ages are doubted until the box has answered again.

const GAP_MS = 3000;
const STEP_MS = 1000;

let offset = 0;
let stepped = false;
const doubters = new Set();
const ticks = new Set();

/** Milliseconds on the clock that nobody sets. */
export const passed = () => performance.now();

/** The box has answered: its time, RFC 3339. */
export function heardTime(text) {
  const time = Date.parse(text);
  if (Number.isNaN(time)) return;
  offset = time - Date.now();
  stepped = false;
}

/** The box's time, as well as the phone knows it. For proofs and for when an act was done. */
export const boxTime = () => new Date(Date.now() + offset);

/** When an act is done. Said to be unproven if the phone's clock was moved, or slept, since. */
export const stated = () => ({
  stated: boxTime().toISOString(),
  ...(stepped && { stated_unproven: true }),
});

/** The age of a row now. From when the box was asked, so never less than the true one. */
export const ageNow = (row, askedAt) => Math.max(0, row.age_ms) + (passed() - askedAt);

/** Calls when ages may be wrong: before and after sleep, or when the clocks of the phone disagree. */
export const onDoubt = (call) => doubters.add(call);

/** Calls once a second while the page is shown. */
export const onTick = (call) => ticks.add(call);

function doubt() {
  stepped = true;
  for (const call of doubters) call();
}

let lastPassed = passed();
let lastWall = Date.now();

function look() {
  const gap = passed() - lastPassed;
  // The wall clock is a witness only: it says that something is wrong, never what the age is.
  const step = Math.abs(Date.now() - lastWall - gap);
  lastPassed = passed();
  lastWall = Date.now();
  if (gap > GAP_MS || step > STEP_MS) doubt();
  for (const call of ticks) call();
}

/** Begins to watch. */
export function watchClock() {
  setInterval(look, 1000);
  document.addEventListener('visibilitychange', doubt);
  addEventListener('pageshow', (event) => event.persisted && doubt());
  document.addEventListener('resume', doubt);
}
