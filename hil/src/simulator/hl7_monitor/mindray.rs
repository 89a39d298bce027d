//! Mindray VS8 and VS900 (IHE PCD-01), and XH80X and TR8 (HL7 2.4): facts/monitors.md 6 and 9, and
//! the two published messages (corpus: mindray_vs8_pcd01.hl7, mindray_xh80x_sentinels.hl7).
//!
//! Both ask for the accept acknowledgement. How a VS says that a sensor is off is not in its
//! message: it is the empty field with status X that section 9 has for HL7 as a whole. Neither
//! sheet knows an alarm, so none comes.

use super::super::clock;
use super::super::hl7::Times;
use super::super::log::Must;
use super::super::mllp::{Acknowledgement, Charset, Message};
use super::super::random::{Random, Walk};
use super::Monitor;
use super::rows::{Numeric, Rows, Turn, segment};

const PERCENT: &str = "262688^MDC_DIM_PERCENT^MDC";
const BEATS: &str = "264864^MDC_DIM_BEAT_PER_MIN^MDC";
const BREATHS: &str = "264928^MDC_DIM_RESP_PER_MIN^MDC";
const MMHG: &str = "266016^MDC_DIM_MMHG^MDC";
const CELSIUS: &str = "268192^MDC_DIM_DEGC^MDC";
const SPO2: &str = "150456^MDC_PULS_OXIM_SAT_O2^MDC";
const CUFF_SYSTOLIC: &str = "150301^MDC_PRESS_CUFF_SYS^MDC";

/// So long before the message a cuff pressure was taken.
const CUFF_AGO_US: i64 = 3_000_000;

/// The maker's part of an EUI-64, and the monitor's own.
fn eui64(serial: &str) -> String {
    format!("00A037009B{serial:0>6}")
}

/// OBR of both; `time` is OBR-7, which a VS leaves empty.
fn order(number: u64, sender: &str, time: &str) -> String {
    let order = format!("{number}^{sender}");
    let what = "182777000^monitoring of patient^SCT";
    segment("OBR", &[(1, "1"), (2, &order), (3, &order), (4, what), (7, time)])
}

/// VS8, VS900.
pub struct Vs {
    sender: String,
    number: u64,
    numerics: [Numeric; 4],
    cuff: [Numeric; 3],
}

impl Vs {
    pub fn new(serial: &str) -> Self {
        let cuff = |code, sub_id, walk| Numeric::whole(code, sub_id, MMHG, walk);
        Self {
            sender: format!("MINDRAY_VS_SERIES^{}^EUI-64", eui64(serial)),
            number: 0,
            numerics: [
                Numeric::whole(SPO2, "1.3.1.150456", PERCENT, Walk::new(97, 85, 100, 1)),
                Numeric::whole(
                    "149530^MDC_PULS_OXIM_PULS_RATE^MDC",
                    "1.3.1.149530",
                    BEATS,
                    Walk::new(74, 40, 150, 2),
                ),
                Numeric {
                    code: "150488^MDC_BLD_PERF_INDEX^MDC",
                    sub_id: "1.3.1.150488",
                    unit: PERCENT,
                    places: 2,
                    walk: Walk::new(306, 20, 900, 9),
                },
                Numeric::whole(
                    "151658^MDC_PULS_OXIM_PLETH_RESP_RATE^MDC",
                    "1.3.1.151658",
                    BREATHS,
                    Walk::new(14, 6, 40, 1),
                ),
            ],
            cuff: [
                cuff(CUFF_SYSTOLIC, "1.1.9.150301", Walk::new(121, 70, 200, 6)),
                cuff("150302^MDC_PRESS_CUFF_DIA^MDC", "1.1.9.150302", Walk::new(66, 40, 110, 5)),
                cuff("150303^MDC_PRESS_CUFF_MEAN^MDC", "1.1.9.150303", Walk::new(84, 50, 140, 5)),
            ],
        }
    }
}

/// `20260727124424.0000+0000`.
fn vs_time(us: i64) -> String {
    format!("{}.0000+0000", clock::astm(us))
}

