//! Delimiters, character sets, records that are none, repeats, and profiles that are refused.

use super::*;
use crate::protocol::astm::{PathError, ProfileError, RecordPath};
use crate::vocabulary::{DeviceUnit, Group, Why};

#[test]
fn other_delimiters_are_read_from_the_header() {
    let records = [r"H|\!~|||LAB", "O|1|S!2", r"R|1|!!!X!Y|a~F~b^c\d|u||H\A", "L|1"];
    let message = message(PLAIN, &records);
    let reading = &message.groups[0].readings[0];
    assert_eq!((code(reading), words(reading)), ("X", "Y"));
    assert_eq!(message.groups[0].subject.specimen, "S");
    assert_eq!(flags(reading), ["H", "A"]);
    let cepheid = [r"H*@^\*id**GX", "O*1*PR25", "R*1*^MTB^^X*NOT DETECTED^", "L*1*N"];
    let mut bench = Bench::new("specimen_id = 'O.3'\ntest_code = 'R.3.2'\n");
    bench.feed(&transmission(&cepheid));
    assert_eq!(bench.readings()[0].value.as_sent(), "NOT DETECTED^");
}

#[test]
fn text_outside_the_character_set_is_refused_and_never_replaced() {
    let mut text = b"R|1|^^^X|5|\xb5g/L\r".to_vec();
    let send = |toml: &str, record: &[u8]| {
        let mut bytes = vec![5];
        bytes.extend(frame(1, format!("{H}\rO|1|S\r").as_bytes(), 3));
        bytes.extend(frame(2, record, 3));
        bytes.extend(frame(3, b"R|2|^^^Y|6|g/L\rL|1\r", 3));
        let mut bench = Bench::new(toml);
        bench.feed(&bytes);
        bench.messages.remove(0)
    };
    let read = send(PLAIN, &text);
    assert_eq!(read.groups[0].readings[0].unit, Some(DeviceUnit::text("\u{b5}g/L")));
    let utf8 = format!("{PLAIN}charset = 'utf-8'\n");
    let refused = send(&utf8, &text);
    assert_eq!(refused.groups[0].readings.len(), 1, "the other result is unharmed");
    assert_eq!(refused.refusals[0].why, Why::Charset);
    assert_eq!(&refused.raw[refused.refusals[0].at.clone()], b"\xb5g/L");
    text.splice(11..12, *b"\xc2\xb5");
    assert_eq!(send(&utf8, &text).groups[0].readings.len(), 2);
}

/// A device that writes UTF-8 where its device file says ISO 8859-1, or nothing.
#[test]
fn utf_8_that_is_read_in_a_single_byte_set_is_doubted() {
    let doubted = |more: &str, order: &str, results: &[&str]| -> Vec<bool> {
        let records = [&[H, order], results, &[L]].concat();
        let message = message(&format!("{PLAIN}{more}"), &records);
        let readings = message.groups.iter().flat_map(|group| &group.readings);
        readings.map(|reading| flags(reading).contains(&"charset-guessed")).collect()
    };
    let unit = ["R|1|^^^X|5|\u{b5}g/L", "R|2|^^^Y|6|g/L"];
    for charset in ["", "charset = 'windows-1252'\n", "charset = '8859/15'\n"] {
        assert_eq!(doubted(charset, O, &unit), [true, false], "{charset}");
        assert_eq!(doubted(charset, "O|1|S\u{e4}", &unit[1..]), [true], "{charset}");
    }
    assert_eq!(doubted("charset = 'utf-8'\n", O, &unit), [false, false]);
    let remark = ["R|1|^^^X|5|g/L", "C|1|I|n\u{e4}yte|G", "R|2|^^^Y|6|g/L"];
    assert_eq!(doubted("", O, &remark), [true, false]);
}

#[test]
fn unreadable_records_are_refused_and_the_others_kept() {
    let head = [H, "O|1|SPA", "Z|1|what", "R|1|^^^X|1"];
    // A damaged order: what follows it is nobody's until the next readable one.
    let damaged = [" O|2|SPB", "R|1|^^^X|2", "O|3|SPC", "R|1|^^^X|3", "L|1"];
    let read = message(PLAIN, &[&head[..], &damaged].concat());
    let whys: Vec<_> = read.refusals.iter().map(|refused| refused.why).collect();
    assert_eq!(whys, [Why::OddSegment, Why::OddSegment, Why::Unreadable]);
    let of = |group: &Group| {
        (group.subject.specimen.clone(), group.readings[0].value.as_sent().to_owned())
    };
    let groups: Vec<_> = read.groups.iter().map(of).collect();
    assert_eq!(groups, [("SPA".into(), "1".into()), ("SPC".to_owned(), "3".to_owned())]);
    let read = message(PLAIN, &["P|1||X", "O|1|S", "R|1|^^^X|1", "L|1"]);
    assert!(read.groups.is_empty());
    assert!(read.refusals.iter().all(|refused| refused.why == Why::Unparseable));
    let secret = message(PLAIN, &[H, "Virtanen", "L|1"]);
    assert!(!format!("{secret:?}").contains("Virtanen"));
}

