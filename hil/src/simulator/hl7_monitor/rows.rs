//! Messages as the sheets show them: segments by their field numbers, and beside each value what
//! the core must make of it.

use super::super::log::{Must, Reading};
use super::super::mllp::{Acknowledgement, Charset, Message};
use super::super::random::{Random, Walk, decimal};

/// A segment with the fields that are named, by number; all others are empty, and it ends with the
/// last that is not. Not for MSH, whose first field is the separator itself.
pub fn segment(id: &str, fields: &[(usize, &str)]) -> String {
    let filled = fields.iter().filter(|(_, text)| !text.is_empty());
    let last = filled.map(|(number, _)| *number).max().unwrap_or(0);
    let mut segment = id.to_owned();
    for number in 1..=last {
        let field = fields.iter().find(|(of, _)| *of == number);
        segment.push('|');
        segment.push_str(field.map_or("", |(_, text)| text));
    }
    segment.push('\r');
    segment
}

/// A numeric of a dialect.
pub struct Numeric {
    /// OBX-3, whole.
    pub code: &'static str,
    /// OBX-4.
    pub sub_id: &'static str,
    /// OBX-6, whole.
    pub unit: &'static str,
    /// How many decimals the monitor shows.
    pub places: usize,
    pub walk: Walk,
}

impl Numeric {
    /// A whole number.
    pub const fn whole(
        code: &'static str,
        sub_id: &'static str,
        unit: &'static str,
        walk: Walk,
    ) -> Self {
        Self { code, sub_id, unit, places: 0, walk }
    }

    /// The next value as text.
    pub fn next(&mut self, random: &mut Random) -> String {
        decimal(self.walk.next(random), self.places)
    }
}

/// A message in the making.
pub struct Rows {
    text: String,
    rows: usize,
    readings: Vec<Reading>,
}

impl Rows {
    /// From the segments above the OBX, each with its end.
    pub const fn below(text: String) -> Self {
        Self { text, rows: 0, readings: Vec::new() }
    }

    /// OBX-1 of the next row.
    pub fn next_number(&mut self) -> String {
        self.rows += 1;
        self.rows.to_string()
    }

    /// A row that holds no value.
    pub fn structure(&mut self, fields: &[(usize, &str)]) {
        self.text.push_str(&segment("OBX", fields));
    }

    /// A row with a value, or with a mark of its absence, in OBX-5. It is called by the words of
    /// OBX-3, and stands at `time`, the device's own, where it sends one.
    pub fn row(&mut self, fields: &[(usize, &str)], time: &str, must: Must) {
        self.text.push_str(&segment("OBX", fields));
        let field = |number| fields.iter().find(|(of, _)| *of == number).map_or("", |one| one.1);
        let name = field(3).split('^').nth(1).unwrap_or_default();
        self.readings.push(Reading::new(time, name, field(5)).must(must));
    }

    /// A row of a numeric: OBX-2, 3, 4 and 6 are its own.
    pub fn numeric(&mut self, numeric: &Numeric, fields: &[(usize, &str)], time: &str, must: Must) {
        let own = [(2, "NM"), (3, numeric.code), (4, numeric.sub_id), (6, numeric.unit)];
        self.row(&[&own, fields].concat(), time, must);
    }

    /// The whole message, which the sender numbers.
    pub fn finish(
        self,
        control_id: String,
        asks_for: Acknowledgement,
        charset: Charset,
    ) -> Message {
        let Self { text, readings, .. } = self;
        Message { number: 0, control_id, text, readings, asks_for, charset }
    }
}

/// What happens to a monitor, by the number of its message since it was switched on: the same in
/// all dialects, so that whoever watches knows when to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(pub u64);

impl Turn {
    /// The sensors measure nothing yet.
    pub const fn is_start_up(self) -> bool {
        self.0 <= 2
    }

    /// The sensor of the saturation is off.
    pub const fn is_sensor_off(self) -> bool {
        self.0 % 20 == 8
    }

    /// A cuff pressure has been taken.
    pub const fn has_cuff(self) -> bool {
        self.0 % 8 == 7
    }

    /// The monitor tells an alarm.
    pub const fn has_alarm(self) -> bool {
        self.0 % 10 == 4
    }

    /// Somebody has put the monitor into its demo mode.
    pub const fn is_demo(self) -> bool {
        self.0 % 20 >= 16
    }
}
