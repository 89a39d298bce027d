// After an act: what became of it, here and on the chart.

import {
  askStates,
  discard,
  myActs,
  otherActs,
  perform,
  sendLookedAt,
  waitingActs,
} from './acts.js';
import { NoAnswer, Refused, ask } from './box.js';
import { button, drawing, element, write } from './dom.js';
import { close, goOn, patientPath, sayRefusal, withReason } from './round.js';
import { who } from './screen-connect.js';
import { choose, show, tell } from './shell.js';
import { round } from './state.js';
import { clockTime, dayTime, say, spoken } from './words.js';

const stateOf = (act) => {
  const withdrawn = act.withdrawn ? say('act.withdrawn') : null;
  if (act.state === 'refused') {
    const words = say(`refused.${act.code}`);
    return `${say('act.refused')}${words.startsWith('refused.') ? '' : ` ${words}`}`;
  }
  const isHeld = (act.held ?? act.answer?.held) === true && act.state === 'kept';
  const state = withdrawn ?? say(isHeld ? 'act.held' : `act.${act.state}`);
  return act.verified === false ? `${state} ${say('act.not-verified')}` : state;
};

const about = (act) =>
  [
    say(`kind.${act.kind}`),
    act.label.what,
    act.label.at && say('at-time', { time: clockTime(act.label.at) }),
  ]
    .filter(Boolean)
    .join(' · ');

const TITLES = { countersign: 'countersigned', release: 'released' };

let live = null;

/** A confirmation, done: kept by the box, or waiting on the phone. */
export function doneScreen(act, counts) {
  const lines = ['confirm', 'reject', 'leave', 'entries']
    .filter((what) => counts[what] > 0)
    .map((what) => element('li', {}, say(`done.${what}`, { n: counts[what] })));
  live = {
    act,
    state: element('p', { class: 'state', role: 'status' }),
    title: element('h1'),
    sign: element('div', { class: 'sign' }),
  };
  live.withdraw = button(say('withdraw'), () => withdraw(act), { id: 'withdraw' });
  refreshDone();
  show(
    'done',
    who(round.patient, 'p'),
    element('div', { class: 'invitation' }, live.sign, live.title, live.state),
    element('ul', { class: 'lines' }, lines),
    element('p', { class: 'next' }, say('done.next')),
    element(
      'div',
      { class: 'choices' },
      button(say('done.values'), goOn),
      live.withdraw,
      button(say('close-patient'), () => close(), { class: 'plain', id: 'close-patient' }),
    ),
  );
  if (act.state === 'kept') askStates().catch(noAnswer);
}

const noAnswer = (error) => {
  if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
};

/** Writes how far the confirmation is. What waited on the phone may have come through meanwhile. */
export function refreshDone() {
  if (!live) return;
  const { act } = live;
  const isThere = !['sending', 'waiting', 'refused', 'discarded'].includes(act.state);
  const isUnsigned = (act.answer?.state ?? act.state) === 'needs-countersign';
  const done = TITLES[act.kind] ?? (isUnsigned ? 'done.unsigned' : 'done');
  const title = isThere ? done : act.state === 'refused' ? 'refused' : 'not-yet';
  write(live.title, say(title, { time: clockTime(act.label.at) }));
  write(live.state, stateOf(act));
  live.sign.replaceChildren(drawing(isUnsigned ? 'waits' : isThere ? 'done' : 'stop'));
  live.withdraw.hidden =
    round.student || !act.answer?.confirmation || act.withdrawn === true;
}

/** Withdraws a confirmation, for a reason. Answers the act, or nothing if it was left. */
export async function withdrawal(confirmation, label) {
  const reason = await choose(
    say('withdraw.question'),
    say('withdraw.advice'),
    ['wrong-patient', 'wrong-values', 'wrong-time'].map((code) => ({
      words: say(`withdraw.${code}`),
      value: code,
    })),
  );
  if (!reason) return null;
  const path = `/v1/confirmations/${encodeURIComponent(confirmation)}/withdraw`;
  return perform('withdrawal', withReason(path), { reason }, label);
}

