// The page's files by themselves: words in three languages for all that is said, the vendored
// decoder as it was published, nothing that would run as a script by accident.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { assert } from './house.mjs';

const PAGE = path.resolve(import.meta.dirname, '../../src/charting/page');
const text = (name) => readFileSync(path.join(PAGE, name), 'utf8');
const scripts = readdirSync(PAGE).filter((name) => name.endsWith('.js'));

function words() {
  const table = JSON.parse(text('words.json'));
  for (const [key, { fi, sv, en }] of Object.entries(table)) {
    const places = (one) => [...one.matchAll(/\{\w+\}/g)].map(String).sort().join();
    assert.ok(fi && sv && en, `${key} in three languages`);
    assert.ok(
      places(fi) === places(sv) && places(fi) === places(en),
      `${key} says the same in each`,
    );
  }
  let used = 0;
  for (const name of scripts) {
    for (const [, key] of text(name).matchAll(/\bsay\('([^']+)'/g)) {
      assert.ok(key in table, `${name}: ${key} has words`);
      used += 1;
    }
  }
  assert.ok(used > 100, `${used} words were found in the scripts`);
}

/** What the program names has words here: kinds of conflicts, who says what, codes of refusals. */
function wordsOfTheProgram() {
  const table = JSON.parse(text('words.json'));
  const named = (file, pattern) => {
    const found = [...text(file).matchAll(pattern)].map(([, name]) => name);
    assert.ok(found.length >= 5, `${found.length} names in ${file}`);
    return found;
  };
  // A decision is a conflict that is settled from its beginning: no list has it.
  const kinds = named('../../association/conflicts.rs', /^ +Self::\w+ => "([\w-]+)"/gm);
  for (const kind of kinds.filter((one) => one !== 'decided'))
    for (const key of [`conflict.${kind}`, `conflict.${kind}.now`]) assert.ok(key in table, key);
  for (const by of named('../acts/showing.rs', /^ +By::\w+(?: \{ \.\. \})? => "([\w-]+)"/gm))
    assert.ok(`by.${by}` in table, `by.${by}`);
  for (const says of named('../acts/showing.rs', /(?:says: |=> \()"([\w-]+)"/g))
    assert.ok(`says.${says}` in table, `says.${says}`);
  // Other refusals are "later", and the act stays on the phone.
  for (const code of named('../acts.rs', /=> \("([\w-]+)", 4\d\d\)/g))
    assert.ok(`refused.${code}` in table, `refused.${code}`);
  for (const list of named('screen-lists.js', /^ {2}'([\w-]+)',$/gm))
    for (const key of [`list.${list}`, `list.${list}.advice`]) assert.ok(key in table, key);
}

function textOnly() {
  for (const name of [...scripts, 'index.html']) {
    const found =
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\son\w+="|style="/.exec(
        text(name),
      );
    assert.equal(found?.[0], undefined, name);
  }
  assert.ok(!/<script(?![^>]*\bsrc=)/.test(text('index.html')), 'no script in the page itself');
}

function decoder() {
  const note = text('vendor/README.md');
  const listed = [...note.matchAll(/^\| `([^`]+)` \| `([0-9a-f]{64})` \|/gm)];
  const there = readdirSync(path.join(PAGE, 'vendor'))
    .filter((name) => name !== 'README.md')
    .sort();
  assert.deepEqual(
    listed.map(([, name]) => name).sort(),
    there,
    'each vendored file is listed with its hash',
  );
  for (const [, name, hash] of listed) {
    const found = createHash('sha256')
      .update(readFileSync(path.join(PAGE, 'vendor', name)))
      .digest('hex');
    assert.equal(found, hash, name);
  }
  const pinned = /DECODER_SHA256 = '(\w+)'/.exec(text('decoder.js'))[1];
  assert.equal(pinned, listed.find(([, name]) => name.endsWith('.wasm'))[2]);
}

function served() {
  const generated = ['files.json'];
  const listed = [...text('README.md').matchAll(/^\| `(?:\/bedside\/)([^`]+)` \|/gm)]
    .map(([, name]) => name)
    .filter((name) => !generated.includes(name))
    .sort();
  const there = [
    ...readdirSync(PAGE).filter((name) => /\.(js|css|json|png|svg|webmanifest)$/.test(name)),
    ...readdirSync(path.join(PAGE, 'vendor'))
      .filter((name) => /\.(js|wasm)$/.test(name))
      .map((name) => `vendor/${name}`),
  ].sort();
  assert.deepEqual(listed, there, 'README.md lists what is served');
  const embedded = [...text('../api/page.rs').matchAll(/^ {4}"([^"]+)",$/gm)].map(([, name]) => name);
  assert.deepEqual(embedded.sort(), [...there, 'index.html'].sort(), 'the program has each file');
}

export const FILES = { words, wordsOfTheProgram, textOnly, decoder, served };
