//! Starts the destinations: one pump each, with the binding that its table names.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::asked;
use super::certificates;
use super::committer::Request;
use super::configuration::{
    Configuration, DestinationTable, Files, Proves, Required, Start, Transport,
};
use super::memory::{Before, Memory};
use super::world::{World, stop_for_one};
use crate::forward::cursor::{self, CursorFile, Earlier, Found, State};
use crate::forward::earlier;
use crate::forward::fhir::{self, Fhir};
use crate::forward::hl7v2::Hl7v2;
use crate::forward::https::{self, Https};
use crate::forward::mqtt::{self, Mqtt};
use crate::forward::pump::{Binding, Pump, Settings};
use crate::forward::{Command, Counters, Inbox, Notice, Unavailable};
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
    /// Who hears what a core says of its own charting; nobody without a bedside.
    pub inbox: Option<&'a Inbox>,
}

/// Starts these destinations, which read the journal of this ground.
///
/// # Errors
/// The name of a destination, and why it cannot be run.
pub(super) fn start(
    ground: &Ground<'_>,
    tables: &[DestinationTable],
) -> Result<Forwarding, (String, String)> {
    let mut forwarding = Forwarding::default();
    for table in tables {
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
    let tables = configuration.destinations.iter().chain(&configuration.waveforms);
    let names: Vec<&str> = tables.map(|one| one.name.as_str()).collect();
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
                let binding = binding.hearing(self.inbox.cloned());
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
                    patients_only: table.files == Files::Patients && !table.unattributed,
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
        begin(table, &cursors, self.reader)?;
        let pump = Pump::open_in(cursors, settings, self.reader.clone(), Arc::clone(&counters))
            .map_err(|error| error.to_string())?;
        let (unavailable, told) = mpsc::unbounded_channel();
        let (notices, noted) = mpsc::unbounded_channel();
        let (command, commands) = mpsc::unbounded_channel();
        let required = table.required == Required::Required;
        let pump = pump.telling(unavailable).noting(notices).following(commands);
        let pump = pump.agreed(table.order.into(), required).proving(by_manifest(table));
        into.commands.insert(table.name.clone(), command);
        let warning =
            certificates::warn(table.name.clone(), Arc::clone(&counters), self.stop.clone());
        into.tasks.push(tokio::spawn(warning));
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

/// Whether only an answered manifest proves that the core has what was acknowledged.
fn by_manifest(table: &DestinationTable) -> bool {
    match table.proves() {
        Proves::StoredByCore => false,
        // A best-effort destination holds nothing that would have to be proven.
        Proves::AcceptedByEngine | Proves::WrittenToBroker => table.required == Required::Required,
    }
}

/// Writes where a destination begins, if it was never here or was retired. One that was retired
/// begins again only where its table says so in words, and with what is kept from then on: what it
/// had before has other routes.
fn begin(
    table: &DestinationTable,
    cursors: &Arc<dyn Storage>,
    reader: &Reader,
) -> Result<(), String> {
    let found = cursor::peek_in(&**cursors, &table.name).map_err(|error| error.to_string())?;
    let durable = reader.durable().map_or(0, Sequence::number);
    let fresh = State::start(reader.stream());
    let start = table.start;
    let state = match (found, start) {
        (Found::State(state), Some(Start::Now)) if state.retired => {
            State { low_water: durable, highest_sent: durable, ..fresh }
        }
        (Found::State(state), _) if state.retired => {
            let what = "it was retired: give it another name, or say that it begins with what is \
                        kept from now on: start = \"now\"";
            return Err(what.to_owned());
        }
        // What a lost cursor had sent may be all of it.
        (Found::Lost, Some(start @ (Start::Oldest | Start::At { .. }))) => {
            State { highest_sent: durable, ..from_before(start, table, reader)? }
        }
        (Found::New, Some(start @ (Start::Oldest | Start::At { .. }))) => {
            from_before(start, table, reader)?
        }
        (Found::State(_) | Found::New | Found::Lost, _) => return Ok(()),
    };
    let (mut file, _) =
        CursorFile::open_in(Arc::clone(cursors), &table.name).map_err(|error| error.to_string())?;
    file.write(&state).map_err(|error| error.to_string())
}

/// A destination that begins with what was kept before it came.
fn from_before(start: Start, table: &DestinationTable, reader: &Reader) -> Result<State, String> {
    let oldest = reader.first();
    let first = match start {
        Start::Now | Start::Oldest => oldest,
        Start::At { time_us } => {
            let mut reader = reader.clone();
            let found = earlier::first_kept_since(&mut reader, time_us);
            found.map_err(|error| format!("the journal cannot be read: {error}"))?
        }
    };
    // What is freed may have been of that time, too: a gap record tells of it.
    let from = if first == oldest { 1 } else { first.number() };
    let earlier = Earlier {
        from,
        through: reader.durable().map_or(0, Sequence::number),
        released_only: table.files == Files::Patients,
        unattributed: table.unattributed,
        settled: from - 1,
        last: 0,
    };
    let fresh = State::start(reader.stream());
    Ok(State { low_water: from - 1, highest_sent: from - 1, earlier: Some(earlier), ..fresh })
}

/// What is routed from now on comes behind what was kept before, where a destination begins with
/// that.
///
/// # Errors
/// The name of a destination, and why it cannot be known.
pub(super) fn begin_behind(
    configuration: &Configuration,
    world: &World,
    reader: &Reader,
    memory: &mut Memory,
) -> Result<(), (String, String)> {
    for table in &configuration.destinations {
        let failed = |error: &dyn std::fmt::Display| (table.name.clone(), error.to_string());
        let cursors = world.disk.cursors().map_err(|error| failed(&error))?;
        let state = cursor::peek_in(&*cursors, &table.name).map_err(|error| failed(&error))?;
        let Found::State(State { stream, earlier: Some(earlier), .. }) = state else { continue };
        if stream == reader.stream() {
            let behind = earlier.through + 1;
            let last = earlier::before(&mut reader.clone(), &earlier, &table.name, behind);
            let last = last.map_err(|error| failed(&error))?;
            let (destination, through) = (table.name.clone(), earlier.through);
            memory.begins_behind(Before { destination, through, last });
        }
    }
    Ok(())
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
