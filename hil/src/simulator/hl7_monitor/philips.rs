//! A Philips information centre with MDIL codes, and Efficia CM: facts/monitors.md 6 and 9, and the
//! published message of the former (corpus: philips_piic_mdil.hl7). No message of an Efficia is
//! published: only what the sheet's words say of it is played.
//!
//! Both leave MSH-15 and MSH-16 empty, as the published message does: AA answers them.
//!
//! Which codes an Efficia sends is in no source. Its rows carry codes of the system `99SIM`, which
//! nobody can take for a monitor's; the core has them unmapped. Where the numbers of its alerts (1
//! red, 2 yellow, 6 soft INOP) stand is not said either: here it is the code of the row.

use super::super::clock;
use super::super::hl7::Times;
use super::super::log::Must;
use super::super::mllp::{Acknowledgement, Charset, Message};
use super::super::random::{Random, Walk};
use super::Monitor;
use super::rows::{Numeric, Rows, Turn, segment};

/// An information centre: PIIC, PIIC iX.
pub struct Piic {
    number: u64,
    numerics: [Numeric; 6],
}

impl Piic {
    pub fn new() -> Self {
        const MMHG: &str = "0004-0f20^mmHg^MDIL";
        let numeric = |code, unit, walk| Numeric::whole(code, "0", unit, walk);
        let percent = "0004-0220^%^MDIL";
        Self {
            number: 0,
            numerics: [
                numeric("0002-4bb8^SpO2^MDIL", percent, Walk::new(97, 85, 100, 1)),
                numeric("0002-5000^Resp^MDIL", "0004-0ae0^rpm^MDIL", Walk::new(15, 6, 40, 1)),
                numeric("0002-4182^HR^MDIL", "0004-0aa0^bpm^MDIL", Walk::new(74, 40, 150, 2)),
                numeric("0002-4a15^ABPs^MDIL", MMHG, Walk::new(121, 70, 200, 3)),
                numeric("0002-4a16^ABPd^MDIL", MMHG, Walk::new(68, 40, 110, 2)),
                numeric("0002-4a17^ABPm^MDIL", MMHG, Walk::new(86, 50, 140, 2)),
            ],
        }
    }
}

impl Monitor for Piic {
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message> {
        self.number += 1;
        let (turn, time) = (Turn(self.number), clock::astm(times.next_second()));
        let control_id = format!("HP{:015}", self.number);
        let mut text = format!(
            "MSH|^~\\&|||||||ORU^R01|{control_id}|P|2.3||||||8859/1\r\
             PID|||\rPV1||I|^^SIM&5&1\r"
        );
        text += &segment("OBR", &[(7, &time)]);
        let mut rows = Rows::below(text);
        for (index, numeric) in self.numerics.iter_mut().enumerate() {
            let measured = numeric.next(random);
            let is_off = turn.is_start_up() || (turn.is_sensor_off() && index == 0);
            let (value, status, must) = match is_off {
                true => ("", "X", Must::Absent),
                false => (measured.as_str(), "F", Must::Value),
            };
            rows.numeric(numeric, &[(5, value), (11, status)], &time, must);
        }
        if turn.has_alarm() {
            // Letters that are two bytes in UTF-8 and one in the set that MSH-18 names.
            let words = (5, "Simuloitu h\u{e4}lytys");
            let alert = [(2, "TX"), (3, "5^HardInop^MDIL-ALERT"), (4, "0"), words, (11, "F")];
            rows.row(&alert, &time, Must::Value);
        }
        vec![rows.finish(control_id, Acknowledgement::Application, Charset::Latin1)]
    }
}

/// Efficia CM.
pub struct Efficia {
    serial: String,
    /// Of the last message.
    number: u64,
    turn: Turn,
    numerics: [Numeric; 2],
    alerts: usize,
}

const ALERTS: [&str; 3] = ["1^red^99SIM", "2^yellow^99SIM", "6^soft INOP^99SIM"];

impl Efficia {
    pub fn new(serial: &str) -> Self {
        let numeric = |code, walk| Numeric::whole(code, "", "", walk);
        Self {
            serial: serial.to_owned(),
            number: 0,
            turn: Turn(0),
            numerics: [
                numeric("SIM-1^simulated value one^99SIM", Walk::new(74, 40, 150, 2)),
                numeric("SIM-2^simulated value two^99SIM", Walk::new(15, 6, 40, 1)),
            ],
            alerts: 0,
        }
    }

    /// The segments above the rows, and the message's own number.
    fn head(&mut self, what: &str, time: &str) -> (Rows, String) {
        self.number += 1;
        let control_id = self.number.to_string();
        let mut text = format!("MSH|^~\\&|||||{time}||ORU^R01|{control_id}|P|2.4\rPID|||\r");
        text += &segment("ORC", &[(1, "RE"), (19, &format!("CN{}", self.serial))]);
        text += &segment("OBR", &[(1, "1"), (4, what), (7, time)]);
        (Rows::below(text), control_id)
    }

    fn values(&mut self, times: &mut Times, random: &mut Random) -> Message {
        let time = clock::astm(times.next_second());
        let (mut rows, control_id) = self.head("MONITOR", &time);
        for (index, numeric) in self.numerics.iter_mut().enumerate() {
            let (measured, id) = (numeric.next(random), rows.next_number());
            // A monitor that sends once a minute starts up in one message.
            let (value, status, must) = match (self.turn.0 % 4, index) {
                (1, _) => ("", "X", Must::Absent),
                (3, 0) => (measured.as_str(), "X", Must::Absent),
                _ => (measured.as_str(), "F", Must::Value),
            };
            rows.numeric(numeric, &[(1, &id), (5, value), (11, status)], &time, must);
        }
        rows.finish(control_id, Acknowledgement::Application, Charset::Utf8)
    }

    fn alarm(&mut self, times: &mut Times) -> Message {
        let time = clock::astm(times.next_second());
        let (mut rows, control_id) = self.head("ALARM", &time);
        let alert = ALERTS.get(self.alerts % ALERTS.len()).copied().unwrap_or_default();
        self.alerts += 1;
        let id = rows.next_number();
        let fields = [(1, id.as_str()), (2, "TX"), (3, alert), (5, "simulated alarm"), (11, "F")];
        rows.row(&fields, &time, Must::Value);
        rows.finish(control_id, Acknowledgement::Application, Charset::Utf8)
    }
}

impl Monitor for Efficia {
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message> {
        self.turn.0 += 1;
        let mut messages = vec![self.values(times, random)];
        if self.turn.0.is_multiple_of(2) {
            messages.push(self.alarm(times));
        }
        messages
    }
}
