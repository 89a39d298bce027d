// Reads codes from pictures, beside the page so that it stays quick. A classic worker: the decoder
// is one script. Answers `[{text, symbology}]` for each picture.

/* global ZXingWASM */

// Checked before it runs; vendor/README.md has where it is from.
const DECODER_SHA256 = '5003fb4b88c4fbd1fd518a2fd8c8ad365c519e183a08c03a322dddfea3cea84e';

importScripts('/bedside/vendor/zxing-reader.js');

const OPTIONS = {
  formats: ['DataMatrix', 'QRCode', 'Code128'],
  // The characters of the code. The decoder's default is GS1's text for reading, with brackets.
  textMode: 'Plain',
  tryHarder: true,
  maxNumberOfSymbols: 4,
};

async function load() {
  const binary = await (await fetch('/bedside/vendor/zxing-reader.wasm')).arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', binary));
  const text = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (text !== DECODER_SHA256) throw new Error('the decoder is not the one that was tested');
  await ZXingWASM.prepareZXingModule({ overrides: { wasmBinary: binary }, fireImmediately: true });
}

const loaded = load();

onmessage = async ({ data }) => {
  try {
    await loaded;
    const found = await ZXingWASM.readBarcodes(data, OPTIONS);
    const valid = found.filter((one) => one.isValid);
    postMessage({
      codes: valid.map((one) => ({ text: one.text, symbology: one.symbologyIdentifier })),
    });
  } catch (error) {
    postMessage({ error: error.message });
  }
};
