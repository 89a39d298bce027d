// Elements. Text becomes a text node, always: a name with markup in it is shown as it is written.

/** An element with attributes and children. A function as attribute listens: `onclick`. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** A button. It never submits. */
export function button(words, onclick, attributes = {}) {
  return element('button', { type: 'button', onclick, ...attributes }, words);
}

/** Writes a text only where it differs, so that nothing is read aloud again. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SVG = 'http://www.w3.org/2000/svg';

const DRAWINGS = {
  wristband: [
    'M3 9c0-4 18-4 18 0',
    'M3 9c0 4.5 18 4.5 18 0v6c0 4.5-18 4.5-18 0z',
    'M8.5 13.2v4',
    'M10.5 13.5v4',
    'M12 13.6v4',
    'M15 13.3v4',
  ],
  device: ['M3 5h18v11H3z', 'M6 11h3l1.5-3 2.5 5 1.5-2H18', 'M9 20h6', 'M12 16v4'],
  camera: ['M3 8h4l2-3h6l2 3h4v11H3z', 'M12 9.5a3.5 3.5 0 1 0 .001 0z'],
  waits: ['M6 3h12', 'M6 21h12', 'M7 3c0 6 10 6 10 9s-10 3-10 9', 'M17 3c0 6-10 6-10 9s10 3 10 9'],
  keys: ['M3 6h18v12H3z', 'M7 10h.01', 'M11 10h.01', 'M15 10h.01', 'M8 14h8'],
  done: ['M4 13l5 5L20 6'],
  stop: ['M12 3l10 17H2z', 'M12 9v5', 'M12 17h.01'],
};

/** A drawing beside words; it says nothing that the words do not. */
export function drawing(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'drawing');
  for (const line of DRAWINGS[name]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', line);
    svg.append(path);
  }
  return svg;
}
