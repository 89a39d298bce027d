// Keeps the page's own files on the phone, as one set by its digest, and nothing else: no answer
// of the box is ever kept here. A load takes the box's set where the box answers, whole or not at
// all, each file by its digest; else the set that is kept.

const LIST = '/bedside/files.json';
const PREFIX = 'page ';
const WAIT_MS = 3000;

/** The newest set that is kept whole: its list is put last. */
async function keptSet() {
  for (const name of (await caches.keys()).reverse()) {
    if (!name.startsWith(PREFIX)) continue;
    const cache = await caches.open(name);
    if (await cache.match(LIST)) return { cache, version: name.slice(PREFIX.length) };
  }
  return null;
}

/** The box's list of files and their digests. */
async function listOfBox() {
  const request = { cache: 'no-store', signal: AbortSignal.timeout(WAIT_MS) };
  const response = await fetch(LIST, request);
  if (!response.ok) throw new Error(`${LIST}: ${response.status}`);
  return { response, ...(await response.clone().json()) };
}

async function keep(path, integrity, cache) {
  const response = await fetch(path, { cache: 'no-store', integrity });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  await cache.put(path, response);
}

async function takeSet({ response, version, files }) {
  const name = PREFIX + version;
  const cache = await caches.open(name);
  try {
    const all = Object.entries(files);
    await Promise.all(all.map(([path, integrity]) => keep(path, integrity, cache)));
    await cache.put(LIST, response);
  } catch (error) {
    await caches.delete(name);
    throw error;
  }
  const others = (await caches.keys()).filter((one) => one !== name);
  await Promise.all(others.map((one) => caches.delete(one)));
  return { cache, version };
}

let taking = null;

/** One at a time. */
function take(list) {
  taking ??= takeSet(list).finally(() => {
    taking = null;
  });
  return taking;
}

/** The set for a load of the page, or nothing where none can be had whole. */
async function setToShow() {
  const kept = await keptSet();
  try {
    const list = await listOfBox();
    return kept?.version === list.version ? kept : await take(list);
  } catch (error) {
    // Not reached, or not whole: what is kept is shown, and the page itself says what it misses.
    console.warn(`the page as kept is shown: ${error.message}`);
    return kept;
  }
}

async function page(request) {
  const set = await setToShow();
  return (await set?.cache.match('/')) ?? fetch(request);
}

async function file(request) {
  const set = await keptSet();
  return (await set?.cache.match(request)) ?? fetch(request);
}

addEventListener('install', (event) => {
  skipWaiting();
  event.waitUntil(listOfBox().then(take));
});

addEventListener('activate', (event) => event.waitUntil(clients.claim()));

addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (request.mode === 'navigate' && pathname === '/') event.respondWith(page(request));
  else if (pathname.startsWith('/bedside/') && pathname !== LIST) event.respondWith(file(request));
});
