// The rows of a set: each value as sent, how old, from where, with its marks, and what becomes of it.

import { ageNow } from './clock.js';
import { button, element, write } from './dom.js';
import { hold } from './round.js';
import { choose } from './shell.js';
import { actOf, isPresent, round } from './state.js';
import { ageWords, clockSeconds, figure, given, knows, say, sayCode } from './words.js';

/** What is measured, and on which part of the device: a mother's figure is not her child's. */
export const nameOf = (row) =>
  [given(row.words, row.parameter), row.channel && sayCode('channel', row.channel)]
    .filter(Boolean)
    .join(' · ');

/** What makes two rows the same row of two sets. */
export const keyOf = (row) =>
  JSON.stringify([row.device.id, row.channel, row.parameter, row.site, row.sub_id, row.kind]);

/** The box's order, but sources of one parameter beside each other. */
export function together(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.parameter, [...(groups.get(row.parameter) ?? []), row]);
  return [...groups.values()].flat();
}

export const unitOf = (row) => row.unit ?? row.ucum ?? '';

function marksOf(row, rows) {
  const sources = rows.filter(
    (one) =>
      one.parameter === row.parameter && one.site === row.site && one.channel === row.channel,
  );
  const several = new Set(sources.map((one) => one.device.id)).size;
  return [
    row.kind === 'setting' && say('kind.setting'),
    row.site && sayCode('site', row.site),
    several > 1 && say('several-sources', { n: several }),
    ...(row.quality ?? []).map((code) => sayCode('quality', code)),
    row.grade && !['scan', 'strong'].includes(row.grade) && sayCode('grade', row.grade),
  ].filter(Boolean);
}

/** What becomes of a value, or has become of it. */
export const stateWords = ({ act, reason, charted }) => {
  if (act === 'reject') return say('state.reject', { reason: reasonWords(reason) });
  if (knows(`state.charted.${charted}`)) return say(`state.charted.${charted}`);
  return say(`state.${act}`);
};

function reasonWords(code) {
  const found = (round.settings.reject_reasons ?? []).find((one) => one.code === code);
  return given(found?.words, code);
}

/** How old, in words: what is not of now says so, and does not rely on its colour. */
function ageLine(row) {
  if (row.value === null) return '';
  if (round.doubted) return say('age.doubted', { age: ageWords(ageNow(row, round.askedAt)) });
  const age = ageWords(ageNow(row, round.askedAt));
  if (round.asOf) return say('age.at', { time: clockSeconds(row.measured), age });
  if (isPresent(row)) return say('age', { age });
  return say('age.past', { age });
}

/** An empty row. */
export function rowView() {
  const parts = {};
  for (const name of ['name', 'value', 'unit', 'from', 'age', 'marks', 'state'])
    parts[name] = element('span', { class: name });
  const { name, value, unit, from, age, marks, state } = parts;
  const view = { parts, row: null };
  view.button = button(
    [
      name,
      element('span', { class: 'figure' }, value, ' ', unit),
      element(
        'span',
        { class: 'source' },
        from,
        element('span', { 'aria-hidden': 'true' }, ' · '),
        age,
      ),
      marks,
      state,
    ],
    () => askRow(view.row),
    { class: 'row' },
  );
  view.item = element('li', {}, view.button);
  return view;
}

/** Writes a row of a set into its view. */
export function fill(view, row, rows) {
  const { parts } = view;
  const { act, reason } = actOf(row);
  view.row = row;
  write(parts.name, nameOf(row));
  write(parts.value, row.value === null ? say('no-value') : figure(row.value));
  write(parts.unit, row.value === null ? '' : unitOf(row));
  write(parts.from, row.device.name);
  write(
    parts.age,
    row.value === null ? sayCode('absent', row.absent ?? 'not-stated') : ageLine(row),
  );
  write(parts.marks, marksOf(row, rows).join(' · '));
  write(parts.state, row.value === null ? '' : stateWords({ act, reason, charted: row.charted }));
  view.button.dataset.act = row.value === null ? 'absent' : act;
  view.button.dataset.present = isPresent(row);
  view.button.dataset.parameter = row.parameter;
  view.button.disabled = row.value === null || act === 'charted' || act === 'core';
}

async function askRow(row) {
  hold();
  const title = `${nameOf(row)} ${figure(row.value)} ${unitOf(row)}`.trim();
  const reasons = (round.settings.reject_reasons ?? []).map(({ code, words }) => ({
    words: given(words, code),
    value: { act: 'reject', reason: code },
  }));
  const { act } = actOf(row);
  const choice = await choose(title, `${row.device.name} · ${ageLine(row)}`, [
    ...(act === 'confirm'
      ? []
      : [{ words: say('take'), value: { act: 'confirm' }, class: 'main' }]),
    ...(act === 'leave' ? [] : [{ words: say('leave-out'), value: { act: 'leave' } }]),
    { heading: say('reject-because') },
    ...reasons,
  ]);
  if (choice) round.marks.set(row.observation_id, choice);
  // Looked at and left as it was: it goes on.
  if (round.marks.size === 0) round.held = false;
  round.screens.refresh();
}
