//! Starts the destinations: one pump each, with the binding that its table names.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::committer::Request;
use super::configuration::{Configuration, DestinationTable, Files, Required, Transport};
use crate::forward::fhir::{self, Fhir};
use crate::forward::hl7v2::Hl7v2;
use crate::forward::https::{self, Https};
use crate::forward::mqtt::{self, Mqtt};
use crate::forward::pump::{Binding, Pump, Settings};
use crate::forward::{Counters, Unavailable};
use crate::journal::Reader;

/// The destinations as they run.
#[derive(Default)]
pub(super) struct Forwarding {
    pub tasks: Vec<JoinHandle<()>>,
    pub counters: Vec<(String, Arc<Counters>)>,
    /// Of required destinations only.
    pub low_waters: Vec<watch::Receiver<u64>>,
}

/// What every destination gets from the house.
pub(super) struct Ground<'a> {
    pub configuration: &'a Configuration,
    pub reader: &'a Reader,
    pub durable: &'a watch::Receiver<u64>,
    pub requests: &'a mpsc::UnboundedSender<Request>,
    pub stop: &'a watch::Receiver<bool>,
}

/// Starts all of them.
///
/// # Errors
/// The name of a destination, and why it cannot be run.
pub(super) fn start(ground: &Ground<'_>) -> Result<Forwarding, (String, String)> {
    let mut forwarding = Forwarding::default();
    for table in &ground.configuration.destinations {
        ground.start(table, &mut forwarding).map_err(|why| (table.name.clone(), why))?;
    }
    Ok(forwarding)
}

impl Ground<'_> {
    fn start(&self, table: &DestinationTable, into: &mut Forwarding) -> Result<(), String> {
        let gateway = &self.configuration.gateway;
        let cursors = gateway.data.join("cursors");
        match table.transport() {
            Some(Transport::Mqtt(config)) => {
                let destination = mqtt::Destination {
                    name: table.name.clone(),
                    address: mqtt::Address {
                        tenant: gateway.tenant.clone(),
                        site: gateway.site.clone(),
                        ward: gateway.ward.clone(),
                        gateway: gateway.name.clone(),
                    },
                    source: gateway.id.clone(),
                    mqtt: config.clone(),
                };
                let binding = Mqtt::new(destination).map_err(|error| error.to_string())?;
                self.spawn(table, binding.settings(cursors), binding, into)
            }
            Some(Transport::Hl7v2(config)) => {
                let map = self.configuration.maps.get(&table.name);
                let map = map.ok_or_else(|| "its map was not loaded".to_owned())?;
                let (name, source) = (table.name.clone(), gateway.id.clone());
                let binding = Hl7v2::new(name, source, config.clone(), Arc::clone(map));
                self.spawn(table, binding.settings(cursors), binding, into)
            }
            Some(Transport::Fhir(config)) => {
                let destination = fhir::Destination {
                    name: table.name.clone(),
                    source: gateway.id.clone(),
                    patients_only: table.files == Files::Patients,
                    plain: gateway.mode.plain(),
                    fhir: config.clone(),
                };
                let binding = Fhir::new(destination).map_err(|error| error.to_string())?;
                self.spawn(table, binding.settings(cursors), binding, into)
            }
            Some(Transport::Https(config)) => {
                let destination = https::Destination {
                    name: table.name.clone(),
                    source: gateway.id.clone(),
                    https: config.clone(),
                    plain: gateway.mode.plain(),
                };
                let binding = Https::new(destination).map_err(|error| error.to_string())?;
                self.spawn(table, binding.settings(cursors), binding, into)
            }
            None => Err("it has no binding".to_owned()),
        }
    }

    fn spawn<B: Binding>(
        &self,
        table: &DestinationTable,
        settings: Settings,
        binding: B,
        into: &mut Forwarding,
    ) -> Result<(), String> {
        let counters = Arc::new(Counters::default());
        let pump = Pump::open(settings, self.reader.clone(), Arc::clone(&counters))
            .map_err(|error| error.to_string())?;
        let (unavailable, told) = mpsc::unbounded_channel();
        let pump = pump.telling(unavailable);
        into.tasks.push(tokio::spawn(pass_on(told, self.requests.clone())));
        let low_water = pump.low_water();
        let running = pump.run(binding, self.durable.clone(), self.stop.clone());
        into.tasks.push(tokio::spawn(running));
        into.counters.push((table.name.clone(), counters));
        if table.required == Required::Required {
            into.low_waters.push(low_water);
        }
        Ok(())
    }
}

async fn pass_on(
    mut told: mpsc::UnboundedReceiver<Unavailable>,
    committer: mpsc::UnboundedSender<Request>,
) {
    while let Some(what) = told.recv().await {
        // The committer is gone only when the house stops.
        let _ = committer.send(Request::Unavailable(what));
    }
}