async function withdraw(act) {
  const done = await withdrawal(act.answer.confirmation, act.label);
  if (!done) return;
  if (done.state === 'refused') {
    sayRefusal(done);
    return;
  }
  act.withdrawn = true;
  refreshDone();
  tell(say('act.withdrawn'));
}

/** Own acts, newest first. */
export async function actsScreen() {
  const draw = () =>
    show(
      'acts',
      element('h1', {}, say('my-acts.title')),
      element(
        'ul',
        { class: 'acts' },
        myActs().map((act) =>
          element(
            'li',
            {},
            element('span', { class: 'name' }, act.label.patient ?? ''),
            element('span', {}, `${dayTime(act.body.stated)} · ${about(act)}`),
            element('span', { class: 'state' }, stateOf(act)),
          ),
        ),
        // From before the page was loaded: the box has them, and names nobody.
        otherActs().map((act) =>
          element(
            'li',
            {},
            element('span', {}, `${dayTime(act.at)} · ${say('kind.other')}`),
            element('span', { class: 'state' }, stateOf(act)),
          ),
        ),
      ),
      button(say('back'), () => round.screens.ready(), { class: 'plain wide' }),
    );
  draw();
  try {
    await askStates();
    draw();
  } catch (error) {
    noAnswer(error);
  }
}

/** What waits, looked at by a person before it is sent: nothing is filed twice. */
export async function recoveryScreen() {
  let isAsked = false;
  try {
    await askStates();
    isAsked = true;
  } catch (error) {
    noAnswer(error);
  }
  const acts = waitingActs();
  if (acts.length === 0) {
    tell(say('recovery.none'));
    round.screens.ready();
    return;
  }
  const line = (act) =>
    element(
      'li',
      {},
      element('span', { class: 'name' }, act.label.patient ?? ''),
      element('span', {}, `${dayTime(act.body.stated)} · ${about(act)}`),
      element('span', { class: 'state' }, say('act.waiting')),
      button(
        say('recovery.discard'),
        async () => {
          await discard(act);
          recoveryScreen();
        },
        { 'aria-label': `${say('recovery.discard')}: ${act.label.patient ?? ''} ${about(act)}` },
      ),
    );
  const sendAll = async (event) => {
    event.currentTarget.disabled = true;
    await sendLookedAt();
    actsScreen();
  };
  show(
    'recovery',
    element(
      'div',
      { class: 'invitation' },
      element('h1', {}, say('recovery.title')),
      element('p', {}, say(isAsked ? 'recovery.advice' : 'no-answer.advice')),
    ),
    element('ul', { class: 'acts' }, acts.map(line)),
    element(
      'div',
      { class: 'action' },
      isAsked
        ? button(say('recovery.send', { n: acts.length }), sendAll, {
            class: 'main',
            id: 'send-all',
          })
        : button(say('again'), () => recoveryScreen(), { class: 'main' }),
      button(say('back'), () => round.screens.ready(), { class: 'plain' }),
    ),
  );
}

/** The box's printable sheet, in a frame where nothing of it can run. */
export async function sheetScreen() {
  let html;
  try {
    ({ body: html } = await ask('GET', patientPath('/sheet', { lang: spoken() }), undefined, {
      text: true,
    }));
  } catch (error) {
    noAnswer(error);
    sayRefusal(error);
    return;
  }
  const frame = element('iframe', {
    title: say('sheet'),
    sandbox: 'allow-same-origin allow-modals',
  });
  frame.srcdoc = html;
  show(
    'sheet',
    element('h1', {}, say('sheet')),
    frame,
    element(
      'div',
      { class: 'action' },
      button(say('print'), () => frame.contentWindow.print(), { class: 'main' }),
      button(say('back'), () => round.screens.patient(), { class: 'plain' }),
    ),
  );
}
