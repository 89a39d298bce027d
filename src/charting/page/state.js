// What is going on at the bedside, and what follows from it without anything being done.

import { ageNow, passed } from './clock.js';

/** One patient, opened by scan, with devices, set, marks and entries; how far the person is. */
export const round = {
  settings: null,
  person: null,
  student: false,
  patient: null,
  devices: [],
  device: null,
  conflict: null,
  set: null,
  askedAt: 0,
  doubted: false,
  held: false,
  marks: new Map(),
  entries: new Map(),
  asOf: null,
  asOfReason: null,
  flow: crypto.randomUUID(),
  isDone: false,
  isPressed: false,
  busy: false,
  touchedAt: passed(),
  touchedWall: Date.now(),
  touchedBox: null,
  screens: {},
};

const SIGNS = ['registered-nurse', 'midwife', 'doctor'];
const LISTS = [...SIGNS, 'practical-nurse', 'biomedical-engineer', 'administrator'];
const is = (roles) => !round.student && roles.includes(round.person?.role);

/** Whether the person signs for a student, and decides conflicts. The box has the last word. */
export const maySign = () => is(SIGNS);

/** Whether the person sees what waits on the ward. */
export const mayList = () => is(LISTS);

const presentMs = () => (round.settings.periodic_present_seconds ?? 10) * 1000;

/** Whether a row's figure may be shown as what is so now. */
export function isPresent(row) {
  if (round.asOf || round.doubted || row.value === null || !row.fresh) return false;
  return row.kind !== 'periodic' || ageNow(row, round.askedAt) <= presentMs();
}

/** Whether the set as a whole may be called what is so now. */
export const isNow = () =>
  Boolean(round.set) &&
  !round.asOf &&
  !round.held &&
  !round.doubted &&
  passed() - round.askedAt <= presentMs() &&
  round.set.rows.some(isPresent);

/** What becomes of a row when the set is confirmed. */
export function actOf(row) {
  if (row.charted) return { act: 'charted' };
  if (!isOffered(row)) return { act: 'core' };
  if (row.value === null) return { act: 'leave' };
  return round.marks.get(row.observation_id) ?? { act: row.fresh ? 'confirm' : 'leave' };
}

/** Whether a row is offered for signing: not on the chart yet, and not the core's to confirm now. */
export const isOffered = (row) => !row.charted && (row.signed_here ?? row.owner !== 'core');

/** Whether what is entered by hand is signed here, and not in the core's own app. */
export const takesEntries = () => round.set?.entries?.signed_here !== false;

// Signed, and not on the chart.
const WAITS = { 'needs-countersign': 'unsigned', held: 'held' };

/** How many of each. */
export function tally() {
  const count = { confirm: 0, leave: 0, reject: 0, charted: 0, unsigned: 0, held: 0, core: 0 };
  for (const row of round.set?.rows ?? []) {
    if (row.value === null) continue;
    count[WAITS[row.charted] ?? actOf(row).act] += 1;
  }
  return { ...count, entries: takesEntries() ? round.entries.size : 0 };
}
