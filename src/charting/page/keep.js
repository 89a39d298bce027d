// The page's own files stay on the phone (service-worker.js), so that it opens while the box
// restarts or the network is away. Nothing that the box answers is kept there.

/** Begins to keep them. Without it the page works all the same; it only cannot open unreached. */
export async function keepPage() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register('/bedside/service-worker.js', { scope: '/' });
    // What waits to be sent must not be cleared away when the phone's memory runs short.
    await navigator.storage?.persist?.();
  } catch (error) {
    console.warn(`the page is not kept on this phone: ${error.message}`);
  }
}
