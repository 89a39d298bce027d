// The phone's key. It is made in the browser, cannot be read out, and signs a proof for every
// request (RFC 9449): a session that was copied is worth nothing elsewhere.

import { put, take } from './shelf.js';

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };

let pair;
let publicKey;

const encode = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
const encodeText = (text) => encode(new TextEncoder().encode(text));

/** SHA-256, base64url. */
export const digest = async (text) =>
  encode(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));

/** Random text for state, nonce and verifier. */
export const randomText = () => encode(crypto.getRandomValues(new Uint8Array(32)));

/** The public key as JWK. Made on first use. */
export async function deviceKey() {
  pair ??= await take('keys', 'device');
  if (!pair) {
    pair = await crypto.subtle.generateKey(CURVE, false, ['sign', 'verify']);
    await put('keys', 'device', pair);
  }
  if (!publicKey) {
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    publicKey = { kty, crv, x, y };
  }
  return publicKey;
}

/** A proof for one request. `seconds` is the box's time, for the phone's clock may be wrong. */
export async function proof(method, url, token, seconds) {
  const head = { typ: 'dpop+jwt', alg: 'ES256', jwk: await deviceKey() };
  // RFC 9449 4.2: without query and fragment.
  const claims = { jti: crypto.randomUUID(), htm: method, htu: url.split(/[?#]/)[0], iat: seconds };
  if (token) claims.ath = await digest(token);
  const signed = `${encodeText(JSON.stringify(head))}.${encodeText(JSON.stringify(claims))}`;
  const bytes = new TextEncoder().encode(signed);
  const signature = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    pair.privateKey,
    bytes,
  );
  return `${signed}.${encode(signature)}`;
}
