//! A waveform: an array of samples with our codes beside the device's own words. The integers stay
//! raw, as the device sent them.

use std::fmt;

use super::observation::Doubt;
use super::reading::{Coding, Flag};
use super::{DeviceTime, Period, Scale};

/// Samples of one signal, ready to be kept. Its `Debug` shows what it is, not what was measured.
#[derive(Clone, PartialEq, Eq)]
pub struct Waveform {
    /// The parameter's name in the vocabulary; `None` means unmapped: kept and shown.
    pub parameter: Option<String>,
    /// MDC code and reference id; from the vocabulary.
    pub mdc_code: Option<u32>,
    pub mdc: String,
    /// The device's own codings, empty where the profile names the parameter.
    pub codings: Vec<Coding>,
    pub sub_id: String,
    /// The unit of the scaled value as the device sent it, or as the profile states it.
    pub unit_as_sent: Vec<Coding>,
    /// The same unit in MDC and UCUM, where it is known.
    pub unit_mdc: Option<String>,
    pub ucum: Option<String>,
    pub period: Period,
    pub scale: Scale,
    /// Raw integers; `None` where the device marks one as invalid or one is missing.
    pub samples: Vec<Option<i32>>,
    /// The device's own time of the first sample.
    pub time: Option<DeviceTime>,
    pub flags: Vec<Flag>,
    pub doubts: Vec<Doubt>,
}

impl fmt::Debug for Waveform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waveform")
            .field("parameter", &self.parameter)
            .field("codings", &self.codings)
            .field("period", &self.period)
            .field("samples", &self.samples.len())
            .field("doubts", &self.doubts)
            .finish_non_exhaustive()
    }
}
