// A spot check: one measurement of a device that is on nobody goes to the open patient, and the
// device stays free. Which measurement, a person says; none is chosen before.

import { perform } from './acts.js';
import { NoAnswer, Refused, ask } from './box.js';
import { button, element } from './dom.js';
import { reopen, sayRefusal, withReason } from './round.js';
import { nameOf, unitOf } from './rows.js';
import { deviceView, who } from './screen-connect.js';
import { inform, refuse, show } from './shell.js';
import { round } from './state.js';
import { clockSeconds, figure, say } from './words.js';

const recordOf = (row) => row.observation_id.slice(0, row.observation_id.lastIndexOf('.'));

/** Values of one record are one measurement; the newest first. */
function measurements(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (row.value === null || row.charted) continue;
    const key = recordOf(row);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].sort((one, other) =>
    other[0].measured < one[0].measured ? -1 : other[0].measured > one[0].measured ? 1 : 0,
  );
}

const valueOf = (row) =>
  element(
    'span',
    { class: 'signed' },
    element('span', {}, nameOf(row)),
    element('span', { class: 'value' }, `${figure(row.value)} ${unitOf(row)}`.trim()),
  );

/** Shows what the device has measured. */
export async function spotScreen(device) {
  const { patient } = round;
  let rows;
  try {
    const path = `/v1/devices/${encodeURIComponent(device.id)}/values`;
    ({ rows } = (await ask('GET', path)).body);
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
    if (error.status !== 401) sayRefusal(error);
    return;
  }
  if (round.patient !== patient || round.device !== device) return;
  const found = measurements(rows);
  const choice = (measurement) =>
    button(
      [
        element(
          'span',
          { class: 'name' },
          say('sign.measured', { time: clockSeconds(measurement[0].measured) }),
        ),
        ...measurement.map(valueOf),
      ],
      () => take(device, measurement),
      { class: 'part spot' },
    );
  show(
    'spot',
    element('h1', { class: 'question' }, say('spot.question')),
    deviceView(device),
    element('h2', { class: 'to' }, say('connect.to')),
    who(patient, 'h3'),
    element('p', { class: 'advice' }, say(found.length > 0 ? 'spot.advice' : 'spot.none')),
    element(
      'div',
      { class: 'choices' },
      found.map(choice),
      button(say('cancel'), () => round.screens.connect(device), { class: 'plain', id: 'cancel' }),
    ),
  );
}

async function take(device, measurement) {
  const { patient } = round;
  if (round.busy) return;
  round.busy = true;
  const body = {
    patient: patient.ref,
    device: device.id,
    values: measurement.map((row) => row.observation_id),
    scanned: { patient: true, device: true },
  };
  const label = { patient: patient.name, what: device.name };
  const act = await perform('spot-check', withReason('/v1/spot-checks'), body, label).finally(
    () => {
      round.busy = false;
    },
  );
  if (round.patient !== patient) return;
  round.device = null;
  await reopen();
  if (act.state === 'refused') sayRefusal(act, { device: device.name });
  if (act.state !== 'kept') return;
  // Said to be among the values only if it is seen there.
  if (round.set?.rows.some((row) => row.device.id === device.id))
    inform(say('spot.done'), say('spot.done.advice', { device: device.name }));
  else refuse(say('spot.not-seen'), say('spot.not-seen.advice'));
}
