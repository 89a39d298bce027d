//! Puritan Bennett 840 on its "DCI" port: answers `SNDA` and `SNDF` with a report each.
//!
//! ```text
//! MISCA,706,97,<STX>f5,f6,...,f101,<ETX><CR>
//! ```
//! The second field counts the bytes behind STX, the third the fields between the marks. Fields
//! have fixed widths and are filled with blanks. There is no checksum.

use std::io;
use std::time::Duration;

use super::asked::Asked;
use super::ear::form;
use super::random::{Random, Walk, decimal};
use super::scripted::Said;
use super::{AskedOptions, clock};

mod fields;

use fields::{Holds, MISCA, MISCF};

/// The sheet's requests come two seconds apart.
const APART: Duration = Duration::from_secs(2);
/// One field in so many without a number, and one report in so many with an alarm.
const NO_NUMBER: u64 = 30;
const ALARM: u64 = 8;
const LAST_OF_MISCA: usize = 101;
const LAST_OF_MISCF: usize = 173;
/// Where the reports have the state of the alarm "low exhaled minute volume".
const ALARM_OF_MISCA: usize = 52;
const ALARM_OF_MISCF: usize = 118;

pub async fn run(options: AskedOptions) -> io::Result<()> {
    let known = vec![form(b"SNDA\r"), form(b"SNDF\r")];
    let serial = options.serial.common.serial.clone();
    let mut asked = Asked::set_up(options, known, APART)?;
    let mut number = Walk::new(160, 20, 480, 6);
    if !asked.go().await {
        return Ok(());
    }
    while let Some(requests) = asked.look(&[]).await? {
        for (request, _) in requests {
            let (table, last, alarm) = match request {
                0 => (MISCA, LAST_OF_MISCA, ALARM_OF_MISCA),
                _ => (MISCF, LAST_OF_MISCF, ALARM_OF_MISCF),
            };
            let random = &mut asked.bench.random;
            let state = if random.once_in(ALARM) { "ALARM" } else { "NORMAL" };
            let (mut texts, values) = values(table, &mut number, random);
            texts.push((6, serial.clone()));
            texts.push((5, clock::time_of_day(clock::now_us())[..5].to_owned()));
            texts.push((alarm, state.to_owned()));
            let kind = if request == 0 { "MISCA" } else { "MISCF" };
            asked.say(Said { bytes: report(kind, last, &texts), values }).await?;
        }
        asked.was_switched_off().await?;
    }
    asked.end().await
}

/// Texts by the field of the report that they stand in.
type Texts = Vec<(usize, String)>;
/// Texts by the name that the core has for them.
type Named = Vec<(&'static str, String)>;

/// The texts of a report by their fields, and the same as the core should have them.
fn values(
    table: &'static [(usize, &str, Holds)],
    number: &mut Walk,
    random: &mut Random,
) -> (Texts, Named) {
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for (field, name, holds) in table {
        let text = match holds {
            Holds::Text => "SIMV".to_owned(),
            Holds::Limit if random.once_in(4) => "OFF".to_owned(),
            Holds::Number | Holds::Limit if random.once_in(NO_NUMBER) => "----".to_owned(),
            Holds::Number if random.once_in(NO_NUMBER) => String::new(),
            Holds::Number | Holds::Limit => decimal(number.next(random), 1),
        };
        values.push((*name, text.clone()));
        texts.push((*field, text));
    }
    (texts, values)
}

fn report(kind: &str, last: usize, texts: &[(usize, String)]) -> Vec<u8> {
    let mut body = String::new();
    for field in 5..=last {
        let text = texts.iter().find(|(at, _)| *at == field).map_or("", |(_, text)| text);
        let width = match (kind, field) {
            (_, 6) => 18,
            ("MISCA", 8 | 62) | ("MISCF", 7) => 12,
            (_, _) => 6,
        };
        body.push_str(&format!("{text:<width$},"));
    }
    let (bytes, fields) = (body.len() + 1, last - 4);
    format!("{kind},{bytes},{fields},\u{2}{body}\u{3}\r").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_how_long_it_is() {
        let sent = report("MISCA", 101, &[(34, "14".to_owned())]);
        let text = String::from_utf8(sent).unwrap();
        let (head, rest) = text.split_once('\u{2}').unwrap();
        let counts: Vec<usize> = head.split(',').filter_map(|part| part.parse().ok()).collect();
        assert_eq!(counts, [rest.len() - 1, 97]);
        assert_eq!(rest.split(',').count(), 98);
        assert_eq!(rest.split(',').nth(34 - 5), Some("14    "));
    }
}
