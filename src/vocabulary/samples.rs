//! Waveforms: evenly spaced samples of one signal, as the device sent them.
//!
//! They are no readings: nobody is acknowledged for them, and what cannot be kept is dropped and
//! counted. What they mean is exact all the same: raw integers, with the step or the span that the
//! device states for them, and nothing worked out.

use std::fmt;

use super::{DeviceCode, DeviceTime, DeviceUnit, Flag, Mode, Moment};

/// How samples follow each other: so many of them in so many microseconds. 300 a second have no
/// whole number of microseconds between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    /// Microseconds that [`Period::samples`] samples take.
    pub us: u64,
    /// How many samples come in that time; never 0.
    pub samples: u32,
}

impl Period {
    /// Evenly spaced samples, so many a second; `None` for none at all.
    ///
    /// ```
    /// use wardgate::vocabulary::Period;
    /// let ecg = Period::per_second(300).unwrap();
    /// assert_eq!((ecg.us, ecg.samples), (1_000_000, 300));
    /// assert_eq!(ecg.span_us(150), 500_000);
    /// ```
    pub const fn per_second(samples: u32) -> Option<Self> {
        if samples == 0 { None } else { Some(Self { us: 1_000_000, samples }) }
    }

    /// How long so many samples take, in whole microseconds.
    pub const fn span_us(self, samples: u64) -> u64 {
        let each = if self.samples == 0 { 1 } else { self.samples as u64 };
        self.us.saturating_mul(samples) / each
    }
}

/// What a raw integer stands for. Texts are decimals as the device or its document states them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// The value is the integer times this step.
    Step { lsb: String },
    /// `raw_lower` stands for `lower`, `raw_upper` for `upper`, and between them it is linear.
    Span { lower: String, upper: String, raw_lower: i32, raw_upper: i32 },
    /// The device does not say it.
    Unknown,
}

/// Samples of one signal. Its `Debug` shows what it is and how much of it, not what was measured.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SampleArray {
    /// What was measured, as the device or its file names it.
    pub code: DeviceCode,
    /// The channel, where the device has several; empty otherwise.
    pub sub_id: String,
    /// The unit of the scaled value.
    pub unit: Option<DeviceUnit>,
    pub period: Period,
    pub scale: Scale,
    /// Raw integers; `None` where the device marks one as invalid or one is missing.
    pub samples: Vec<Option<i32>>,
    /// The device's own time of the first sample.
    pub time: Option<DeviceTime>,
    /// Marks by the device, each as sent.
    pub flags: Vec<Flag>,
}

impl fmt::Debug for SampleArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleArray")
            .field("code", &self.code)
            .field("period", &self.period)
            .field("samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

/// What came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// When the last byte of it came.
    pub received: Moment,
    /// Demo and test signals are no patient's.
    pub mode: Mode,
    pub arrays: Vec<SampleArray>,
}
