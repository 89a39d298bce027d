//! Fault 16 of the fault matrix: a configuration or a device file with something wrong in it is
//! refused as a whole, with file, line and column and what would be accepted. Every key is damaged:
//! another type, another name, left out, out of range. Nothing is applied, and no unit or code is
//! ever made up for one that is missing.

mod house;

use std::path::Path;

use house::repository;
use wardgate::gateway::configuration::{
    Configuration, known_profiles, load, load_profile, load_vocabulary,
};
use wardgate::profile::Drafts;

/// Every key that may stand beside the others. A line holds one.
const FULL: &str = r#"[gateway]
id = "urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11"
tenant = "demo"
site = "site"
ward = "icu"
name = "box-1"
data = "DATA"
socket = "SOCKET"
device_profiles = "PROFILES"
mode = "bench"
time_zone = "Europe/Helsinki"
uncertainty_ms_max = 2000
manifest_every_s = 86400
segment_bytes = 67108864

[gateway.retention]
hours = 24
bytes = 2147483648

[[device]]
name = "monitor"
profile = "generic/pcd-01"
place = "icu/bed-1"
firmware = "PCD-01 2.6"
time_zone = "Europe/Stockholm"
charset = "8859/1"
machine = "asset-1"
codes = ["D000001"]
mobility = "fixed"

[device.link]
tcp_server = "127.0.0.1:0"

[[device]]
name = "monitor-2"
profile = "generic/pcd-01"
place = "icu/bed-2"
firmware = "PCD-01 2.6"

[device.link.udp_device]
address = "127.0.0.1:24105"
listen = "127.0.0.1:0"
announcements = "127.0.0.1:24005"

[[destination]]
name = "core"
files = "trial"
unattributed = false
take = "all"
required = "required"
order = "lanes"
proves = "stored-by-core"
backup_every_h = 12
start = "now"

[destination.mqtt]
host = "127.0.0.1"
port = 1883
receivers = ["core"]
resend_after_s = 5

[identity]
issuer = "http://127.0.0.1:1"
audience = "wardgate"
algorithms = ["ES256", "RS256"]
clients = ["bedside"]
core_clients = ["core"]
access_token = "rfc9068"
scope = "ward"
token_minutes_max = 15
sign_in_minutes_max = 60
roles_claim = ["roles"]
wards_claim = ["wards"]
name_claim = ["name"]
role = [{ value = "nurse", role = "registered-nurse" }]
session_hours = 12
sessions_per_person = 2
verify_minutes = 60
outage_hours = 24
development = false

[association]
enough = ["scan"]
unseen_hours_max = 12
root_without_authority = "1.2.246.10.1234567.22.1"
one_patient_places = ["icu/bed-1"]
"#;

/// Keys that exclude those of [`FULL`], or need files.
const ELSEWHERE: [&str; 25] = [
    "journal_key",
    "journal_key_previous",
    "retention",
    "waveforms",
    "hl7v2",
    "fhir",
    "https",
    "serial",
    "serial_server",
    "tcp_client",
    "udp",
    "udp_device",
    "replay",
    "ca",
    "crl",
    "certificate",
    "key",
    "mqtt",
    "link",
    "x",
    "person",
    "identity",
    "class",
    "authorities",
    "scan",
];

/// Keys that may be left out: what then holds is written in the manual. None is a unit or a code.
const OPTIONAL: [&str; 38] = [
    "listen",
    "announcements",
    "hours",
    "bytes",
    "order",
    "proves",
    "backup_every_h",
    "start",
    "time_zone",
    "uncertainty_ms_max",
    "manifest_every_s",
    "segment_bytes",
    "charset",
    "take",
    "port",
    "resend_after_s",
    "algorithms",
    "core_clients",
    "access_token",
    "scope",
    "token_minutes_max",
    "sign_in_minutes_max",
    "roles_claim",
    "wards_claim",
    "name_claim",
    "session_hours",
    "sessions_per_person",
    "verify_minutes",
    "outage_hours",
    "development",
    "machine",
    "codes",
    "mobility",
    "unattributed",
    "enough",
    "unseen_hours_max",
    "root_without_authority",
    "one_patient_places",
];

