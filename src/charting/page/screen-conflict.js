// A conflict: who says what of a device, and since when. A person decides, at the device, by a scan
// or by choosing, and says why. Nothing is chosen before.

import { perform } from './acts.js';
import { boxTime } from './clock.js';
import { button, drawing, element } from './dom.js';
import { sayRefusal, touched } from './round.js';
import { choose, clearRefusal, inform, refuse, show } from './shell.js';
import { maySign, round } from './state.js';
import { given, knows, nearTime, say, sayCode } from './words.js';

const REASONS = ['seen', 'not-scanned', 'wrong-scan', 'late-register'];
const CHARTED_REASONS = ['core-right', 'page-right'];

const deviceOf = (conflict) => conflict.name ?? conflict.device ?? say('no-device');

/** What a claim says, in a sentence. */
function sentence(claim) {
  const key = `says.${claim.says}`;
  return say(knows(key) ? key : 'says.other', {
    patient: claim.patient_name ?? say('hidden-patient'),
    place: claim.place ?? say('no-place'),
    parameter: claim.parameter,
    fate: sayCode('fate', claim.fate),
  });
}

// Where the administration or a device says something of a patient, only the connection can be
// upheld; that it is over is said by disconnecting. Two plugs are told apart by medical engineering.
const UPHELD = ['administrative-end', 'other-patient-in-place', 'not-entitled'];

function isChoice(claim) {
  const { kind } = round.conflict;
  if (kind === 'seen-twice') return false;
  return !UPHELD.includes(kind) || ['associated', 'spot-check'].includes(claim.says);
}

function advice(kind) {
  if (!maySign()) return say('conflict.not-you');
  if (kind === 'seen-twice') return say('conflict.seen-twice.advice');
  return say(UPHELD.includes(kind) ? 'conflict.uphold' : 'conflict.decide');
}

/** What contradicts what: as the box says it; of a value that was filed twice, by whom. */
function claimsOf(conflict) {
  if (conflict.kind !== 'charted-twice') return conflict.claims ?? [];
  const parameter = given(conflict.words, conflict.parameter);
  const claim = { says: 'charted', parameter, patient_ref: conflict.patient_ref };
  return [
    { ...claim, entry: 'core', by: 'core', fate: conflict.core, stated: conflict.core_at },
    { ...claim, entry: 'box', by: 'page', fate: conflict.box },
  ];
}

/** Since when; and when it was said, where that was another minute. */
function times({ from, until, stated }) {
  const words = (key, time) => time && say(key, { time: nearTime(time, boxTime()) });
  const isLater = stated && (!from || Date.parse(stated) - Date.parse(from) >= 60_000);
  return [
    words('says.from', from),
    words('says.until', until),
    isLater ? words('says.stated', stated) : null,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** What one of them says, by whom, since when; and a way to say that it is right. */
function claimView(claim, isScanned) {
  const by = [sayCode('by', claim.by), claim.person].filter(Boolean).join(' · ');
  const words = sentence(claim);
  return element(
    'li',
    { class: 'who claim' },
    element('h3', {}, by),
    element('p', { class: 'strong' }, words),
    claim.says === 'associated' && claim.place ? element('p', {}, claim.place) : null,
    element('p', {}, times(claim)),
    isScanned ? element('p', { class: 'scanned' }, drawing('wristband'), say('conflict.scanned')) : null,
    maySign() && isChoice(claim)
      ? button(say('conflict.holds'), () => decide(claim), {
          'aria-label': `${say('conflict.holds')}: ${by}, ${words}`,
        })
      : null,
  );
}

/** Opens a conflict from its list. */
export function openConflict(conflict) {
  round.conflict = conflict;
  clearRefusal();
  touched();
  draw();
}

function draw(scanned = null) {
  const { conflict } = round;
  const claims = claimsOf(conflict);
  show(
    'conflict',
    element('h1', {}, say(`conflict.${conflict.kind}`)),
    element(
      'div',
      { class: 'who device' },
      drawing('device'),
      element(
        'div',
        {},
        element('p', { class: 'name' }, deviceOf(conflict)),
        conflict.place ? element('p', {}, conflict.place) : null,
      ),
    ),
    element('p', { class: 'strong' }, say(`conflict.${conflict.kind}.now`)),
    element('h2', {}, say('conflict.who-says')),
    claims.length > 0
      ? element(
          'ul',
          { class: 'acts' },
          claims.map((claim) => claimView(claim, claim.patient_ref === scanned)),
        )
      : element('p', {}, say('conflict.no-claims')),
    element('p', { class: 'next' }, advice(conflict.kind)),
    round.screens.otherWays(),
    button(say('back'), () => round.screens.list('conflicts'), { class: 'plain wide', id: 'back' }),
  );
}

/** A wristband while a conflict is open: it says which claim is right, and a person says why. */
export async function conflictPatient(patient) {
  const claims = claimsOf(round.conflict).filter((one) => one.patient_ref === patient.ref);
  if (claims.length === 0) {
    refuse(say('conflict.none'), say('conflict.none.advice'));
    return;
  }
  draw(patient.ref);
  if (claims.length > 1) refuse(say('conflict.several'), say('conflict.several.advice'));
  else if (maySign() && isChoice(claims[0])) await decide(claims[0]);
}

/** A device while a conflict is open: whether it is the one. */
export function conflictDevice(device) {
  const { conflict } = round;
  if (device.id === conflict.device) inform(say('conflict.this-device'), '');
  else
    refuse(
      say('conflict.other-device'),
      say('conflict.other-device.advice', { device: deviceOf(conflict) }),
    );
}

async function decide(claim) {
  const { conflict } = round;
  if (round.busy || !conflict) return;
  const words = sentence(claim);
  const reasons = claim.says === 'charted' ? CHARTED_REASONS : REASONS;
  const reason = await choose(
    say('conflict.why'),
    say('conflict.why.advice', { claim: words }),
    reasons.map((code) => ({ words: say(`decide.${code}`), value: code })),
  );
  if (!reason || round.conflict !== conflict || round.busy) return;
  round.busy = true;
  const act = await perform(
    'decision',
    `/v1/conflicts/${encodeURIComponent(conflict.id)}/decide`,
    { holds: claim.entry, reason },
    { what: deviceOf(conflict) },
  ).finally(() => {
    round.busy = false;
  });
  if (round.conflict !== conflict) return;
  await round.screens.list('conflicts');
  if (round.conflict === conflict) round.screens.close();
  if (act.state === 'refused') sayRefusal(act);
  else if (act.state === 'waiting') refuse(say('kind.decision'), say('act.waiting'));
  else inform(say('conflict.decided'), say('conflict.decided.advice', { claim: words }));
}
