//! The journal of a house that starts: opened, and what the runs before left in it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Lasting, RunError};
use crate::association::{EntryId, Ledger};
use crate::forward::cursor::CursorError;
use crate::forward::pump;
use crate::gateway::bedside::{BedsideTasks, Ground as BedsideGround};
use crate::gateway::committer::{Committer, Request};
use crate::gateway::configuration::Configuration;
use crate::gateway::ledger::corrections::{Corrector, Examine};
use crate::gateway::ledger::{LedgerDesk, LedgerKeeper};
use crate::gateway::memory::Memory;
use crate::gateway::room::Room;
use crate::gateway::routing::Samplers;
use crate::gateway::world::World;
use crate::journal::{self, Reader};
use crate::vocabulary::{Moment, Sequence};

pub fn open_journal(
    configuration: &Configuration,
    world: &World,
    durable: watch::Sender<u64>,
    room: &Arc<Room>,
) -> Result<journal::Opened, RunError> {
    let folder = configuration.gateway.data.join("journal");
    let wake = Arc::clone(room);
    let cursors = configuration.gateway.data.join("cursors");
    let names: Vec<&str> = configuration.destinations.iter().map(|one| one.name.as_str()).collect();
    let known = world.disk.cursors().map_err(CursorError::from);
    let highest_known = known
        .and_then(|known| pump::highest_sent(&*known, &names))
        .map_err(|error| RunError::Cursors { folder: cursors, error })?;
    let options = journal::Options {
        segment_bytes: segment_bytes(configuration),
        highest_known,
        keys: configuration.gateway.journal_keys()?,
        on_durable: Arc::new(move |sequence: Option<Sequence>| {
            durable.send_replace(sequence.map_or(0, Sequence::number));
            wake.freed.notify_one();
        }),
        ..journal::Options::default()
    };
    world.disk.open_journal(options).map_err(|error| RunError::Journal { folder, error })
}

/// Messages of cores about their own charting that may wait; of more the cores say it again.
const CHARTED_WAITING_MAX: usize = 64;

impl Lasting {
    /// From now on destinations hand in what cores charted, if there is a bedside to keep it.
    pub(super) fn hears_cores(&mut self) {
        let (inbox, charted) = mpsc::channel(CHARTED_WAITING_MAX);
        self.inbox = self.configuration.charting.is_some().then_some(inbox);
        self.charted = Mutex::new(Some(charted));
    }

    /// The bedside, if the site wants it here.
    pub(super) async fn bedside(
        &self,
        committer: &Committer,
        (reader, durable): (&Reader, &watch::Receiver<u64>),
        delivered: &[watch::Receiver<u64>],
    ) -> Result<BedsideTasks, RunError> {
        let charted = self.charted.lock().unwrap_or_else(PoisonError::into_inner).take();
        let charted = charted.unwrap_or_else(|| mpsc::channel(1).1);
        let ground = BedsideGround {
            configuration: &self.configuration,
            desk: &self.ledger,
            reader,
            durable: durable.clone(),
            acts: committer.memory.acts.all(),
            delivered: delivered.to_vec(),
            shown: Arc::clone(&self.shown),
            #[cfg(test)]
            seat: self.world.bedside.clone(),
        };
        BedsideTasks::start(ground, charted).await.map_err(RunError::Bedside)
    }
}

/// What the house remembers of the runs before.
pub fn read_back(
    configuration: &Configuration,
    mut reader: Reader,
    now: Moment,
) -> Result<(Memory, Samplers), journal::Error> {
    let memory = Memory::rebuild(&mut reader, segment_bytes(configuration))?;
    let samplers = Samplers::rebuild(&configuration.destinations, &mut reader, now)?;
    Ok((memory, samplers))
}

pub fn segment_bytes(configuration: &Configuration) -> u64 {
    configuration.gateway.segment_bytes.unwrap_or(journal::SEGMENT_BYTES)
}

/// The ledger as the memory has it, under the configuration of today, shown on its desk; the
/// committer's part of it, and who corrects beside the committer.
pub fn ledger(
    configuration: &Configuration,
    memory: Memory,
    (desk, reader, requests): (&LedgerDesk, &Reader, &mpsc::UnboundedSender<Request>),
) -> (Memory, LedgerKeeper, Correcting) {
    let places = configuration.devices.iter();
    let places = places.map(|one| (one.name.clone(), one.place.clone())).collect();
    let mut memory = memory.at_site(configuration.ledger_site(), places);
    let mut keeper = configuration.ledger_keeper(desk.clone());
    keeper.lines.from_the_beginning(Arc::make_mut(&mut memory.ledger));
    let (known, register) = (Arc::clone(&memory.ledger), Arc::clone(&memory.register));
    desk.open(requests.clone(), known, register);
    let (examine, examined) = mpsc::unbounded_channel();
    if let Some(left) = left_unexamined(&memory) {
        // The receiver is right here.
        let _ = examine.send(left);
    }
    keeper.examine = Some(examine);
    let corrector = Corrector {
        desk: desk.clone(),
        lines: keeper.lines.clone(),
        clock: keeper.clock,
        reader: reader.clone(),
        stream: reader.stream(),
        requests: requests.clone(),
    };
    (memory, keeper, Correcting { corrector, examined })
}

/// Who corrects, and what it is asked.
pub struct Correcting {
    corrector: Corrector,
    examined: mpsc::UnboundedReceiver<Examine>,
}

impl Correcting {
    /// Starts it.
    pub fn start(self, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        tokio::spawn(self.corrector.run(self.examined, stop))
    }
}

/// The entries of which a stop left open whether kept values change hands by them.
fn left_unexamined(memory: &Memory) -> Option<Examine> {
    let open: BTreeSet<&EntryId> = memory.unexamined.values().collect();
    let mut before = memory.ledger.checkpoint();
    before.entries.retain(|entry| !open.contains(&entry.id));
    let before = Ledger::restore(memory.ledger.site().clone(), before).ok()?;
    let entries = memory.unexamined.iter().map(|(record, id)| (*record, id.clone())).collect();
    let examine = Examine { entries, before: Arc::new(before) };
    (!open.is_empty()).then_some(examine)
}
