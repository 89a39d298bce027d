// Before a patient is open: signing in, and what to scan.

import { myActs, needsLook, otherActs, unverified, waitingActs } from './acts.js';
import { cameraIsOn, hasCamera, openCamera } from './camera.js';
import { button, drawing, element, write } from './dom.js';
import { scanned } from './round.js';
import { choose, refuse, show } from './shell.js';
import { mayList, round } from './state.js';
import { birthDate, knows, say, sayCode } from './words.js';

/** Ways to scan without a scanner. */
export function otherWays() {
  const camera =
    hasCamera() &&
    button([drawing('camera'), say('camera')], startCamera, { class: 'way', id: 'camera-on' });
  return element(
    'div',
    { class: 'ways' },
    camera || null,
    button([drawing('keys'), say('type-code')], typeCode, { class: 'way', id: 'type-code' }),
  );
}

async function startCamera() {
  if (cameraIsOn()) return;
  const hint = say(round.patient ? 'scan-device' : 'scan-wristband');
  try {
    await openCamera(
      (text, symbology) => scanned(text, 'camera', symbology),
      hint,
      () => {},
    );
  } catch (error) {
    refuse(
      say('camera-refused'),
      say(error.name === 'NotAllowedError' ? 'camera-refused.advice' : 'camera-broken'),
    );
  }
}

async function typeCode() {
  const input = element('input', {
    id: 'code',
    autocomplete: 'off',
    autocapitalize: 'characters',
    spellcheck: 'false',
    enterkeyhint: 'send',
    maxlength: 400,
  });
  const field = element(
    'div',
    { class: 'field' },
    element('label', { for: 'code' }, say('type-code.label')),
    input,
  );
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    document.getElementById('code-send').click();
  });
  const asked = choose(
    say('type-code'),
    say('type-code.advice'),
    [{ words: say('type-code.send'), value: true, class: 'main' }],
    field,
  );
  document.querySelector('dialog .main').id = 'code-send';
  input.focus();
  const sent = await asked;
  const text = input.value.trim();
  if (sent && text) await scanned(text, 'typed');
}

/** What waits to be looked at, or a way to own acts. */
function acts() {
  if (needsLook()) {
    return element(
      'section',
      { class: 'notice' },
      element('h2', {}, say('waiting-acts', { n: waitingActs().length })),
      element('p', {}, say('waiting-acts.advice')),
      button(say('look'), () => round.screens.recovery(), { class: 'main' }),
    );
  }
  const n = myActs().length + otherActs().length;
  if (n === 0) return null;
  return button(say('my-acts', { n }), () => round.screens.acts(), { class: 'plain wide' });
}

/** Acts of an outage: the provider has to vouch for the person again. */
function toVerify() {
  if (unverified() === 0 || needsLook()) return null;
  return element(
    'section',
    { class: 'notice' },
    element('h2', {}, say('unverified', { n: unverified() })),
    element('p', {}, say('unverified.advice')),
    button(say('unverified.verify'), () => round.screens.verify(), {
      class: 'main',
      id: 'verify',
    }),
  );
}

const lists = () =>
  mayList()
    ? button([drawing('waits'), say('lists')], () => round.screens.lists(), {
        class: 'plain wide way',
        id: 'lists',
      })
    : null;

/** The invitation to scan a wristband. */
export function readyScreen() {
  show(
    'ready',
    element(
      'div',
      { class: 'invitation' },
      drawing('wristband'),
      element('h1', {}, say('scan-wristband')),
      element('p', {}, say('scan-wristband.advice')),
    ),
    otherWays(),
    toVerify(),
    lists(),
    acts(),
  );
}

/** A device was scanned first. */
export function deviceAloneScreen(device) {
  const on = device.on
    ? say('device-on', { patient: device.on.patient_name ?? say('other-patient') })
    : say(device.channels?.length > 0 ? 'part.several' : 'device-free');
  show(
    'device',
    element(
      'div',
      { class: 'invitation' },
      drawing('device'),
      element('h1', {}, device.name),
      element('p', {}, [device.model, device.place].filter(Boolean).join(' · ')),
      element('p', { class: 'strong' }, on),
      element('p', {}, say('device-alone.advice')),
    ),
    otherWays(),
    button(say('back'), () => round.screens.close(), { class: 'plain wide' }),
  );
}

/** Two wristbands in one round. */
export function otherPatientScreen(open, other) {
  const who = (heading, patient) =>
    element(
      'div',
      { class: 'who' },
      element('h2', {}, heading),
      element('p', { class: 'name' }, patient.name ?? say('no-name')),
      element('p', {}, [birthDate(patient.birth_date), patient.place].filter(Boolean).join(' · ')),
    );
  show(
    'other-patient',
    element(
      'div',
      { class: 'invitation stop' },
      drawing('stop'),
      element('h1', {}, say('other-patient.title')),
      element('p', {}, say('other-patient.advice')),
    ),
    who(say('other-patient.open'), open),
    who(say('other-patient.scanned'), other),
    element(
      'div',
      { class: 'choices' },
      button(
        say('other-patient.keep', { patient: open.name ?? say('no-name') }),
        () => round.screens.patient(),
        { class: 'main' },
      ),
      button(say('other-patient.change', { patient: other.name ?? say('no-name') }), () =>
        round.screens.change(other),
      ),
    ),
  );
}

/** Why somebody without a care relationship opens a patient. `null` if they do not. */
export function careReason(patient) {
  const reasons = ['emergency', 'covering', 'consultation'];
  return choose(
    say('care.title'),
    say('care.advice', { patient: patient.name ?? say('no-name') }),
    reasons.map((code) => ({ words: say(`care.${code}`), value: code })),
  );
}

/** Signing in. `persons` are the fictional ones of a box in development. */
export function signInScreen({ persons, toProvider, choosePerson, failed }) {
  const person = (one) =>
    button(
      [
        element('span', { class: 'name' }, one.name),
        element('span', {}, sayCode('role', one.role)),
      ],
      () => choosePerson(one.id),
      { class: 'person' },
    );
  show(
    'sign-in',
    element(
      'div',
      { class: 'invitation' },
      element('h1', {}, say('sign-in')),
      element('p', {}, say(persons ? 'sign-in.fictional' : 'sign-in.advice')),
    ),
    persons
      ? element('div', { class: 'choices' }, persons.map(person))
      : button(say('sign-in.provider'), toProvider, { class: 'main wide' }),
  );
  if (failed)
    refuse(say('sign-in.failed'), knows(`refused.${failed}`) ? say(`refused.${failed}`) : failed);
}

/** The box cannot be reached at all. What waits on this phone is only counted: nobody signed in. */
export function noBoxScreen(again, waiting = null) {
  show(
    'no-box',
    element(
      'div',
      { class: 'invitation stop' },
      drawing('stop'),
      element('h1', {}, say('no-answer')),
      element('p', {}, say('no-answer.advice')),
      waiting === null ? null : element('p', {}, say('no-box.itself')),
    ),
    waiting > 0
      ? element('section', { class: 'notice' }, element('p', {}, say('no-box.kept', { n: waiting })))
      : null,
    button(say('again'), again, { class: 'main wide', id: 'again' }),
  );
}

/** Says how many seconds are left before the patient is closed. */
export function leaving(seconds) {
  const node = document.getElementById('leaving');
  if (!node) return;
  node.hidden = seconds === null;
  if (seconds !== null) write(node.querySelector('span'), say('closing', { n: seconds }));
}
