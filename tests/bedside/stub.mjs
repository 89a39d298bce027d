// A box for tests of the page: the bedside API in memory, over HTTP on loopback, with sessions that
// are bound to a key as the real ones are (RFC 9449). It can be told to fall silent.

import { createHash, createPublicKey, randomUUID, verify } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

import { PERSONS, SETTINGS, World, iso } from './world.mjs';

const PAGE = path.resolve(import.meta.dirname, '../../src/charting/page');

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
};

/** As src/charting/page/README.md asks for. */
const policy = (issuer) =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self'${issuer ? ` ${issuer}` : ''}`,
    "worker-src 'self'",
    "frame-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

const SERVED = /\.(html|js|css|json|png|svg|webmanifest|wasm)$/;
const NAMES = readdirSync(PAGE, { recursive: true }).filter((name) => SERVED.test(name));
const KEEPER = 'service-worker.js';

/** The page's own files with their digests, as the box lists them. */
function listed(bytesOf) {
  const files = {};
  for (const name of NAMES.filter((one) => one !== KEEPER).sort()) {
    const digest = createHash('sha256').update(bytesOf(name)).digest('base64');
    files[name === 'index.html' ? '/' : `/bedside/${name}`] = `sha256-${digest}`;
  }
  const version = createHash('sha256').update(JSON.stringify(files)).digest('hex');
  return JSON.stringify({ version, files });
}

class Refusal extends Error {
  constructor(status, error, details = {}) {
    super(error);
    Object.assign(this, { status, error, details });
  }
}

const sha256 = (text) => createHash('sha256').update(text).digest('base64url');
const unpack = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());
const thumbprint = ({ crv, kty, x, y }) => sha256(JSON.stringify({ crv, kty, x, y }));

/** Checks a proof by RFC 9449 4.3. Answers the thumbprint of its key. */
function proven(request, base, token, now, used) {
  const [head, claims, signature] = (request.headers.dpop ?? '').split('.');
  if (!signature) throw new Refusal(401, 'token-proof-missing');
  const { typ, alg, jwk } = unpack(head);
  const { jti, htm, htu, iat, ath } = unpack(claims);
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const isSigned = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  const checks = {
    signature: isSigned && typ === 'dpop+jwt' && alg === 'ES256' && jwk.d === undefined,
    method: htm === request.method,
    url: htu === base + request.url.split('?')[0],
    time: Math.abs(iat * 1000 - now) < 60_000,
    token: ath === sha256(token),
    once: !used.has(jti),
  };
  const wrong = Object.entries(checks).find(([, good]) => !good);
  const codes = { once: 'token-proof-replayed', time: 'token-proof-time' };
  if (wrong) throw new Refusal(401, codes[wrong[0]] ?? 'token-proof');
  used.add(jti);
  return thumbprint(jwk);
}

function meaning(text, world, { method, scanner }) {
  if (text.includes('\ufffd') || /^P\d{8}[+?]/.test(text))
    throw new Refusal(422, 'changed-by-keyboard');
  if (text.length > 400) throw new Refusal(422, 'too-long');
  if (/^(P\d{8}){2,}$/.test(text) || /^(D\d{6}){2,}$/.test(text) || /^P\d{8}D\d{6}$/.test(text))
    throw new Refusal(422, 'ambiguous-code');
  if (/^S\d{8}$/.test(text)) throw new Refusal(422, 'specimen-label');
  if (/^01\d{14}(10[0-9A-Z]+)?$/.test(text)) throw new Refusal(422, 'device-type-only');
  if (method === 'wedge' && scanner.layout !== 'proven' && /[^0-9A-Za-z.]/.test(text))
    throw new Refusal(422, 'layout-unproven');
  const patient = [...world.patients.values()].find((one) => one.code === text);
  if (patient) return { kind: 'patient', patient: world.shown(patient) };
  const device = [...world.devices.values()].find((one) => one.code === text);
  if (device) return { kind: 'device', device: world.device(device) };
  throw new Refusal(422, 'unknown-code');
}

const SIGNS = ['registered-nurse', 'midwife', 'doctor'];

