// The page begins here: what the box is, who is signed in, and how scans come in.

import {
  askStates,
  forgetTold,
  loadActs,
  needsLook,
  unverified,
  waitingActs,
  watchActs,
} from './acts.js';
import { NoAnswer, Refused, ask, onSignedOut } from './box.js';
import { watchClock } from './clock.js';
import { button, element } from './dom.js';
import { keepPage } from './keep.js';
import { close, connect, openPatient, reopen, scanned, touched, watchRound } from './round.js';
import { conflictDevice, conflictPatient } from './screen-conflict.js';
import { connectScreen, partScreen } from './screen-connect.js';
import {
  actsScreen,
  doneScreen,
  recoveryScreen,
  refreshDone,
  sheetScreen,
  withdrawal,
} from './screen-done.js';
import { listScreen, listsScreen } from './screen-lists.js';
import { patientScreen, refresh } from './screen-patient.js';
import {
  careReason,
  deviceAloneScreen,
  leaving,
  noBoxScreen,
  otherPatientScreen,
  otherWays,
  readyScreen,
  signInScreen,
} from './screen-ready.js';
import { spotScreen } from './screen-spot.js';
import { bar, clearRefusal, frame, inform, refuse, show, shown, tell } from './shell.js';
import { round } from './state.js';
import {
  fictionalPersons,
  fictionalToken,
  forgetSession,
  fromProvider,
  goToProvider,
  keptSession,
  signOut,
  vouchedSession,
} from './sign-in.js';
import { chooseLanguage, chooseZone, dayTime, loadWords, say, spoken } from './words.js';
import { listenToScanner } from './wedge.js';

const LANGUAGES = { fi: 'Suomi', sv: 'Svenska', en: 'English' };

// While the box does not answer it is asked again so often.
const AGAIN_MS = 5000;

const remembered = (name) => localStorage.getItem(name);

/** What this phone's scanner has shown with the test labels. */
const scannerState = () => ({
  layout: remembered('layout') === 'proven' ? 'proven' : 'unproven',
  separators: remembered('separators') === 'proven' ? 'proven' : 'unproven',
});

/** A test label? Then what it shows is kept, and nothing is sent. */
function testLabel(text) {
  const { layout_label: label } = round.settings;
  if (!label) return false;
  const begins = (wanted) =>
    wanted && text.slice(0, 2) === wanted.slice(0, 2) && text.length >= wanted.length - 3;
  const isLayout = begins(label.text) && /[^0-9A-Za-z.]/.test(text);
  const isSeparators =
    label.separators_text !== undefined &&
    text.replaceAll('\u001d', '') === label.separators_text.replaceAll('\u001d', '');
  if (!isLayout && !isSeparators) return false;
  const isGood = text === (isLayout ? label.text : label.separators_text);
  localStorage.setItem(isLayout ? 'layout' : 'separators', isGood ? 'proven' : 'unproven');
  if (isGood) tell(say('label-good'));
  refuse(
    say(isGood ? 'label-good' : 'label-bad'),
    say(isGood ? 'label-good.advice' : 'label-bad.advice'),
  );
  return true;
}

function topBar() {
  const { settings, person } = round;
  const language = element(
    'select',
    {
      'aria-label': say('language'),
      onchange: (event) => {
        localStorage.setItem('language', event.target.value);
        chooseLanguage(settings.languages, event.target.value);
        frame();
        topBar();
        const [name] = [shown()];
        if (name === 'patient') patientScreen();
        else if (person) goReady();
        else signIn();
      },
    },
    settings.languages.map((one) =>
      element(
        'option',
        { value: one, lang: one, selected: one === spoken() },
        LANGUAGES[one] ?? one,
      ),
    ),
  );
  const place = [settings.site, settings.ward].filter(Boolean).join(' · ');
  bar(
    element(
      'div',
      { class: 'place' },
      element('span', { class: 'ward' }, place),
      person ? element('span', {}, `${person.name}`) : null,
      settings.development ? element('span', { class: 'fictional' }, say('fictional')) : null,
    ),
    element(
      'div',
      { class: 'tools' },
      language,
      person ? button(say('sign-out'), leave, { class: 'plain', id: 'sign-out' }) : null,
    ),
  );
}

async function leave() {
  close();
  round.person = null;
  await signOut().catch(expected);
  topBar();
  signIn();
}

