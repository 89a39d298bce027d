//! GE B40, B20, B105, B125, HL7 by the monitor itself: facts/monitors.md 6, and the message put
//! together from excerpts of the vendor's manual (corpus: ge_b40_pcd01.hl7).
//!
//! It asks for the application acknowledgement, writes times without an offset, and says the same
//! code under two channels. How it says that a sensor is off is not in the excerpts: it is the
//! empty field with status X that section 9 has for HL7 as a whole, which is told from a row of the
//! device's structure by its type and its unit. No alarm is known, so none comes.

use super::super::clock;
use super::super::hl7::Times;
use super::super::log::Must;
use super::super::mllp::{Acknowledgement, Charset, Message};
use super::super::random::{Random, Walk};
use super::rows::{Numeric, Rows, Turn, segment};

const BEATS: &str = "264864^MDC_DIM_BEAT_PER_MIN^MDC";
const BREATHS: &str = "264928^MDC_DIM_RESP_PER_MIN^MDC";
const MMHG: &str = "266016^MDC_DIM_MMHG^MDC";
const PERCENT: &str = "262688^MDC_DIM_PERCENT^MDC";
const CELSIUS: &str = "268192^MDC_DIM_DEGC^MDC";
const RESPIRATION: &str = "151562^MDC_RESP_RATE^MDC";

/// Rows that only tell the device's structure: OBX-3 and OBX-4.
const STRUCTURE: [(&str, &str); 3] = [
    ("69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC", "1.0.0.0"),
    ("69854^MDC_DEV_METER_PRESS_BLD_VMD^MDC", "1.13.0.0"),
    ("69855^MDC_DEV_METER_PRESS_BLD_CHAN^MDC", "1.13.1.0"),
];

/// A B40.
pub struct Monitor {
    serial: String,
    number: u64,
    numerics: [Numeric; 11],
}

impl Monitor {
    pub fn new(serial: &str) -> Self {
        let pulse = "149522^MDC_BLD_PULS_RATE_INV^MDC";
        let (heart, beats) = ("147842^MDC_ECG_HEART_RATE^MDC", "148066^MDC_ECG_V_P_C_RATE^MDC");
        let saturation = "150456^MDC_PULS_OXIM_SAT_O2^MDC";
        let pressure = |code, sub_id, walk| Numeric::whole(code, sub_id, MMHG, walk);
        let temperature = |sub_id, walk| Numeric {
            code: "150344^MDC_TEMP^MDC",
            sub_id,
            unit: CELSIUS,
            places: 1,
            walk,
        };
        Self {
            serial: format!("{serial:0>6}"),
            number: 0,
            numerics: [
                pressure(
                    "150033^MDC_PRESS_BLD_ART_SYS^MDC",
                    "1.13.1.1",
                    Walk::new(121, 70, 200, 3),
                ),
                pressure("150034^MDC_PRESS_BLD_ART_DIA^MDC", "1.13.1.2", Walk::new(68, 40, 110, 2)),
                pressure(
                    "150035^MDC_PRESS_BLD_ART_MEAN^MDC",
                    "1.13.1.3",
                    Walk::new(86, 50, 140, 2),
                ),
                Numeric::whole(pulse, "1.13.1.4", BEATS, Walk::new(74, 40, 150, 2)),
                Numeric::whole(heart, "1.5.1.1", BEATS, Walk::new(75, 40, 150, 2)),
                Numeric::whole(beats, "1.5.1.2", BEATS, Walk::new(0, 0, 12, 1)),
                Numeric::whole(saturation, "1.22.1.2", PERCENT, Walk::new(97, 85, 100, 1)),
                Numeric::whole(RESPIRATION, "1.20.1.1", BREATHS, Walk::new(18, 6, 40, 1)),
                Numeric::whole(RESPIRATION, "1.6.1.1", BREATHS, Walk::new(30, 6, 40, 1)),
                temperature("1.26.1.1", Walk::new(371, 350, 400, 1)),
                temperature("1.26.1.2", Walk::new(365, 350, 400, 1)),
            ],
        }
    }
}

impl super::Monitor for Monitor {
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message> {
        self.number += 1;
        let (turn, time) = (Turn(self.number), clock::astm(times.next_second()));
        let control_id = format!("{:012}", self.number);
        let eui64 = format!("080019FFFE{}", self.serial);
        let equipment = format!("{eui64}^B40_GE");
        let mut text = format!(
            "MSH|^~\\&|VSP^{eui64}^EUI-64|GE Healthcare|||{time}||ORU^R01^ORU_R01|{control_id}\
             |P|2.6|||NE|AL||UNICODE UTF-8\
             |||PCD_DEC_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
             PID|||^^^^MR||^^^^^^L\rPV1||R|SIM^^V2\r"
        );
        let order = format!("{eui64}{time}^VSP^{eui64}^EUI-64");
        let what = "182777000^monitoring of patient^SCT";
        let order = [(1, "1"), (2, order.as_str()), (3, &order), (4, what), (7, &time)];
        text += &segment("OBR", &order);
        let mut rows = Rows::below(text);
        for (code, sub_id) in STRUCTURE {
            let id = rows.next_number();
            rows.structure(&[(1, &id), (3, code), (4, sub_id), (11, "X")]);
        }
        for numeric in &mut self.numerics {
            let (measured, id) = (numeric.next(random), rows.next_number());
            let is_oximeter = numeric.sub_id.starts_with("1.22.");
            let is_off = turn.is_start_up() || (turn.is_sensor_off() && is_oximeter);
            let (value, status, must) = match is_off {
                true => ("", "X", Must::Absent),
                false => (measured.as_str(), "R", Must::Value),
            };
            let fields = [(1, id.as_str()), (5, value), (11, status), (18, &equipment)];
            rows.numeric(numeric, &fields, &time, must);
        }
        vec![rows.finish(control_id, Acknowledgement::Application, Charset::Utf8)]
    }
}
