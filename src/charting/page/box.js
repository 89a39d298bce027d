// Requests to the box. An answer is an answer, also when it is a refusal; no answer is `NoAnswer`.

import { boxTime, heardTime, passed } from './clock.js';
import { proof } from './key.js';

const WAIT_MS = 5000;

/** The box did not answer, or answered that it cannot now. */
export class NoAnswer extends Error {}

/** The box refused. `code` is its word, `details` all it said. */
export class Refused extends Error {
  constructor(status, details) {
    super(details.message ?? details.error ?? String(status));
    this.status = status;
    this.code = details.error ?? `http-${status}`;
    this.details = details;
  }
}

// Not the person's fault: a browser sends a request again by itself when its connection breaks, and
// a proof counts once; or the box's time was not known well. Another proof is made.
const PROOF_AGAIN = new Set(['token-proof-replayed', 'token-proof-time']);

let session = null;
let reachable = true;
const listeners = new Set();
const outListeners = new Set();

/** The session's token, once signed in. */
export const useSession = (token) => {
  session = token;
};

/** Calls with `true` or `false` when the box is reached again or no longer. */
export const onReach = (call) => listeners.add(call);

/** Calls with the box's word when it does not know the session any more, or wants it vouched for again. */
export const onSignedOut = (call) => outListeners.add(call);

/** Whether the last request was answered. */
export const isReachable = () => reachable;

function reach(now) {
  if (now === reachable) return;
  reachable = now;
  for (const call of listeners) call(now);
}

async function headers(method, path, token) {
  const all = { 'X-Phone-Time': new Date().toISOString(), Accept: 'application/json' };
  const bearer = token ?? session;
  if (!bearer) return all;
  const seconds = Math.floor(boxTime().getTime() / 1000);
  all.DPoP = await proof(method, `${location.origin}${path}`, bearer, seconds);
  all.Authorization = `${token ? 'Bearer' : 'DPoP'} ${bearer}`;
  return all;
}

/** Only these say that another attempt may go better. */
const isLater = (status) => status === 429 || status >= 502;

/**
 * One request. Answers `{status, body, askedAt}`; `askedAt` is from before it was sent.
 * `token` is the provider's, for opening a session.
 */
export async function ask(method, path, body, options = {}) {
  try {
    return await askOnce(method, path, body, options);
  } catch (error) {
    if (!PROOF_AGAIN.has(error.code)) throw error;
    return askOnce(method, path, body, options);
  }
}

async function askOnce(method, path, body, { token, text = false }) {
  const askedAt = passed();
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), WAIT_MS);
  try {
    const all = await headers(method, path, token);
    if (body !== undefined) all['Content-Type'] = 'application/json';
    const request = {
      method,
      headers: all,
      signal: stop.signal,
      cache: 'no-store',
      redirect: 'error',
    };
    if (body !== undefined) request.body = JSON.stringify(body);
    const response = await fetch(path, request);
    const raw = await response.text();
    heardTime(response.headers.get('X-Box-Time') ?? '');
    reach(!isLater(response.status));
    const answer = text && response.ok ? raw : read(raw);
    if (!text) heardTime(answer.now ?? answer.time ?? '');
    if (isLater(response.status)) throw new NoAnswer(answer.error ?? String(response.status));
    if (!response.ok) {
      const refused = new Refused(response.status, answer);
      const isOut = response.status === 401 && !PROOF_AGAIN.has(refused.code);
      if (isOut && session && !token) outListeners.forEach((call) => call(refused.code));
      throw refused;
    }
    return { status: response.status, body: answer, askedAt };
  } catch (error) {
    if (error instanceof Refused || error instanceof NoAnswer) throw error;
    reach(false);
    throw new NoAnswer(error.name);
  } finally {
    clearTimeout(timer);
  }
}

function read(raw) {
  if (raw === '') return {};
  try {
    return JSON.parse(raw);
  } catch {
    return { error: 'not-json' };
  }
}
