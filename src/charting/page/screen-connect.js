// Who a patient is, and patient and device side by side.

import { button, drawing, element } from './dom.js';
import { onPart, partChosen } from './round.js';
import { askMinute } from './screen-time.js';
import { show } from './shell.js';
import { round } from './state.js';
import { birthDate, dayTime, deviceName, say, sayCode } from './words.js';

/** A name, or that there is none: a patient whom the register does not know yet. */
const nameOfPatient = (patient) => patient.name ?? say('no-name');

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

/** A device, as it is named before anything is done with it. */
export const deviceView = (device) =>
  element(
    'div',
    { class: 'who device' },
    drawing('device'),
    element(
      'div',
      {},
      element('p', { class: 'name' }, deviceName(device)),
      element('p', {}, [device.model, device.place].filter(Boolean).join(' · ')),
    ),
  );

function partWords(device, channel) {
  const on = onPart(device, channel);
  if (on?.patient_ref === round.patient.ref) return say('part.here');
  if (on) return say('part.other', { patient: on.patient_name ?? say('other-patient') });
  return '';
}

/** A device that measures several patients: which part of it. None is chosen before. */
export function partScreen(device) {
  const part = (channel) =>
    button(
      [
        element('span', { class: 'name' }, sayCode('channel', channel)),
        element('span', {}, partWords(device, channel)),
      ],
      () => partChosen(device, channel),
      { class: 'part', 'data-channel': channel },
    );
  show(
    'part',
    element('h1', { class: 'question' }, say('part.question')),
    deviceView(device),
    element('h2', { class: 'to' }, say('connect.to')),
    who(round.patient, 'h3'),
    element('p', { class: 'advice' }, say('part.advice')),
    element(
      'div',
      { class: 'choices' },
      device.channels.map(part),
      button(
        say('cancel'),
        () => {
          round.device = null;
          round.screens.patient();
        },
        { class: 'plain', id: 'cancel' },
      ),
    ),
  );
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
    deviceView(device),
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
      // Of a device that is on somebody, or of several patients, a measurement is nobody else's.
      isMove || device.channels
        ? null
        : button(say('spot'), () => round.screens.spot(device), { class: 'plain', id: 'spot' }),
      button(
        say(isMove ? 'move.no' : 'cancel'),
        () => {
          round.device = null;
          round.screens.patient();
        },
        { class: 'plain', id: 'cancel' },
      ),
    ),
  );
}
