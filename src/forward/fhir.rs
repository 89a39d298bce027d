//! The FHIR R4 binding: records out as transaction bundles, the server's answers as
//! acknowledgements.
//!
//! The identity of an Observation is its observation id (`docs/decisions/013`). A first statement
//! is created unless its id is there; every later one is compared with what the server holds and
//! put over it only if it is newer, on condition that nobody has changed it meanwhile. So the last
//! statement stands, in whatever order they came and however often. Nothing is deleted, and no
//! subject is ever changed.
//!
//! This room must not make a number of a value (it goes out digit by digit), name a patient that
//! the record does not name, or go on with a server that does not honour conditional create.
//!
//! | part | does |
//! |---|---|
//! | [`mod@render`] | a record as resources. Pure |
//! | `observation`, `gap`, `statement`, [`terms`], [`node`] | its parts. Pure |
//! | [`later`] | what a later statement does to what the server holds. Pure |
//! | [`bundle`] | a transaction, and what its answer says. Pure |
//! | `session` | one connection |
//! | [`FhirConfig`] | the table `[destination.fhir]` |

pub mod bundle;
mod configuration;
mod gap;
pub mod later;
pub mod node;
mod observation;
pub mod render;
mod session;
mod statement;
pub mod terms;

pub use configuration::{Error, FhirConfig};

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::http::Plain;
use super::pump::{Binding, Ended, Fate, Outbound, Pump, Settings};
use super::tls::TlsFiles;
use super::window::Pace;
use render::{Outgoing, Rendering, Rules, render};

/// One destination as the gateway sets it up.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its name in routes and the cursor's file name.
    pub name: String,
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: String,
    /// It files into patients' records.
    pub patients_only: bool,
    pub plain: Plain,
    pub fhir: FhirConfig,
}

/// Speaks to one FHIR server. [`Pump::run`] does the work.
pub struct Fhir {
    destination: Destination,
    rules: Rules,
    /// The server has shown that it honours conditional create.
    proven: bool,
}

impl Fhir {
    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(destination: Destination) -> Result<Self, Error> {
        destination.fhir.check(destination.plain)?;
        let fhir = &destination.fhir;
        let rules = Rules {
            system: fhir.identifier_system.clone().unwrap_or(destination.source.clone()),
            patient_system: fhir.patient_system.clone(),
            patients_only: destination.patients_only,
            alarms: fhir.alarms,
            provenance: fhir.provenance,
        };
        Ok(Self { destination, rules, proven: false })
    }

    /// What the pump of this destination needs to know.
    pub fn settings(&self, cursors: PathBuf) -> Settings {
        let Destination { name, source, fhir, .. } = &self.destination;
        Settings {
            name: name.clone(),
            source: source.clone(),
            cursors,
            receivers: Vec::new(),
            pace: Pace { resend_after_ms: u64::from(fhir.resend_after_s) * 1000 },
        }
    }
}

impl Binding for Fhir {
    type Message = Arc<Outgoing>;

    fn files(&self) -> TlsFiles {
        self.destination.fhir.http().tls()
    }

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Arc<Outgoing>> {
        let Some(routed) = outbound.routed() else { return Fate::Damaged };
        match render(&routed, &self.rules) {
            Rendering::Resources(outgoing) => {
                let about = outgoing.about.iter().map(|one| one.body.len());
                let support = outgoing.support.iter().map(|one| one.body.len());
                let bytes = about.chain(support).sum::<usize>();
                Fate::Send { message: Arc::from(outgoing), bytes }
            }
            Rendering::SetAside(code) => Fate::SetAside(code),
            Rendering::Nothing => Fate::NotForHere,
            Rendering::Damaged => Fate::Damaged,
        }
    }

    async fn session(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        self.connection(pump, durable, stop).await
    }
}

#[cfg(test)]
mod tests;
