// One patient: what is connected, what the devices say, and what no device measures.

import { button, drawing, element, write } from './dom.js';
import { close, confirm, end, fetchSet } from './round.js';
import { fill, keyOf, rowView, together } from './rows.js';
import { who } from './screen-connect.js';
import { entryOf, enter } from './screen-entry.js';
import { otherWays } from './screen-ready.js';
import { waitingConfirmations } from './screen-sign.js';
import { askTime } from './screen-time.js';
import { choose, show } from './shell.js';
import { isNow, round, takesEntries, tally } from './state.js';
import { clockSeconds, clockTime, dayTime, deviceName, given, say } from './words.js';

let live = null;

/** Writes what has changed: ages, figures, counts. Nothing moves, nothing loses its focus. */
export function refresh() {
  if (!live || !live.list.isConnected) return;
  const rows = together(round.set?.rows ?? []);
  const seen = new Set(rows.map(keyOf));
  for (const [n, row] of rows.entries()) {
    const key = keyOf(row);
    if (!live.views.has(key)) live.views.set(key, rowView());
    const view = live.views.get(key);
    fill(view, row, rows);
    if (live.list.children[n] !== view.item)
      live.list.insertBefore(view.item, live.list.children[n] ?? null);
  }
  for (const [key, view] of live.views) {
    if (seen.has(key)) continue;
    view.item.remove();
    live.views.delete(key);
  }
  live.nothing.hidden = rows.length > 0;
  write(live.nothing, round.set ? say('no-values') : say('values-not-here'));
  live.asOf.hidden = rows.length === 0 && !round.asOf && round.devices.length === 0;
  refreshTime();
  refreshAction();
  live.manual.hidden = !takesEntries();
  live.byCore.hidden = takesEntries() || live.entries.size === 0;
  for (const [parameter, node] of live.entries) write(node, entryOf(parameter));
}

function refreshTime() {
  const { set, asOf } = round;
  const now = isNow();
  if (!set || (set.rows.length === 0 && !asOf)) write(live.time, '');
  else if (asOf) write(live.time, say('set-at', { time: dayTime(asOf) }));
  else write(live.time, say(now ? 'set-now' : 'set-was', { time: clockSeconds(set.at) }));
  live.newest.hidden = Boolean(!set || now || live.time.textContent === '');
}

function refreshAction() {
  const count = tally();
  const n = count.confirm + count.entries;
  const something = n + count.reject > 0;
  write(
    live.confirm,
    round.busy
      ? say('sending')
      : say(n > 0 ? 'confirm-n' : count.reject > 0 ? 'confirm-rejected' : 'confirm-none', {
          n: n || count.reject,
          time: round.set ? clockTime(round.set.at) : '',
        }),
  );
  live.confirm.disabled = !something || round.busy || !round.set;
  const rest = [
    ['leave', count.leave],
    ['reject', count.reject],
    ['entries', count.entries],
    ['charted', count.charted],
    ['unsigned', count.unsigned],
    ['held', count.held],
    ['core', count.core],
  ];
  write(
    live.counts,
    rest
      .filter(([, many]) => many > 0)
      .map(([what, many]) => say(`count.${what}`, { n: many }))
      .join(' · '),
  );
}

function connected(device) {
  const leave = async () => {
    const choice = await choose(
      say('disconnect.question', { device: deviceName(device) }),
      say('disconnect.advice'),
      ['patient-left', 'device-changed', 'no-longer-needed'].map((code) => ({
        words: say(`end.${code}`),
        value: code,
      })),
    );
    if (choice) await end(device, choice);
  };
  const since = device.stale
    ? say('stale-association')
    : device.paused
      ? say('paused')
      : say('connected-since', { time: dayTime(device.since) });
  return element(
    'li',
    { class: 'connected' },
    element(
      'div',
      {},
      element('span', { class: 'name' }, deviceName(device)),
      element('span', {}, since),
    ),
    button(say('disconnect'), leave, {
      'aria-label': `${say('disconnect')}: ${deviceName(device)}`,
    }),
  );
}

function byHand() {
  live.entries = new Map();
  return (round.settings.form ?? []).map((item) => {
    const value = element('span', { class: 'entered' });
    live.entries.set(item.parameter, value);
    const ask = async () => {
      if (await enter(item)) {
        refresh();
      }
    };
    return button([element('span', {}, given(item.words, item.parameter)), value], ask, {
      class: 'by-hand',
      'data-parameter': item.parameter,
    });
  });
}

/** The patient's screen. */
export function patientScreen() {
  const scan = round.devices.length === 0;
  live = { views: new Map(), list: element('ul', { class: 'rows', 'aria-label': say('values') }) };
  live.time = element('span', { class: 'time' });
  live.newest = button(
    say('newest'),
    async () => {
      if (round.asOf) {
        round.asOf = null;
        round.asOfReason = null;
        round.askedAt = 0;
      }
      await fetchSet();
    },
    { id: 'newest' },
  );
  live.nothing = element('p', { class: 'nothing' });
  live.confirm = button('', confirm, { class: 'main', id: 'confirm' });
  live.counts = element('p', { class: 'counts' });
  const manual = byHand();
  const closing = element(
    'div',
    { id: 'leaving', role: 'status', hidden: true },
    element('span'),
    button(say('stay'), () => {}, {}),
  );
  show(
    'patient',
    who(round.patient),
    closing,
    ...waitingConfirmations(),
    scan
      ? element(
          'div',
          { class: 'hint' },
          drawing('device'),
          element(
            'div',
            {},
            element('h2', {}, say('scan-device')),
            element('p', {}, say('scan-device.advice')),
          ),
        )
      : null,
    scan ? otherWays() : null,
    (live.asOf = element(
      'div',
      { class: 'as-of' },
      live.time,
      element(
        'div',
        { class: 'choices' },
        live.newest,
        button(say('change-time'), askTime, { id: 'change-time' }),
      ),
    )),
    element('h2', { class: 'unseen' }, say('values')),
    live.list,
    live.nothing,
    manual.length > 0 ? element('h2', {}, say('by-hand')) : null,
    (live.manual = element('div', { class: 'manual' }, manual)),
    (live.byCore = element('p', { class: 'nothing', hidden: true }, say('by-hand.core'))),
    element('h2', {}, say('connected-devices')),
    scan
      ? element('p', {}, say('no-devices'))
      : element('ul', { class: 'devices' }, round.devices.map(connected)),
    scan ? null : element('p', {}, say('scan-more')),
    scan ? null : otherWays(),
    element(
      'div',
      { class: 'choices end' },
      button(say('sheet'), () => round.screens.sheet(), { class: 'plain' }),
      button(say('close-patient'), () => close(), { class: 'plain', id: 'close-patient' }),
    ),
    element(
      'div',
      { class: 'action' },
      round.student ? element('p', { class: 'counts' }, say('student')) : null,
      live.counts,
      live.confirm,
      element('p', { class: 'no-alarms' }, say('no-alarms')),
    ),
  );
  refresh();
}
