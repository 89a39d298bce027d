//! The HTTPS JSON binding: records out in batches, the acknowledgement as the answer.
//!
//! | request below the base | what |
//! |---|---|
//! | `POST /ingest/v1/records` | a JSON array of events; the answer is the acknowledgement |
//! | `GET /ingest/v1/streams/{stream}` | at each connection and every ten seconds: `have`; 404: it knows nothing of it |
//! | `GET /ingest/v1/streams/{stream}/manifests/{sequence}` | where only an answered manifest proves: the answer; 404: not yet |
//!
//! One batch is on its way at a time. A status alone retires nothing: only the object of a 2xx
//! does.
//!
//! | status | what becomes of the batch |
//! |---|---|
//! | 2xx | what the acknowledgement says; the rest is sent again after its silence |
//! | 400, 413, 422 | halved until the refused record is found; that one is set aside |
//! | 429, 503 | nothing is sent for as long as `Retry-After` says |
//! | 500 | sent again; after three in a row records go alone, see below |
//! | any other | the connection is made anew with fresh files; everything is sent again |
//!
//! A record that is answered with 500 while others are taken counts as rejected for now, so it is
//! set aside at last and blocks nothing. While nothing at all is taken, no record is blamed.

mod configuration;
mod session;

pub use configuration::{Error, HttpsConfig};

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::http::Plain;
use super::pump::{Binding, Ended, Fate, Outbound, Pump, Settings};
use super::tls::TlsFiles;
use super::window::Pace;

/// One destination as the gateway sets it up.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its name in routes and the cursor's file name.
    pub name: String,
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: String,
    pub https: HttpsConfig,
    pub plain: Plain,
}

/// Speaks to one receiver. [`Pump::run`] does the work.
pub struct Https {
    destination: Destination,
    /// Answers 500 in a row.
    troubles: u32,
}

/// A record on its way: the event's bytes.
#[derive(Clone, Debug)]
pub struct Outgoing(Arc<Vec<u8>>);

impl Https {
    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong with addresses, limits or files.
    pub fn new(destination: Destination) -> Result<Self, Error> {
        destination.https.check(destination.plain)?;
        Ok(Self { destination, troubles: 0 })
    }

    /// What the pump of this destination needs to know.
    pub fn settings(&self, cursors: PathBuf) -> Settings {
        let Destination { name, source, https, .. } = &self.destination;
        Settings {
            name: name.clone(),
            source: source.clone(),
            cursors,
            receivers: https.receivers.clone(),
            pace: Pace { resend_after_ms: u64::from(https.resend_after_s) * 1000 },
        }
    }
}

impl Binding for Https {
    type Message = Outgoing;

    fn files(&self) -> TlsFiles {
        self.destination.https.http().tls()
    }

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Outgoing> {
        let Some(rendered) = outbound.event() else { return Fate::NotForHere };
        let bytes = rendered.payload.len();
        Fate::Send { message: Outgoing(Arc::new(rendered.payload)), bytes }
    }

    async fn session(
        &mut self,
        pump: &mut Pump<Outgoing>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let mut stopping = stop.clone();
        // Whatever is on its way when it is time to stop is sent again at the next start.
        let stopped = async move {
            // Its sender is gone only when the house ends.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            () = stopped => Ended::Stopped,
            ended = self.connection(pump, durable) => ended,
        }
    }
}
