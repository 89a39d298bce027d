// What may and may not be done, asked of a real box over its interface.

import assert from 'node:assert/strict';

import { Client } from './client.mjs';

const is = (answer, status, error) => {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  if (error) assert.equal(answer.body.error, error);
  return answer.body;
};

/** Two patients, three devices; `analyser` is the label of one. */
export async function acts(url, { wristbands, devices, analyser }) {
  const nurse = new Client(url);
  is(await nurse.signIn('nurse-1'), 201);
  const [aino, eino] = await Promise.all(wristbands.map(async (code) => is(await nurse.scan(code), 200).patient));
  const [first] = await Promise.all(devices.map(async (code) => is(await nurse.scan(code), 200).device));
  is(await nurse.scan('S00000009'), 422, 'specimen-label');
  is(await nurse.scan('D999999'), 422, 'unknown-device');
  is(await nurse.scan('<script>'), 422, 'unknown-code');
  const scanned = { patient: true, device: true };
  const on = (patient, device, more = {}) => nurse.ask('POST', '/v1/associations', { ...nurse.stated(), patient, device, scanned, ...more });

  // An analyser brings its own patients.
  const lab = is(await nurse.scan(analyser), 200).device;
  is(await on(aino.ref, lab.id), 409, 'analyser');

  await aSpotCheck(nurse, { eino, first, analyser: lab });

  // A device on one patient is not taken for another without a word; moved, the set has changed.
  const association = is(await on(aino.ref, first.id), 201).association;
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  is(await on(eino.ref, first.id), 409, 'device-on-other-patient');
  const values = (patient, at = '') => nurse.ask('GET', `/v1/patients/${patient}/values?at=${at}`);
  const set = is(await values(aino.ref), 200);
  assert.ok(set.rows.length >= 2 && set.rows.every((row) => row.device.id === first.id), JSON.stringify(set));
  for (const row of set.rows) assert.ok(row.age_ms >= Date.parse(set.now) - Date.parse(row.measured));
  const signed = (patient, shown, act = 'confirm') => ({
    ...nurse.stated(), patient, at: shown.at, version: shown.version,
    values: shown.rows.map((row) => ({ observation_id: row.observation_id, act: row.value === null ? 'leave' : act })),
  });
  is(await nurse.ask('POST', '/v1/confirmations', { ...signed(aino.ref, set), version: '0'.repeat(16) }), 409, 'changed');
  is(await nurse.ask('POST', '/v1/confirmations', signed(eino.ref, set)), 409, 'changed');
  is(await nurse.ask('POST', '/v1/confirmations', { ...signed(aino.ref, set), at: '2020-01-01T00:00:00Z' }), 422, 'time');
  is(await nurse.ask('POST', '/v1/confirmations', { ...signed(aino.ref, set), entries: [{ parameter: 'pain-nrs', value: '11' }] }), 422, 'form');

  // Sent twice it is one; another confirmation of the same values is refused.
  const once = signed(aino.ref, set);
  const confirmed = is(await nurse.ask('POST', '/v1/confirmations', once), 201);
  assert.deepEqual(is(await nurse.ask('POST', '/v1/confirmations', once), 201), confirmed);
  is(await nurse.ask('POST', '/v1/confirmations', signed(aino.ref, set)), 409, 'already-charted');
  const own = is(await nurse.ask('GET', '/v1/acts'), 200).acts.filter((one) => one.client_id === once.client_id);
  assert.equal(own.length, 1);

  // What the core charts is not offered again.
  const next = is(await values(aino.ref), 200);
  is(await nurse.ask('POST', '/v1/chartings', []), 403);
  is(await nurse.ask('POST', '/v1/core/values', { root: '1.2.3', id: 'x' }), 403);
  is(await nurse.ask('POST', `/v1/confirmations/${confirmed.confirmation}/withdraw`, { ...nurse.stated(), reason: '' }), 422, 'reason-needed');
  is(await nurse.ask('POST', `/v1/confirmations/${confirmed.confirmation}/withdraw`, { ...nurse.stated(), reason: 'wrong-values' }), 201);
  is(await nurse.ask('POST', `/v1/confirmations/none/withdraw`, { ...nurse.stated(), reason: 'x' }), 404);

  // A student's confirmation waits for another hand.
  const student = new Client(url);
  is(await student.signIn('student-1'), 201);
  const hers = { ...signed(aino.ref, next), ...student.stated() };
  assert.equal(is(await student.ask('POST', '/v1/confirmations', hers), 201).state, 'needs-countersign');
  is(await student.ask('POST', `/v1/confirmations/${hers.client_id}/countersign`, student.stated()), 403, 'own-hand');
  await showsWhatSheSigned(nurse, student, aino, hers, next);
  assert.equal(is(await nurse.ask('POST', `/v1/confirmations/${hers.client_id}/countersign`, nurse.stated()), 201).state, 'kept');
  assert.deepEqual(await waiting(nurse, aino), []);

  // Moved: what was shown before is of another evidence.
  const before = is(await values(aino.ref), 200);
  const moved = is(await on(eino.ref, first.id, { move: true }), 201).association;
  assert.notEqual(moved, association);
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  assert.ok(is(await values(eino.ref), 200).rows.length >= 2);
  is(await nurse.ask('POST', '/v1/confirmations', signed(eino.ref, before)), 409, 'changed');
  is(await nurse.ask('POST', `/v1/associations/${moved}/end`, nurse.stated()), 200);
  is(await nurse.ask('POST', '/v1/associations/none/end', nurse.stated()), 404, 'unknown-association');
  await new Promise((resolve) => { setTimeout(resolve, 2000); });
  const after = is(await values(eino.ref), 200).rows.filter((row) => row.device.id === first.id);
  assert.ok(after.every((row) => row.age_ms > 1500), JSON.stringify(after));
  const lonely = is(await nurse.ask('GET', '/v1/worklists/devices-without-patient'), 200).rows;
  assert.ok(lonely.some((row) => row.device === first.id && row.name === first.name && row.place === first.place));
  await aConflict(nurse, on, { aino, eino, first, early: set.now });
  is(await student.ask('GET', '/v1/worklists/conflicts'), 403);
  is(await nurse.ask('GET', '/v1/worklists/conflicts'), 200);
  const sheet = is(await nurse.ask('GET', `/v1/patients/${aino.ref}/sheet?lang=fi`), 200);
  assert.ok(sheet.includes('Mittaukset') && !sheet.includes('<script'));
  await attacks(nurse, url, aino);
  return { confirmed: once, withdrawn: confirmed.confirmation };
}