function expected(error) {
  if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
}

// The session itself is good, but the provider has to vouch for it again.
const UNVERIFIED = 'token-session-unverified';

/** The box takes nothing from this session now. Acts stay on the shelf. */
function signedOut(code) {
  if (!round.person) return;
  if (round.patient) close();
  round.person = null;
  if (code !== UNVERIFIED) forgetSession();
  topBar();
  signIn(code === UNVERIFIED ? 'session-unverified' : 'session-ended');
}

async function signIn(failed) {
  const { settings } = round;
  let persons = null;
  if (settings.development) {
    try {
      persons = await fictionalPersons();
    } catch (error) {
      expected(error);
      noBoxScreen(() => signIn(failed));
      return;
    }
  }
  const enter = async (token) => {
    try {
      signedIn(await vouchedSession(await token));
    } catch (error) {
      expected(error);
      signIn(error instanceof NoAnswer ? 'identity-unavailable' : error.code);
    }
  };
  signInScreen({
    persons,
    failed,
    toProvider: () => goToProvider(settings),
    choosePerson: (id) => enter(fictionalToken(id)),
  });
}

function signedIn(session) {
  round.person = session.person;
  round.student = session.student === true;
  clearRefusal();
  forgetTold();
  topBar();
  if (needsLook()) recoveryScreen();
  else goReady();
  const since = session.verified?.unverified_since;
  if (since) inform(say('verified'), say('verified.advice', { time: dayTime(since) }));
  askStates().catch(expected);
}

function goReady() {
  round.device = null;
  readyScreen();
}

round.screens = {
  ready: goReady,
  patient: () => {
    round.device = null;
    patientScreen();
  },
  connect: (device) => connectScreen(device, connect),
  deviceAlone: deviceAloneScreen,
  otherPatient: otherPatientScreen,
  part: partScreen,
  spot: spotScreen,
  change: (patient) => openPatient(patient),
  lists: listsScreen,
  list: listScreen,
  conflictPatient,
  conflictDevice,
  otherWays,
  withdraw: withdrawal,
  reopen,
  verify: () => signIn(),
  careReason,
  done: doneScreen,
  recovery: recoveryScreen,
  acts: actsScreen,
  sheet: sheetScreen,
  close: () => close(),
  leaving,
  refresh,
  scanner: scannerState,
  testLabel,
  actsChanged,
};

const waits = () => `${needsLook()} ${unverified()}`;
let lookedFor = waits();

/** Only what is seen of acts is written anew: a screen that is built again takes the focus. */
function actsChanged() {
  refreshDone();
  refresh();
  if (shown() === 'ready' && lookedFor !== waits()) readyScreen();
  lookedFor = waits();
}

/** What the box is; as long as it does not answer, the page says so and asks again. */
async function settingsOfBox() {
  let again;
  for (;;) {
    try {
      return (await ask('GET', '/v1/settings')).body;
    } catch (error) {
      expected(error);
    }
    if (shown() !== 'no-box') noBoxScreen(() => again(), waitingActs().length);
    await new Promise((resolve) => {
      again = resolve;
      setTimeout(resolve, AGAIN_MS);
    });
  }
}

async function begin() {
  chooseLanguage(Object.keys(LANGUAGES), remembered('language'));
  frame();
  await loadActs();
  const settings = await settingsOfBox();
  round.settings = settings;
  chooseLanguage(settings.languages, remembered('language'));
  chooseZone(settings.time_zone);
  frame();
  topBar();
  const { prefix, suffix } = settings.scanner ?? {};
  listenToScanner({
    prefix,
    suffix,
    scanned: (text) => scanned(text, 'wedge'),
    broken: () => {
      touched();
      refuse(say('scan-broken'), say('scan-broken.advice'));
    },
  });
  onSignedOut(signedOut);
  watchClock();
  watchActs();
  watchRound();
  try {
    const token = await fromProvider(settings);
    if (token) {
      signedIn(await vouchedSession(token));
      return;
    }
  } catch (error) {
    signIn(error.code ?? error.message);
    return;
  }
  const session = await keptSession();
  if (session) signedIn(session);
  else signIn();
}

show('starting', element('h1', {}, 'Wardgate'));
await loadWords();
keepPage();
await begin();
