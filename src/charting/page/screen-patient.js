// One patient: who it is, what is connected, what the devices say, and what no device measures.

import { ageNow } from './clock.js';
import { button, drawing, element, write } from './dom.js';
import {
  actOf,
  close,
  confirm,
  end,
  fetchSet,
  hold,
  isNow,
  isPresent,
  round,
  tally,
} from './round.js';
import { entryOf, enter } from './screen-entry.js';
import { otherWays } from './screen-ready.js';
import { askMinute, askTime } from './screen-time.js';
import { choose, show } from './shell.js';
import {
  ageWords,
  birthDate,
  clockSeconds,
  clockTime,
  dayTime,
  figure,
  given,
  say,
  sayCode,
} from './words.js';

/** A name, or that there is none: a patient whom the register does not know yet. */
export const nameOfPatient = (patient) => patient.name ?? say('no-name');

/** Who it is: the name and the birth date, for a person to compare. */
export function who(patient, level = 'h1') {
  const marks = [
    patient.protected && say('protected'),
    patient.verified === false && say('not-verified'),
    patient.test && say('test-patient'),
  ].filter(Boolean);
  return element(
    'section',
    { class: 'patient', 'aria-label': say('patient') },
    element(level, { class: 'name' }, nameOfPatient(patient)),
    element(
      'p',
      {},
      element('span', { class: 'born' }, `${say('born')} ${birthDate(patient.birth_date)}`),
      patient.place && element('span', {}, patient.place),
    ),
    marks.length > 0
      ? element(
          'p',
          { class: 'marks' },
          marks.map((mark) => element('span', {}, mark)),
        )
      : null,
  );
}

const nameOf = (row) => given(row.words, row.parameter);

const keyOf = (row) =>
  JSON.stringify([row.device.id, row.parameter, row.site, row.sub_id, row.kind]);

/** The box's order, but sources of one parameter beside each other. */
function together(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.parameter, [...(groups.get(row.parameter) ?? []), row]);
  return [...groups.values()].flat();
}

const unitOf = (row) => row.unit ?? row.ucum ?? '';

function marksOf(row, rows) {
  const sources = rows.filter((one) => one.parameter === row.parameter && one.site === row.site);
  const several = new Set(sources.map((one) => one.device.id)).size;
  return [
    row.kind === 'setting' && say('kind.setting'),
    row.site && sayCode('site', row.site),
    several > 1 && say('several-sources', { n: several }),
    ...(row.quality ?? []).map((code) => sayCode('quality', code)),
    row.grade && !['scan', 'strong'].includes(row.grade) && sayCode('grade', row.grade),
  ].filter(Boolean);
}

const stateWords = ({ act, reason }) => {
  if (act === 'reject') return say('state.reject', { reason: reasonWords(reason) });
  return say(`state.${act}`);
};

function reasonWords(code) {
  const found = (round.settings.reject_reasons ?? []).find((one) => one.code === code);
  return given(found?.words, code);
}

/** How old, in words: what is not of now says so, and does not rely on its colour. */
function ageLine(row) {
  if (row.value === null) return '';
  if (round.doubted) return say('age.doubted', { age: ageWords(ageNow(row, round.askedAt)) });
  const age = ageWords(ageNow(row, round.askedAt));
  if (round.asOf) return say('age.at', { time: clockSeconds(row.measured), age });
  if (isPresent(row)) return say('age', { age });
  return say('age.past', { age });
}

function rowView() {
  const parts = {};
  for (const name of ['name', 'value', 'unit', 'from', 'age', 'marks', 'state'])
    parts[name] = element('span', { class: name });
  const { name, value, unit, from, age, marks, state } = parts;
  const view = { parts, row: null };
  view.button = button(
    [
      name,
      element('span', { class: 'figure' }, value, ' ', unit),
      element(
        'span',
        { class: 'source' },
        from,
        element('span', { 'aria-hidden': 'true' }, ' · '),
        age,
      ),
      marks,
      state,
    ],
    () => askRow(view.row),
    { class: 'row' },
  );
  view.item = element('li', {}, view.button);
  return view;
}

