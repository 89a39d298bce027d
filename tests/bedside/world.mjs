// A ward in memory: patients, devices, what they measure, who is on what. For tests of the page;
// every person is made up. Times are of its own clock, which a test may move.

import { createHash, randomUUID } from 'node:crypto';

const words = (fi, sv, en) => ({ fi, sv, en });

const PARAMETERS = {
  'heart-rate': [words('Syke', 'Hjärtfrekvens', 'Heart rate'), '/min', 'periodic'],
  spo2: [words('Happisaturaatio', 'Syremättnad', 'Oxygen saturation'), '%', 'periodic'],
  'pulse-rate': [words('Pulssi', 'Puls', 'Pulse rate'), '/min', 'periodic'],
  'resp-rate': [
    words('Hengitystaajuus', 'Andningsfrekvens', 'Respiratory rate'),
    '/min',
    'periodic',
  ],
  temperature: [words('Lämpötila', 'Kroppstemperatur', 'Body temperature'), '°C', 'periodic'],
  'nibp-systolic': [
    words('Verenpaine, systolinen', 'Blodtryck, systoliskt', 'Blood pressure, systolic'),
    'mmHg',
    'episodic',
  ],
  'nibp-diastolic': [
    words('Verenpaine, diastolinen', 'Blodtryck, diastoliskt', 'Blood pressure, diastolic'),
    'mmHg',
    'episodic',
  ],
  'pump-rate': [words('Infuusionopeus', 'Infusionshastighet', 'Infusion rate'), 'ml/h', 'setting'],
};

export const SETTINGS = {
  site: 'Esimerkkisairaala',
  ward: 'Osasto 5',
  box: 'box-1',
  languages: ['fi', 'sv', 'en'],
  time_zone: 'Europe/Helsinki',
  development: true,
  idle_seconds: 120,
  as_of_minutes_max: 15,
  periodic_present_seconds: 10,
  layout_label: { text: 'LT-+/:()&=', separators_text: '10TESTLOT\u001d21TESTSERIAL' },
  form: [
    {
      parameter: 'pain-nrs',
      kind: 'number',
      min: '0',
      max: '10',
      step: '1',
      words: words('Kipu (NRS)', 'Smärta (NRS)', 'Pain (NRS)'),
    },
    {
      parameter: 'consciousness',
      kind: 'choice',
      words: words('Tajunnantaso', 'Medvetandegrad', 'Level of consciousness'),
      choices: [
        { code: 'A', words: words('A hereillä', 'A alert', 'A alert') },
        {
          code: 'C',
          words: words('C uusi sekavuus', 'C nytillkommen förvirring', 'C new confusion'),
        },
        {
          code: 'V',
          words: words('V reagoi puheeseen', 'V reagerar på tilltal', 'V responds to voice'),
        },
        {
          code: 'P',
          words: words('P reagoi kipuun', 'P reagerar på smärta', 'P responds to pain'),
        },
        { code: 'U', words: words('U ei reagoi', 'U ingen reaktion', 'U unresponsive') },
      ],
    },
    {
      parameter: 'urine-output',
      kind: 'number',
      unit: 'ml',
      min: '0',
      max: '5000',
      words: words('Virtsamäärä', 'Urinmängd', 'Urine output'),
    },
    {
      parameter: 'oxygen-device',
      kind: 'choice',
      words: words('Happihoito', 'Oxygenbehandling', 'Oxygen therapy'),
      choices: [
        { code: 'room-air', words: words('Huoneilma', 'Rumsluft', 'Room air') },
        { code: 'nasal-cannula', words: words('Happiviikset', 'Näsgrimma', 'Nasal cannula') },
        { code: 'simple-mask', words: words('Happimaski', 'Öppen oxygenmask', 'Simple mask') },
      ],
    },
    {
      parameter: 'oxygen-flow',
      kind: 'number',
      unit: 'l/min',
      min: '0',
      max: '60',
      step: '0.5',
      words: words('Virtaus', 'Flöde', 'Flow'),
    },
    { parameter: 'note', kind: 'text', words: words('Huomio', 'Anmärkning', 'Note') },
  ],
  reject_reasons: [
    {
      code: 'artefact',
      words: words('Liike tai häiriö', 'Rörelse eller störning', 'Movement or artefact'),
    },
    {
      code: 'probe-displaced',
      words: words('Anturi huonosti paikallaan', 'Sensorn sitter dåligt', 'Sensor badly placed'),
    },
    {
      code: 'wrong-patient',
      words: words('Ei tämän potilaan', 'Inte den här patientens', 'Not of this patient'),
    },
  ],
};

export const PERSONS = [
  { id: 'n1', name: 'Harjoitus-Hoitaja Helmi', role: 'registered-nurse' },
  { id: 's1', name: 'Harjoitus-Opiskelija Onni', role: 'student' },
  { id: 'p1', name: 'Harjoitus-Lähihoitaja Lauri', role: 'practical-nurse' },
];

