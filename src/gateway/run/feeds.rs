//! What other systems of the hospital tell the box, and what it tells them: the patient
//! administration's feed, and associations. They outlive a house that is opened anew: while none is
//! open nothing is taken, and whoever tells is asked to try again.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::gateway::adt::{AdtFeed, AdtSnapshot};
use crate::gateway::configuration::{Configuration, PcimTable};
use crate::gateway::ledger::LedgerDesk;
use crate::gateway::pcim::peer::{PeerSnapshot, Teller};
use crate::gateway::pcim::{PcimPort, PcimSnapshot};
use crate::gateway::world::stop_for_one;

/// How long they may take to stop: an answer that is being written.
const STOP_FEEDS: std::time::Duration = std::time::Duration::from_secs(3);

/// The feeds of a box; none where the configuration has none.
pub struct Feeds {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    shown: Arc<FeedsShown>,
}

/// What is shown of them.
#[derive(Default)]
pub struct FeedsShown {
    adt: Option<Arc<AdtFeed<LedgerDesk>>>,
    pcim: Option<Arc<PcimPort<LedgerDesk>>>,
    peers: Vec<(String, Arc<std::sync::Mutex<PeerSnapshot>>)>,
}

impl FeedsShown {
    /// The patient administration's feed.
    pub fn adt(&self) -> Option<AdtSnapshot> {
        self.adt.as_ref().map(|feed| feed.snapshot())
    }

    /// What is told of associations.
    pub fn pcim(&self) -> Option<PcimSnapshot> {
        let mut shown = self.pcim.as_ref()?.snapshot();
        for (name, peer) in &self.peers {
            let peer = peer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            shown.peers.insert(name.clone(), peer);
        }
        Some(shown)
    }
}

impl Feeds {
    /// Starts what the configuration has.
    pub fn start(configuration: &Configuration, desk: &LedgerDesk) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = Vec::new();
        let mut shown = FeedsShown::default();
        if let Some(table) = &configuration.adt {
            let feed = AdtFeed::new(table.clone(), desk.clone());
            tasks.push(tokio::spawn(Arc::clone(&feed).run(stop_for_one(&stopping))));
            shown.adt = Some(feed);
        }
        if let Some(table) = &configuration.pcim {
            shown.associations(configuration, table, desk, (&stopping, &mut tasks));
        }
        Self { stop, tasks, shown: Arc::new(shown) }
    }

    /// What is shown of them.
    pub fn shown(&self) -> Arc<FeedsShown> {
        Arc::clone(&self.shown)
    }

    /// Ends them: from then on nothing is acknowledged.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + STOP_FEEDS;
        for task in self.tasks.drain(..) {
            if tokio::time::timeout_at(deadline, task).await.is_err() {
                tracing::error!("a feed's task did not stop in time");
            }
        }
    }
}

impl FeedsShown {
    fn associations(
        &mut self,
        configuration: &Configuration,
        table: &PcimTable,
        desk: &LedgerDesk,
        (stopping, tasks): (&watch::Receiver<bool>, &mut Vec<JoinHandle<()>>),
    ) {
        let site = configuration.pcim_site(table);
        let port = PcimPort::new(table.clone(), site.clone(), desk.clone());
        tasks.push(tokio::spawn(Arc::clone(&port).run(stop_for_one(stopping))));
        self.pcim = Some(port);
        for peer in &table.peer {
            let teller = Teller::new(table, peer, site.clone(), desk.clone());
            self.peers.push((peer.name.clone(), teller.shown()));
            tasks.push(tokio::spawn(teller.run(desk.changes(), stop_for_one(stopping))));
        }
    }
}
