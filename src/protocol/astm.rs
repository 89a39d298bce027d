//! stand-in
use crate::protocol::*;
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct AstmProfile {
    #[serde(default)]
    pub result: Vec<ResultRow>,
}
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct ResultRow {
    pub code: String,
    pub parameter: String,
    pub unit: String,
    pub source: String,
}
pub struct AstmDriver;
impl AstmDriver {
    pub fn new(_: std::sync::Arc<AstmProfile>, _: Site) -> Self {
        Self
    }
}
impl Driver for AstmDriver {
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
