//! HL7 v2.6 segments as a sender writes them, and times of which no two are the same.

use super::clock;
use super::log::{Must, Reading};

/// A message in the making.
pub struct Segments {
    text: String,
    observations: usize,
    readings: Vec<Reading>,
}

/// What one OBX says.
#[derive(Clone, Copy)]
pub struct Observation<'a> {
    /// OBX-2.
    pub value_type: &'a str,
    /// OBX-3: `number^reference id`, of system MDC.
    pub code: (u32, &'a str),
    /// OBX-4.
    pub sub_id: &'a str,
    /// OBX-5; empty with the flag NAV: not available.
    pub value: &'a str,
    /// OBX-6: `number^reference id`, of system MDC.
    pub unit: Option<(u32, &'a str)>,
    /// OBX-14, where it is not the time of the message.
    pub time: Option<&'a str>,
}

impl Segments {
    /// MSH with enhanced accept acknowledgement (AL/NE), version 2.6.
    pub fn new(sender: &str, time: &str, kind: &str, control_id: &str, profile: &str) -> Self {
        let text = format!(
            "MSH|^~\\&|{sender}|BENCH|||{time}||{kind}|{control_id}|P|2.6|||AL|NE||UNICODE UTF-8\
             |||{profile}\r"
        );
        Self { text, observations: 0, readings: Vec::new() }
    }

    /// A segment as written.
    pub fn segment(&mut self, segment: &str) {
        self.text.push_str(segment);
        self.text.push('\r');
    }

    /// A row that only tells the device's structure; `equipment` is OBX-18.
    pub fn structure(&mut self, code: (u32, &str), sub_id: &str, equipment: &str) {
        self.observations += 1;
        let (number, (code, name)) = (self.observations, code);
        let end = if equipment.is_empty() { String::new() } else { format!("|||||||{equipment}") };
        self.segment(&format!("OBX|{number}||{code}^{name}^MDC|{sub_id}|||||||X{end}"));
    }

    /// A row with a value, noted as a reading at the row's time or, without one, at `time`.
    pub fn observation(&mut self, time: &str, row: Observation<'_>) {
        self.observations += 1;
        let number = self.observations;
        let Observation { value_type, code: (code, name), sub_id, value, unit, .. } = row;
        let unit = unit.map(|(code, name)| format!("{code}^{name}^MDC")).unwrap_or_default();
        let (flag, status) = if value.is_empty() { ("NAV", "X") } else { ("", "R") };
        let own_time = row.time.map(|time| format!("|||{time}")).unwrap_or_default();
        self.segment(&format!(
            "OBX|{number}|{value_type}|{code}^{name}^MDC|{sub_id}|{value}|{unit}||{flag}\
             |||{status}{own_time}"
        ));
        let must = if value.is_empty() { Must::Absent } else { Must::Value };
        self.readings.push(Reading::new(row.time.unwrap_or(time), name, value).must(must));
    }

    /// The message's text and its readings.
    pub fn finish(self) -> (String, Vec<Reading>) {
        (self.text, self.readings)
    }
}

/// A clock of which each reading is at least a millisecond after the one before: the time in a
/// message then identifies it.
#[derive(Default)]
pub struct Times {
    last_ms: i64,
}

impl Times {
    /// Now, or a little later.
    pub fn next(&mut self) -> String {
        self.last_ms = (clock::now_us() / 1000).max(self.last_ms + 1);
        clock::hl7(self.last_ms * 1000)
    }

    /// A whole second, this one or a later one, for devices that write no fractions: microseconds
    /// since 1970.
    pub fn next_second(&mut self) -> i64 {
        let now_s = clock::now_us() / 1_000_000;
        self.last_ms = now_s.max(self.last_ms.div_euclid(1000) + 1) * 1000;
        self.last_ms * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field numbers of facts/semantics.md 1.1; MSH-1 is the separator itself.
    #[test]
    fn fields_stand_where_pcd_01_wants_them() {
        let mut segments =
            Segments::new("SIM^0009FBFFFE9B42B3^EUI-64", "T", "ORU^R01^ORU_R01", "77", "IHE");
        let row = Observation {
            value_type: "NM",
            code: (150_456, "MDC_PULS_OXIM_SAT_O2"),
            sub_id: "1.3.1.1",
            value: "97",
            unit: Some((262_688, "MDC_DIM_PERCENT")),
            time: Some("T2"),
        };
        segments.structure(
            (69_965, "MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS"),
            "1.0.0.0",
            "SN1^^E^EUI-64",
        );
        segments.observation("T", row);
        segments.observation("T", Observation { value: "", time: None, ..row });
        let (text, readings) = segments.finish();
        let lines: Vec<&str> = text.split_terminator('\r').collect();
        let field =
            |line: usize, number: usize| lines[line].split('|').nth(number).unwrap_or_default();
        let header: Vec<&str> =
            [3, 7, 9, 10, 11, 12, 15, 16, 18, 21].map(|n| field(0, n - 1)).to_vec();
        let expected = [
            "SIM^0009FBFFFE9B42B3^EUI-64",
            "T",
            "ORU^R01^ORU_R01",
            "77",
            "P",
            "2.6",
            "AL",
            "NE",
            "UNICODE UTF-8",
            "IHE",
        ];
        assert_eq!(header, expected);
        assert_eq!((field(1, 11), field(1, 18)), ("X", "SN1^^E^EUI-64"));
        assert_eq!((field(2, 3), field(2, 5)), ("150456^MDC_PULS_OXIM_SAT_O2^MDC", "97"));
        assert_eq!(
            (field(2, 6), field(2, 11), field(2, 14)),
            ("262688^MDC_DIM_PERCENT^MDC", "R", "T2")
        );
        assert_eq!((field(3, 5), field(3, 8), field(3, 11)), ("", "NAV", "X"));
        assert_eq!(readings[0].key, "T2/MDC_PULS_OXIM_SAT_O2");
        assert_eq!(readings[1].key, "T/MDC_PULS_OXIM_SAT_O2");
    }

    #[test]
    fn no_two_times_are_the_same() {
        let mut times = Times::default();
        let made: std::collections::BTreeSet<String> = (0..1000).map(|_| times.next()).collect();
        assert_eq!(made.len(), 1000);
        let seconds: std::collections::BTreeSet<i64> =
            (0..1000).map(|_| times.next_second()).collect();
        assert_eq!(seconds.len(), 1000);
        assert!(seconds.iter().all(|us| us % 1_000_000 == 0));
    }
}
