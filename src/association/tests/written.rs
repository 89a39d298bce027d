//! The written form of entries and checkpoints: it stands in journals. If one of these fails, the
//! change is wrong and not the test; a new form has a new version.

use super::*;

const SCAN: &str = concat!(
    r#"{"version":1,"id":"e1","stated":1772438400000000,"learned":1772438401000000,"#,
    r#""by":{"source":"scan","person":"person-7"},"#,
    r#""says":{"kind":"associated","device":"pump-4","channel":"fhr-1","#,
    r#""patient":{"root":"1.2.246.10.1234567.22.2026","value":"A1"},"#,
    r#""span":{"from":1772436600000000,"until":null}}}"#
);

/// What each kind of entry says, version 1.
const SAYS: [&str; 15] = [
    r#"{"kind":"plugged","port":{"gateway":"box-1","name":"bed-1"},"device":"ox-1","from":1}"#,
    r#"{"kind":"unplugged","port":{"gateway":"box-1","name":"bed-1"},"at":1}"#,
    r#"{"kind":"stands","device":"ox-1","stand":{"place":"icu/bed-1"},"from":1}"#,
    r#"{"kind":"stands","device":"ox-1","stand":{"in":"rack-1"},"from":1}"#,
    r#"{"kind":"spot-check","device":"ox-1","patient":{"root":"1.2","value":"A1"},"measurement":"1f1f1f1f-7.0","at":1}"#,
    r#"{"kind":"ended","association":"e1","at":1}"#,
    r#"{"kind":"seen","association":"e1","at":1}"#,
    r#"{"kind":"paused","device":"ox-1","why":"silence","at":1}"#,
    r#"{"kind":"resumed","device":"ox-1","at":1}"#,
    r#"{"kind":"movement","patient":{"root":"1.2","value":"A1"},"encounter":"E-1","movement":"admission","presence":{"present":{"place":"icu/bed-1"}},"from":1}"#,
    r#"{"kind":"movement","patient":{"root":"1.2","value":"A1"},"encounter":null,"movement":"discharge","presence":"left","from":1}"#,
    r#"{"kind":"cancelled","patient":{"root":"1.2","value":"A1"},"encounter":null,"movement":"transfer","at":1}"#,
    r#"{"kind":"merged","retired":{"root":"1.2","value":"A1"},"surviving":{"root":"1.2","value":"A2"},"at":1}"#,
    r#"{"kind":"withdrawn","entry":"e1","reason":"wrong-patient"}"#,
    r#"{"kind":"decided","holds":"e1","against":["e2"],"reason":"seen"}"#,
];

const SOURCES: [&str; 7] = [
    r#"{"source":"scan","person":"person-7"}"#,
    r#"{"source":"person","person":"person-7"}"#,
    r#"{"source":"device"}"#,
    r#"{"source":"adt"}"#,
    r#"{"source":"core"}"#,
    r#"{"source":"configuration"}"#,
    r#"{"source":"box"}"#,
];

#[test]
fn version_1_of_an_entry() {
    let scan = Entry {
        version: 1,
        id: id("e1"),
        stated: at(8, 0),
        learned: at(8, 0).plus_s(1),
        by: nurse(),
        says: Says::Associated {
            device: machine("pump-4"),
            channel: Some(Channel::parse("fhr-1").unwrap()),
            patient: patient("A1"),
            span: Span { from: at(7, 30), until: None },
        },
    };
    assert_eq!(serde_json::to_string(&scan).unwrap(), SCAN);
    assert!(serde_json::from_str::<Entry>(SCAN).unwrap() == scan);
}

#[test]
fn version_1_of_everything_that_an_entry_can_say() {
    for text in SAYS {
        let says: Says = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&says).unwrap(), text);
    }
    for text in SOURCES {
        let by: By = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&by).unwrap(), text);
    }
}

#[test]
fn a_field_that_is_not_known_is_refused() {
    let unknown = [
        SCAN.replace(r#""version":1"#, r#""version":1,"ward":"icu""#),
        SCAN.replace(r#""channel""#, r#""slot":3,"channel""#),
        SCAN.replace(r#""until":null"#, r#""until":null,"about":1"#),
        SCAN.replace("associated", "adopted"),
        SCAN.replace("pump-4", ""),
        SCAN.replace(r#""1.2.246.10.1234567.22.2026""#, r#""hospital""#),
    ];
    for (number, text) in unknown.iter().enumerate() {
        let error = serde_json::from_str::<Entry>(text).unwrap_err();
        assert!(!error.to_string().contains("A1"), "case {number}");
    }
}

#[test]
fn a_checkpoint_is_the_entries_by_id() {
    let text = format!(r#"{{"version":1,"entries":[{SCAN}]}}"#);
    let checkpoint: Checkpoint = serde_json::from_str(&text).unwrap();
    let ledger = Ledger::restore(Site::default(), checkpoint).unwrap();
    assert_eq!(serde_json::to_string(&ledger.checkpoint()).unwrap(), text);
    let newer: Checkpoint = serde_json::from_str(r#"{"version":2,"entries":[]}"#).unwrap();
    let refused = Ledger::restore(Site::default(), newer);
    assert_eq!(refused.unwrap_err(), EntryRefused::Version(2));
}

#[test]
fn no_debug_output_names_anybody() {
    let scan: Entry = serde_json::from_str(SCAN).unwrap();
    let shown = format!("{scan:?}");
    for secret in ["A1", "person-7", "pump-4"] {
        assert!(!shown.contains(secret));
    }
}
