// The phone's camera as scanner. It stays on between the wristband and the device, and goes off
// when the page is hidden.

import { button, element, write } from './dom.js';
import { say } from './words.js';

const EDGE_MAX = 1024;
const PAUSE_MS = 60;
// The same code in front of the lens is one scan.
const SAME_MS = 4000;

let stream = null;
let worker = null;
let panel = null;
let told = '';
let toldAt = 0;
let before = '';

/** Whether this browser has a camera to use. */
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia) && isSecureContext;

export const cameraIsOn = () => stream !== null;

/** Turns it off. */
export function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  worker?.terminate();
  document.getElementById('camera').replaceChildren();
  stream = null;
  worker = null;
  panel = null;
  before = '';
}

function grab(video, canvas) {
  const scale = Math.min(1, EDGE_MAX / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const decode = (picture) =>
  new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(picture, [picture.data.buffer]);
  });

function judge(codes, scanned) {
  const texts = [...new Set(codes.map((one) => one.text))];
  if (texts.length > 1) {
    write(panel.hint, say('camera-several'));
    before = '';
    return;
  }
  const [code] = codes;
  // A code counts once two pictures agree on it.
  if (!code || code.text !== before) {
    before = code?.text ?? '';
    return;
  }
  if (code.text === told && performance.now() - toldAt < SAME_MS) {
    toldAt = performance.now();
    return;
  }
  told = code.text;
  toldAt = performance.now();
  scanned(code.text, code.symbology);
}

async function look(video, scanned) {
  const canvas = document.createElement('canvas');
  const mine = stream;
  while (stream === mine && mine) {
    if (video.videoWidth > 0) {
      const { codes, error } = await decode(grab(video, canvas));
      if (stream !== mine) return;
      if (error) write(panel.hint, say('camera-broken'));
      else judge(codes, scanned);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** Says under the picture what to scan. */
export function cameraHint(words) {
  if (panel) write(panel.hint, words);
}

/** Turns the camera on. `scanned(text, symbology)` is called for each code. Throws if it may not. */
export async function openCamera(scanned, hint, closed) {
  if (stream) return;
  const wanted = { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 } };
  stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  worker = new Worker('/bedside/decoder.js');
  const video = element('video', { muted: true, playsinline: true, 'aria-hidden': 'true' });
  video.muted = true;
  video.srcObject = stream;
  const close = () => {
    closeCamera();
    closed();
  };
  panel = { hint: element('p', { role: 'status' }, hint) };
  document
    .getElementById('camera')
    .replaceChildren(
      element(
        'section',
        { class: 'viewfinder', 'aria-label': say('camera') },
        video,
        panel.hint,
        button(say('camera-close'), close, { class: 'plain' }),
      ),
    );
  await video.play();
  look(video, scanned);
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') closeCamera();
});