const routes = {
  'POST /v1/scan': ({ body, world }) => {
    world.scans.push(body);
    return meaning(body.text, world, body);
  },
  'GET /v1/patients/:ref': ({ params: [ref], query, world, person }) => {
    const patient = patientOf(world, ref);
    if (patient.elsewhere && !query.get('reason')) throw new Refusal(403, 'care-relationship');
    const devices = world.associations
      .filter((one) => one.patient === ref && one.until === null)
      .map((one) => {
        const { id, name, class: kind, channels } = world.devices.get(one.device);
        const { channel } = one;
        return {
          id,
          name,
          class: kind,
          association: one.id,
          since: iso(one.from),
          ...(channels && { channels }),
          ...(channel && { channel }),
        };
      });
    return { ...world.shown(patient), devices, confirmations: world.waiting(ref, person) };
  },
  'GET /v1/patients/:ref/values': ({ params: [ref], query, world }) => {
    patientOf(world, ref);
    return world.set(ref, query.has('at') ? Date.parse(query.get('at')) : world.now());
  },
  'GET /v1/patients/:ref/sheet': ({ params: [ref], world }) => {
    const text = patientOf(world, ref).name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    return `<!doctype html><html lang="fi"><head><meta charset="utf-8"><title>Lomake</title><link rel="stylesheet" href="/bedside/sheet.css"></head><body><h1>${text}</h1></body></html>`;
  },
  'POST /v1/associations': ({ body, world }) => {
    patientOf(world, body.patient);
    const now = world.current(body.device, body.channel);
    if (now && now.patient !== body.patient && !body.move) {
      const { patient_name, since } = world.on(body.device, body.channel);
      throw new Refusal(409, 'device-on-other-patient', { patient_name, since });
    }
    if (now) now.until = world.now();
    const ago = body.from ? world.now() - Date.parse(body.from) : 0;
    const { device, patient, channel } = body;
    const { channels } = world.devices.get(device);
    if (channels && !channels.includes(channel))
      throw new Refusal(422, 'channel-needed', { channels });
    return { status: 201, association: world.associate(device, patient, ago, channel) };
  },
  'GET /v1/devices/:id/values': ({ params: [id], world }) => {
    const rows = world.rowsOf(world.devices.get(id), world.now());
    return { at: iso(world.now()), now: iso(world.now()), patient_ref: null, version: '', rows };
  },
  'POST /v1/spot-checks': ({ body, world }) => {
    patientOf(world, body.patient);
    const rows = world.rowsOf(world.devices.get(body.device), world.now());
    const there = new Map(rows.map((row) => [row.observation_id, row]));
    if (body.values.length === 0) throw new Refusal(422, 'form');
    const found = body.values.map((id) => there.get(id));
    if (found.includes(undefined)) throw new Refusal(404, 'unknown-value');
    world.spots.push({ ...body, rows: found });
    return { status: 201, association: body.client_id };
  },
  'POST /v1/associations/:id/end': ({ params: [id], world }) => {
    const found = world.associations.find((one) => one.id === id);
    found.until = world.now();
    return {};
  },
  'POST /v1/associations/:id/seen': () => ({}),
  'POST /v1/confirmations': ({ body, world, person }) => {
    const set = world.set(body.patient, Date.parse(body.at));
    if (world.nextChange) {
      world.nextChange = false;
      throw new Refusal(409, 'changed');
    }
    if (set.version !== body.version) throw new Refusal(409, 'changed');
    const late = world.now() - Date.parse(body.at) > SETTINGS.as_of_minutes_max * 60_000;
    if (late && !body.reason) throw new Refusal(422, 'reason-needed');
    const taken = body.values.filter((one) => one.act === 'confirm');
    if (taken.some((one) => world.charted.has(one.observation_id)))
      throw new Refusal(409, 'already-charted');
    const rows = new Map(set.rows.map((row) => [row.observation_id, row]));
    const signed = body.values.filter((one) => one.act !== 'leave');
    const isCores = (one) => !rows.get(one.observation_id).signed_here;
    if (signed.some(isCores) || (body.entries.length > 0 && world.entriesOwner !== 'box'))
      throw new Refusal(409, 'charting-owned-by-core');
    const unsigned = person.role === 'student';
    const held = world.isDown;
    for (const { observation_id, act } of signed) {
      const kept = held ? 'held' : 'confirmed';
      const fate = act === 'confirm' ? kept : 'rejected';
      world.charted.set(observation_id, unsigned ? 'needs-countersign' : fate);
    }
    const confirmation = `c-${randomUUID()}`;
    world.confirmations.push({ confirmation, ...body, rows, unsigned, held, person });
    return {
      status: 201,
      confirmation,
      held,
      state: unsigned ? 'needs-countersign' : 'kept',
      sent: [],
    };
  },
  'POST /v1/confirmations/:id/withdraw': ({ params: [id], body, world }) => {
    world.confirmations.find((one) => one.confirmation === id).withdrawn = body.reason;
    return {};
  },
  'GET /v1/acts': ({ world, person }) =>
    [...world.acts.values()]
      .filter((act) => act.by === person.id)
      .map(({ client_id, kind, at, answer, verified }) => ({
        client_id,
        kind,
        at,
        id: answer.confirmation ?? answer.association ?? '',
        state: answer.held || answer.state === 'needs-countersign' ? answer.state : 'on-chart',
        held: answer.held === true,
        ...(verified === false && { verified }),
      })),
  'GET /v1/worklists/:list': ({ params: [list], world, person }) => {
    if (person.role === 'student') throw new Refusal(403, 'role');
    return { rows: world.worklists[list]() };
  },
  'POST /v1/conflicts/:id/decide': ({ params: [id], body, world, person }) => {
    if (!SIGNS.includes(person.role)) throw new Refusal(403, 'role');
    const conflict = world.conflicts.find((one) => one.id === id && !one.settled);
    if (!conflict?.claims.some((one) => one.entry === body.holds))
      throw new Refusal(404, 'unknown-conflict');
    if (!body.reason) throw new Refusal(422, 'reason-needed');
    conflict.settled = body;
    return { state: 'kept' };
  },
  'POST /v1/confirmations/:id/release': ({ params: [id], world }) => {
    const found = world.confirmations.find((one) => one.client_id === id && one.held);
    if (!found) throw new Refusal(404, 'unknown-confirmation');
    found.held = false;
    return { confirmation: found.confirmation, state: 'kept' };
  },
  'POST /v1/confirmations/:id/countersign': ({ params: [id], world, person }) => {
    const found = world.confirmations.find((one) => one.client_id === id && one.unsigned);
    if (!found) throw new Refusal(404, 'unknown-confirmation');
    if (!SIGNS.includes(person.role)) throw new Refusal(403, 'role');
    if (found.person.id === person.id) throw new Refusal(403, 'own-hand');
    Object.assign(found, { unsigned: false, countersigner: person.id });
    return { status: 201, confirmation: `c-${randomUUID()}`, state: 'kept' };
  },
  'DELETE /v1/session': () => ({}),
};

