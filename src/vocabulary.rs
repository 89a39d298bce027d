//! Floor 0: the words of the house. No I/O, no async, no clock.
//!
//! Everything above speaks in these types: what a device said ([`reading`]), what we make of it
//! ([`observation`]), why something is missing ([`value::AbsentReason`]) or refused ([`refusal`]).
//! One thing has one word:
//!
//! | word | meaning |
//! |---|---|
//! | message | what one acknowledgement of a protocol answers |
//! | reading | one value in the device's own words, inside a message |
//! | observation | the readings of one message that share patient, specimen and time, with our codes |
//! | metric | one value of an observation |
//! | waveform | evenly spaced samples of one signal, with our codes |
//! | refusal | bytes that could not be read as what they claim to be, kept raw, with the reason |
//! | absent | the device says that it has no value, with the reason |
//! | gap | a span of time in which data could not be had, with the cause |
//! | parameter | an entry of `device-profiles/vocabulary/parameters.toml` |
//! | settled | the fate of a message is known (durable, repeat, not kept) and may be told to the device |

pub mod association;
#[cfg(test)]
pub(crate) mod chance;
pub mod channel;
pub mod device_time;
pub mod evidence;
pub mod identifiers;
pub mod moment;
pub mod observation;
pub mod parameter;
pub mod patient;
pub mod personal_code;
pub mod placed;
pub mod reading;
pub mod refusal;
pub mod role;
pub mod samples;
pub mod unit;
pub mod value;
pub mod waveform;

pub use association::{Association, Grade};
pub use channel::{BadName, Channel};
pub use device_time::{DeviceTime, DeviceTimeEvidence};
pub use evidence::Evidence;
pub use identifiers::{DeviceName, Digest, ObservationId, Place, RecordId, Sequence, StreamId};
pub use moment::{Certainty, Moment};
pub use observation::{CodedWords, Metric, Observation};
pub use parameter::{Parameter, ParameterKind, Vocabulary};
pub use patient::{EncounterId, PatientId, PatientIdError, Purpose};
pub use personal_code::{PersonalCode, PersonalCodeError};
pub use reading::{
    DeviceCode, DeviceUnit, Flag, Group, Mode, Nature, Reading, ResultStatus, Subject, Words,
};
pub use refusal::{Refused, Why};
pub use samples::{Period, SampleArray, Samples, Scale};
pub use unit::Unit;
pub use value::{AbsentReason, Comparator, Meaning, Value};
pub use waveform::Waveform;
