use std::path::Path;

use super::coverage::coverage;
use super::*;

const PCD: &str = include_str!("../../../../destination-maps/pcd-01.toml");
const OLDER: &str = include_str!("../../../../destination-maps/older-oru-2.3.toml");
const LABORATORY_MAP: &str = include_str!("../../../../destination-maps/laboratory-oru-2.4.toml");

pub(in crate::forward::hl7v2) fn vocabulary() -> Arc<Vocabulary> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles/vocabulary");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    Arc::new(Vocabulary::parse(&read("parameters.toml"), &read("units.toml")).unwrap())
}

#[test]
fn the_ready_made_maps_are_good() {
    let words = vocabulary();
    for (text, version) in [(PCD, "2.6"), (OLDER, "2.3"), (LABORATORY_MAP, "2.4")] {
        let map = Map::read(text, &words).unwrap();
        assert_eq!(map.file().version.as_str(), version);
        assert!(map.file().alarm.is_none(), "alarms do not go out unless somebody says so");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let words = vocabulary();
    let alarm = "\n[alarm]\nmessage = \"pcd-04\"\nsub_id = \"containment\"\n\
                 service = { code = \"196616\", words = \"MDC_EVT_ALARM\", system = \"MDC\" }\n";
    let parameter = |rest: &str| format!("\n[parameter.{rest}\n");
    let changes: [(String, &str, &str); 14] = [
        (PCD.replace("map_format = 1", "map_format = 2"), "map_format = 2", "expected 1"),
        (PCD.replace("UNICODE UTF-8", "UTF-9"), "\"UTF-9\"", "table 0211"),
        (PCD.replace("\"2.6\"", "\"2.5\""), "\"pcd-01\"", "version = \"2.6\""),
        (PCD.replace("accept = \"AL\"", "accept = \"NE\""), "accept = ", "at least one"),
        (PCD.replace("accept = \"AL\"\n", ""), "application = \"NE\"", "both"),
        (PCD.replace("name = \"WARDGATE\"", "name = \"\""), "name = \"\"", "1 to 20"),
        (PCD.replace("\"pcd-10\"", "\"pcd-01\""), "message = \"pcd-01\"\nservice", "pcd-10"),
        (format!("{PCD}{alarm}"), "\"pcd-04\"\nsub_id", "`exception`"),
        (format!("{PCD}{}", parameter("spo2]\ndecimals = 1")), "decimals = 1", "never rounded"),
        (
            format!("{PCD}{}", parameter("spo2]\nunit = \"MDC_DIM_MMHG\"\ndecimals = 1")),
            "unit = \"MDC_DIM_MMHG\"",
            "none of",
        ),
        (format!("{PCD}{}", parameter("oxygen]\nleft_out = \"x\"")), "oxygen", "parameters.toml"),
        (PCD.replace("1.2.246.21", "hetu"), "authority = \"hetu\"", "root OID"),
        (OLDER.replacen("\"number\"", "\"containment\"", 1), "sub_id = \"containment\"", "IHE"),
        (OLDER.replace("Bedside values", "Šairaala"), "service = { code = \"VITALS\"", "charset"),
    ];
    for (text, place, what) in changes {
        let problems = Map::read(&text, &words).unwrap_err();
        let found = problems.iter().find(|problem| problem.what.contains(what));
        let found = found.unwrap_or_else(|| panic!("{what}: {problems:?}"));
        let offset = text.rfind(place).unwrap_or_else(|| panic!("{place}"));
        let line = text[..offset].matches('\n').count() + 1;
        assert!(line.abs_diff(found.position.line) <= 1, "{what}: {found} and not line {line}");
        let shown = found.in_file("x.toml", &text);
        assert!(shown.starts_with(&format!("x.toml:{}:", found.position.line)), "{shown}");
    }
    let unknown = Map::read(&format!("colour = 1\n{PCD}"), &words).unwrap_err();
    assert!(unknown[0].what.contains("unknown field"), "{unknown:?}");
}

#[test]
fn coverage_says_what_has_a_place_and_why_the_rest_has_none() {
    let words = vocabulary();
    let text = format!("{PCD}\n[parameter.perfusion-index]\nleft_out = \"nobody reads it here\"\n");
    let map = Map::read(&text, &words).unwrap();
    let names = ["spo2", "perfusion-index", "ph-blood", "no-such"];
    let found = coverage(&map, names.into_iter());
    assert_eq!(found.placed["spo2"], "150456^MDC_PULS_OXIM_SAT_O2^MDC");
    assert_eq!(found.placed.len(), 1);
    assert_eq!(found.set_aside["perfusion-index"], "left out: nobody reads it here");
    assert_eq!(found.set_aside["ph-blood"], "no [laboratory] in the map");
    assert_eq!(found.set_aside["no-such"], "not in the vocabulary");
    let older = Map::read(OLDER, &words).unwrap();
    let found = coverage(&older, ["nibp-systolic", "ph-blood"].into_iter());
    let expected = " in MDC_DIM_KILO_PASCAL, 1 decimals, half away from zero";
    assert!(found.placed["nibp-systolic"].ends_with(expected), "{found:?}");
    assert_eq!(found.placed["ph-blood"], "160004^MDC_CONC_PH_GEN^MDC");
}