#[test]
fn a_repeat_is_known_by_the_device_s_own_second() {
    let helsinki = TimeZone::get("Europe/Helsinki").unwrap();
    let basis = |header: &str, order: &str, result: &str| {
        let mut bench = Bench::with_zone(PLAIN, &helsinki);
        bench.feed(&transmission(&[header, order, result, "L|1"]));
        bench.messages.remove(0).repeat_basis
    };
    let timed = "R|1|^^^X|1|u||||F||||20120217144954";
    let again = r"H|\^&|MSG2||LAB^1.0^S1|||||||P|1|20260101000500";
    let first = basis(H, "O|1|S", timed);
    assert!(first.is_some());
    assert_eq!(first, basis(again, "O|1|S", timed));
    assert_ne!(first, basis(H, "O|1|S2", timed));
    assert_ne!(first, basis(H, "O|1|S", "R|1|^^^X|2|u||||F||||20120217144954"));
    assert_eq!(basis(H, "O|1|S", "R|1|^^^X|1"), None);
    // A date, a minute, and the hour that comes twice on 25 October 2026 are no second.
    for time in ["20120217", "201202171449", "20261025033000"] {
        let result = format!("R|1|^^^X|1|u||||F||||{time}");
        assert_eq!(basis(H, "O|1|S", &result), None, "{time}");
    }
    // Numbers of the specimen are no numbers of the result: it may be measured again.
    assert_eq!(basis(H, "O|1|S|Sample #^267", "R|1|^^^X|1"), None);
    // One result with a time does not make the other recognisable.
    let mixed = format!("{timed}\rR|2|^^^Y|1");
    assert_eq!(basis(H, "O|1|S", &mixed), None);
}

#[test]
fn profiles_are_refused_with_what_is_wrong() {
    let refused = |more: &str| {
        let read: AstmProfile = toml::from_str(&format!("{PLAIN}{more}")).unwrap();
        read.check().unwrap_err()
    };
    assert!(matches!(refused("receiver_timer_ms = 1"), ProfileError::OutOfRange { .. }));
    assert!(matches!(refused("frame_text_max = 99999999"), ProfileError::OutOfRange { .. }));
    assert_eq!(refused("also_allowed_in_text = [3]"), ProfileError::FramingByte(3));
    assert!(matches!(refused("value = 'O.4'"), ProfileError::WrongRecord { .. }));
    assert!(matches!(refused("specimen_id_also = ['R.3']"), ProfileError::WrongRecord { .. }));
    assert!(matches!(refused("[[select]]\npath = 'R.3'"), ProfileError::OneCondition { .. }));
    let rule = "[[control_sample]]\npath = 'H.12'";
    assert!(matches!(refused(rule), ProfileError::OneCondition { .. }));
    let row = "[[result]]\ncode = 'X'\nparameter = 'x'\nunit = ''\nsource = 's'\n";
    assert_eq!(refused(&row.repeat(2)), ProfileError::TwiceInResults("X".to_owned()));
    for bad in ["surprise = 1", "charset = 'shift_jis'", "absent = { x = 'tired' }"] {
        assert!(toml::from_str::<AstmProfile>(&format!("{PLAIN}{bad}\n")).is_err(), "{bad}");
    }
    let path = toml::from_str::<AstmProfile>("specimen_id = 'S.3'\ntest_code = 'R.3'");
    assert!(path.unwrap_err().to_string().contains("starts with H., P., O. or R."));
    assert!(matches!(RecordPath::parse("R"), Err(PathError::Record(_))));
}

#[test]
fn the_schema_describes_every_field() {
    let schema = serde_json::to_value(schemars::schema_for!(AstmProfile)).unwrap();
    let fields = schema["properties"].as_object().unwrap();
    assert!(fields.contains_key("specimen_id") && fields.contains_key("result"));
    for (name, field) in fields {
        assert!(field["description"].is_string(), "{name} has no description");
    }
    assert_eq!(schema["additionalProperties"], false);
}
