//! Waves that a client has chosen: 500 samples a second, 14 bits of 16, pushed every 256 ms.

use super::messages::{attribute, object, word, words};

pub const EVERY_MS: u64 = 256;
const SAMPLES: u16 = 128;
/// Two milliseconds in ticks of 1/8 ms.
const PERIOD_TICKS: u32 = 16;
const FIRST_INDEX: u16 = 100;
const MIDDLE: u16 = 8192;
const HEIGHT: u16 = 800;

/// The waves that are exported now, by their labels.
#[derive(Default)]
pub struct Waves {
    labels: Vec<u32>,
    phase: u16,
    pushed_ms: u64,
}

impl Waves {
    /// The list of a confirmed SET: count, length, labels behind 38 bytes.
    pub fn choose(&mut self, message: &[u8]) {
        let count = usize::from(word(message, 34));
        let long = |at| u32::from(word(message, at)) << 16 | u32::from(word(message, at + 2));
        self.labels = (0..count).map(|index| long(38 + 4 * index)).collect();
    }

    fn with_handles(&self, first_handle: u16) -> impl Iterator<Item = (u16, u32)> {
        let handles = first_handle + FIRST_INDEX..;
        handles.zip(self.labels.clone())
    }

    /// What the samples of each are: size, scale (0.00 to 1.00 mV), period, unit.
    pub fn listed(&self, first_handle: u16) -> Vec<Vec<u8>> {
        let one = |(handle, label): (u16, u32)| {
            let form = [words(&[SAMPLES]), vec![16, 14], words(&[0])].concat();
            let scale = [vec![0xfe, 0, 0, 0, 0xfe, 0, 0, 100], words(&[MIDDLE, MIDDLE + 200])];
            let attributes = [
                attribute(0x0924, &label.to_be_bytes()),
                attribute(0x096d, &form),
                attribute(0x096f, &scale.concat()),
                attribute(0x098d, &PERIOD_TICKS.to_be_bytes()),
                attribute(0x0996, &words(&[0x10b2])),
            ];
            object(handle, &attributes)
        };
        self.with_handles(first_handle).map(one).collect()
    }

    /// Whether the next push is due.
    pub fn is_due(&mut self, now_ms: u64) -> bool {
        let is_due = now_ms >= self.pushed_ms + EVERY_MS;
        if is_due {
            self.pushed_ms = now_ms;
        }
        is_due
    }

    /// The next samples: a saw, so that a missing one would be seen.
    pub fn next(&mut self, first_handle: u16) -> Vec<Vec<u8>> {
        let begin = self.phase;
        self.phase = (begin + SAMPLES) % HEIGHT;
        let samples: Vec<u8> =
            (0..SAMPLES).flat_map(|at| (MIDDLE + (begin + at) % HEIGHT).to_be_bytes()).collect();
        let one = |(handle, label): (u16, u32)| {
            // A label of the physiological partition ends with the wave's own code.
            let code = u16::try_from(label & 0xffff).unwrap_or(0);
            let value = [words(&[code, 0, 2 * SAMPLES]), samples.clone()].concat();
            object(handle, &[attribute(0x096e, &value)])
        };
        self.with_handles(first_handle).map(one).collect()
    }
}
