// What no device measures, by the site's form. A figure of a device is never edited here: another
// figure stands beside it, as entered by hand.

import { button, element } from './dom.js';
import { choose } from './shell.js';
import { round } from './state.js';
import { figure, given, say } from './words.js';

// Up to so many steps each has its own button; a thumb is quicker than a keyboard.
const BUTTONS_MAX = 12;

/** What was entered for a parameter, as shown. */
export const entryOf = (parameter) => round.entries.get(parameter)?.words ?? say('not-entered');

function keep(item, body, words) {
  round.entries.set(item.parameter, { body: { parameter: item.parameter, ...body }, words });
}

const steps = ({ min, max, step }) => {
  const [from, to, by] = [Number(min), Number(max), Number(step ?? 1)];
  const many = Math.round((to - from) / by) + 1;
  if (!(many >= 2 && many <= BUTTONS_MAX) || by !== Math.round(by)) return null;
  return Array.from({ length: many }, (_, n) => String(from + n * by));
};

/** What is wrong with a number, or nothing. Texts are compared as numbers and kept as typed. */
function wrong(item, text) {
  if (!/^-?\d{1,7}(\.\d{1,4})?$/.test(text)) return say('entry.not-a-number');
  const value = Number(text);
  const low = item.min !== undefined && value < Number(item.min);
  const high = item.max !== undefined && value > Number(item.max);
  return low || high ? say('entry.outside', { min: item.min ?? '–', max: item.max ?? '–' }) : null;
}

function field(item, check) {
  const isNumber = item.kind === 'number';
  const note = element('p', { id: 'entry-wrong', role: 'alert', class: 'wrong' });
  const input = element('input', {
    id: 'entry',
    autocomplete: 'off',
    inputmode: isNumber ? 'decimal' : 'text',
    maxlength: isNumber ? 12 : 200,
    'aria-describedby': 'entry-wrong',
    enterkeyhint: 'done',
  });
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    check(input, note);
  });
  const label = [given(item.words, item.parameter), item.unit && `(${item.unit})`]
    .filter(Boolean)
    .join(' ');
  return {
    input,
    note,
    node: element(
      'div',
      { class: 'field' },
      element('label', { for: 'entry' }, label),
      input,
      note,
    ),
  };
}

async function enterText(item, title, clear) {
  let accept;
  const made = field(item, () => accept());
  const dialogClosed = choose(
    title,
    '',
    clear,
    element(
      'div',
      {},
      made.node,
      button(say('entry.keep'), () => accept(), { class: 'main', id: 'entry-keep' }),
    ),
  );
  const kept = new Promise((resolve) => {
    accept = () => {
      const text = made.input.value.trim().replace(',', item.kind === 'number' ? '.' : ',');
      const problem =
        item.kind === 'number' ? wrong(item, text) : text === '' ? say('entry.empty') : null;
      made.note.textContent = problem ?? '';
      if (problem) return;
      keep(
        item,
        { value: text, ...(item.unit && { unit: item.unit }) },
        [figure(text), item.unit].filter(Boolean).join(' '),
      );
      // First this, then the dialog: what comes first counts.
      resolve('kept');
      made.input.closest('dialog').dispatchEvent(new Event('given-up'));
    };
  });
  made.input.focus();
  return Promise.race([kept, dialogClosed]);
}

/** Asks for one value. Answers whether something has changed. */
export async function enter(item) {
  const title = given(item.words, item.parameter);
  const clear = round.entries.has(item.parameter)
    ? [{ words: say('entry.clear'), value: 'clear' }]
    : [];
  const range = item.kind === 'number' ? steps(item) : null;
  let choice;
  if (item.kind === 'choice') {
    choice = await choose(title, '', [
      ...item.choices.map((one) => ({
        words: given(one.words, one.code),
        value: { body: { code: one.code }, words: given(one.words, one.code) },
      })),
      ...clear,
    ]);
  } else if (range) {
    const hint = item.parameter.includes('pain') ? say('entry.pain') : '';
    choice = await choose(title, hint, [
      ...range.map((text) => ({
        words: text,
        class: 'step',
        value: { body: { value: text, ...(item.unit && { unit: item.unit }) }, words: text },
      })),
      ...clear,
    ]);
  } else {
    choice = await enterText(item, title, clear);
  }
  if (choice === 'clear') round.entries.delete(item.parameter);
  else if (choice?.body) keep(item, choice.body, choice.words);
  return choice !== null;
}
