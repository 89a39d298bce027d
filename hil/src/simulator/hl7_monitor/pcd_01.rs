//! A bedside monitor of no maker that sends IHE PCD-01 (ORU^R01, HL7 v2.6) and asks for the accept
//! acknowledgement of each message.

use super::super::clock;
use super::super::hl7::{Observation, Segments, Times};
use super::super::mllp::{Acknowledgement, Charset, Message};
use super::super::random::{Random, Walk};

const EUI64: &str = "0009FBFFFE9B42B3";
const PROFILE: &str = "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO";

const BEAT_PER_MIN: (u32, &str) = (264_864, "MDC_DIM_BEAT_PER_MIN");
const RESP_PER_MIN: (u32, &str) = (264_928, "MDC_DIM_RESP_PER_MIN");
const PERCENT: (u32, &str) = (262_688, "MDC_DIM_PERCENT");
const MMHG: (u32, &str) = (266_016, "MDC_DIM_MMHG");

/// One message in so many has a sensor that is off.
const SENSOR_OFF: u64 = 15;
/// A non-invasive pressure is taken once in so many messages.
const PRESSURE_TAKEN: u64 = 12;

/// A numeric that every message carries.
struct Numeric {
    code: (u32, &'static str),
    sub_id: &'static str,
    unit: (u32, &'static str),
    walk: Walk,
}

pub struct Monitor {
    serial: String,
    started_us: i64,
    number: u64,
    numerics: [Numeric; 7],
    /// Systolic, diastolic and mean of the cuff.
    cuff: [Numeric; 3],
}

impl Monitor {
    pub fn new(serial: String) -> Self {
        let numeric = |code, sub_id, unit, walk| Numeric { code, sub_id, unit, walk };
        Self {
            serial,
            started_us: clock::now_us(),
            number: 0,
            numerics: [
                numeric(
                    (147_842, "MDC_ECG_HEART_RATE"),
                    "1.1.1.1",
                    BEAT_PER_MIN,
                    Walk::new(74, 40, 150, 2),
                ),
                numeric(
                    (151_562, "MDC_RESP_RATE"),
                    "1.2.1.1",
                    RESP_PER_MIN,
                    Walk::new(15, 6, 40, 1),
                ),
                numeric(
                    (150_456, "MDC_PULS_OXIM_SAT_O2"),
                    "1.3.1.1",
                    PERCENT,
                    Walk::new(97, 85, 100, 1),
                ),
                numeric(
                    (149_530, "MDC_PULS_OXIM_PULS_RATE"),
                    "1.3.1.2",
                    BEAT_PER_MIN,
                    Walk::new(74, 40, 150, 2),
                ),
                numeric(
                    (150_033, "MDC_PRESS_BLD_ART_SYS"),
                    "1.4.1.1",
                    MMHG,
                    Walk::new(121, 70, 200, 3),
                ),
                numeric(
                    (150_034, "MDC_PRESS_BLD_ART_DIA"),
                    "1.4.1.2",
                    MMHG,
                    Walk::new(68, 40, 110, 2),
                ),
                numeric(
                    (150_035, "MDC_PRESS_BLD_ART_MEAN"),
                    "1.4.1.3",
                    MMHG,
                    Walk::new(86, 50, 140, 2),
                ),
            ],
            cuff: [
                numeric(
                    (150_021, "MDC_PRESS_BLD_NONINV_SYS"),
                    "1.5.1.1",
                    MMHG,
                    Walk::new(118, 70, 200, 6),
                ),
                numeric(
                    (150_022, "MDC_PRESS_BLD_NONINV_DIA"),
                    "1.5.1.2",
                    MMHG,
                    Walk::new(66, 40, 110, 5),
                ),
                numeric(
                    (150_023, "MDC_PRESS_BLD_NONINV_MEAN"),
                    "1.5.1.3",
                    MMHG,
                    Walk::new(83, 50, 140, 5),
                ),
            ],
        }
    }

    fn message(&mut self, times: &mut Times, random: &mut Random) -> Message {
        self.number += 1;
        let number = self.number;
        // The cuff's time comes first: it was measured before the message was made.
        let cuff_time = (number % PRESSURE_TAKEN == 1).then(|| times.next());
        let time = times.next();
        let control_id = format!("{}{number:06}", self.started_us);
        let sender = format!("SIMMON^{EUI64}^EUI-64");
        let mut segments = Segments::new(&sender, &time, "ORU^R01^ORU_R01", &control_id, PROFILE);
        segments.segment("PID|||^^^^PI");
        segments.segment("PV1||I|ICU^^1");
        segments.segment(&format!(
            "OBR|1||{control_id}^SIMMON^{EUI64}^EUI-64|182777000^monitoring of patient^SCT|||{time}"
        ));
        let equipment = format!("{}^^{EUI64}^EUI-64", self.serial);
        segments.structure((69_965, "MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS"), "1.0.0.0", &equipment);
        let sensor_off = random.once_in(SENSOR_OFF);
        for numeric in &mut self.numerics {
            let value = numeric.walk.next(random).to_string();
            let is_off = sensor_off && numeric.sub_id.starts_with("1.3.");
            let value = if is_off { "" } else { &value };
            segments.observation(&time, numeric.row(value, None));
        }
        for numeric in self.cuff.iter_mut().filter(|_| cuff_time.is_some()) {
            let value = numeric.walk.next(random).to_string();
            segments.observation(&time, numeric.row(&value, cuff_time.as_deref()));
        }
        let (text, readings) = segments.finish();
        let (asks_for, charset) = (Acknowledgement::Accept, Charset::Utf8);
        Message { number, control_id, text, readings, asks_for, charset }
    }
}

impl super::Monitor for Monitor {
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message> {
        vec![self.message(times, random)]
    }
}

impl Numeric {
    fn row<'a>(&self, value: &'a str, time: Option<&'a str>) -> Observation<'a> {
        Observation {
            value_type: "NM",
            code: self.code,
            sub_id: self.sub_id,
            value,
            unit: Some(self.unit),
            time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_of_a_run_has_a_key_of_its_own() {
        let (mut monitor, mut random) = (Monitor::new("1".into()), Random::new(1));
        let mut times = Times::default();
        let messages: Vec<Message> =
            (1..=50).map(|_| monitor.message(&mut times, &mut random)).collect();
        let readings: Vec<_> = messages.iter().flat_map(|message| &message.readings).collect();
        let keys: std::collections::BTreeSet<&str> =
            readings.iter().map(|reading| reading.key.as_str()).collect();
        assert_eq!(keys.len(), readings.len());
        assert!(messages[0].text.contains("|||AL|NE|"));
        assert!(messages[0].text.contains("150021^MDC_PRESS_BLD_NONINV_SYS^MDC"));
        assert!(!messages[1].text.contains("150021^"));
    }
}
