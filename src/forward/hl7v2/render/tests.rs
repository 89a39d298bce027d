use serde_json::{Value as Json, json};

use super::*;
use crate::forward::hl7v2::map::tests::vocabulary;
use crate::forward::stored::{EventKind, Stored};
use crate::vocabulary::{Sequence, StreamId};

const PCD: &str = include_str!("../../../../destination-maps/pcd-01.toml");
const OLDER: &str = include_str!("../../../../destination-maps/older-oru-2.3.toml");
const LABORATORY: &str = include_str!("../../../../destination-maps/laboratory-oru-2.4.toml");

fn map(text: &str) -> Map {
    Map::read(text, &vocabulary()).unwrap()
}

fn spo2(id: &str, more: Json) -> Json {
    let mut metric = json!({
        "observation_id": id, "parameter": "spo2", "mdc_code": 150456,
        "mdc": "MDC_PULS_OXIM_SAT_O2", "loinc": "59408-5", "status": "not-stated",
        "unit_mdc": "MDC_DIM_PERCENT", "ucum": "%", "unit": [{"code": "%"}],
    });
    let fields = more.as_object().unwrap().clone();
    metric.as_object_mut().unwrap().extend(fields);
    metric
}

fn data(metrics: Json) -> Json {
    json!({
        "mode": "production", "patient": null, "patient_absent": "not-associated",
        "association": {"place": "icu/bed-1", "grade": "configuration", "ledger": 3},
        "times": {"device": null, "corrected": null,
            "chart": {"utc": "2026-11-20T08:10:12.000000Z", "rule": "received"}},
        "metrics": metrics,
    })
}

fn routed(kind: EventKind, sequence: u64, data: Json) -> Routed {
    let Json::Object(data) = data else { panic!("an object") };
    Routed {
        stored: Stored {
            kind,
            time: "2026-11-20T08:10:12.000000Z".to_owned(),
            subject: "bed-1-oximeter".to_owned(),
            routes: [("core".to_owned(), 0)].into(),
            data,
        },
        stream: StreamId::from_bytes([0x1f; 16]),
        sequence: Sequence::new(sequence).unwrap(),
        time_us: 1_795_162_212_000_000,
        destination: "core".to_owned(),
        source: "urn:uuid:1".to_owned(),
    }
}

fn segments(map: &Map, routed: &Routed) -> Vec<String> {
    let outcome = render(map, routed);
    let Outcome::Message(bytes) = outcome else { panic!("{outcome:?}") };
    let text = String::from_utf8(bytes).unwrap();
    text.trim_end_matches('\r').split('\r').map(str::to_owned).collect()
}

fn field(segments: &[String], name: &str, number: usize) -> String {
    let found = segments.iter().find(|one| one.starts_with(name)).unwrap();
    found.split('|').nth(number).unwrap_or_default().to_owned()
}

#[test]
fn an_observation_is_the_message_of_the_sheet() {
    let metrics = json!([spo2("1f1f1f1f-7.0", json!({"value": "97"}))]);
    let routed = routed(EventKind::Observation, 7, data(metrics));
    let expected = [
        r"MSH|^~\&|WARDGATE||CORE||20261120081012.0000+0000||ORU^R01^ORU_R01|1f1f1f1f-7|P|2.6|||AL|NE||UNICODE UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO",
        "OBR|1||1f1f1f1f-7^WARDGATE|182777000^monitoring of patient^SCT|||20261120081012.0000+0000",
        "NTE|1||No patient: not-associated",
        "NTE|2||Place: icu/bed-1 (configuration)",
        "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC^59408-5^^LN|1.1.1.1|97|262688^MDC_DIM_PERCENT^MDC^%^%^UCUM|||||R|||20261120081012.0000+0000||||bed-1-oximeter^WARDGATE",
    ];
    assert_eq!(segments(&map(PCD), &routed), expected);
    assert_eq!(render(&map(PCD), &routed), render(&map(PCD), &routed));
}

#[test]
fn one_measurement_is_the_same_three_fields_in_every_status() {
    let map = map(PCD);
    let status = |kind, sequence, status: &str| {
        let metric = spo2("1f1f1f1f-7.2", json!({"value": "97", "status": status}));
        let found = segments(&map, &routed(kind, sequence, data(json!([metric]))));
        let identity = [field(&found, "OBR", 3), field(&found, "OBX", 3), field(&found, "OBX", 4)];
        (identity, field(&found, "OBX", 11), field(&found, "MSH", 9))
    };
    let (identity, first, _) = status(EventKind::Observation, 7, "preliminary");
    assert_eq!((identity[0].as_str(), identity[2].as_str()), ("1f1f1f1f-7^WARDGATE", "1.1.1.3"));
    assert_eq!(first, "P");
    // HL7 table 0085.
    for (said, letter) in [("final", "F"), ("corrected", "C"), ("withdrawn", "W")] {
        let (again, found, id) = status(EventKind::Correction, 900, said);
        assert_eq!((again, found.as_str(), id.as_str()), (identity.clone(), letter, "1f1f1f1f-p0"));
    }
}

