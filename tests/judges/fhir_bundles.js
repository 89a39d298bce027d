// Holds bundles against npm `fhir`, the FHIRPath rules and ucum-lhc.
//   node fhir_bundles.js NODE_MODULES RULES BUNDLES     (one bundle a line)
const fs = require('fs');
const path = require('path');
const [modules, rulesFile, bundlesFile] = process.argv.slice(2);
const load = (name) => require(path.join(path.resolve(modules), name));
const { Fhir } = load('fhir');
const fhirpath = load('fhirpath');
const r4 = load('fhirpath/fhir-context/r4');
const ucum = load('@lhncbc/ucum-lhc').UcumLhcUtils.getInstance();

const rules = fs.readFileSync(rulesFile, 'utf8').split('\n')
  .filter((line) => line.trim() && !line.startsWith('#'))
  .map((line) => {
    const [kind, when, must, source] = line.split(';;').map((part) => part.trim());
    if (!source) throw new Error(`a rule without a source: ${line}`);
    const compile = (text) => text && fhirpath.compile(text, r4);
    return { kind, when: compile(when), must: compile(must), text: must, source };
  });
const isTrue = (answer) => answer.length > 0 && answer.every((one) => one === true);

const units = new Map();
function unit(code) {
  if (!units.has(code)) units.set(code, ucum.validateUnitString(code).status === 'valid');
  return units.get(code);
}

const wrong = [];
const used = new Set();
let resources = 0;
const fhir = new Fhir();

function quantities(node, found) {
  if (Array.isArray(node)) node.forEach((one) => quantities(one, found));
  else if (node && typeof node === 'object') {
    if (node.system === 'http://unitsofmeasure.org') found.push(node.code);
    Object.values(node).forEach((one) => quantities(one, found));
  }
  return found;
}

function judge(resource, where) {
  resources += 1;
  const { valid, messages } = fhir.validate(resource, { errorOnUnexpected: true });
  if (!valid) {
    messages.filter((one) => one.severity === 'error' || one.severity === 'fatal')
      .forEach((one) => wrong.push(`${where}: npm fhir: ${one.location}: ${one.message}`));
  }
  for (const rule of rules.filter((one) => one.kind === resource.resourceType)) {
    if (rule.when && !isTrue(rule.when(resource))) continue;
    used.add(rule.text);
    if (!isTrue(rule.must(resource))) wrong.push(`${where}: ${rule.text} (${rule.source})`);
  }
  quantities(resource, []).filter((code) => !unit(code))
    .forEach((code) => wrong.push(`${where}: ucum-lhc: ${code}`));
}

fs.readFileSync(bundlesFile, 'utf8').split('\n').filter(Boolean).forEach((line, number) => {
  const bundle = JSON.parse(line);
  (bundle.entry || []).forEach((entry, index) => {
    judge(entry.resource, `bundle ${number} entry ${index} ${entry.resource.resourceType}`);
  });
});
wrong.slice(0, 50).forEach((one) => console.log(one));
console.log(JSON.stringify({ resources, rules: used.size, units: units.size, wrong: wrong.length }));
process.exit(wrong.length || resources === 0 ? 1 : 0);
