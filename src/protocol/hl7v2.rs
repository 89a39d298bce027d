//! stand-in
use crate::protocol::*;
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Hl7v2Profile {
    #[serde(default)]
    pub result: Vec<ResultRow>,
}
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct ResultRow {
    pub code: String,
    pub parameter: String,
    #[serde(default)]
    pub system: String,
    #[serde(default)]
    pub units: Vec<String>,
    pub source: String,
}
pub struct Hl7v2Driver;
impl Hl7v2Driver {
    pub fn new(_: std::sync::Arc<Hl7v2Profile>, _: Site) -> Self {
        Self
    }
}
impl Driver for Hl7v2Driver {
    fn link(&mut self, _: LinkChange, _: Moment) {}
    fn receive(&mut self, _: &[u8], _: Peer, _: Moment) {}
    fn settled(&mut self, _: MessageId, _: Settled, _: Moment) {}
    fn wake(&mut self, _: Moment) {}
    fn next_wake(&self) -> Option<Moment> {
        None
    }
    fn poll(&mut self) -> Option<Event> {
        None
    }
}
