// Signing in: at the hospital's provider (OpenID Connect, code flow with PKCE), or in development
// among fictional persons. What comes of it is a shift session that is bound to this phone's key.

import { Refused, ask, useSession } from './box.js';
import { boxTime } from './clock.js';
import { deviceKey, digest, randomText } from './key.js';
import { drop, put, take } from './shelf.js';

const LOGIN_MINUTES_MAX = 10;

const redirectUri = () => `${location.origin}/`;

/** Goes to the provider's page. */
export async function goToProvider(settings) {
  const login = {
    state: randomText(),
    nonce: randomText(),
    verifier: randomText(),
    at: Date.now(),
  };
  await put('notes', 'login', login);
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: settings.client_id,
    redirect_uri: redirectUri(),
    scope: settings.scope ?? 'openid',
    state: login.state,
    nonce: login.nonce,
    code_challenge: await digest(login.verifier),
    code_challenge_method: 'S256',
    ...(settings.resource && { resource: settings.resource }),
  });
  location.assign(`${settings.authorization_endpoint}?${query}`);
}

const claims = (token) =>
  JSON.parse(
    new TextDecoder().decode(
      Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (one) =>
        one.charCodeAt(0),
      ),
    ),
  );

/** Back from the provider? Then the token for its code, else nothing. Throws `provider-...`. */
export async function fromProvider(settings) {
  const query = new URLSearchParams(location.search);
  if (!query.has('state')) return null;
  // The code works once, and is nobody's business in the history.
  history.replaceState(null, '', '/');
  const login = await take('notes', 'login');
  await drop('notes', 'login');
  const late = !login || Math.abs(Date.now() - login.at) > LOGIN_MINUTES_MAX * 60_000;
  if (late || query.get('state') !== login.state) throw new Error('provider-state');
  // RFC 9207: another provider's answer.
  if (query.has('iss') && query.get('iss') !== settings.issuer) throw new Error('provider-state');
  if (!query.has('code')) throw new Error('provider-refused');
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    code: query.get('code'),
    redirect_uri: redirectUri(),
    client_id: settings.client_id,
    code_verifier: login.verifier,
    ...(settings.resource && { resource: settings.resource }),
  });
  const response = await fetch(settings.token_endpoint, { method: 'POST', body });
  if (!response.ok) throw new Error('provider-refused');
  const tokens = await response.json();
  if (tokens.id_token && claims(tokens.id_token).nonce !== login.nonce)
    throw new Error('provider-state');
  return tokens.access_token;
}

/** The fictional persons of a box in development. */
export const fictionalPersons = async () =>
  (await ask('GET', '/v1/development/persons')).body.persons;

/** A token for one of them. */
export async function fictionalToken(id) {
  return (await ask('POST', '/v1/development/token', { person: id })).body.access_token;
}

/** Opens the shift session. */
async function openSession(token) {
  const { body } = await ask('POST', '/v1/session', { device_key: await deviceKey() }, { token });
  await put('notes', 'session', body);
  useSession(body.session);
  return body;
}

/** The session from before the page was loaded, if it still runs. */
export async function keptSession() {
  const kept = await take('notes', 'session');
  if (!kept || Date.parse(kept.expires) <= boxTime().getTime()) return null;
  useSession(kept.session);
  return kept;
}

/** The session that was, if the provider vouches for it again: its acts are verified by that. Else a new one. */
export async function vouchedSession(token) {
  const kept = await keptSession();
  if (kept) {
    try {
      const { body } = await ask('POST', '/v1/session/verify', { token });
      return { ...kept, verified: body };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      useSession(null);
    }
  }
  return openSession(token);
}

/** Forgets the session on this phone. */
export function forgetSession() {
  useSession(null);
  return drop('notes', 'session');
}

/** Signs out; the box is told if it can be. */
export async function signOut() {
  try {
    await ask('DELETE', '/v1/session');
  } finally {
    await forgetSession();
  }
}