/** One measurement of a device that is on nobody; what it says before and after is nobody's. */
async function aSpotCheck(nurse, { eino, first, analyser }) {
  const shown = is(await nurse.ask('GET', `/v1/devices/${first.id}/values`), 200).rows.filter((row) => row.value !== null);
  const record = (id) => id.slice(0, id.lastIndexOf('.'));
  const measured = shown.filter((row) => record(row.observation_id) === record(shown[0].observation_id));
  const values = measured.map((row) => row.observation_id);
  const check = (more) => nurse.ask('POST', '/v1/spot-checks', {
    ...nurse.stated(), patient: eino.ref, device: first.id, values, scanned: { patient: true, device: true }, ...more,
  });
  is(await check({ values: [] }), 422, 'form');
  is(await check({ values: ['00000000-1.0'] }), 404, 'unknown-value');
  is(await check({ device: analyser.id }), 409, 'analyser');
  const once = { client_id: nurse.stated().client_id };
  is(await check(once), 201);
  is(await check(once), 201);
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  const his = is(await nurse.ask('GET', `/v1/patients/${eino.ref}/values`), 200).rows.filter((row) => row.device.id === first.id);
  assert.deepEqual(his.map((row) => [row.observation_id, row.value, row.grade]).sort(), measured.map((row) => [row.observation_id, row.value, 'scan']).sort());
  assert.equal(is(await nurse.scan('D000001'), 200).device.on, null);
}

const waiting = async (who, patient) => is(await who.ask('GET', `/v1/patients/${patient.ref}`), 200).confirmations;