const monitor = (figures) => ({
  'heart-rate': figures[0],
  spo2: figures[1],
  'pulse-rate': figures[0],
  'resp-rate': figures[2],
  temperature: figures[3],
  'nibp-systolic': figures[4],
  'nibp-diastolic': figures[5],
});

export const iso = (ms) => new Date(ms).toISOString();

/** The ward. `shift` moves its clock; `silentSince` is when its devices fell silent. */
export class World {
  patients = new Map([
    [
      'p-aino',
      {
        ref: 'p-aino',
        code: 'P10000001',
        name: 'Virtanen Aino Maria',
        birth_date: '1946-05-02',
        place: 'Huone 2, vuode 1',
        verified: true,
        protected: false,
        test: false,
      },
    ],
    [
      'p-eero',
      {
        ref: 'p-eero',
        code: 'P10000002',
        name: 'Korhonen Eero',
        birth_date: '1951-11-30',
        place: 'Huone 2, vuode 2',
        verified: true,
        protected: true,
        test: false,
      },
    ],
    [
      'p-script',
      {
        ref: 'p-script',
        code: 'P10000003',
        name: '<img src=x onerror="window.bitten=1"><script>window.bitten=1</script>',
        birth_date: '1970-01-01',
        place: '<b>Huone 3</b>',
        verified: false,
        protected: false,
        test: true,
      },
    ],
    [
      'p-other',
      {
        ref: 'p-other',
        code: 'P10000004',
        name: 'Lahtinen Veikko',
        birth_date: '1939-08-17',
        place: 'Osasto 7, huone 1',
        verified: true,
        protected: false,
        test: false,
        elsewhere: true,
      },
    ],
  ]);
  devices = new Map([
    [
      'monitor-12',
      {
        id: 'monitor-12',
        code: 'D000012',
        name: 'Potilasmonitori 12',
        class: 'patient-monitor',
        model: 'GE B40',
        place: 'Huone 2, vuode 1',
        figures: monitor(['72', '97', '16', '36.8', '128', '74']),
        absent: { temperature: 'probe-off' },
      },
    ],
    [
      'oximeter-3',
      {
        id: 'oximeter-3',
        code: '01064300000000161125013121SN-0042',
        name: 'Pulssioksimetri 3',
        class: 'pulse-oximeter',
        model: 'Nonin 7500',
        place: null,
        figures: { spo2: '94', 'pulse-rate': '70' },
        absent: {},
        quality: { spo2: ['low-perfusion'] },
      },
    ],
    [
      'monitor-14',
      {
        id: 'monitor-14',
        code: 'D000014',
        name: 'Potilasmonitori 14',
        class: 'patient-monitor',
        model: 'GE B40',
        place: 'Huone 2, vuode 2',
        figures: monitor(['88', '91', '22', '38.4', '101', '58']),
        absent: {},
      },
    ],
    [
      'pump-7',
      {
        id: 'pump-7',
        code: 'D000007',
        name: 'Infuusiopumppu 7',
        class: 'infusion-pump',
        model: 'Alaris GP',
        place: 'Huone 2, vuode 1',
        figures: { 'pump-rate': '12.5' },
        absent: {},
      },
    ],
    [
      'ctg-2',
      {
        id: 'ctg-2',
        code: 'D000002',
        name: 'KTG-laite 2',
        class: 'fetal-monitor',
        model: 'Avalon FM30',
        place: 'Huone 2, vuode 1',
        channels: ['mother', 'fetus-a', 'fetus-b'],
        figures: { 'heart-rate': '84' },
        parts: { 'fetus-a': { 'heart-rate': '142' }, 'fetus-b': { 'heart-rate': '151' } },
        absent: {},
      },
    ],
  ]);
  associations = [];
  acts = new Map();
  confirmations = [];
  scans = [];
  charted = new Map();
  conflicts = [];
  disputed = [];
  spots = [];
  entriesOwner = 'box';
  isDown = false;
  shift = 0;
  silentSince = null;

  constructor() {
    this.associate('monitor-14', 'p-eero', 3600_000);
  }

  now() {
    return Date.now() + this.shift;
  }

  associate(device, patient, agoMs = 0, channel = undefined) {
    const id = `a-${randomUUID()}`;
    const from = this.now() - agoMs;
    this.associations.push({ id, device, patient, channel, from, until: null });
    return id;
  }

  current(device, channel) {
    return this.associations.find(
      (one) =>
        one.device === device &&
        one.until === null &&
        (!channel || !one.channel || one.channel === channel),
    );
  }

  on(device, channel) {
    const found = this.current(device, channel);
    if (!found) return null;
    const patient = this.patients.get(found.patient);
    return {
      association: found.id,
      ...(found.channel && { channel: found.channel }),
      patient_ref: patient.ref,
      patient_name: patient.name,
      since: iso(found.from),
      grade: 'scan',
    };
  }

  shown(patient) {
    const { ref, name, birth_date, place, verified, protected: kept, test } = patient;
    return { ref, name, birth_date, place, verified, protected: kept, test };
  }

