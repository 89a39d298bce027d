// The page's words in three languages, and how times, dates and figures are written in them.

let table = {};
let language = 'fi';
let zone = 'Europe/Helsinki';

/** Reads the words. The phone's own language is taken where the box offers it. */
export async function loadWords() {
  table = await (await fetch('/bedside/words.json')).json();
}

/** The language that the page is in: `fi`, `sv` or `en`. */
export const spoken = () => language;

/** Chooses the language: what was chosen on this phone, else the phone's, else the site's first. */
export function chooseLanguage(offered, wished) {
  const phone = navigator.languages.map((one) => one.slice(0, 2));
  const found = [wished, ...phone].find((one) => offered.includes(one));
  language = found ?? offered[0] ?? 'fi';
  document.documentElement.lang = language;
}

/** The site's time zone: the phone's own may be wrong. */
export function chooseZone(name) {
  if (name) zone = name;
}

/** The words of a key, `{n}` filled in. An unknown key stands as it is: nothing is hidden. */
export function say(key, values = {}) {
  const words = table[key]?.[language] ?? key;
  return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Whether there are words for a key. */
export const knows = (key) => key in table;

/** The words of a code under a heading (`absent`, `quality` ...), or the code itself. */
export const sayCode = (heading, code) =>
  knows(`${heading}.${code}`) ? say(`${heading}.${code}`) : code;

/** What the box gave in three languages. */
export const given = (words, otherwise) => words?.[language] ?? words?.fi ?? words?.en ?? otherwise;

/** A value as sent. Only a plain number gets the language's decimal sign. */
export function figure(text) {
  const plain = /^[-+]?\d+\.\d+$/.test(text);
  return plain && language !== 'en' ? text.replace('.', ',') : text;
}

function parts(time, wanted) {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...wanted });
  return Object.fromEntries(format.formatToParts(time).map((part) => [part.type, part.value]));
}

const mark = () => (language === 'en' ? ':' : '.');

/** Hours and minutes in the site's zone. */
export function clockTime(time) {
  const { hour, minute } = parts(new Date(time), { hour: '2-digit', minute: '2-digit' });
  return `${hour}${mark()}${minute}`;
}

/** Hours, minutes and seconds in the site's zone. */
export function clockSeconds(time) {
  const wanted = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  const { hour, minute, second } = parts(new Date(time), wanted);
  return [hour, minute, second].join(mark());
}

/** Day and time, for what may be from another day. */
export function dayTime(time) {
  const { day, month } = parts(new Date(time), { day: 'numeric', month: 'numeric' });
  return `${Number(day)}.${Number(month)}. ${clockTime(time)}`;
}

/** The time alone for what is of today, else with its day. */
export function nearTime(time, now) {
  const day = (one) => dayTime(one).split(' ')[0];
  return day(time) === day(now) ? clockTime(time) : dayTime(time);
}

/** A birth date as it is written in Finland: 2.5.1946; from 1946-05-02 or HL7's 19460502. What is no date stays as it is. */
export function birthDate(text) {
  const [, year, month, day] = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(text ?? '') ?? [];
  if (!year) return text ?? say('unknown');
  return language === 'en' ? `${year}-${month}-${day}` : `${Number(day)}.${Number(month)}.${year}`;
}

/** A device, or the part of one that has a patient of its own. */
export const deviceName = ({ name, channel }) =>
  channel ? `${name} · ${sayCode('channel', channel)}` : name;

/** How long something has waited, to the minute, rounded up. */
export function spanWords(ms) {
  const minutes = Math.max(0, Math.ceil(ms / 60_000));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} ${say('days')} ${hours % 24} h`;
}

/** An age, rounded up: it is never less than the true one. */
export function ageWords(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.ceil(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
