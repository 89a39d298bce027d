//! Promise 1 for words: letters come out of the core as they went into the device, whatever
//! character set the device has, and an odd line in a message takes nothing else with it.

mod house;

use house::mllp::{Mllp, framed};
use house::{House, Plan, TCP_SERVER, device};
use serde_json::Value as Json;

/// A laboratory message with texts in OBX-5. `rows` are already in the device's character set.
fn message(charset: &str, rows: &[&[u8]]) -> Vec<u8> {
    let mut message = format!(
        "MSH|^~\\&|LAB||||20261120101010||ORU^R01^ORU_R01|1|P|2.5.1||||||{charset}\r\
         PID|||P-1^^^WARD^MR\rOBR|1||S-1|TXT^Text^L|||20261120101000\r"
    )
    .into_bytes();
    for (index, row) in rows.iter().enumerate() {
        let head = format!("OBX|{}|ST|T{index}^Text^L||", index + 1);
        message.extend([head.as_bytes(), row, b"||||||F|||20261120101000\r"].concat());
    }
    message
}

fn laboratory(charset: Option<&str>) -> (House, Mllp) {
    let mut table = device("lab", "generic/laboratory-hl7v2", "LAB-29 2.5.1", TCP_SERVER);
    if let Some(charset) = charset {
        table = table.replace("place =", &format!("charset = \"{charset}\"\nplace ="));
    }
    let mut house = House::open(Plan::of(table));
    let client = Mllp::connect(house.listening("lab")).unwrap();
    (house, client)
}

fn texts(record: &Json) -> Vec<String> {
    let metrics = record["data"]["metrics"].as_array().unwrap();
    metrics.iter().map(|one| one["value"].as_str().unwrap_or("absent").to_owned()).collect()
}

/// Sends one message and gives the texts that the core has stored of it.
fn through(charset: Option<&str>, message: &[u8]) -> Vec<String> {
    let (mut house, mut client) = laboratory(charset);
    assert_eq!(client.ask(message).unwrap().code, "AA");
    let records = house.observations("lab", 1);
    assert_eq!(records.len(), 1);
    assert_eq!(house.device("lab").refused, 0);
    assert!(!records[0].to_string().contains('\u{fffd}'), "no replacement characters");
    assert_eq!(house.stop().code(), Some(0));
    assert_eq!(house.wires("lab")[0].1, framed(message), "and the bytes as they came");
    texts(&records[0])
}

/// ISO 8859-1: every character is the byte of its number.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

#[test]
fn eight_bit_text_of_a_device_whose_character_set_is_configured() {
    let rows =
        [latin1("Hämäläinen \\T\\ Poika"), latin1("5 µg\\F\\ml"), latin1("ÅÄÖ"), latin1("Pöö ¤")];
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let expected = ["Hämäläinen & Poika", "5 µg|ml", "ÅÄÖ", "Pöö ¤"];
    assert_eq!(through(Some("8859/1"), &message("", &rows)), expected);
}

#[test]
fn utf_8_named_in_the_message() {
    let rows = ["Hämäläinen \\T\\ Poika", "5 µg\\F\\ml", "ÅÄÖ", "Ω ≥ 3 €"];
    let rows: Vec<&[u8]> = rows.iter().map(|row| row.as_bytes()).collect();
    let expected = ["Hämäläinen & Poika", "5 µg|ml", "ÅÄÖ", "Ω ≥ 3 €"];
    assert_eq!(through(None, &message("UNICODE UTF-8", &rows)), expected);
    // What the message names goes before what is configured.
    assert_eq!(through(Some("8859/1"), &message("UNICODE UTF-8", &rows)), expected);
}

#[test]
fn windows_1252_that_is_configured() {
    // 80 is the euro, 96 an en dash, 8A and 9A are S and s with a caron, E4 is a with a diaeresis.
    let rows: [&[u8]; 3] = [b"5 \x80", b"3,5 \x96 5,0", b"\x8Akoda \x9Aakki \xE4"];
    let expected = ["5 €", "3,5 – 5,0", "Škoda šakki ä"];
    assert_eq!(through(Some("windows-1252"), &message("", &rows)), expected);
}

#[test]
fn all_escapes_of_the_standard_are_undone_and_no_other() {
    let rows: [&[u8]; 4] =
        [b"a\\F\\b\\S\\c\\R\\d\\E\\e\\T\\f", b"\\X41\\", b"C:\\temp", b"\\.br\\"];
    let found = through(None, &message("", &rows));
    assert_eq!(found[0], "a|b^c~d\\e&f");
    assert_eq!(found[1], "A");
    assert_eq!(found[2], "C:\\temp", "a backslash that escapes nothing stays");
}

#[test]
fn a_guess_is_marked_and_bytes_that_do_not_fit_are_refused() {
    let (mut house, mut client) = laboratory(None);
    assert_eq!(client.ask(&message("", &[&latin1("ÅÄÖ")])).unwrap().code, "AA");
    let guessed = house.observations("lab", 1);
    assert_eq!(texts(&guessed[0]), ["ÅÄÖ"]);
    let doubts = &guessed[0]["data"]["metrics"][0]["doubts"];
    assert!(doubts.to_string().contains("charset-guessed"), "{doubts}");
    // Claims UTF-8 and is not: the row is refused, its neighbour comes.
    let wrong = message("UNICODE UTF-8", &[&latin1("ÅÄÖ"), b"fits"]);
    assert_eq!(client.ask(&wrong).unwrap().code, "AA");
    let records = house.observations("lab", 2);
    assert_eq!(texts(&records[1]), ["fits"]);
    assert_eq!(house.device("lab").refused, 1);
}

#[test]
fn an_odd_line_in_the_middle_loses_nothing_after_it() {
    for odd in ["\r", "??? what is this\r", "Z\r", "\u{7}bell\r"] {
        let (mut house, mut client) = laboratory(None);
        let text = String::from_utf8(message("", &[b"first", b"second", b"third"])).unwrap();
        let (before, after) = text.split_at(text.find("OBX|2").unwrap());
        let damaged = format!("{before}{odd}{after}");
        assert_eq!(client.ask(damaged.as_bytes()).unwrap().code, "AA");
        let records = house.observations("lab", 1);
        assert_eq!(texts(&records[0]), ["first", "second", "third"], "{odd:?}");
        assert_eq!(house.device("lab").refused, 1, "{odd:?} is counted");
        assert_eq!(house.stop().code(), Some(0));
        let (head, raw) = &house.wires("lab")[0];
        assert_eq!(head["refusals"][0]["why"], "odd-segment");
        assert_eq!(raw, &framed(damaged.as_bytes()));
    }
}
