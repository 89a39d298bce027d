// As of when: now, or an earlier minute. Beyond the site's limit somebody says why.

import { boxTime } from './clock.js';
import { button, element, write } from './dom.js';
import { chooseTime } from './round.js';
import { choose } from './shell.js';
import { round } from './state.js';
import { clockTime, dayTime, say } from './words.js';

const MINUTE = 60_000;
const BACK_MAX = 24 * 60;

/** Full quarters before now: what is charted is usually charted as of one. */
function quarters(now) {
  const last = Math.floor(now / (15 * MINUTE)) * 15 * MINUTE;
  return [0, 1, 2, 3].map((n) => last - n * 15 * MINUTE).filter((time) => now - time >= MINUTE);
}

/** Asks for a minute. Answers milliseconds, `'now'`, or `null` if it was left. */
export async function askMinute({ title, advice, use, at }) {
  const now = Math.floor(boxTime().getTime() / MINUTE) * MINUTE;
  let chosen = Math.min(now, at ?? now);
  const shown = element('p', { class: 'chosen', role: 'status' });
  const refresh = () => write(shown, dayTime(chosen));
  const step = (minutes) =>
    button(
      minutes > 0 ? `+${minutes} min` : `−${-minutes} min`,
      () => {
        chosen = Math.max(now - BACK_MAX * MINUTE, Math.min(now, chosen + minutes * MINUTE));
        refresh();
      },
      { class: 'step' },
    );
  refresh();
  const picker = element(
    'div',
    { class: 'picker' },
    shown,
    element('div', { class: 'steps' }, [-15, -1, 1, 15].map(step)),
  );
  const choice = await choose(
    title,
    advice,
    [
      { words: use, value: 'chosen', class: 'main' },
      { words: say('time.now'), value: 'now' },
      { heading: say('time.quarters') },
      ...quarters(now).map((time) => ({ words: clockTime(time), value: time, class: 'step' })),
    ],
    picker,
  );
  if (choice === null || choice === 'now') return choice;
  const time = choice === 'chosen' ? chosen : choice;
  return time >= now ? 'now' : time;
}

/** Asks for the time of the set, and for a reason where one is due. */
export async function askTime() {
  const time = await askMinute({
    title: say('time.title'),
    advice: say('time.advice'),
    use: say('time.use'),
    at: round.asOf ? Date.parse(round.asOf) : undefined,
  });
  if (time === null) return;
  if (time === 'now') {
    await chooseTime(null, null);
    return;
  }
  const minutes = (boxTime().getTime() - time) / MINUTE;
  let reason = null;
  if (minutes > (round.settings.as_of_minutes_max ?? 0)) {
    const reasons = ['other-care', 'no-connection', 'transport', 'found-later'];
    reason = await choose(
      say('late.title', { n: Math.floor(minutes) }),
      say('late.advice'),
      reasons.map((code) => ({ words: say(`late.${code}`), value: code })),
    );
    if (reason === null) return;
  }
  await chooseTime(new Date(time).toISOString(), reason);
}
