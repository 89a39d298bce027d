use super::*;
use crate::vocabulary::{Period, SampleArray, Scale, Value};

const PARAMETERS: &str = r#"
[parameter.spo2]
words = "oxygen saturation"
category = "vitals"
mdc = "MDC_PULS_OXIM_SAT_O2"
mdc_synonyms = ["MDC_SATURATION_SYNONYM"]
mdc_code = 150456
kind = "periodic"
units = ["MDC_DIM_PERCENT"]
source = "test"
[parameter.pulse-rate-pleth]
words = "pulse rate"
category = "vitals"
mdc = "MDC_PULS_OXIM_PULS_RATE"
mdc_code = 149530
kind = "periodic"
units = ["MDC_DIM_BEAT_PER_MIN"]
source = "test"
"#;
const UNITS: &str = r#"
[unit.MDC_DIM_PERCENT]
mdc_code = 262688
ucum = ["%"]
source = "test"
[unit.MDC_DIM_BEAT_PER_MIN]
mdc_code = 264864
ucum = ["/min"]
written = ["bpm"]
source = "test"
"#;

fn mapper() -> Mapper {
    let vocabulary = Arc::new(Vocabulary::parse(PARAMETERS, UNITS).unwrap());
    let known = Known::default();
    let channels = channel::Channels::default();
    Mapper { vocabulary, known, rows: Vec::new(), by_code: BTreeMap::new(), channels }
}

fn coded(code: &str, words: &str, system: &str, unit: Coding) -> Reading {
    let code = DeviceCode::Codings(vec![Coding::new(code, words, system)]);
    let mut reading = Reading::new(code, Value::read("97"), 0..2);
    reading.unit = Some(DeviceUnit { codings: vec![unit] });
    reading
}

fn one(reading: Reading) -> Metric {
    mapper().map(&[Group::of(vec![reading])]).observations.remove(0).metrics.remove(0)
}

#[test]
fn number_and_reference_id_lead_to_the_same_parameter() {
    let percent = || Coding::new("262688", "MDC_DIM_PERCENT", "MDC");
    let cases = [
        ("150456", "MDC_PULS_OXIM_SAT_O2", "MDC", None),
        ("0", "MDC_PULS_OXIM_SAT_O2", "MDC", None),
        // 150456 = 2 * 65536 + 19384: the low half alone, as some monitors send it.
        ("19384", "MDC_PULS_OXIM_SAT_O2", "MDC", None),
        ("0002-4bb8", "SpO2", "MDIL", None),
        ("150456", "MDC_SATURATION_SYNONYM", "MDC", None),
        ("150456", "", "MDC", None),
        ("150999", "MDC_PULS_OXIM_SAT_O2", "MDC", Some(Doubt::CodeAndNameDisagree)),
    ];
    for (code, words, system, doubt) in cases {
        let metric = one(coded(code, words, system, percent()));
        assert_eq!(metric.parameter.as_deref(), Some("spo2"), "{code}^{words}^{system}");
        assert_eq!(metric.doubts, doubt.into_iter().collect::<Vec<_>>(), "{code}^{words}");
        assert_eq!(metric.ucum.as_deref(), Some("%"));
        assert_eq!(metric.value.as_sent(), "97");
    }
}

#[test]
fn contradicting_codes_are_not_mapped() {
    // The name of another parameter, and one that the vocabulary does not know.
    for name in ["MDC_PULS_OXIM_PULS_RATE", "MDC_SOMETHING_ELSE"] {
        let metric = one(coded("150456", name, "MDC", Coding::new("%", "", "UCUM")));
        assert_eq!(metric.parameter, None, "{name}");
        assert_eq!(metric.doubts, [Doubt::CodeAndNameDisagree], "{name}");
    }
}

#[test]
fn a_unit_that_contradicts_itself_is_none() {
    let contradiction = || Coding::new("262688", "MDC_DIM_BEAT_PER_MIN", "MDC");
    let mut reading = coded("150456", "MDC_PULS_OXIM_SAT_O2", "MDC", contradiction());
    reading.unit = Some(DeviceUnit { codings: vec![contradiction(), Coding::new("%", "", "")] });
    let metric = one(reading);
    assert_eq!((&metric.unit_mdc, &metric.ucum), (&None, &None));
    assert_eq!(metric.doubts, [Doubt::UnitUnexpected]);
}

#[test]
fn unknown_codes_stay_unmapped_and_counted() {
    let reading = coded("08001", "Take Mode", "99MRC", Coding::new("", "", ""));
    let mapped = mapper().map(&[Group::of(vec![reading])]);
    assert_eq!(mapped.observations[0].unmapped(), 1);
    assert_eq!(mapped.observations[0].metrics[0].codings[0].code, "08001");
}

