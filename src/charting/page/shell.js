// The frame around the screens: what is shown, what is said, what was refused.

import { isReachable, onReach } from './box.js';
import { button, drawing, element, write } from './dom.js';
import { say } from './words.js';

// A second touch of a double touch must not land on the next screen.
const SETTLE_MS = 450;

// The largest part of the height that may stick to its edges.
const STUCK_MAX = 0.45;

const at = (id) => document.getElementById(id);

/** Shows a screen. Its heading gets the focus, so that it is read aloud and keys start there. */
export function show(name, ...nodes) {
  const screen = at('screen');
  screen.dataset.screen = name;
  screen.replaceChildren(...nodes.flat().filter(Boolean));
  screen.classList.add('settling');
  setTimeout(() => screen.classList.remove('settling'), SETTLE_MS);
  const heading = screen.querySelector('h1');
  heading?.setAttribute('tabindex', '-1');
  heading?.focus({ preventScroll: true });
  scrollTo(0, 0);
  loosen();
}

/** With large text on a small phone nothing may stick: it would leave no room to read. */
function loosen() {
  const screen = at('screen');
  screen.classList.remove('loose');
  const stuck = [...screen.querySelectorAll('.action, .patient')].reduce(
    (sum, node) => sum + node.offsetHeight,
    0,
  );
  screen.classList.toggle('loose', stuck > innerHeight * STUCK_MAX);
}

/** Which screen is shown. */
export const shown = () => at('screen').dataset.screen;

/** Says something in passing. */
export const tell = (words) => write(at('said'), words);

/** Takes a refusal away. */
export const clearRefusal = () => at('refusal').replaceChildren();

/** Says that something was refused, and what to do. Stays until the next act. */
export const refuse = (title, advice, ...actions) => notice('stop', title, advice, actions);

/** Says what was done. Stays until the next act. */
export const inform = (title, advice) => notice('done', title, advice, []);

function notice(sign, title, advice, actions) {
  const box = element(
    'section',
    { class: `refusal ${sign}` },
    drawing(sign),
    element(
      'div',
      {},
      element('h2', {}, title),
      advice && element('p', {}, advice),
      element(
        'div',
        { class: 'choices' },
        actions.length > 0
          ? actions
          : [button(say('understood'), clearRefusal, { class: 'plain' })],
      ),
    ),
  );
  at('refusal').replaceChildren(box);
  box.scrollIntoView({ block: 'nearest' });
}

/** A question over the screen. Answers the choice's value, or `null` if it was left. */
export function choose(title, text, choices, extra) {
  return new Promise((resolve) => {
    const dialog = element('dialog', { 'aria-labelledby': 'question' });
    const done = (value) => {
      dialog.returnValue = '';
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    dialog.append(
      element('h2', { id: 'question', tabindex: '-1' }, title),
      ...(text ? [element('p', {}, text)] : []),
      ...(extra ? [extra] : []),
      element(
        'div',
        { class: 'choices' },
        choices.map((choice) =>
          choice.heading
            ? element('h3', {}, choice.heading)
            : button(choice.words, () => done(choice.value), { class: choice.class ?? '' }),
        ),
        button(say('back'), () => done(null), { class: 'plain' }),
      ),
    );
    dialog.addEventListener('cancel', (event) => {
      event.preventDefault();
      done(null);
    });
    dialog.addEventListener('given-up', () => done(null));
    at('screen').append(dialog);
    dialog.showModal();
    // On no choice: one key must not choose.
    dialog.querySelector('h2').focus();
  });
}

/** Leaves every question unanswered. */
export function leaveQuestions() {
  for (const dialog of document.querySelectorAll('dialog[open]'))
    dialog.dispatchEvent(new Event('given-up'));
}

/** The bar above: ward, person, what can be done anywhere. */
export function bar(...nodes) {
  at('bar').replaceChildren(...nodes.flat().filter(Boolean));
}

const linkState = (reachable) => write(at('link-state'), reachable ? '' : say('offline-long'));

onReach(linkState);
addEventListener('resize', loosen);

/** The parts that are always there. */
export function frame() {
  write(at('no-alarms'), say('no-alarms'));
  linkState(isReachable());
}
