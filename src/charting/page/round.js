// The round at the bedside: one patient, opened by scan, with what is connected and what it says.
// Does what a scan or a touch asks for; the screens show it. What a code is, the box says.

import { onActs, perform } from './acts.js';
import { NoAnswer, Refused, ask } from './box.js';
import { cameraHint, closeCamera } from './camera.js';
import { boxTime, onDoubt, onTick, passed } from './clock.js';
import { clearRefusal, leaveQuestions, refuse, shown, tell } from './shell.js';
import { actOf, isOffered, round, takesEntries, tally } from './state.js';
import { deviceName, say } from './words.js';

// While a set of now is shown and nobody has begun to work on it, it is fetched again so often.
const AGAIN_MS = 3000;
const WARN_MS = 20_000;

let patientReason = null;
let scans = Promise.resolve();

const path = (ref, rest = '', query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value);
  const tail = given.length > 0 ? `?${new URLSearchParams(given)}` : '';
  return `/v1/patients/${encodeURIComponent(ref)}${rest}${tail}`;
};

/** A route of an act on the open patient: why they were opened goes with it. */
export const withReason = (route) =>
  patientReason ? `${route}?${new URLSearchParams({ reason: patientReason })}` : route;

/** The address of something of the open patient. */
export const patientPath = (rest, query) =>
  path(round.patient.ref, rest, { ...query, reason: patientReason });

/** Says what was refused, in the page's own words. */
export function sayRefusal(error, values = {}) {
  if (error instanceof NoAnswer) return refuse(say('no-answer'), say('no-answer.advice'));
  const { code } = error;
  const known = say(`refused.${code}`, values);
  const isKnown = known !== `refused.${code}`;
  const advice = say(`refused.${code}.advice`, values);
  return refuse(
    isKnown ? known : say('refused'),
    isKnown && !advice.startsWith('refused.') ? advice : isKnown ? '' : code,
  );
}

async function tried(work, values) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
    if (error.status !== 401) sayRefusal(error, values);
    return null;
  }
}

/** Somebody is there. */
export function touched() {
  round.touchedAt = passed();
  round.touchedWall = Date.now();
  round.touchedBox = boxTime().getTime();
}

/** A scan. One after the other: two quick ones are two. */
export function scanned(text, method, symbology) {
  touched();
  scans = scans.then(() => readScan(text, method, symbology));
  return scans;
}

async function readScan(text, method, symbology) {
  if (!round.person || round.busy) return;
  clearRefusal();
  if (method === 'wedge' && round.screens.testLabel(text)) return;
  if (round.isDone) round.flow = crypto.randomUUID();
  const scanner =
    method === 'wedge' ? round.screens.scanner() : { layout: 'proven', separators: 'proven' };
  const body = { text, method, flow: round.flow, scanner, ...(symbology && { symbology }) };
  const answer = await tried(() => ask('POST', '/v1/scan', body));
  if (!answer) return;
  leaveQuestions();
  const { kind, patient, device } = answer.body;
  if (round.conflict) {
    if (kind === 'patient') await round.screens.conflictPatient(patient);
    else if (kind === 'device') round.screens.conflictDevice(device);
  } else if (kind === 'patient') await patientScanned(patient);
  else if (kind === 'device') await deviceScanned(device);
}

function newFlow() {
  round.flow = crypto.randomUUID();
  round.isDone = false;
}

async function patientScanned(patient) {
  const open = round.patient;
  if (open && open.ref !== patient.ref && !round.isDone) {
    round.screens.otherPatient(open, patient);
    return;
  }
  if (open?.ref === patient.ref) {
    tell(say('same-patient'));
    await fetchSet();
    return;
  }
  const { device } = round;
  await openPatient(patient);
  if (device && round.patient) await deviceScanned(device);
}

/** Opens a patient. Closes the one before. */
export async function openPatient(patient, reason = null) {
  forget();
  round.isDone = false;
  patientReason = reason;
  try {
    const { body } = await ask('GET', path(patient.ref, '', { reason }));
    round.patient = { ...patient, ...body.patient, ...(body.ref && body) };
    round.devices = body.devices ?? [];
  } catch (error) {
    if (error instanceof Refused && error.code === 'care-relationship') {
      const stated = await round.screens.careReason(patient);
      if (stated) await openPatient(patient, stated);
      else round.screens.ready();
      return;
    }
    await tried(() => {
      throw error;
    });
    return;
  }
  cameraHint(say('scan-device'));
  await fetchSet();
  round.screens.patient();
}

