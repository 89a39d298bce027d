// Reads HL7 v2 messages with node-hl7-client's parser: node hl7_read.cjs FILE...
//
// Each message must come back with the segments, fields and components that stand in its bytes, and
// every unit that claims to be UCUM must pass ucum-lhc.
// WARDGATE_NODE_MODULES names the folder with the packages (target/node/node_modules).

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const modules = process.env.WARDGATE_NODE_MODULES ||
  path.join(__dirname, "../../../target/node/node_modules");
const required = createRequire(path.join(modules, "x.js"));
const { Message } = required("node-hl7-client");
const ucum = required("@lhncbc/ucum-lhc").UcumLhcUtils.getInstance();

// MSH-18 as the message names it; the parser takes text.
const CHARSETS = { "8859/1": "latin1", "UNICODE UTF-8": "utf8" };

function messages(data) {
  const text = data.toString("latin1").replace(/\x1c\r/g, "").replace(/\x0b/g, "");
  const found = text.split(/(?<=\r)(?=MSH\|)/).filter((one) => one);
  return found.map((one) => {
    const charset = CHARSETS[one.split("\r")[0].split("|")[17]] || "ascii";
    return Buffer.from(one, "latin1").toString(charset);
  });
}

// Each node of the parser's tree against the same part of the text, down to the components.
function compare(node, text, delimiters, where, wrong) {
  if (node.toRaw() !== text) {
    wrong.push(`${where}: ${text} was read as ${node.toRaw()}`);
    return;
  }
  const [delimiter, ...deeper] = delimiters;
  if (!delimiter || !text) return;
  const parts = text.split(delimiter);
  const children = [...node.children];
  if (children.length !== parts.length) {
    wrong.push(`${where}: ${parts.length} parts were read as ${children.length}`);
    return;
  }
  parts.forEach((part, at) => compare(children[at], part, deeper, `${where}.${at + 1}`, wrong));
}

function faults(text) {
  const wrong = [];
  const message = new Message({ text });
  const lines = text.split("\r").filter((line) => line);
  const segments = [...message.children];
  if (segments.length !== lines.length) {
    return [`${lines.length} segments were read as ${segments.length}`];
  }
  lines.forEach((line, at) => {
    const name = line.slice(0, 3);
    const fields = line.split("|").slice(1);
    // The parser's first child is the segment's name.
    const read = [...segments[at].children].slice(1);
    if (read.length !== fields.length) {
      wrong.push(`${name}: ${fields.length} fields were read as ${read.length}`);
      return;
    }
    fields.forEach((field, index) => {
      const isEncoding = name === "MSH" && index === 0;
      const delimiters = isEncoding ? [] : ["~", "^"];
      compare(read[index], field, delimiters, `${name}-${index + 1}`, wrong);
    });
  });
  lines.filter((line) => line.startsWith("OBX|")).forEach((line) => {
    const unit = (line.split("|")[6] || "").split("^");
    for (const at of [0, 3]) {
      const isUcum = unit[at + 2] === "UCUM";
      if (isUcum && ucum.validateUnitString(unit[at]).status !== "valid") {
        wrong.push(`OBX-6: ${unit[at]} is no UCUM code`);
      }
    }
  });
  const [, , , , , , , , , control] = lines[0].split("|");
  if (message.get("MSH.10").toString() !== control) wrong.push("MSH.10 is not the control id");
  return wrong;
}

let count = 0;
let wrong = 0;
for (const file of process.argv.slice(2)) {
  for (const text of messages(fs.readFileSync(file))) {
    count += 1;
    let found;
    try {
      found = faults(text);
    } catch (error) {
      found = [`not read: ${error.message}`];
    }
    wrong += found.length;
    found.forEach((what) => console.log(`${file}: message ${count}: ${what}`));
  }
}
console.log(`${count} messages, ${wrong} faults`);
process.exit(wrong || !count ? 1 : 0);