/** Whoever countersigns is shown what the student signed, as it was shown to her. */
async function showsWhatSheSigned(nurse, student, patient, hers, set) {
  const [shown, ...others] = await waiting(nurse, patient);
  assert.equal(others.length, 0);
  assert.deepEqual([shown.why, shown.client_id, shown.own], ['needs-countersign', hers.client_id, false]);
  assert.equal((await waiting(student, patient))[0].own, true);
  const part = ({ observation_id, parameter, value, unit, measured }) => [observation_id, parameter, value, unit, measured];
  assert.deepEqual(shown.values.map(part), set.rows.map(part));
  assert.ok(shown.values.every((one) => one.act === 'confirm' && one.words.fi), JSON.stringify(shown.values));
}

/** A claim for time in which another patient had the device: shown with who says what, and decided. */
async function aConflict(nurse, on, { aino, eino, first, early }) {
  const claim = is(await on(eino.ref, first.id, { from: early }), 201).association;
  const open = async () => is(await nurse.ask('GET', '/v1/worklists/conflicts'), 200).rows.filter((row) => row.device === first.id);
  const [conflict] = await open();
  assert.equal(conflict.kind, 'late-claim', JSON.stringify(conflict));
  assert.deepEqual([conflict.name, conflict.place], [first.name, first.place]);
  const said = conflict.claims.map(({ by, says, patient_ref, patient_name }) => [by, says, patient_ref, patient_name]);
  for (const one of [aino, eino]) assert.ok(said.some((its) => `${its}` === `${['scan', 'associated', one.ref, one.name]}`), JSON.stringify(said));
  const { entry } = conflict.claims.find((one) => one.patient_ref === aino.ref);
  const decide = (holds, reason = 'seen') => nurse.ask('POST', `/v1/conflicts/${conflict.id}/decide`, { ...nurse.stated(), holds, reason });
  is(await decide('nobody'), 404, 'unknown-conflict');
  is(await decide(entry, ''), 422, 'reason-needed');
  is(await decide(entry), 200);
  assert.ok((await open()).every((one) => one.id !== conflict.id), 'what is decided is open no more');
  is(await nurse.ask('POST', `/v1/associations/${claim}/end`, nurse.stated()), 200);
}

/** Refused, and nothing is told. */
async function attacks(nurse, url, patient) {
  const thief = new Client(url);
  const values = `/v1/patients/${patient.ref}/values`;
  is(await thief.ask('GET', values), 401, 'token-missing');
  // A stolen session without the key; a proof of another request; a proof sent twice.
  is(await thief.ask('GET', values, undefined, { token: nurse.session }), 401);
  is(await nurse.ask('GET', values, undefined, { proof: nurse.otherProof('GET', '/v1/acts') }), 401);
  const proof = nurse.otherProof('GET', values);
  is(await nurse.ask('GET', values, undefined, { proof }), 200);
  is(await nurse.ask('GET', values, undefined, { proof }), 401, 'token-proof-replayed');
  const token = await thief.token('nurse-1');
  const [head, claims, signature] = token.split('.');
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url');
  for (const forged of [`${none}.${claims}.`, `${head}.${claims}.${signature.slice(0, -4)}AAAA`, `${head}.${claims}`, 'x'.repeat(9000)]) {
    const answer = await thief.ask('POST', '/v1/session', {}, { token: forged, scheme: 'Bearer' });
    assert.equal(answer.status, 401, JSON.stringify(answer.body));
    assert.ok(!JSON.stringify(answer.body).includes(claims));
  }
  // The provider's token is for opening a session only.
  is(await thief.ask('GET', values, undefined, { token, scheme: 'Bearer' }), 401);
  is(await nurse.ask('POST', '/v1/confirmations', '{"client_id": 1'), 400, 'body');
  is(await nurse.ask('POST', '/v1/scan', { text: 'x'.repeat(500), method: 'camera' }), 422, 'too-long');
  is(await nurse.ask('GET', '/v1/patients/00000000000000000000000000000000/values'), 404, 'unknown-patient');
  is(await nurse.ask('GET', '/v1/nothing'), 404);
  const flood = await Promise.all(Array.from({ length: 1000 }, () => thief.ask('GET', values).catch(() => ({ status: 0 }))));
  const statuses = flood.map((one) => one.status);
  assert.ok(statuses.every((status) => status === 401 || status === 429 || status === 0), `${[...new Set(statuses)]}`);
  assert.ok(statuses.includes(429), 'a flood is not held back');
}