impl Monitor for Vs {
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message> {
        self.number += 1;
        let (turn, now_us) = (Turn(self.number), times.next_second());
        let (number, sender) = (self.number, &self.sender);
        let mut text = format!(
            "MSH|^~\\&|{sender}|MINDRAY|||{}||ORU^R01^ORU_R01|{number}|P|2.6|||AL|NE\
             ||UNICODE UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
             PID|||^^^^PI||^^^^^^L\rPV1||I\r",
            vs_time(now_us)
        );
        text += &order(number, sender, "");
        let mut rows = Rows::below(text);
        for (index, numeric) in self.numerics.iter_mut().enumerate() {
            let (value, id) = (numeric.next(random), rows.next_number());
            // The probe gives all four; what it does not measure yet comes without a number.
            let is_off = turn.is_start_up() || (turn.is_sensor_off() && index < 2);
            let (value, flag, status, must) = match (is_off, turn.is_demo()) {
                (true, _) => ("", "", "X", Must::Absent),
                (false, true) => (value.as_str(), "DEMO", "R", Must::Withheld),
                (false, false) => (value.as_str(), "", "R", Must::Value),
            };
            let fields = [(1, id.as_str()), (5, value), (8, flag), (11, status)];
            rows.numeric(numeric, &fields, "", must);
        }
        let has_cuff = turn.has_cuff() && !turn.is_demo();
        let cuff_time = vs_time(now_us - CUFF_AGO_US);
        for numeric in self.cuff.iter_mut().filter(|_| has_cuff) {
            let (value, id) = (numeric.next(random), rows.next_number());
            let fields = [(1, id.as_str()), (5, &value), (11, "R"), (14, &cuff_time)];
            let fields = [&fields[..], &[(17, "^APERIODIC")]].concat();
            rows.numeric(numeric, &fields, &cuff_time, Must::Value);
        }
        vec![rows.finish(number.to_string(), Acknowledgement::Accept, Charset::Utf8)]
    }
}

/// XH80X, TR8.
pub struct Xh80x {
    sender: String,
    number: u64,
    numerics: [Numeric; 3],
    cuff: Numeric,
}

/// What the published message has for saturation, heart rate and temperature without a sensor.
const NOT_YET: [&str; 3] = ["-999", "-999", "-99.9"];
/// The other three of the sheet. Which of them stands in which row no source says.
const NO_VALUE: [&str; 3] = ["-1", "-100", "-10000"];

impl Xh80x {
    pub fn new(serial: &str) -> Self {
        Self {
            sender: format!("XH80X^{}^EUI-64", eui64(serial)),
            number: 0,
            numerics: [
                Numeric::whole(SPO2, "1.3.1.150456", PERCENT, Walk::new(97, 85, 100, 1)),
                Numeric::whole(
                    "147842^MDC_ECG_HEART_RATE^MDC",
                    "1.7.4.147842",
                    BEATS,
                    Walk::new(74, 40, 150, 2),
                ),
                Numeric {
                    code: "150344^MDC_TEMP^MDC",
                    sub_id: "1.13.1.150344",
                    unit: CELSIUS,
                    places: 1,
                    walk: Walk::new(371, 350, 400, 1),
                },
            ],
            cuff: Numeric::whole(CUFF_SYSTOLIC, "1.1.9.150301", MMHG, Walk::new(121, 70, 200, 6)),
        }
    }
}

impl Monitor for Xh80x {
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message> {
        self.number += 1;
        let (turn, now_us) = (Turn(self.number), times.next_second());
        let (number, sender, time) = (self.number, &self.sender, clock::astm(now_us));
        let mut text = format!(
            "MSH|^~\\&|{sender}||||{time}||ORU^R01^ORU_R01|{number}|P|2.4|||AL|NE\
             ||UNICODE UTF-8\rPID|||^^^^PI||^^^^^^L|||||\rPV1||I|^^^\r"
        );
        text += &order(number, sender, &time);
        let mut rows = Rows::below(text);
        let cuff_time = clock::astm(now_us - CUFF_AGO_US);
        let taken = self.cuff.next(random);
        let cuff = match (turn.is_start_up(), turn.has_cuff()) {
            (true, _) => Some(("-999", &time, Must::Absent)),
            (false, true) => Some((taken.as_str(), &cuff_time, Must::Value)),
            (false, false) => None,
        };
        if let Some((value, time, must)) = cuff {
            value_row(&mut rows, &self.cuff, value, time, must);
        }
        let marks = NOT_YET.into_iter().zip(NO_VALUE);
        for (numeric, (not_yet, no_value)) in self.numerics.iter_mut().zip(marks) {
            let measured = numeric.next(random);
            let (value, must) = match (turn.is_start_up(), turn.is_sensor_off()) {
                (true, _) => (not_yet, Must::Absent),
                (false, true) => (no_value, Must::Absent),
                (false, false) => (measured.as_str(), Must::Value),
            };
            value_row(&mut rows, numeric, value, &time, must);
        }
        vec![rows.finish(number.to_string(), Acknowledgement::Accept, Charset::Utf8)]
    }
}

/// OBX-11 is empty, whatever the value is.
fn value_row(rows: &mut Rows, numeric: &Numeric, value: &str, time: &str, must: Must) {
    let id = rows.next_number();
    rows.numeric(numeric, &[(1, &id), (5, value), (14, time)], time, must);
}