#[test]
fn values_go_as_the_device_sent_them() {
    let map = map(PCD);
    let obx = |value: Json| {
        let metrics = json!([spo2("1f1f1f1f-7.0", value)]);
        let found = segments(&map, &routed(EventKind::Observation, 7, data(metrics)));
        (field(&found, "OBX", 2), field(&found, "OBX", 5))
    };
    let own = |kind: &str, text: &str| (kind.to_owned(), text.to_owned());
    for text in ["7.40", "-0.0", "07.40", ".5", "+3", "100."] {
        assert_eq!(obx(json!({"value": text})), own("NM", text));
    }
    let low = json!({"value": "< 20", "comparator": "<", "digits": "20"});
    assert_eq!(obx(low), own("ST", "< 20"));
    assert_eq!(obx(json!({"value": "1e5"})), own("ST", "1e5"));
    assert_eq!(obx(json!({"value": "161,152", "form": "text"})), own("ST", "161,152"));
    assert_eq!(obx(json!({"value": "a|b^c\rd", "form": "text"})), own("ST", r"a\F\b\S\c\.br\d"));
    let coded = json!({"value": "x", "coded": {"code": "", "words": "on|off", "system": ""}});
    assert_eq!(obx(coded), own("CWE", r"^on\F\off"));
}

#[test]
fn what_is_not_there_is_never_zero() {
    // facts/semantics.md 1.2 and HL7 table 0078.
    let cases = [
        ("probe-off", "NAV", "X"),
        ("invalid", "INV", "X"),
        ("measuring", "BUSY", "X"),
        ("off", "OFF", "X"),
        ("not-stated", "NI", "X"),
        ("under-range", "<", "X"),
        ("over-range", ">", "X"),
        ("pending", "", "I"),
    ];
    for (reason, flag, status) in cases {
        let metrics = json!([spo2("1f1f1f1f-7.0", json!({"absent": reason}))]);
        let found = segments(&map(PCD), &routed(EventKind::Observation, 7, data(metrics)));
        let fields = [2, 5, 8, 11].map(|number| field(&found, "OBX", number));
        assert_eq!(fields, ["", "", flag, status], "{reason}");
        assert!(found.last().unwrap().contains(&format!("No value: {reason}")), "{found:?}");
    }
}

#[test]
fn a_doubt_and_a_strange_flag_stand_beside_the_value() {
    let more = json!({"value": "97", "doubts": ["implausible"], "flags": ["N", "low perfusion"]});
    let routed = routed(EventKind::Observation, 7, data(json!([spo2("1f1f1f1f-7.0", more)])));
    let found = segments(&map(PCD), &routed);
    assert_eq!(field(&found, "OBX", 8), "N~QUES");
    let notes: Vec<&str> =
        found.iter().map(String::as_str).filter(|one| one.starts_with("NTE")).collect();
    assert!(notes.contains(&"NTE|1||Marked by the device: low perfusion"), "{notes:?}");
    assert!(notes.contains(&"NTE|2||Doubted by the gateway: implausible"), "{notes:?}");
}

#[test]
fn a_converted_value_goes_with_the_one_that_was_sent() {
    let metric = json!({
        "observation_id": "1f1f1f1f-7.0", "parameter": "nibp-systolic", "mdc_code": 150021,
        "mdc": "MDC_PRESS_BLD_NONINV_SYS", "value": "121", "status": "final",
        "unit_mdc": "MDC_DIM_MMHG", "ucum": "mm[Hg]", "unit": [{"code": "mmHg"}],
    });
    let routed = routed(EventKind::Observation, 7, data(json!([metric])));
    let found = segments(&map(OLDER), &routed);
    assert_eq!(field(&found, "OBX", 5), "16.1");
    assert_eq!(field(&found, "OBX", 6), "kPa^kPa^UCUM^265987^MDC_DIM_KILO_PASCAL^MDC");
    let note = "NTE|1||As sent by the device: 121 mm[Hg]. Converted to kPa, rounded half away from \
                zero to 1 decimals";
    assert_eq!(found.last().unwrap(), note);
    // Version 2.3 has no OBX-18 and no third component of MSH-9.
    assert_eq!(
        (field(&found, "OBX", 15).as_str(), field(&found, "OBX", 18).as_str()),
        ("bed-1-oximeter^^L", "")
    );
    assert_eq!(field(&found, "MSH", 8), "ORU^R01");
}

