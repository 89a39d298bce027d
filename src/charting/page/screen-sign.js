// Confirmations of this patient that wait for a person: a student's, for another hand; one of a
// downtime, to be sent or not; a disputed one, to be withdrawn. What is shown is what was signed then, not what the devices say now.

import { perform } from './acts.js';
import { boxTime } from './clock.js';
import { button, element } from './dom.js';
import { sayRefusal, withReason } from './round.js';
import { nameOf, stateWords, unitOf } from './rows.js';
import { who } from './screen-connect.js';
import { show } from './shell.js';
import { maySign, round } from './state.js';
import { clockSeconds, clockTime, figure, given, nearTime, say } from './words.js';

const waiting = (why) => (round.patient.confirmations ?? []).filter((one) => one.why === why);

/** What waits, on the patient's screen; nothing where nothing does. */
export function waitingConfirmations() {
  const unsigned = waiting('needs-countersign');
  const own = unsigned.filter((one) => one.own);
  const others = unsigned.filter((one) => !one.own);
  const disputed = waiting('disputed');
  const held = waiting('held');
  const look = (key) => (one) =>
    button(say(key, { time: clockTime(one.at) }), () => signScreen(one), { class: 'main' });
  const section = (title, advice, buttons) =>
    element(
      'section',
      { class: 'notice' },
      element('h2', {}, title),
      advice && element('p', {}, advice),
      buttons,
    );
  return [
    own.length > 0 && section(say('to-sign.own', { n: own.length }), null, []),
    others.length > 0 &&
      section(
        say('to-sign', { n: others.length }),
        maySign() ? null : say('to-sign.not-you'),
        maySign() ? others.map(look('to-sign.look')) : [],
      ),
    held.length > 0 &&
      section(
        say('held', { n: held.length }),
        say('held.advice'),
        round.student ? [] : held.map(look('to-sign.look')),
      ),
    disputed.length > 0 &&
      section(
        say('disputed', { n: disputed.length }),
        say('disputed.advice'),
        round.student ? [] : disputed.map(look('disputed.look')),
      ),
  ];
}

const isThere = ({ value }) => value !== null && value !== undefined;
const near = (time) => nearTime(time, boxTime());

const line = (name, value, rest, act) =>
  element(
    'li',
    {},
    element(
      'span',
      { class: 'signed', 'data-act': act },
      element('span', { class: 'name' }, name),
      element('span', { class: 'value' }, value),
    ),
    element('span', {}, rest),
  );

/** A value as it was signed, with when it was measured. */
const valueLine = (row) =>
  line(
    nameOf(row),
    isThere(row) ? `${figure(row.value)} ${unitOf(row)}`.trim() : say('no-value'),
    [
      stateWords(row),
      row.measured && say('sign.measured', { time: clockSeconds(row.measured) }),
      row.device?.name ?? row.device,
    ]
      .filter(Boolean)
      .join(' · '),
    row.act,
  );

/** What was entered by hand, in the words of the site's form. */
function entryLine(entry) {
  const item = (round.settings.form ?? []).find((one) => one.parameter === entry.parameter);
  const code = entry.code ?? entry.coded?.code;
  const choice = (item?.choices ?? []).find((one) => one.code === code);
  const value = code
    ? given(choice?.words, code)
    : [figure(entry.value ?? ''), entry.unit].filter(Boolean).join(' ');
  return line(given(item?.words, entry.parameter), value, say('by-hand.done'));
}

const VIEWS = { 'needs-countersign': 'sign', held: 'held', disputed: 'disputed' };

/** What can be done with it. Nothing happens before it is touched. */
function actions(one) {
  const withdraw = (look) =>
    button(say('withdraw'), () => withdrawIt(one), { class: look, id: 'withdraw' });
  if (one.why === 'disputed') return [withdraw('main')];
  const path = `/v1/confirmations/${encodeURIComponent(one.client_id)}`;
  if (one.why === 'held')
    return [
      button(say('release'), () => sign(one, 'release', `${path}/release`), {
        class: 'main',
        id: 'release',
      }),
      withdraw(''),
    ];
  return [
    button(say('sign'), () => sign(one, 'countersign', `${path}/countersign`), {
      class: 'main',
      id: 'sign',
    }),
  ];
}

/** One confirmation, as it was signed. */
function signScreen(one) {
  const view = VIEWS[one.why];
  const leave = button(say('sign.leave'), () => round.screens.patient(), {
    class: 'plain',
    id: 'leave',
  });
  show(
    'sign',
    who(round.patient, 'p'),
    element('h1', {}, say(`${view}.title`, { time: near(one.at) })),
    element(
      'p',
      { class: 'strong' },
      say('sign.by', { name: one.by?.name ?? say('unknown'), time: near(one.stated ?? one.at) }),
    ),
    element('p', { class: 'advice' }, say(`${view}.advice`)),
    element('ul', { class: 'acts' }, (one.values ?? []).map(valueLine)),
    (one.entries ?? []).length > 0
      ? element('ul', { class: 'acts' }, one.entries.map(entryLine))
      : null,
    element('div', { class: 'action' }, actions(one), leave),
  );
}

const count = (one, act) =>
  (one.values ?? []).filter((row) => row.act === act && isThere(row)).length;

async function sign(one, kind, path) {
  const { patient } = round;
  if (round.busy) return;
  round.busy = true;
  const counts = {
    confirm: count(one, 'confirm'),
    reject: count(one, 'reject'),
    leave: count(one, 'leave'),
    entries: (one.entries ?? []).length,
  };
  const label = { patient: patient.name, at: one.at, ...counts };
  const act = await perform(kind, withReason(path), {}, label).finally(() => {
    round.busy = false;
  });
  if (round.patient !== patient) return;
  if (act.state === 'refused') {
    sayRefusal(act);
    await round.screens.reopen();
    return;
  }
  // What was marked before is still to be confirmed.
  round.isDone = round.marks.size + round.entries.size === 0;
  round.screens.done(act, counts);
}

async function withdrawIt(one) {
  const { patient } = round;
  const act = await round.screens.withdraw(one.confirmation, { patient: patient.name, at: one.at });
  if (!act || round.patient !== patient) return;
  if (act.state === 'refused') sayRefusal(act);
  await round.screens.reopen();
}