/// A value that no key takes.
const DATE: &str = "1979-05-27";

fn loaded(folder: &Path, text: &str) -> Result<Configuration, Vec<String>> {
    let file = folder.join("wardgate.toml");
    let text = text
        .replace("DATA", &folder.join("data").display().to_string())
        .replace("SOCKET", &folder.join("socket").display().to_string())
        .replace("PROFILES", &repository().join("device-profiles").display().to_string());
    std::fs::write(&file, text).unwrap();
    let loaded = load(&file);
    assert!(!folder.join("data").exists(), "nothing is applied");
    loaded
}

/// The key that stands on a line of its own with its whole value.
fn key_of(line: &str) -> Option<&str> {
    let (key, value) = line.split_once(" = ")?;
    let plain = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let count =
        |open: char, close: char| value.matches(open).count() == value.matches(close).count();
    let whole = count('[', ']') && count('{', '}') && !value.starts_with("'''");
    (plain && whole).then_some(key)
}

/// The text with one line changed; lines are counted from 1.
fn with_line(text: &str, number: usize, new: Option<&str>) -> String {
    let lines = text.lines().enumerate();
    let changed =
        lines.filter_map(|(index, line)| if index + 1 == number { new } else { Some(line) });
    changed.map(|line| format!("{line}\n")).collect()
}

/// `file:line:column: what`, the line, and a caret; gives the line and what.
fn place_of(said: &str) -> (usize, usize, String) {
    let mut lines = said.lines();
    let first = lines.next().unwrap();
    let (_, rest) = first.split_once(".toml:").unwrap_or_else(|| panic!("no file: {said}"));
    let mut parts = rest.splitn(3, ':');
    let mut number = || parts.next().and_then(|text| text.parse().ok());
    let (Some(line), Some(column)) = (number(), number()) else { panic!("no place: {said}") };
    let what = parts.next().unwrap_or_default().trim().to_owned();
    assert!(said.lines().last().is_some_and(|line| line.trim() == "^"), "no caret: {said}");
    (line, column, what)
}

/// Whether a text says what would be accepted.
fn says_what_is_expected(what: &str) -> bool {
    ["expected", "must be", "missing field", "there are:"].iter().any(|word| what.contains(word))
}

#[test]
fn f16_every_key_of_a_configuration_is_refused_when_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    loaded(folder.path(), FULL).unwrap_or_else(|said| panic!("{}", said.join("\n")));
    let mut listed = 0;
    for (index, line) in FULL.lines().enumerate() {
        let Some(key) = key_of(line) else { continue };
        let number = index + 1;
        let value_column = key.len() + 4;

        let said =
            loaded(folder.path(), &with_line(FULL, number, Some(&format!("{key} = {DATE}"))));
        let said = said.expect_err(key).remove(0);
        let (at, column, what) = place_of(&said);
        assert_eq!((at, column), (number, value_column), "{key} of another type: {said}");
        assert!(says_what_is_expected(&what), "{said}");

        let renamed = line.replacen(key, &format!("{key}_x"), 1);
        let said = loaded(folder.path(), &with_line(FULL, number, Some(&renamed)));
        let said = said.expect_err(key).remove(0);
        let (at, column, what) = place_of(&said);
        assert_eq!((at, column), (number, 1), "{key} of another name: {said}");
        assert!(what.contains(&format!("unknown field `{key}_x`")), "{said}");
        // The answer lists what the table takes: all of it is tried here.
        let accepted: Vec<&str> = what.split('`').skip(3).step_by(2).collect();
        assert!(accepted.contains(&key), "{said}");
        for one in accepted {
            let here = FULL.lines().any(|line| key_of(line) == Some(one));
            let known = here || ELSEWHERE.contains(&one);
            assert!(known, "`{one}` is a key that this test does not try: add it to FULL");
            listed += 1;
        }

        let without = loaded(folder.path(), &with_line(FULL, number, None));
        if OPTIONAL.contains(&key) {
            without.unwrap_or_else(|said| panic!("{key} may be left out: {said:?}"));
        } else {
            let said = without.err().unwrap_or_else(|| panic!("{key} was made up")).remove(0);
            let (_, _, what) = place_of(&said);
            assert!(says_what_is_expected(&what), "{said}");
            assert!(what.contains(key) || key == "tcp_server", "{said}");
        }
    }
    assert!(listed > 100, "the answers list keys");
}

