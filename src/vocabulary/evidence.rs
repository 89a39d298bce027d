//! What a fact about a device rests on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a fact about a device is proven, weakest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Read in a document.
    Spec,
    /// Recomputed from a published example.
    Recomputed,
    /// Seen in a capture of a real device.
    Captured,
    /// Compared with a device's screen on the bench.
    Bench,
    /// Compared with a device's screen on a ward.
    Ward,
}

impl Evidence {
    /// The level as it stands in device files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Recomputed => "recomputed",
            Self::Captured => "captured",
            Self::Bench => "bench",
            Self::Ward => "ward",
        }
    }
}
