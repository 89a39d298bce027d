// A phone without a page: signs in at a box in development and asks its interface, with proofs made
// here (RFC 9449), not by the page's own code.

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const base64url = (data) => Buffer.from(data).toString('base64url');
const sha256 = (text) => createHash('sha256').update(text).digest('base64url');

export class Client {
  #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  #session = null;

  constructor(url) {
    this.url = url.replace(/\/$/, '');
  }

  #proof(method, path, token, more = {}) {
    const { kty, crv, x, y } = this.#keys.publicKey.export({ format: 'jwk' });
    const head = base64url(JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }));
    const claims = base64url(JSON.stringify({
      jti: randomUUID(), htm: method, htu: this.url + path.split('?')[0], iat: Math.floor(Date.now() / 1000),
      ath: sha256(token), ...more,
    }));
    const signature = sign('sha256', Buffer.from(`${head}.${claims}`), { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${head}.${claims}.${base64url(signature)}`;
  }

  /** `{status, body}` whatever the status. `token`, `proof` and `scheme` for attacks. */
  async ask(method, path, body, { token = this.#session, scheme = 'DPoP', proof, headers = {} } = {}) {
    const all = { ...headers };
    if (token) {
      all.Authorization = `${scheme} ${token}`;
      all.DPoP = proof ?? this.#proof(method, path, token);
    }
    if (body !== undefined) all['Content-Type'] = 'application/json';
    const sent = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(this.url + path, { method, headers: all, body: body === undefined ? undefined : sent });
    const text = await response.text();
    let said = text;
    try { said = JSON.parse(text); } catch { /* a page */ }
    return { status: response.status, body: said };
  }

  /** A made-up person's token. */
  async token(person) {
    return (await this.ask('POST', '/v1/development/token', { person }, { token: null })).body.access_token;
  }

  async signIn(person) {
    const token = await this.token(person);
    const opened = await this.ask('POST', '/v1/session', {}, { token, scheme: 'Bearer' });
    this.#session = opened.body.session;
    return opened;
  }

  get session() { return this.#session; }

  stated() { return { client_id: randomUUID(), stated: new Date().toISOString() }; }

  async scan(text) { return this.ask('POST', '/v1/scan', { text, method: 'camera' }); }

  /** A made proof for another request than the one it is sent with. */
  otherProof(method, path) { return this.#proof(method, path, this.#session); }
}