#[test]
fn f16_values_out_of_range_are_refused_where_they_stand() {
    // The line, and words of what would be accepted.
    let cases = [
        ("id = \"box-1\"", "urn:uuid:"),
        ("tenant = \"\"", "expected"),
        ("ward = \"a b\"", "expected"),
        ("name = \"box/1\"", "expected"),
        ("mode = \"prod\"", "`production`"),
        ("time_zone = \"Helsinki\"", "Europe/Helsinki"),
        ("uncertainty_ms_max = -1", "expected"),
        ("uncertainty_ms_max = 1.5", "expected"),
        ("manifest_every_s = -1", "expected"),
        ("manifest_every_s = 4294967296", "expected"),
        ("segment_bytes = 1", "or more"),
        ("profile = \"generic/none\"", "generic/pcd-01"),
        ("profile = \"../profiles\"", "generic/pcd-01"),
        ("place = \"\"", "expected"),
        ("charset = \"FIN\"", "8859/1"),
        ("tcp_server = \"127.0.0.1\"", "socket address"),
        ("tcp_server = \"127.0.0.1:65536\"", "socket address"),
        ("files = \"everything\"", "`patients`"),
        ("take = \"every 7 s\"", "1 h"),
        ("take = \"some\"", "confirmed"),
        ("required = \"maybe\"", "`best-effort`"),
        ("backup_every_h = 0", "24 for a backup a day"),
        ("backup_every_h = 24", "less than the 24 hours of [gateway.retention]"),
        ("host = \"not a host\"", "a name or an address"),
        ("port = 0", "must not be 0"),
        ("port = 65536", "expected"),
        ("receivers = []", "receiver"),
        ("receivers = [\"\"]", "1 to"),
        ("resend_after_s = 0", "must not be 0"),
        ("resend_after_s = 65536", "expected"),
        ("issuer = \"ftp://login\"", "expected https://"),
        ("issuer = \"https://login\"", "https needs ca"),
        ("audience = \"bedside\"", "the audience of an application is what ID tokens have"),
        ("audience = \"\"", "1 to 500 characters"),
        ("algorithms = []", "\"ES256\""),
        ("algorithms = [\"HS256\"]", "`ES256` or `RS256`"),
        ("clients = []", "sign in with"),
        ("core_clients = [\"bedside\"]", "a person would pass for a system"),
        ("access_token = \"jwt\"", "`unmarked`"),
        ("scope = \"a b\"", "one scope"),
        ("token_minutes_max = 61", "1 to 60"),
        ("sign_in_minutes_max = 0", "1 or more"),
        ("roles_claim = []", "member names"),
        ("role = []", "nobody may do anything"),
        ("role = [{ value = \"x\", role = \"chief\" }]", "`registered-nurse`"),
        ("role = [{ value = \"x\", role = \"core-system\" }]", "a role of people"),
        ("session_hours = 13", "1 to 12"),
        ("outage_hours = 25", "1 to 24"),
        ("outage_hours = 0", "1 to 24"),
        ("verify_minutes = 0", "1 to 720"),
        ("development = true", "[[identity.person]]"),
        ("resend_after_s = 5\nca = \"/nowhere/ca.pem\"", "/nowhere/ca.pem"),
        ("resend_after_s = 5\nkey = \"/nowhere/box.key\"", "certificate"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (line, expected) in cases {
        let (key, _) = line.split_once(" = ").unwrap();
        let number = 1 + FULL.lines().position(|line| key_of(line) == Some(key)).unwrap();
        let said = loaded(folder.path(), &with_line(FULL, number, Some(line)));
        let said = said.err().unwrap_or_else(|| panic!("{line} is taken")).remove(0);
        let (at, _, _) = place_of(&said);
        assert!((number..number + line.lines().count()).contains(&at), "{line}: {said}");
        assert!(said.contains(expected), "{line}: {said}");
    }
}

/// Whole answers, word for word as a person sees them.
#[test]
fn f16_answers_read_like_this() {
    let golden = [
        (
            10,
            "mode = \"test\"",
            "10:8: unknown variant `test`, expected `production` or `bench`\n    \
             mode = \"test\"\n           ^",
        ),
        (
            11,
            "time_zone = \"Helsinki\"",
            "11:13: expected a zone of the IANA database, such as \"Europe/Helsinki\"\n    \
             time_zone = \"Helsinki\"\n                ^",
        ),
        (
            26,
            "charset = \"FIN\"",
            "26:11: expected a name of HL7 table 0211, such as \"8859/1\"\n    \
             charset = \"FIN\"\n              ^",
        ),
        (
            49,
            "take = \"every 7 s\"",
            "49:8: expected every 1 s to 1 h, a whole part of an hour\n    \
             take = \"every 7 s\"\n           ^",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wardgate.toml");
    for (number, line, answer) in golden {
        let said = loaded(folder.path(), &with_line(FULL, number, Some(line))).unwrap_err();
        assert_eq!(said, [format!("{}:{answer}", file.display())]);
    }
}

/// Keys of a device file without which nobody knows what a number is.
const OF_MEANING: [&str; 9] =
    ["unit", "parameter", "code", "lsb", "raw", "column", "at", "specimen_id", "test_code"];

#[test]
fn f16_every_key_of_a_device_file_is_refused_when_it_is_wrong() {
    let profiles = repository().join("device-profiles");
    let vocabulary = load_vocabulary(&profiles).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.toml");
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        load_profile(&file, &vocabulary, Drafts::Accepted).map(drop)
    };
    let (mut keys, mut of_meaning) = (0, 0);
    for id in known_profiles(&profiles) {
        let text = std::fs::read_to_string(profiles.join(&id).join("profile.toml")).unwrap();
        load(&text).unwrap_or_else(|said| panic!("{id}: {}", said.join("\n")));
        for (index, line) in text.lines().enumerate() {
            let Some(key) = key_of(line) else { continue };
            let number = index + 1;
            keys += 1;
            let wrong = with_line(&text, number, Some(&format!("{key} = {DATE}")));
            let said = load(&wrong).err().unwrap_or_else(|| panic!("{id}:{number} {key}: a date"));
            let (at, _, _) = place_of(&said[0]);
            assert_eq!(at, number, "{id}: {key} of another type: {}", said[0]);

            let renamed =
                with_line(&text, number, Some(&line.replacen(key, &format!("{key}_x"), 1)));
            let said = load(&renamed).err().unwrap_or_else(|| panic!("{id}:{number} {key}_x"));
            let (at, _, what) = place_of(&said[0]);
            assert_eq!(at, number, "{id}: {key} of another name: {}", said[0]);
            assert!(says_what_is_expected(&what), "{id}: {}", said[0]);

            if OF_MEANING.contains(&key) {
                of_meaning += 1;
                let said = load(&with_line(&text, number, None));
                assert!(said.is_err(), "{id}:{number}: {key} was made up");
            }
        }
    }
    println!("{keys} keys, {of_meaning} of them without which a number means nothing");
    assert!(keys > 200 && of_meaning > 50, "{keys} {of_meaning}");
}

/// An AA may come from an engine: nobody but the site knows what it proves.
#[test]
fn f16_an_hl7_v2_destination_that_does_not_say_what_its_answer_proves_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let map = repository().join("destination-maps/pcd-01.toml");
    let hl7v2 = format!("[destination.hl7v2]\nhost = \"127.0.0.1\"\nmap = \"{}\"", map.display());
    let mqtt = FULL.find("[destination.mqtt]").unwrap();
    let full = format!("{}{hl7v2}\nport = 2575\n", &FULL[..mqtt]);
    loaded(folder.path(), &full).unwrap_or_else(|said| panic!("{}", said.join("\n")));
    let silent = full.replace("proves = \"stored-by-core\"\n", "");
    let said = loaded(folder.path(), &silent).unwrap_err().remove(0);
    let (line, column, what) = place_of(&said);
    let table = 1 + FULL.lines().position(|line| line == "[[destination]]").unwrap();
    assert_eq!((line, column), (table, 1), "{said}");
    assert!(what.contains("expected `proves`") && what.contains("stored-by-core"), "{said}");
}
