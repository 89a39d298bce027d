//! What a core's own app charted, as it comes over a destination's own connection (MQTT), or as an
//! ORU over MLLP (`oru`): kept by the bedside, and answered when it is durable. What cannot be kept
//! now is not answered, or with AE, and the core says it again.

pub mod oru;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::charting::acts::{Bedside, CoreCharted, CoreCharting, Refused};
use crate::forward::Inbound;

/// A message of a core.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The core's own name for it, said back in the answer.
    id: String,
    receiver_id: String,
    #[serde(default)]
    chartings: Vec<CoreCharting>,
    #[serde(default)]
    through: Option<String>,
}

/// The longest name of a message.
const ID_CHARACTERS_MAX: usize = 100;

/// Hears cores until their connections are gone.
pub async fn hear(bedside: Arc<Bedside>, mut inbox: mpsc::Receiver<Inbound>) {
    while let Some(Inbound { payload, receivers, answer }) = inbox.recv().await {
        if let Some(told) = heard(&bedside, &payload, &receivers).await {
            // A connection that has ended tells nobody.
            let _ = answer.send(told.to_string().into_bytes());
        }
    }
}

/// What the core is told; nothing where it must say it again, or has no right to say it.
async fn heard(bedside: &Bedside, payload: &[u8], receivers: &[String]) -> Option<Json> {
    let said: Option<Said> = serde_json::from_slice(payload).ok();
    let said = said.filter(|said| {
        let is_named = (1..=ID_CHARACTERS_MAX).contains(&said.id.chars().count());
        is_named && receivers.contains(&said.receiver_id)
    });
    let Some(Said { id, chartings, through, .. }) = said else {
        tracing::warn!("what a core says of its charting is of nobody known, or no such message");
        return None;
    };
    let digest = bedside.refs.hash(payload);
    match bedside.charted_by_core(&digest, &CoreCharted { chartings, through }).await {
        Ok(told) => Some(json!({
            "id": id,
            "kept": told.kept,
            "conflicts": told.conflicts,
            "released": told.released,
        })),
        Err(refused @ Refused::Charting(_)) => {
            Some(json!({ "id": id, "error": refused.code().0, "message": refused.to_string() }))
        }
        Err(error) => {
            tracing::warn!(%error, "what a core charted is not kept now");
            None
        }
    }
}
