// What the page keeps on the phone: its key, the session, and acts that the box has not answered.
// Acts name patients, so they are kept encrypted under a key that cannot leave the browser.

const STORES = ['keys', 'notes', 'acts'];

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('wardgate', 1);
    request.onupgradeneeded = () =>
      STORES.forEach((name) => request.result.createObjectStore(name));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function within(store, mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    // An act must be there after a crash of the browser too.
    const transaction = database.transaction(store, mode, { durability: 'strict' });
    const request = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const take = (store, key) => within(store, 'readonly', (shelf) => shelf.get(key));
export const put = (store, key, value) =>
  within(store, 'readwrite', (shelf) => shelf.put(value, key));
export const drop = (store, key) => within(store, 'readwrite', (shelf) => shelf.delete(key));
const everything = (store) => within(store, 'readonly', (shelf) => shelf.getAll());

async function sealingKey() {
  const kept = await take('keys', 'sealing');
  if (kept) return kept;
  const made = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
    'encrypt',
    'decrypt',
  ]);
  await put('keys', 'sealing', made);
  return made;
}

/** Keeps an act until it is answered. */
export async function keepAct(act) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const text = new TextEncoder().encode(JSON.stringify(act));
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, await sealingKey(), text);
  await put('acts', act.client_id, { iv, sealed });
}

/** The acts that were kept, in the order in which they were made. */
export async function keptActs() {
  const key = await sealingKey();
  const acts = await Promise.all(
    (await everything('acts')).map(async ({ iv, sealed }) => {
      const text = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, sealed);
      return JSON.parse(new TextDecoder().decode(text));
    }),
  );
  return acts.sort((one, other) => one.order - other.order);
}
