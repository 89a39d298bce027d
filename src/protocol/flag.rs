//! What the flags of the interpreted families (`line`, `frame`) can say about a whole message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::Mode;

/// The mode into which a set bit puts its message. There is no "production": a bit can only take
/// data out of a patient's record, never put them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlagMode {
    /// The device is in demo or training mode.
    Training,
    /// Test or service data.
    Debugging,
    /// A control or calibration sample.
    ControlSample,
}

impl FlagMode {
    /// The mode as it stands in the device file.
    pub const fn as_str(self) -> &'static str {
        self.mode().as_str()
    }

    /// The mode of the message's readings.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Training => Mode::Training,
            Self::Debugging => Mode::Debugging,
            Self::ControlSample => Mode::ControlSample,
        }
    }
}