#[test]
fn what_has_no_place_is_named_or_set_aside() {
    let unmapped = json!({"observation_id": "1f1f1f1f-7.1", "parameter": null, "value": "5",
        "codings": [{"code": "Q7", "words": "pleth"}], "status": "final"});
    let both = json!([spo2("1f1f1f1f-7.0", json!({"value": "97"})), unmapped]);
    let routed_both = routed(EventKind::Observation, 7, data(both));
    let found = segments(&map(PCD), &routed_both);
    let note = "NTE|3||Left out, without a place here: pleth (unmapped)";
    assert!(found.iter().any(|one| one == note), "{found:?}");
    let strict = map(&PCD.replace("unplaced = \"note\"", "unplaced = \"set-aside\""));
    assert_eq!(render(&strict, &routed_both), Outcome::SetAside("a-value-has-no-place"));
    let alone = routed(EventKind::Observation, 7, data(json!([unmapped])));
    assert_eq!(render(&map(PCD), &alone), Outcome::SetAside("no-value-has-a-place"));
    let unit = json!({"value": "9", "unit_mdc": null, "ucum": null, "unit": [{"code": "furlong"}]});
    let unit = routed(EventKind::Observation, 7, data(json!([spo2("1f1f1f1f-7.0", unit)])));
    assert_eq!(render(&map(PCD), &unit), Outcome::SetAside("no-value-has-a-place"));
}

#[test]
fn records_without_a_place_are_set_aside_and_those_done_without_are_not_for_here() {
    let metrics = || json!([spo2("1f1f1f1f-7.0", json!({"value": "97"}))]);
    let aside = |map: &Map, kind, data| render(map, &routed(kind, 7, data));
    let pcd = map(PCD);
    let none = Outcome::SetAside("no-place-for-such-records");
    assert_eq!(aside(&pcd, EventKind::Alarm, data(metrics())), none);
    assert_eq!(aside(&pcd, EventKind::Waveform, json!({})), none);
    assert_eq!(aside(&pcd, EventKind::Gap, json!({})), Outcome::NotForHere);
    let mut training = data(metrics());
    training["mode"] = json!("training");
    let not_production = Outcome::SetAside("not-production");
    assert_eq!(aside(&pcd, EventKind::Observation, training), not_production);
    let mut odd = data(metrics());
    odd["times"] = json!(5);
    assert_eq!(aside(&pcd, EventKind::Observation, odd), Outcome::Damaged);
    let mut remark = data(metrics());
    remark["remarks"] = json!(["Š"]);
    let unwritable = Outcome::SetAside("character-not-in-charset");
    assert_eq!(aside(&map(OLDER), EventKind::Observation, remark), unwritable);
}

#[test]
fn a_patient_goes_out_only_in_the_forms_that_the_map_names() {
    let metrics = json!([spo2("1f1f1f1f-7.0", json!({"value": "97"}))]);
    let mut stated = data(metrics.clone());
    // A published test identity: facts/semantics.md 4.1.
    stated["patient"] = json!({"ids": [
        {"id": "010594Y9032", "authority": "urn:oid:1.2.246.21"},
        {"id": "inside", "authority": "urn:oid:1.2.3"},
    ]});
    let found = segments(&map(PCD), &routed(EventKind::Observation, 7, stated.clone()));
    assert_eq!(found[1], "PID|1||010594Y9032^^^DVV&1.2.246.21&ISO^NNFIN||^^^^^^U");
    assert_eq!(found[2], "PV1||I|icu^^bed-1");
    assert!(!found.iter().any(|one| one.contains("No patient")), "{found:?}");
    let mut protected = stated.clone();
    protected["patient_protected"] = json!(true);
    let protected = routed(EventKind::Observation, 7, protected);
    assert_eq!(segments(&map(PCD), &protected), found, "only where the map asks for it");
    let asked = PCD.replace("[patient]", "[patient]\nprotection_indicator = true");
    let marked = segments(&map(&asked), &protected);
    assert_eq!(marked[2], "PD1||||||||||||Y");
    assert_eq!(marked[1], found[1]);
    let without = map(&PCD.replace("= \"send\"", "= \"set-aside\""));
    let alone = routed(EventKind::Observation, 7, data(metrics));
    assert_eq!(render(&without, &alone), Outcome::SetAside("no-patient"));
    stated["patient"]["ids"][0]["authority"] = json!("urn:oid:1.2.4");
    let other = routed(EventKind::Observation, 7, stated);
    assert_eq!(render(&map(PCD), &other), Outcome::SetAside("no-identifier-for-here"));
    // What the device says of a patient is no patient.
    let mut device = data(json!([spo2("1f1f1f1f-7.0", json!({"value": "97"}))]));
    device["patient_ids_stated_by_device"] =
        json!([{"id": "010594Y9032", "authority": "", "id_type": ""}]);
    let found = segments(&map(PCD), &routed(EventKind::Observation, 7, device));
    assert!(!found.join("\r").contains("010594"), "{found:?}");
}

