//! What a device file says of a monitor on the Unity network.

use schemars::JsonSchema;
use serde::Deserialize;

use super::numerics::CODES;
use crate::protocol::Stated;
use crate::vocabulary::Evidence;

/// How a monitor is asked. Which values there are stands in the family's own table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnityProfile {
    /// Whether numerics are asked for, every 5 s. Without it only what is broadcast is heard.
    pub ask: bool,
    /// Where the table of codes is written: source id and page.
    pub source: String,
    /// How far the table is proven; otherwise as far as the whole file.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

impl UnityProfile {
    /// Every parameter that is read. What the capture shows with a figure is captured: the code 2D.
    pub fn stated(&self) -> Vec<Stated> {
        const SPO2: u8 = 0x2d;
        let mut all = Vec::new();
        for (code, values) in CODES {
            for (index, value) in values.into_iter().enumerate() {
                let Some((parameter, unit)) = value else { continue };
                all.push(Stated {
                    parameter: parameter.to_owned(),
                    place: format!("code {code:02X} value {index}"),
                    unit: unit.to_owned(),
                    source: self.source.clone(),
                    evidence: if code == SPO2 { Some(Evidence::Captured) } else { self.evidence },
                });
            }
        }
        all
    }
}