  device(device) {
    const { id, name, class: kind, model, place, channels } = device;
    const shown = { id, name, class: kind, model, place, on: this.on(id), mine: true };
    if (!channels) return shown;
    const on = channels.filter((one) => this.current(id, one)).map((one) => [one, this.on(id, one)]);
    return { ...shown, on: null, channels, on_channels: Object.fromEntries(on) };
  }

  /** What waits for a person on one patient: a student's confirmations, disputed ones. */
  waiting(ref, person) {
    return this.confirmations
      .filter((one) => one.patient === ref && !one.withdrawn)
      .filter((one) => one.unsigned || one.held || one.disputed)
      .map((one) => ({
        why: one.unsigned ? 'needs-countersign' : one.held ? 'held' : 'disputed',
        client_id: one.client_id,
        confirmation: one.confirmation,
        at: one.at,
        stated: one.stated,
        by: { name: one.person.name, role: one.person.role },
        own: one.person.id === person.id,
        values: one.values.map(({ observation_id, act, reason }) => {
          const { parameter, words: said, value, unit, measured, device } =
            one.rows.get(observation_id);
          return { observation_id, act, reason, parameter, words: said, value, unit, measured, device };
        }),
        entries: one.entries,
      }));
  }

  worklists = {
    'devices-without-patient': () =>
      [...this.devices.values()]
        .filter(({ id }) => !this.current(id))
        .map(({ id, name, class: kind, place }) => ({
          device: id,
          name,
          class: kind,
          place,
          since: iso(this.now() - 42 * 60_000),
        })),
    'values-without-patient': () =>
      [...this.devices.values()]
        .filter(({ id }) => !this.current(id))
        .map(({ id, name }) => ({ device: id, name, newest: iso(this.now() - 5000) })),
    unconfirmed: () =>
      this.associations
        .filter((one) => one.until === null && this.now() - one.from > 30 * 60_000)
        .map((one) => ({
          patient_ref: one.patient,
          place: this.patients.get(one.patient).place,
          devices: [this.devices.get(one.device).name],
          since: iso(one.from),
          last: null,
        })),
    conflicts: () => this.conflicts.filter((one) => !one.settled),
    disputed: () => this.disputed,
    recovery: () =>
      this.confirmations
        .filter((one) => one.held)
        .map((one) => ({
          act: one.client_id,
          confirmation: one.confirmation,
          at: one.at,
          stated: one.stated,
          patient_ref: one.patient,
          place: this.patients.get(one.patient).place,
          values: one.values.filter(({ act }) => act !== 'leave').length,
          entries: one.entries.length,
          conflicts: 0,
        })),
    unverified: () =>
      [...this.acts.values()]
        .filter((act) => act.verified === false)
        .map(({ client_id, at, by }) => {
          const { name, role } = PERSONS.find((one) => one.id === by);
          return { client_id, at, by: name, role };
        }),
  };

  rowsOf(device, at, channel) {
    const figures = device.parts?.[channel] ?? device.figures;
    const answered = this.silentSince === null ? at : Math.min(at, this.silentSince);
    return Object.entries(PARAMETERS)
      .filter(([name]) => name in figures || name in device.absent)
      .map(([name, [said, unit, kind]]) => {
        const every = kind === 'episodic' ? 8 * 60_000 : 1000;
        const measured = Math.floor(answered / every) * every;
        const absent = device.absent[name];
        const age = this.now() - measured;
        const limit = kind === 'periodic' ? 10_000 : 30 * 60_000;
        const part = channel ? `-${channel}` : '';
        const observation_id = `${device.id}${part}-${measured.toString(36)}.${name}`;
        return {
          observation_id,
          parameter: name,
          words: said,
          ...(channel && { channel }),
          owner: device.owners?.[name] ?? 'box',
          signed_here: (device.owners?.[name] ?? 'box') === 'box',
          value: absent ? null : figures[name],
          absent,
          unit,
          ucum: unit,
          device: { id: device.id, name: device.name },
          measured: iso(measured),
          age_ms: age,
          fresh: at - measured <= limit,
          grade: 'scan',
          quality: device.quality?.[name] ?? [],
          kind,
          charted: this.charted.get(observation_id) ?? null,
        };
      });
  }

  set(patient, at) {
    const then = (one) => one.from <= at && (one.until === null || one.until > at);
    const here = this.associations.filter((one) => one.patient === patient && then(one));
    const rows = here.flatMap(({ device, channel }) =>
      this.rowsOf(this.devices.get(device), at, channel),
    );
    rows.push(...this.spots.filter((one) => one.patient === patient).flatMap((one) => one.rows));
    const version = createHash('sha256')
      .update(rows.map((row) => row.observation_id).join())
      .digest('hex')
      .slice(0, 16);
    const entries = { owner: this.entriesOwner, signed_here: this.entriesOwner === 'box' };
    const times = { at: iso(at), now: iso(this.now()) };
    return { ...times, patient_ref: patient, version, rows, entries, waiting: 0 };
  }
}