function fill(view, row, rows) {
  const { parts } = view;
  const { act, reason } = actOf(row);
  view.row = row;
  write(parts.name, nameOf(row));
  write(parts.value, row.value === null ? say('no-value') : figure(row.value));
  write(parts.unit, row.value === null ? '' : unitOf(row));
  write(parts.from, row.device.name);
  write(
    parts.age,
    row.value === null ? sayCode('absent', row.absent ?? 'not-stated') : ageLine(row),
  );
  write(parts.marks, marksOf(row, rows).join(' · '));
  write(parts.state, row.value === null ? '' : stateWords({ act, reason }));
  view.button.dataset.act = row.value === null ? 'absent' : act;
  view.button.dataset.present = isPresent(row);
  view.button.dataset.parameter = row.parameter;
  view.button.disabled = row.value === null || act === 'charted';
}

async function askRow(row) {
  hold();
  const title = `${nameOf(row)} ${figure(row.value)} ${unitOf(row)}`.trim();
  const reasons = (round.settings.reject_reasons ?? []).map(({ code, words }) => ({
    words: given(words, code),
    value: { act: 'reject', reason: code },
  }));
  const { act } = actOf(row);
  const choice = await choose(title, `${row.device.name} · ${ageLine(row)}`, [
    ...(act === 'confirm'
      ? []
      : [{ words: say('take'), value: { act: 'confirm' }, class: 'main' }]),
    ...(act === 'leave' ? [] : [{ words: say('leave-out'), value: { act: 'leave' } }]),
    { heading: say('reject-because') },
    ...reasons,
  ]);
  if (choice) round.marks.set(row.observation_id, choice);
  // Looked at and left as it was: it goes on.
  if (round.marks.size === 0) round.held = false;
  refresh();
}

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
      say('disconnect.question', { device: device.name }),
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
    element('div', {}, element('span', { class: 'name' }, device.name), element('span', {}, since)),
    button(say('disconnect'), leave, { 'aria-label': `${say('disconnect')}: ${device.name}` }),
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
    element('div', { class: 'manual' }, manual),
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

/** The patient and the device, side by side, before they are connected. */
export function connectScreen(device, connect) {
  const { patient } = round;
  const isMove = Boolean(device.on);
  const elsewhere =
    device.place &&
    patient.place &&
    !patient.place.startsWith(device.place) &&
    !device.place.startsWith(patient.place);
  const from =
    isMove &&
    element(
      'div',
      { class: 'who stop' },
      element('h2', {}, say('move.from')),
      element('p', { class: 'name' }, device.on.patient_name ?? say('other-patient')),
      device.on.since &&
        element('p', {}, say('connected-since', { time: dayTime(device.on.since) })),
    );
  const act = (event) => {
    event.currentTarget.disabled = true;
    connect(device, { move: isMove });
  };
  const since = async () => {
    const time = await askMinute({
      title: say('since.title'),
      advice: say('since.advice'),
      use: say('time.use'),
    });
    if (time !== null)
      await connect(device, {
        move: isMove,
        from: time === 'now' ? null : new Date(time).toISOString(),
      });
  };
  show(
    'connect',
    element('h1', { class: 'question' }, say(isMove ? 'move.question' : 'connect.question')),
    element(
      'div',
      { class: 'who device' },
      drawing('device'),
      element(
        'div',
        {},
        element('p', { class: 'name' }, device.name),
        element('p', {}, [device.model, device.place].filter(Boolean).join(' · ')),
      ),
    ),
    from || null,
    element('h2', { class: 'to' }, say(isMove ? 'move.to' : 'connect.to')),
    who(patient, 'h3'),
    elsewhere
      ? element(
          'p',
          { class: 'warning' },
          drawing('stop'),
          say('other-place', { device: device.place, patient: patient.place }),
        )
      : null,
    device.mine === false
      ? element('p', { class: 'warning' }, drawing('stop'), say('not-mine'))
      : null,
    element(
      'div',
      { class: 'action' },
      button(say(isMove ? 'move' : 'connect'), act, { class: 'main', id: 'connect' }),
      isMove ? null : button(say('since'), since, { class: 'plain', id: 'since' }),
      button(
        say(isMove ? 'move.no' : 'cancel'),
        () => {
          round.device = null;
          patientScreen();
        },
        { class: 'plain', id: 'cancel' },
      ),
    ),
  );
}
