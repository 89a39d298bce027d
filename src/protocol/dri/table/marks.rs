//! What the bits of a group's status mean from bit 2 on (GE document 8005313, 12th edition, the
//! status tables of chapters 3.5 to 3.8; facts/monitors.md 2.3 has bits 0, 1 and the apnoea bit).
//!
//! Where a bit says that the sensor is being zeroed or calibrated, or is switched off, what stands
//! in the group is not the patient's: it becomes absent. The other bits are flags beside the value.

use super::Mark;
use crate::vocabulary::AbsentReason;

const fn flag(bit: u32, words: &'static str) -> Mark {
    Mark { bit, words, absent: None }
}

const fn void(bit: u32, words: &'static str, reason: AbsentReason) -> Mark {
    Mark { bit, words, absent: Some(reason) }
}

pub(in crate::protocol::dri) const NONE: &[Mark] = &[];

/// Bits 3 to 6 are the source of the heart rate.
pub(in crate::protocol::dri) const ECG: &[Mark] = &[
    flag(2, "asystole"),
    flag(7, "noise"),
    flag(8, "artifact"),
    flag(9, "learning"),
    flag(10, "pacer-on"),
    flag(11, "channel-1-off"),
    flag(12, "channel-2-off"),
    flag(13, "channel-3-off"),
];

/// Bit 3 says that it was zeroed at some time, which marks nothing.
pub(in crate::protocol::dri) const PRESSURE: &[Mark] =
    &[void(2, "zeroing", AbsentReason::Calibrating)];

pub(in crate::protocol::dri) const CO2: &[Mark] = &[
    flag(2, "apnea"),
    void(3, "calibrating", AbsentReason::Calibrating),
    void(4, "zeroing", AbsentReason::Calibrating),
    flag(5, "occlusion"),
    flag(6, "air-leak"),
    flag(7, "apnea-from-resp"),
    flag(8, "apnea-deactivated"),
    flag(9, "wet"),
];

/// Oxygen, nitrous oxide, anaesthetic agent.
pub(in crate::protocol::dri) const GAS: &[Mark] = &[
    void(2, "calibrating", AbsentReason::Calibrating),
    void(3, "measurement-off", AbsentReason::Off),
];

/// Bits 8 and 9 say to which conditions volumes are converted.
pub(in crate::protocol::dri) const FLOW: &[Mark] = &[
    flag(2, "disconnection"),
    void(3, "calibrating", AbsentReason::Calibrating),
    void(4, "zeroing", AbsentReason::Calibrating),
    flag(5, "obstruction"),
    flag(6, "leak"),
    void(7, "measurement-off", AbsentReason::Off),
];

pub(in crate::protocol::dri) const BALANCE: &[Mark] =
    &[void(2, "measurement-off", AbsentReason::Off)];

pub(in crate::protocol::dri) const SVO2: &[Mark] = &[
    flag(2, "calibrated-over-24-h-ago"),
    flag(3, "faulty-cable"),
    flag(4, "no-cable"),
    flag(5, "not-calibrated"),
    flag(6, "re-calibrated"),
    flag(7, "out-of-range"),
    flag(8, "check-catheter-position"),
    flag(9, "intensity-shift"),
];

pub(in crate::protocol::dri) const ENTROPY: &[Mark] = &[
    flag(2, "cable-off"),
    flag(3, "no-sensor"),
    flag(4, "sensor-off"),
    flag(11, "starting-up"),
    flag(12, "not-an-entropy-sensor"),
    flag(23, "replace-sensor"),
    flag(24, "isoelectric-eeg"),
    flag(25, "sensor-check-off"),
];

pub(in crate::protocol::dri) const SPI: &[Mark] = &[
    flag(2, "incompatible-probe"),
    flag(3, "no-pleth"),
    flag(4, "arrhythmia"),
    flag(5, "nibp-inflated"),
    flag(6, "noise"),
    flag(7, "learning"),
    flag(8, "unknown-probe"),
    flag(10, "frozen"),
    flag(11, "entropy-high"),
];

pub(in crate::protocol::dri) const GAS_EXCHANGE: &[Mark] =
    &[flag(2, "fio2-over-85"), flag(3, "fin2o-too-high")];

pub(in crate::protocol::dri) const TONOMETRY: &[Mark] = &[
    flag(2, "leak"),
    flag(3, "volume-dropped"),
    flag(4, "technical-failure"),
    flag(5, "unable-to-fill"),
    flag(6, "prco2-over-limit"),
];
