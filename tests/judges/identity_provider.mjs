// A hospital's identity provider that others wrote: npm oidc-provider, with npm jose as the phone and
// as the forger. It listens on a free port of this machine and takes one JSON object per line:
//
//   {"do": "sign-in", "person", "roles", "wards", "bound"}  code flow with PKCE -> {tokens, thumbprint}
//   {"do": "prove", "method", "address", "credential", "at"}  a proof of the phone's key -> {proof}
//   {"do": "forge", "header", "claims", "key"}              signed with the provider's own key -> {token}
//   {"do": "turn", "keys": ["k2", "k1"]}                    the provider's keys, the first one signs
//   {"do": "away"} and {"do": "back"}                       the provider stops and starts to listen
//
//   node identity_provider.mjs NODE_MODULES ES256|RS256

import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, alg] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'here.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: Provider } = await load('oidc-provider');
const jose = await load('jose');
console.error = () => {};
console.warn = () => {};
console.info = () => {};

const AUDIENCE = 'wardgate';
const RESOURCE = 'https://box.ward.example';
const REDIRECT = 'https://box.ward.example/bedside';

const pairs = new Map();
async function key(kid) {
  if (!pairs.has(kid)) {
    const pair = await jose.generateKeyPair(alg, { extractable: true });
    const jwk = await jose.exportJWK(pair.privateKey);
    pairs.set(kid, { ...pair, jwk: { ...jwk, kid, alg, use: 'sig' } });
  }
  return pairs.get(kid);
}

const people = new Map();
let issuer;
async function provider(kids) {
  const keys = [];
  for (const kid of kids) keys.push((await key(kid)).jwk);
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'bedside',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      id_token_signed_response_alg: alg,
    }],
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
    pkce: { required: () => true },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'ward'],
    findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    extraTokenClaims: (_, token) => people.get(token.accountId),
    features: {
      devInteractions: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'ward',
          audience: AUDIENCE,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
        }),
      },
    },
  });
  return made.callback();
}

let asked = 0;
let answer;
const server = createServer((request, response) => {
  if (request.url.startsWith('/.well-known/')) asked += 1;
  answer(request, response);
});
const listen = (port) => new Promise((done) => server.listen(port, '127.0.0.1', done));
await listen(0);
const { port } = server.address();
issuer = `http://127.0.0.1:${port}`;
answer = await provider(['k1']);

const phone = await jose.generateKeyPair('ES256', { extractable: true });
const phoneJwk = await jose.exportJWK(phone.publicKey);
const hash = (text) => createHash('sha256').update(text).digest('base64url');

async function prove({ method, address, credential, at }) {
  const claims = { htm: method, htu: address, jti: randomBytes(12).toString('hex') };
  if (credential !== undefined) claims.ath = hash(credential);
  return new jose.SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: phoneJwk })
    .setIssuedAt(at)
    .sign(phone.privateKey);
}

// What a browser does: cookies, redirects, forms.
async function signIn({ person, roles, wards, bound }) {
  people.set(person, { name: person, ward: { roles }, wards });
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: 'bedside', response_type: 'code', scope: 'openid ward', redirect_uri: REDIRECT,
    resource: RESOURCE, code_challenge: hash(verifier), code_challenge_method: 'S256',
    state: 's', nonce: 'n',
  });
  const jar = new Map();
  let url = `${issuer}/auth?${query}`;
  let body;
  for (let step = 0; step < 20 && !url.startsWith(REDIRECT); step += 1) {
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
    const method = body === undefined ? 'GET' : 'POST';
    const response = await fetch(url, { method, headers, body, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split('=');
      jar.set(name, value);
    }
    body = undefined;
    if (response.status >= 300 && response.status < 400) {
      url = new URL(response.headers.get('location'), issuer).href;
      continue;
    }
    const page = await response.text();
    const prompt = /name="prompt" value="(\w+)"/.exec(page);
    if (!prompt) throw new Error(`no form: ${response.status} ${page.slice(0, 300)}`);
    body = new URLSearchParams({ prompt: prompt[1], login: person, password: 'any' });
  }
  const code = new URL(url).searchParams.get('code');
  const exchange = async (code_verifier) => {
    const headers = {};
    if (bound) headers.dpop = await prove({ method: 'POST', address: `${issuer}/token` });
    const form = new URLSearchParams({
      grant_type: 'authorization_code', client_id: 'bedside', redirect_uri: REDIRECT,
      resource: RESOURCE, code, code_verifier,
    });
    const response = await fetch(`${issuer}/token`, { method: 'POST', headers, body: form });
    return response.json();
  };
  return { tokens: await exchange(verifier), thumbprint: await jose.calculateJwkThumbprint(phoneJwk) };
}

async function forge({ header, claims, key: kid }) {
  const { privateKey } = await key(kid);
  const token = new jose.SignJWT(claims).setProtectedHeader(header);
  return token.sign(privateKey);
}

const say = (json) => process.stdout.write(`${JSON.stringify(json)}\n`);
say({ issuer });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    switch (order.do) {
      case 'sign-in': say(await signIn(order)); break;
      case 'prove': say({ proof: await prove(order) }); break;
      case 'forge': say({ token: await forge(order) }); break;
      case 'turn': answer = await provider(order.keys); say({}); break;
      case 'asked': say({ asked }); break;
      case 'away':
        server.closeAllConnections();
        await new Promise((done) => { server.close(done); });
        say({});
        break;
      case 'back': await listen(port); say({}); break;
      default: say({ error: 'an order that is not known' });
    }
  } catch (error) {
    say({ error: String(error) });
  }
}
process.exit(0);