async function deviceScanned(device) {
  round.isDone = false;
  round.device = device;
  if (!round.patient) {
    round.screens.deviceAlone(device);
    return;
  }
  if (device.analyser) {
    round.device = null;
    sayRefusal({ code: 'analyser' });
    return;
  }
  if (device.channels?.length > 0 && !device.channel) {
    closeCamera();
    round.screens.part(device);
    return;
  }
  if (device.on?.patient_ref === round.patient.ref) {
    round.device = null;
    closeCamera();
    perform(
      'seen',
      `/v1/associations/${encodeURIComponent(device.on.association)}/seen`,
      {},
      { what: deviceName(device) },
    );
    tell(say('already-connected', { device: deviceName(device) }));
    await fetchSet();
    round.screens.patient();
    return;
  }
  closeCamera();
  round.screens.connect(device);
}

/** Who has a part of a device now: by itself, or with the whole device. */
export const onPart = (device, channel) => device.on_channels?.[channel] ?? device.on ?? null;

/** The part of the scanned device that is on the open patient. */
export const partChosen = (device, channel) =>
  deviceScanned({ ...device, channel, on: onPart(device, channel) });

/** Connects the scanned device to the open patient: from now, or since `from`; `move` takes it from another. */
export async function connect(device, { move = false, from = null } = {}) {
  if (round.busy) return;
  round.busy = true;
  const body = {
    patient: round.patient.ref,
    device: device.id,
    ...(device.channel && { channel: device.channel }),
    scanned: { patient: true, device: true },
    ...(move && { move }),
    ...(from && { from }),
  };
  const label = { patient: round.patient.name, what: deviceName(device) };
  const act = await perform('association', withReason('/v1/associations'), body, label).finally(
    () => {
      round.busy = false;
    },
  );
  if (act.state === 'refused' && act.code === 'device-on-other-patient' && !move) {
    round.screens.connect({ ...device, on: { ...act.details, since: act.details.since } });
    return;
  }
  // Its parts were set up since it was scanned.
  if (act.state === 'refused' && act.code === 'channel-needed' && act.details.channels) {
    sayRefusal(act);
    round.screens.part({ ...device, channel: null, channels: act.details.channels });
    return;
  }
  round.device = null;
  if (act.state === 'refused') sayRefusal(act, { device: deviceName(device) });
  if (act.state === 'kept') tell(say('connected', { device: deviceName(device) }));
  await reopen();
}

/** Ends an association. */
export async function end(device, reason) {
  const label = { patient: round.patient.name, what: deviceName(device) };
  const act = await perform(
    'end',
    `/v1/associations/${encodeURIComponent(device.association)}/end`,
    { reason },
    label,
  );
  if (act.state === 'refused') sayRefusal(act);
  else tell(say('disconnected', { device: deviceName(device) }));
  await reopen();
}

/** The patient's devices and set anew, and what waits. Marks and entries stay. */
export async function reopen() {
  const { patient } = round;
  await tried(async () => {
    const { body } = await ask('GET', path(patient.ref, '', { reason: patientReason }));
    if (round.patient !== patient) return;
    round.devices = body.devices ?? [];
    patient.confirmations = body.confirmations;
  });
  await fetchSet();
  if (round.patient === patient) round.screens.patient();
}

/** Fetches the set: of now, or of the chosen time. Answers whether it came. */
export async function fetchSet({ quiet = false } = {}) {
  const { patient, asOf } = round;
  if (!patient) return false;
  const work = () => ask('GET', path(patient.ref, '/values', { at: asOf, reason: patientReason }));
  try {
    const { body, askedAt } = quiet ? await work() : ((await tried(work)) ?? {});
    if (!body || round.patient !== patient || round.asOf !== asOf) return false;
    // A set that came by itself does not change under a finger, nor what is being worked on.
    if (
      round.askedAt > askedAt ||
      (quiet && !round.doubted && (round.isPressed || round.held || round.busy))
    )
      return false;
    if (sleptPast(body.now)) {
      close('idle');
      return false;
    }
    Object.assign(round, { set: body, askedAt, held: false, doubted: isHidden() });
    const still = new Set(body.rows.map((row) => row.observation_id));
    const gone = [...round.marks.keys()].filter((id) => !still.has(id));
    for (const id of gone) round.marks.delete(id);
    if (gone.length > 0) refuse(say('marks-gone', { n: gone.length }), say('marks-gone.advice'));
    round.screens.refresh();
    return true;
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
    return false;
  }
}

/** By the box's time too much has passed since the last touch: the phone slept. */
const sleptPast = (now) =>
  round.touchedBox !== null && Date.parse(now) - round.touchedBox > idleMs() + 2 * AGAIN_MS;

