use super::*;
use crate::simulator::log::{Must, Reading};

const ALL: [Dialect; 6] = [
    Dialect::Pcd01,
    Dialect::MindrayVs,
    Dialect::MindrayXh80x,
    Dialect::PiicMdil,
    Dialect::EfficiaCm,
    Dialect::GeBSeries,
];

fn first(dialect: Dialect, turns: usize) -> Vec<Message> {
    let (mut times, mut random) = (Times::default(), Random::new(3));
    let mut monitor = dialect.switched_on("700123");
    (0..turns).flat_map(|_| monitor.say(&mut times, &mut random)).collect()
}

/// Field numbers of a segment, MSH-1 being the separator itself.
fn field(message: &Message, segment: &str, number: usize) -> String {
    let line = message.text.split('\r').find(|line| line.starts_with(segment)).unwrap();
    let number = if segment == "MSH" { number - 1 } else { number };
    line.split('|').nth(number).unwrap_or_default().to_owned()
}

/// The OBX of a message, as fields by their numbers.
fn rows(message: &Message) -> Vec<Vec<&str>> {
    let lines = message.text.split('\r').filter(|line| line.starts_with("OBX"));
    lines.map(|line| line.split('|').collect()).collect()
}

fn of(messages: &[Message], must: Must) -> Vec<&Reading> {
    let readings = messages.iter().flat_map(|message| &message.readings);
    readings.filter(|reading| reading.must == must).collect()
}

#[test]
fn headers_are_those_of_the_published_messages() {
    // MSH-9, 12, 15, 16, 18.
    let expected = [
        (Dialect::MindrayVs, ["ORU^R01^ORU_R01", "2.6", "AL", "NE", "UNICODE UTF-8"]),
        (Dialect::MindrayXh80x, ["ORU^R01^ORU_R01", "2.4", "AL", "NE", "UNICODE UTF-8"]),
        (Dialect::PiicMdil, ["ORU^R01", "2.3", "", "", "8859/1"]),
        (Dialect::EfficiaCm, ["ORU^R01", "2.4", "", "", ""]),
        (Dialect::GeBSeries, ["ORU^R01^ORU_R01", "2.6", "NE", "AL", "UNICODE UTF-8"]),
    ];
    for (dialect, fields) in expected {
        for message in first(dialect, 30) {
            let found = [9, 12, 15, 16, 18].map(|number| field(&message, "MSH", number));
            assert_eq!(found, fields, "{dialect:?}");
            assert_eq!(field(&message, "MSH", 10), message.control_id);
        }
    }
}

#[test]
fn every_dialect_starts_up_without_values_and_names_nobody() {
    for dialect in ALL {
        let messages = first(dialect, 60);
        if dialect != Dialect::Pcd01 {
            assert!(of(&messages[..1], Must::Value).is_empty(), "{dialect:?}");
            assert!(!of(&messages[..1], Must::Absent).is_empty(), "{dialect:?}");
        }
        assert!(of(&messages, Must::Value).len() > 60, "{dialect:?}");
        for message in &messages {
            let pid: Vec<String> = (1..=30).map(|number| field(message, "PID", number)).collect();
            let named = pid.concat().replace('^', "");
            assert!(["", "PI", "PIL", "MRL"].contains(&named.as_str()), "{dialect:?}: {named}");
        }
    }
}

#[test]
fn a_mindray_vs_marks_its_demo_and_times_its_cuff() {
    let messages = first(Dialect::MindrayVs, 40);
    let rows: Vec<Vec<&str>> = messages.iter().flat_map(rows).collect();
    let demo = rows.iter().filter(|row| row.get(8) == Some(&"DEMO")).count();
    assert_eq!(demo, of(&messages, Must::Withheld).len());
    assert!(demo > 10);
    let cuff: Vec<_> = rows.iter().filter(|row| row[3].contains("PRESS_CUFF")).collect();
    assert_eq!(cuff.len(), 4 * 3, "turns 7, 15, 23 and 31; 39 is in demo mode");
    assert!(cuff.iter().all(|row| row[17] == "^APERIODIC" && row[14].ends_with(".0000+0000")));
    assert_eq!(field(&messages[0], "OBR", 7), "");
}

#[test]
fn an_xh80x_says_all_five_numbers_that_are_no_value() {
    let messages = first(Dialect::MindrayXh80x, 20);
    let mut marks: Vec<&str> =
        of(&messages, Must::Absent).iter().map(|one| one.value.as_str()).collect();
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks, ["-1", "-100", "-10000", "-99.9", "-999"]);
    assert!(messages.iter().flat_map(rows).all(|row| row[11].is_empty() && row[14].len() == 14));
}

#[test]
fn philips_rows_are_as_the_sheet_has_them() {
    let messages = first(Dialect::PiicMdil, 20);
    let rows_of_all: Vec<Vec<&str>> = messages.iter().flat_map(rows).collect();
    assert!(rows_of_all.iter().all(|row| row[1].is_empty() && row[4] == "0"));
    assert_eq!(rows_of_all[0][3], "0002-4bb8^SpO2^MDIL");
    assert_eq!((rows_of_all[0][5], rows_of_all[0][11]), ("", "X"));
    let alerts: Vec<_> = rows_of_all.iter().filter(|row| row[2] == "TX").collect();
    assert!(alerts.len() == 2 && alerts[0][3] == "5^HardInop^MDIL-ALERT");

    let messages = first(Dialect::EfficiaCm, 12);
    let what: Vec<String> = messages.iter().map(|one| field(one, "OBR", 4)).collect();
    assert_eq!(what.iter().filter(|what| *what == "ALARM").count(), 6);
    assert!(what.iter().all(|what| what == "ALARM" || what == "MONITOR"));
    let with_number =
        of(&messages, Must::Absent).iter().filter(|one| !one.value.is_empty()).count();
    assert_eq!(with_number, 3, "status X with a number");
}

#[test]
fn a_b40_has_one_code_under_two_channels_and_no_offset() {
    let messages = first(Dialect::GeBSeries, 20);
    let rows = rows(&messages[5]);
    let places = |code: &str| {
        let of_code = rows.iter().filter(|row| row[3].starts_with(code));
        of_code.map(|row| row[4]).collect::<Vec<_>>()
    };
    assert_eq!(places("151562^"), ["1.20.1.1", "1.6.1.1"]);
    assert_eq!(places("150344^"), ["1.26.1.1", "1.26.1.2"]);
    assert!(rows.iter().all(|row| row[11] == if row[5].is_empty() { "X" } else { "R" }));
    assert_eq!(field(&messages[5], "OBR", 7).len(), 14);
}
