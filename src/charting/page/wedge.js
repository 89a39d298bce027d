// A scanner that types. It types key positions at a speed that no person reaches, so a burst is
// told from typing by the time between its keys; a key is held until the next one tells what it
// is. What is scanned never lands in a field, whatever has focus (facts: association 3.6).

const GAP_MS = 50;
const HOLD_MS = 90;
const UNFINISHED_MS = 200;
const CHARACTERS_MIN = 6;
const CHARACTERS_MAX = 400;

const GS = '\u001d';
// A key that types no character by itself: the keyboard has changed the code. The box refuses it.
const CHANGED = '\ufffd';

const isField = (node) =>
  node instanceof HTMLTextAreaElement ||
  (node instanceof HTMLInputElement &&
    !['button', 'checkbox', 'radio', 'range'].includes(node.type));

/** Puts characters that a person typed where they belong. */
function type(field, text) {
  if (!isField(field) || field.readOnly || field.disabled) return;
  if (field.type === 'number') field.value += text;
  else field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end');
  field.dispatchEvent(
    new InputEvent('input', { bubbles: true, data: text, inputType: 'insertText' }),
  );
}

/** Takes characters out again that turned out to be the beginning of a scan. */
function untype(field, text) {
  const end = field.selectionStart ?? field.value.length;
  if (field.value.slice(end - text.length, end) !== text) return;
  field.setRangeText('', end - text.length, end, 'end');
  field.dispatchEvent(
    new InputEvent('input', { bubbles: true, inputType: 'deleteContentBackward' }),
  );
}

/**
 * Listens for scans on the whole document. `scanned(text)` gets a finished one, `broken()` is
 * called for a burst that ended without its suffix. `prefix` and `suffix` are names of keys
 * (`Enter`, `Tab`, `F8`); without a setting there is no prefix, and Enter or Tab end a scan.
 */
export function listenToScanner({ scanned, broken, prefix, suffix }) {
  const suffixes = suffix ? [suffix] : ['Enter', 'Tab'];
  let keys = '';
  let last = 0;
  let field = null;
  let timer = 0;
  let keypad = null;
  let announced = false;
  // What was let go last: on a busy phone the next key of the same scan may come late. Its own
  // time tells.
  let letGo = null;

  const forget = () => {
    clearTimeout(timer);
    keys = '';
    field = null;
    keypad = null;
    announced = false;
  };

  /** The burst has stopped without an end. */
  const stopped = () => {
    const wasScan = announced || keys.length >= CHARACTERS_MIN;
    if (!wasScan && field) type(field, keys);
    letGo = { keys, field, announced, last, typed: !wasScan && field !== null };
    forget();
    if (wasScan) broken();
  };

  const takeUpAgain = (event) => {
    if (keys !== '' || announced || !letGo || event.timeStamp - letGo.last > GAP_MS) return;
    if (letGo.typed) untype(letGo.field, letGo.keys);
    ({ keys, field, announced, last } = letGo);
    letGo = null;
  };

  const wait = () => {
    clearTimeout(timer);
    const long = announced || keys.length >= CHARACTERS_MIN;
    timer = setTimeout(stopped, long ? UNFINISHED_MS : HOLD_MS);
  };

  const add = (text, event) => {
    if (keys === '' && !announced) field = isField(event.target) ? event.target : null;
    keys = (keys + text).slice(0, CHARACTERS_MAX + 1);
    last = event.timeStamp;
    event.preventDefault();
    event.stopPropagation();
    wait();
  };

  const swallow = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };

  const finish = (event) => {
    const isScan = announced || keys.length >= CHARACTERS_MIN;
    if (!isScan) {
      if (field) type(field, keys);
      forget();
      return;
    }
    swallow(event);
    const text = keys;
    forget();
    scanned(text);
  };

  const down = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    takeUpAgain(event);
    const running = keys !== '' || announced;
    if (running && event.timeStamp - last > UNFINISHED_MS) stopped();
    if (prefix && event.key === prefix) {
      forget();
      announced = true;
      last = event.timeStamp;
      swallow(event);
      wait();
      return;
    }
    if (event.key === 'Shift' || event.key === 'CapsLock') return;
    const quick = (keys !== '' || announced) && event.timeStamp - last <= GAP_MS;
    if (event.altKey && /^Numpad\d$/.test(event.code) && (quick || keypad !== null)) {
      keypad = (keypad ?? '') + event.code.slice(-1);
      last = event.timeStamp;
      swallow(event);
      wait();
      return;
    }
    if (['Alt', 'Control', 'AltGraph'].includes(event.key)) {
      if (quick) {
        last = event.timeStamp;
        swallow(event);
        wait();
      }
      return;
    }
    if (event.ctrlKey && event.code === 'BracketRight' && quick) {
      add(GS, event);
      return;
    }
    if (quick && suffixes.includes(event.key)) {
      finish(event);
      return;
    }
    // Keys of a person: one by one, into a field or onto a button.
    if (keys !== '' && !quick) stopped();
    if (event.ctrlKey || event.metaKey || (event.altKey && !event.getModifierState('AltGraph'))) {
      if (quick) swallow(event);
      return;
    }
    if (event.key === 'Dead' && quick) add(CHANGED, event);
    else if (event.key.length === 1 && (event.key !== ' ' || quick || isField(event.target))) {
      if (event.repeat && keys === '') return;
      add(event.key, event);
    } else if (quick) {
      // Arrows, Insert and the like from a keypad without NumLock.
      if (announced || keys.length >= CHARACTERS_MIN) swallow(event);
      else stopped();
    }
  };

  const up = (event) => {
    if (event.key !== 'Alt' || keypad === null) return;
    const code = Number(keypad);
    keypad = null;
    add(code === 29 ? GS : CHANGED, event);
  };

  document.addEventListener('keydown', down, { capture: true });
  document.addEventListener('keyup', up, { capture: true });
}
