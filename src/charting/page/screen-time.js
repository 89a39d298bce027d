// As of when: now, or an earlier minute. Beyond the site's limit somebody says why.

import { boxTime } from './clock.js';
import { button, element, write } from './dom.js';
import { chooseTime, round } from './round.js';
import { choose } from './shell.js';
import { clockTime, dayTime, say } from './words.js';

const MINUTE = 60_000;
const BACK_MAX = 24 * 60;

/** Full quarters before now: what is charted is usually charted as of one. */
function quarters(now) {
  const last = Math.floor(now / (15 * MINUTE)) * 15 * MINUTE;
  return [0, 1, 2, 3].map((n) => last - n * 15 * MINUTE).filter((time) => now - time >= MINUTE);
}

/** Asks for the time, and for a reason where one is due. */
export async function askTime() {
  const now = Math.floor(boxTime().getTime() / MINUTE) * MINUTE;
  let chosen = round.asOf ? Date.parse(round.asOf) : now;
  const shown = element('p', { class: 'chosen', role: 'status' });
  const refresh = () => write(shown, dayTime(chosen));
  const step = (minutes) => button(minutes > 0 ? `+${minutes} min` : `−${-minutes} min`, () => {
    chosen = Math.max(now - BACK_MAX * MINUTE, Math.min(now, chosen + minutes * MINUTE));
    refresh();
  }, { class: 'step' });
  refresh();
  const picker = element('div', { class: 'picker' }, shown, element('div', { class: 'steps' }, [-15, -1, 1, 15].map(step)));
  const choice = await choose(say('time.title'), say('time.advice'), [
    { words: say('time.use'), value: 'chosen', class: 'main' },
    { words: say('time.now'), value: 'now' },
    { heading: say('time.quarters') },
    ...quarters(now).map((time) => ({ words: clockTime(time), value: time, class: 'step' })),
  ], picker);
  if (choice === null) return;
  const time = choice === 'chosen' ? chosen : choice;
  if (time === 'now' || time >= now) { await chooseTime(null, null); return; }
  const minutes = (now - time) / MINUTE;
  let reason = null;
  if (minutes > (round.settings.as_of_minutes_max ?? 0)) {
    const reasons = ['other-care', 'no-connection', 'transport', 'found-later'];
    reason = await choose(say('late.title', { n: Math.round(minutes) }), say('late.advice'),
      reasons.map((code) => ({ words: say(`late.${code}`), value: code })));
    if (reason === null) return;
  }
  await chooseTime(new Date(time).toISOString(), reason);
}
