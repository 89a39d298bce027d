// Acts: what a person did. Each is on the phone's shelf before it is sent and until the box has
// answered, has a client id that makes it the same act however often it is sent, and is sent in
// the order in which it was done.

import { NoAnswer, Refused, ask, onReach } from './box.js';
import { boxTime, passed, stated } from './clock.js';
import { drop, keepAct, keptActs } from './shelf.js';

// For so long an act is sent again by itself. Later somebody looks first: the core may have been
// told otherwise meanwhile.
const AGAIN_MS = 20_000;
const PAUSE_MS = 2500;

const MINE_MAX = 50;

const waiting = [];
const mine = [];
let told = [];
const listeners = new Set();
let sending = null;
let order = 0;

/** Calls when the state of an act has changed. */
export const onActs = (call) => listeners.add(call);

/** Acts that the box has not answered, oldest first. */
export const waitingActs = () => [...waiting];

/** Own acts since the page was opened, newest first. */
export const myActs = () => [...mine];

/** What the box has of the person's acts besides, newest first. */
export const otherActs = () => {
  const own = new Set(mine.map((act) => act.client_id));
  return told.filter((act) => !own.has(act.client_id)).reverse();
};

/** How many acts were done while nobody vouched for the person, and are not verified yet. */
export const unverified = () => told.filter((act) => act.verified === false).length;

/** Whether somebody has to look before they are sent again. */
export const needsLook = () => waiting.some((act) => act.needsLook);

function changed() {
  for (const call of listeners) call();
}

function settle(act, state, extra = {}) {
  Object.assign(act, { state, ...extra });
  const place = waiting.indexOf(act);
  if (place >= 0) waiting.splice(place, 1);
}

async function send(act) {
  try {
    const { body } = await ask('POST', act.path, act.body);
    await drop('acts', act.client_id);
    settle(act, 'kept', { answer: body });
  } catch (error) {
    if (error instanceof NoAnswer || (error instanceof Refused && error.status === 401)) {
      act.state = 'waiting';
      act.needsLook ||= passed() - act.began > AGAIN_MS;
      return;
    }
    if (!(error instanceof Refused)) throw error;
    await drop('acts', act.client_id);
    settle(act, 'refused', { code: error.code, details: error.details });
  } finally {
    changed();
  }
}

/** Sends what waits, in order, and stops at the first that is not answered. */
async function sendWaiting() {
  sending ??= (async () => {
    while (waiting.length > 0) {
      const [first] = waiting;
      await send(first);
      if (waiting[0] === first) break;
    }
  })().finally(() => {
    sending = null;
  });
  return sending;
}

/** Somebody has looked: send all of them. */
export async function sendLookedAt() {
  for (const act of waiting) Object.assign(act, { needsLook: false, began: passed() });
  await sendWaiting();
}

/**
 * Does an act. `label` is what is shown of it. Answers the act; its `state` is `kept`, `refused`
 * (with `code` and `details`) or `waiting`.
 */
export async function perform(kind, path, body, label) {
  order = Math.max(order + 1, boxTime().getTime());
  const client_id = crypto.randomUUID();
  const act = {
    client_id,
    kind,
    path,
    label,
    order,
    state: 'sending',
    began: passed(),
    body: { client_id, ...stated(), ...body },
  };
  await keepAct(act);
  waiting.push(act);
  mine.unshift(act);
  mine.length = Math.min(mine.length, MINE_MAX);
  changed();
  await sendWaiting();
  // While an earlier one is being looked at, this one waits behind it.
  if (act.state === 'sending') act.state = 'waiting';
  changed();
  return act;
}

/** Takes an act back before the box has it: it never happened. */
export async function discard(act) {
  await drop('acts', act.client_id);
  settle(act, 'discarded');
  changed();
}

/** What was left from before the page was loaded; somebody has to look. */
export async function loadActs() {
  for (const act of await keptActs()) {
    if (waiting.some((known) => known.client_id === act.client_id)) continue;
    Object.assign(act, { state: 'waiting', needsLook: true, began: passed() });
    waiting.push(act);
    mine.unshift(act);
  }
  changed();
}

/** Somebody else signs in: what the box said of the one before is nobody's business. */
export function forgetTold() {
  told = [];
}

/** Asks the box what became of own acts. What it has already is not sent again. */
export async function askStates() {
  const { body } = await ask('GET', '/v1/acts');
  told = Array.isArray(body) ? body : body.acts;
  const states = new Map(told.map((one) => [one.client_id, one]));
  for (const act of mine) {
    const found = states.get(act.client_id);
    if (!found || act.state === 'discarded') continue;
    if (waiting.includes(act)) await drop('acts', act.client_id);
    settle(act, found.state, {
      id: found.id,
      verified: found.verified,
      held: found.held,
    });
  }
  changed();
}

/** Begins to send again by itself. */
export function watchActs() {
  setInterval(() => {
    if (waiting.length === 0 || sending) return;
    for (const act of waiting) act.needsLook ||= passed() - act.began > AGAIN_MS;
    if (needsLook()) changed();
    else sendWaiting();
  }, PAUSE_MS);
  onReach(() => changed());
}
