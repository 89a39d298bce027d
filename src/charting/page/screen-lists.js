// What waits for a person, by device and place. No value stands in it, no patient is named, and
// nobody is opened from it: that takes a scan.

import { NoAnswer, Refused, ask } from './box.js';
import { boxTime } from './clock.js';
import { button, element, write } from './dom.js';
import { sayRefusal } from './round.js';
import { openConflict } from './screen-conflict.js';
import { show } from './shell.js';
import { round } from './state.js';
import { clockTime, nearTime, say, sayCode, spanWords } from './words.js';

const LISTS = [
  'devices-without-patient',
  'values-without-patient',
  'unconfirmed',
  'conflicts',
  'disputed',
  'recovery',
  'unverified',
];

const since = (time) => spanWords(boxTime().getTime() - Date.parse(time));
const aged = (key, time) => (time ? say(key, { age: since(time) }) : null);

/** What was disputed of one act and device is one line: it is one thing to do. */
function together(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.act, row.device]);
    const group = groups.get(key) ?? { ...row, n: 0 };
    group.n += 1;
    groups.set(key, group);
  }
  return [...groups.values()];
}

const disputedWords = ({ n, measured }) =>
  say('waits.disputed', { n, time: nearTime(measured, boxTime()) });

/** A row in words: where, what, how long. The longest wait first. */
const LINES = {
  'devices-without-patient': (row) => ({
    time: row.since,
    where: row.name ?? row.device,
    lines: [row.place, aged('waits.alone', row.since)],
  }),
  'values-without-patient': (row) => ({
    time: row.newest,
    where: row.name ?? row.device,
    lines: [row.place, aged('waits.newest', row.newest)],
  }),
  unconfirmed: (row) => ({
    time: row.last ?? row.since,
    where: row.place ?? say('no-place'),
    lines: [
      (row.devices ?? []).join(', '),
      row.last ? aged('waits.confirmed', row.last) : say('waits.never'),
      row.last ? null : aged('waits.worn', row.since),
    ],
  }),
  conflicts: (row) => ({
    time: row.from,
    where: row.name ?? row.device ?? say('no-device'),
    lines: [row.place, say(`conflict.${row.kind}`), aged('waits.began', row.from)],
    open: () => openConflict(row),
  }),
  disputed: (row) => ({
    time: row.measured,
    where: row.device ?? say('no-device'),
    lines: [row.place, disputedWords(row)],
  }),
  recovery: (row) => ({
    time: row.stated ?? row.at,
    where: row.place ?? say('no-place'),
    lines: [
      say('waits.signed', {
        n: row.values,
        hand: row.entries,
        time: nearTime(row.stated ?? row.at, boxTime()),
      }),
      row.conflicts > 0 ? say('waits.twice', { n: row.conflicts }) : null,
    ],
  }),
  unverified: (row) => ({
    time: row.at,
    where: row.by ?? say('unknown'),
    lines: [row.role && sayCode('role', row.role), aged('waits.done', row.at)],
  }),
};

function linesOf(name, rows) {
  const lines = (name === 'disputed' ? together(rows) : rows).map(LINES[name]);
  const time = (one) => (one.time ? Date.parse(one.time) : Infinity);
  return lines.sort((one, other) => time(one) - time(other));
}

async function fetchRows(name) {
  const { body } = await ask('GET', `/v1/worklists/${name}`);
  return body.rows ?? [];
}

function expected(error) {
  if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
  if (error.status !== 401) sayRefusal(error);
}

/** All lists, each with how many wait. */
export async function listsScreen() {
  round.conflict = null;
  const counts = new Map(LISTS.map((name) => [name, element('span', { class: 'n' }, '…')]));
  const time = element('p', { class: 'time', role: 'status' });
  const list = (name) =>
    button([element('span', {}, say(`list.${name}`)), counts.get(name)], () => listScreen(name), {
      class: 'list',
      'data-list': name,
    });
  show(
    'lists',
    element('h1', {}, say('lists')),
    element('p', { class: 'advice' }, say('lists.advice')),
    element('div', { class: 'choices' }, LISTS.map(list)),
    time,
    element(
      'div',
      { class: 'choices' },
      button(say('lists.fetch'), listsScreen, { id: 'fetch' }),
      button(say('back'), () => round.screens.close(), { class: 'plain', id: 'back' }),
    ),
  );
  const answers = await Promise.allSettled(LISTS.map(fetchRows));
  if (!time.isConnected) return;
  for (const [n, { value, reason }] of answers.entries()) {
    const count = counts.get(LISTS[n]);
    const told = value && String(linesOf(LISTS[n], value).length);
    write(count, told ?? say('lists.not-fetched'));
    // A box may keep fewer lists.
    if (reason?.status === 404) count.closest('button').hidden = true;
    else if (reason) expected(reason);
  }
  write(time, say('lists.as-of', { time: clockTime(boxTime()) }));
}

function item({ where, lines, open }) {
  const text = [
    element('span', { class: 'name' }, where),
    ...lines.filter(Boolean).map((line) => element('span', {}, line)),
  ];
  return element('li', open ? { class: 'opens' } : {}, open ? button(text, open) : text);
}

/** One list. */
export async function listScreen(name) {
  let rows;
  try {
    rows = await fetchRows(name);
  } catch (error) {
    expected(error);
    return;
  }
  round.conflict = null;
  const lines = linesOf(name, rows);
  show(
    'list',
    element('h1', {}, `${say(`list.${name}`)} (${lines.length})`),
    element(
      'p',
      { class: 'advice' },
      lines.length > 0 ? say(`list.${name}.advice`) : say('lists.none'),
    ),
    element('ul', { class: 'acts' }, lines.map(item)),
    element('p', { class: 'time' }, say('lists.as-of', { time: clockTime(boxTime()) })),
    button(say('back'), listsScreen, { class: 'plain wide', id: 'back' }),
  );
}