fn ph(id: &str) -> Json {
    json!({"observation_id": id, "parameter": "ph-blood", "mdc_code": 160004,
        "mdc": "MDC_CONC_PH_GEN", "value": "7.40", "status": "final"})
}

#[test]
fn a_laboratory_result_goes_by_its_own_table() {
    let mut result = data(json!([ph("1f1f1f1f-a.0")]));
    result["specimen"] = json!({"id": "S-1", "type": ""});
    result["ordered"] = json!({"code": "^^^pH"});
    let found = segments(&map(LABORATORY), &routed(EventKind::Observation, 10, result.clone()));
    let fields = [2, 3, 4, 25].map(|number| field(&found, "OBR", number));
    assert_eq!(fields, ["S-1^LAB", "1f1f1f1f-a^WARDGATE", "pH", "F"]);
    assert_eq!(field(&found, "OBX", 4), "1");
    let monitors = routed(
        EventKind::Observation,
        10,
        data(json!([spo2("1f1f1f1f-a.0", json!({"value": "97"}))])),
    );
    let none = Outcome::SetAside("no-place-for-such-records");
    assert_eq!(render(&map(LABORATORY), &monitors), none);

    let newer = LABORATORY.replace("oru-r01", "oul-r22").replace("\"2.4\"", "\"2.5.1\"");
    let routed_result = routed(EventKind::Observation, 10, result.clone());
    let outcome = render(&map(&newer), &routed_result);
    assert_eq!(outcome, Outcome::SetAside("no-specimen-type"));
    result["specimen"] = json!({"id": "S-1", "type": "blood"});
    let found = segments(&map(&newer), &routed(EventKind::Observation, 10, result));
    assert_eq!(found[1], "SPM|1|S-1&LAB||^blood");
    assert_eq!(field(&found, "MSH", 8), "OUL^R22^OUL_R22");
}

#[test]
fn alarms_need_an_exception_and_go_by_facets() {
    let alarm = "\n[alarm]\nmessage = \"pcd-04\"\nsub_id = \"containment\"\n\
                 exception = \"the receiver keeps a log of alarms\"\n\
                 service = { code = \"196616\", words = \"MDC_EVT_ALARM\", system = \"MDC\" }\n";
    let part = |id: &str, name: &str, code: u32, mdc: &str| {
        json!({"observation_id": id, "parameter": name, "mdc_code": code, "mdc": mdc,
            "value": "start", "form": "text", "status": "final", "nature": "event-part"})
    };
    let mut event = data(json!([
        part("1f1f1f1f-c.0", "evt-alarm", 196616, "MDC_EVT_ALARM"),
        part("1f1f1f1f-c.1", "attr-event-phase", 68481, "MDC_ATTR_EVENT_PHASE"),
    ]));
    event["purpose"] = json!("for the record, not for notification");
    let map = map(&format!("{PCD}{alarm}"));
    let found = segments(&map, &routed(EventKind::Alarm, 12, event));
    assert_eq!(field(&found, "MSH", 8), "ORU^R40^ORU_R40");
    assert_eq!(found[2], "NTE|1||For the record, not for notification");
    let places: Vec<&str> = found
        .iter()
        .filter(|one| one.starts_with("OBX"))
        .map(|one| one.split('|').nth(4).unwrap())
        .collect();
    assert_eq!(places, ["1.1.1.1.1", "1.1.1.1.3"]);
}

#[test]
fn a_device_place_that_is_not_unique_sets_the_record_aside() {
    let device = map(&OLDER.replace("sub_id = \"number\"", "sub_id = \"device\""));
    let at = |first: &str, second: &str| {
        let one = |id: &str, sub_id: &str| spo2(id, json!({"value": "97", "sub_id": sub_id}));
        let metrics = json!([one("1f1f1f1f-7.0", first), one("1f1f1f1f-7.1", second)]);
        render(&device, &routed(EventKind::Observation, 7, data(metrics)))
    };
    assert!(matches!(at("1.3.1.1", "1.3.1.2"), Outcome::Message(_)));
    assert_eq!(at("1.3.1.1", "1.3.1.1"), Outcome::SetAside("sub-id-not-unique"));
    assert_eq!(at("", "1"), Outcome::SetAside("sub-id-is-none"));
}