#[test]
fn a_strange_unit_is_a_doubt() {
    let metric = one(coded("150456", "MDC_PULS_OXIM_SAT_O2", "MDC", Coding::new("kPa", "", "")));
    assert_eq!(metric.doubts, [Doubt::UnitUnexpected]);
}

#[test]
fn readings_at_their_own_time_become_their_own_observation() {
    let percent = || Coding::new("%", "", "UCUM");
    let mut late = coded("150456", "MDC_PULS_OXIM_SAT_O2", "MDC", percent());
    late.time = Some(DeviceTime::read("20260806035556+0000", None));
    let group = Group::of(vec![coded("150456", "", "MDC", percent()), late]);
    let mapped = mapper().map(&[group]);
    assert_eq!(mapped.observations.len(), 2);
    assert_eq!(mapped.observations[0].device_time, None);
}

#[test]
fn codings_or_units_that_contradict_each_other_lead_nowhere() {
    let percent = || Coding::new("262688", "MDC_DIM_PERCENT", "MDC");
    let mut reading = coded("150456", "MDC_PULS_OXIM_SAT_O2", "MDC", percent());
    reading.code = DeviceCode::Codings(vec![
        Coding::new("150456", "MDC_PULS_OXIM_SAT_O2", "MDC"),
        Coding::new("149530", "MDC_PULS_OXIM_PULS_RATE", "MDC"),
    ]);
    let metric = one(reading);
    assert_eq!(metric.parameter, None);
    assert_eq!(metric.doubts, [Doubt::CodeAndNameDisagree]);

    let mut reading = coded("149530", "MDC_PULS_OXIM_PULS_RATE", "MDC", percent());
    reading.unit = Some(DeviceUnit {
        codings: vec![
            Coding::new("264864", "MDC_DIM_BEAT_PER_MIN", "MDC"),
            Coding::new("%", "%", "UCUM"),
        ],
    });
    assert_eq!(one(reading).unit_mdc, None, "number and alternate disagree");
}

fn array(code: DeviceCode, unit: &str) -> SampleArray {
    SampleArray {
        code,
        sub_id: String::new(),
        unit: Some(DeviceUnit::text(unit)),
        period: Period::per_second(125).unwrap(),
        scale: Scale::Unknown,
        samples: vec![Some(-1), None, Some(2)],
        time: None,
        flags: Vec::new(),
    }
}

#[test]
fn an_array_of_samples_gets_codes_as_a_reading_does() {
    let code = DeviceCode::Codings(vec![Coding::new("150456", "", "MDC")]);
    let known = mapper().waveform(array(code, "%"));
    assert_eq!(known.parameter.as_deref(), Some("spo2"));
    assert_eq!((known.mdc_code, known.mdc.as_str()), (Some(150_456), "MDC_PULS_OXIM_SAT_O2"));
    assert_eq!(known.unit_mdc.as_deref(), Some("MDC_DIM_PERCENT"));
    assert_eq!(known.samples, [Some(-1), None, Some(2)]);
    assert!(known.doubts.is_empty());

    let code = DeviceCode::Codings(vec![Coding::new("0x51", "Pleth", "local")]);
    let unknown = mapper().waveform(array(code.clone(), "%"));
    assert_eq!((unknown.parameter, unknown.mdc_code, unknown.mdc.as_str()), (None, None, ""));
    assert_eq!(DeviceCode::Codings(unknown.codings), code, "kept as sent");
    let named = mapper().waveform(array(DeviceCode::Parameter("spo2".to_owned()), "bpm"));
    assert_eq!(named.doubts, [Doubt::UnitUnexpected]);
}

/// The device file's own table guards the unit.
#[test]
fn an_array_in_another_unit_than_the_table_states_is_kept_unmapped() {
    let mut mapper = mapper();
    let units = vec!["%".to_owned()];
    let row = Row { system: String::new(), parameter: "spo2".to_owned(), units };
    mapper.by_code.insert("7".to_owned(), vec![0]);
    mapper.rows.push(row);
    let code = || DeviceCode::Codings(vec![Coding::new("7", "", "")]);
    assert_eq!(mapper.waveform(array(code(), "%")).parameter.as_deref(), Some("spo2"));
    let other = mapper.waveform(array(code(), "mmHg"));
    assert_eq!((other.parameter, other.doubts), (None, vec![Doubt::UnitUnexpected]));
    assert_eq!(other.unit_as_sent, [Coding::new("mmHg", "", "")]);
}
