//! Starts the destinations: one pump each, with the binding that its table names.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::asked;
use super::committer::Request;
use super::configuration::{Configuration, DestinationTable, Files, Required, Transport};
use super::world::{World, stop_for_one};
use crate::forward::cursor::{self, CursorFile, Found, State};
use crate::forward::fhir::{self, Fhir};
use crate::forward::hl7v2::Hl7v2;
use crate::forward::https::{self, Https};
use crate::forward::mqtt::{self, Mqtt};
use crate::forward::pump::{Binding, Pump, Settings};
use crate::forward::{Command, Counters, Notice, Unavailable};
use crate::journal::{Reader, Storage};
use crate::vocabulary::Sequence;

/// The destinations as they run.
#[derive(Default)]
pub(super) struct Forwarding {
    pub tasks: Vec<JoinHandle<()>>,
    pub counters: Vec<(String, Arc<Counters>)>,
    /// Of required destinations only.
    pub low_waters: Vec<watch::Receiver<u64>>,
    /// What a person asks of each goes there.
    pub commands: BTreeMap<String, mpsc::UnboundedSender<Command>>,
}

/// What every destination gets from the house.
pub(super) struct Ground<'a> {
    pub world: &'a World,
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

/// The destinations without a table that hold the journal: each gets a mark that only a retirement
/// lifts.
pub(super) fn held(
    configuration: &Configuration,
    reader: &Reader,
    low_waters: &mut Vec<watch::Receiver<u64>>,
) -> BTreeMap<String, watch::Sender<u64>> {
    let names: Vec<&str> = configuration.destinations.iter().map(|one| one.name.as_str()).collect();
    let cursors = configuration.gateway.data.join("cursors");
    let mut held = BTreeMap::new();
    for (name, holds) in asked::without_table(&cursors, &names, reader.stream()) {
        let Some(low_water) = holds else { continue };
        tracing::warn!(
            destination = name,
            low_water,
            "it has no table any more and holds the journal until it is retired"
        );
        let (mark, seen) = watch::channel(low_water);
        low_waters.push(seen);
        held.insert(name, mark);
    }
    held
}

impl Ground<'_> {
    fn start(&self, table: &DestinationTable, into: &mut Forwarding) -> Result<(), String> {
        let gateway = &self.configuration.gateway;
        #[cfg(test)]
        if let Some(cores) = &self.world.cores {
            let binding = cores.binding(&table.name);
            return self.spawn(table, binding.settings(&gateway.id), binding, into);
        }
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
        let cursors = self.world.disk.cursors().map_err(|error| error.to_string())?;
        start_again(table, &cursors, self.reader)?;
        let pump = Pump::open_in(cursors, settings, self.reader.clone(), Arc::clone(&counters))
            .map_err(|error| error.to_string())?;
        let (unavailable, told) = mpsc::unbounded_channel();
        let (notices, noted) = mpsc::unbounded_channel();
        let (command, commands) = mpsc::unbounded_channel();
        let required = table.required == Required::Required;
        let pump = pump.telling(unavailable).noting(notices).following(commands);
        let pump = pump.agreed(table.order.into(), required);
        into.commands.insert(table.name.clone(), command);
        into.tasks.push(tokio::spawn(pass_on(told, noted, self.requests.clone())));
        let low_water = pump.low_water();
        let running = pump.run(binding, self.durable.clone(), stop_for_one(self.stop));
        into.tasks.push(tokio::spawn(running));
        into.counters.push((table.name.clone(), counters));
        if table.required == Required::Required {
            into.low_waters.push(low_water);
        }
        Ok(())
    }
}

/// A destination that was retired begins again only where its table says so in words, and with what
/// is kept from then on.
fn start_again(
    table: &DestinationTable,
    cursors: &Arc<dyn Storage>,
    reader: &Reader,
) -> Result<(), String> {
    let found = cursor::peek_in(&**cursors, &table.name).map_err(|error| error.to_string())?;
    if !matches!(found, Found::State(state) if state.retired) {
        return Ok(());
    }
    if table.start.is_none() {
        let what = "it was retired: give it another name, or say where it begins: start = \"now\"";
        return Err(what.to_owned());
    }
    let durable = reader.durable().map_or(0, Sequence::number);
    let now = State { low_water: durable, highest_sent: durable, ..State::start(reader.stream()) };
    let (mut file, _) =
        CursorFile::open_in(Arc::clone(cursors), &table.name).map_err(|error| error.to_string())?;
    file.write(&now).map_err(|error| error.to_string())
}

async fn pass_on(
    mut told: mpsc::UnboundedReceiver<Unavailable>,
    mut noted: mpsc::UnboundedReceiver<Notice>,
    committer: mpsc::UnboundedSender<Request>,
) {
    loop {
        let request = tokio::select! {
            biased;
            Some(what) = told.recv() => Request::Unavailable(what),
            Some(what) = noted.recv() => Request::Noted(what),
            else => return,
        };
        // The committer is gone only when the house stops.
        let _ = committer.send(request);
    }
}