/** The set is being worked on: it stays as it is shown. */
export function hold() {
  round.held = true;
  round.screens.refresh();
}

/** Back to the values after an act: anew, and of now. */
export async function goOn() {
  newFlow();
  round.screens.patient();
  // What waits for a person may be another now.
  if (round.student || round.patient.confirmations?.length > 0) await reopen();
  else await fetchSet();
}

/** Another time, or now (`null`). */
export async function chooseTime(at, reason) {
  round.asOf = at;
  round.asOfReason = reason;
  round.askedAt = 0;
  round.set = null;
  await fetchSet();
  round.screens.patient();
}

const isHidden = () => document.visibilityState === 'hidden';

/** Confirms what is shown. One touch, one confirmation. */
export async function confirm() {
  const { set, patient } = round;
  if (round.busy || !set) return;
  round.busy = true;
  round.screens.refresh();
  const body = {
    patient: patient.ref,
    at: set.at,
    version: set.version,
    // Every value that was shown; what is not offered here is left as it is.
    values: set.rows.map((row) => ({
      observation_id: row.observation_id,
      ...(isOffered(row) ? actOf(row) : { act: 'leave' }),
    })),
    entries: takesEntries() ? [...round.entries.values()].map(({ body: entry }) => entry) : [],
    ...(round.asOfReason && { reason: round.asOfReason }),
  };
  const counts = tally();
  const act = await perform('confirmation', withReason('/v1/confirmations'), body, {
    patient: patient.name,
    at: set.at,
    ...counts,
  }).finally(() => {
    round.busy = false;
  });
  if (round.patient !== patient) return;
  if (act.state === 'refused') {
    sayRefusal(act);
    await fetchSet();
    round.screens.patient();
    return;
  }
  // What was shown is done with: another act needs another set.
  Object.assign(round, {
    isDone: true,
    set: null,
    askedAt: 0,
    held: false,
    asOf: null,
    asOfReason: null,
  });
  round.entries.clear();
  round.marks.clear();
  round.screens.done(act, counts);
}

function forget() {
  Object.assign(round, {
    patient: null,
    devices: [],
    device: null,
    conflict: null,
    set: null,
    askedAt: 0,
    doubted: false,
    held: false,
    asOf: null,
    asOfReason: null,
  });
  round.marks.clear();
  round.entries.clear();
  clearRefusal();
  leaveQuestions();
}

/** Closes the patient. */
export function close(why) {
  const lost = round.isDone ? 0 : round.marks.size + round.entries.size;
  const had = isOpen();
  forget();
  newFlow();
  closeCamera();
  round.screens.ready();
  if (why === 'idle' && had) {
    refuse(
      say('closed-idle', { n: round.settings.idle_seconds ?? 120 }),
      lost > 0 ? say('closed-lost', { n: lost }) : '',
    );
  }
}

const idleMs = () => (round.settings?.idle_seconds ?? 120) * 1000;

/** Milliseconds since somebody was there: the larger of two clocks, for one may sleep. */
const idleFor = () => Math.max(passed() - round.touchedAt, Date.now() - round.touchedWall);

/** Whether something is open that names a patient. */
const isOpen = () => Boolean(round.patient ?? round.device ?? round.conflict);

function look() {
  if (!isOpen()) return;
  const left = idleMs() - idleFor();
  if (left <= 0) {
    close('idle');
    return;
  }
  round.screens.leaving(left < WARN_MS ? Math.ceil(left / 1000) : null);
  round.screens.refresh();
  const isIdle =
    shown() === 'patient' && !round.held && !round.asOf && !round.busy && !round.isPressed;
  if (isIdle && !isHidden() && passed() - round.askedAt > AGAIN_MS) fetchSet({ quiet: true });
}

/** Begins. */
export function watchRound() {
  onTick(look);
  onDoubt(() => {
    if (!round.patient) return;
    if (idleFor() > idleMs()) {
      close('idle');
      return;
    }
    round.doubted = true;
    round.screens.refresh();
    // Hidden, it stays doubted: what is on the glass when the phone wakes says so already.
    if (!isHidden()) fetchSet({ quiet: true });
  });
  onActs(() => round.screens.actsChanged());
  const press = (pressed) => () => {
    round.isPressed = pressed;
    touched();
  };
  document.addEventListener('pointerdown', press(true), { capture: true });
  document.addEventListener('pointerup', press(false), { capture: true });
  document.addEventListener('pointercancel', press(false), { capture: true });
  document.addEventListener('keydown', touched, { capture: true });
}