function patientOf(world, ref) {
  const found = world.patients.get(ref);
  if (!found) throw new Refusal(404, 'unknown-patient');
  return found;
}

function match(method, url) {
  for (const [route, work] of Object.entries(routes)) {
    const [verb, pattern] = route.split(' ');
    const found =
      verb === method && new RegExp(`^${pattern.replace(/:\w+/g, '([^/]+)')}$`).exec(url);
    if (found) return { work, params: found.slice(1).map(decodeURIComponent) };
  }
  throw new Refusal(404, 'no-such-route');
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text ? JSON.parse(text) : {};
}

/**
 * Starts a box. `settings` go over the usual ones; `provider` is a test provider (issuer.mjs).
 * `box.reach` says how it behaves: `up`, `silent` (takes requests, answers none) or `down`;
 * `isBusy`: it takes no acts; `losesAnswers`: it does them and nobody hears of it; `isAlone`: the
 * provider is out of reach, and acts wait to be verified. `released` has files of a later release,
 * `mangled` such as come other than they are listed.
 */
export async function startStub({ settings = {}, provider = null } = {}) {
  const world = new World();
  const sessions = new Map();
  const used = new Set();
  const box = {
    world,
    reach: 'up',
    url: '',
    requests: [],
    losesAnswers: false,
    isBusy: false,
    isUnverified: false,
    isAlone: false,
    released: new Map(),
    mangled: new Map(),
    files: [],
    sessions,
  };
  const all = () => ({
    ...SETTINGS,
    ...settings,
    ...provider?.settings(box.url),
    time: iso(world.now()),
  });

  function session(body, request) {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const person = provider
      ? provider.person(token)
      : PERSONS.find((one) => `token-of-${one.id}` === token);
    if (!person) throw new Refusal(401, 'token-unknown');
    const key = proven(request, box.url, token, world.now(), used);
    if (key !== thumbprint(body.device_key)) throw new Refusal(401, 'token-proof');
    const id = randomUUID();
    const student = person.role === 'student';
    sessions.set(id, { key, person });
    return { status: 201, session: id, expires: iso(world.now() + 8 * 3600_000), person, student };
  }

  function open(method, url, body, request) {
    if (`${method} ${url}` === 'GET /v1/settings') return all();
    if (`${method} ${url}` === 'GET /v1/development/persons') return { persons: PERSONS };
    if (`${method} ${url}` === 'POST /v1/development/token')
      return { access_token: `token-of-${body.person}` };
    if (`${method} ${url}` === 'POST /v1/session') return session(body, request);
    return null;
  }

  function answer(method, url, query, body, request) {
    const free = open(method, url, body, request);
    if (free) return free;
    const token = (request.headers.authorization ?? '').replace(/^DPoP /, '');
    const known = sessions.get(token);
    if (!known) throw new Refusal(401, 'token-session-unknown');
    if (proven(request, box.url, token, world.now(), used) !== known.key)
      throw new Refusal(401, 'token-proof');
    if (`${method} ${url}` === 'POST /v1/session/verify') {
      box.isUnverified = false;
      const waited = [...world.acts.values()].filter((act) => act.verified === false);
      for (const act of waited) act.verified = true;
      return { verified: true, unverified_since: waited[0]?.at ?? null };
    }
    if (box.isUnverified) throw new Refusal(401, 'token-session-unverified');
    const { work, params } = match(method, url);
    if (body.client_id && box.isBusy) throw new Refusal(503, 'busy');
    const before = body.client_id && world.acts.get(body.client_id);
    if (before) return before.answer;
    const said = work({ params, query, body, world, person: known.person });
    if (body.client_id)
      world.acts.set(body.client_id, {
        client_id: body.client_id,
        kind: url,
        at: iso(world.now()),
        by: known.person.id,
        answer: said,
        ...(box.isAlone && { verified: false }),
      });
    return said;
  }

  function file(url, response) {
    const name = url === '/' ? 'index.html' : url.replace(/^\/bedside\//, '');
    const headers = {
      'Content-Type': TYPES[path.extname(name)] ?? 'text/plain; charset=utf-8',
      'Content-Security-Policy': policy(provider?.url),
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
      ...(name === KEEPER && { 'Service-Worker-Allowed': '/' }),
    };
    const bytesOf = (one) => box.released.get(one) ?? readFileSync(path.join(PAGE, one));
    box.files.push(name);
    try {
      if (name.includes('..')) throw new Error('outside');
      const bytes = name === 'files.json' ? listed(bytesOf) : (box.mangled.get(name) ?? bytesOf(name));
      response.writeHead(200, headers).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }

  async function serve(request, response) {
    if (box.reach === 'silent') return;
    if (box.reach === 'down') {
      request.socket.destroy();
      return;
    }
    const [url, search] = request.url.split('?');
    if (!url.startsWith('/v1/')) {
      file(url, response);
      return;
    }
    const body = await bodyOf(request);
    box.requests.push({ method: request.method, url: request.url, body });
    const headers = { 'Content-Type': 'application/json', 'X-Box-Time': iso(world.now()) };
    try {
      const { status = 200, ...said } = wrap(
        answer(request.method, url, new URLSearchParams(search), body, request),
      );
      // What was done stays done, but nobody hears of it.
      if (box.losesAnswers && request.method === 'POST' && url !== '/v1/scan') {
        request.socket.destroy();
        return;
      }
      if (said.html)
        response.writeHead(status, { ...headers, 'Content-Type': TYPES['.html'] }).end(said.html);
      else response.writeHead(status, headers).end(JSON.stringify(said.list ?? said));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response
        .writeHead(error.status, headers)
        .end(JSON.stringify({ error: error.error, message: error.error, ...error.details }));
    }
  }

  const server = createServer((request, response) =>
    serve(request, response).catch((error) => {
      response
        .writeHead(500)
        .end(JSON.stringify({ error: 'defect', message: String(error.stack) }));
      console.error(error);
    }),
  );
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  box.url = `http://127.0.0.1:${server.address().port}`;
  box.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return box;
}

const wrap = (said) =>
  typeof said === 'string' ? { html: said } : Array.isArray(said) ? { list: said } : said;
