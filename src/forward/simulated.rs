//! Cores on a simulated network, in virtual time. The house's own pump, window and cursor speak to
//! them through a [`Binding`]; what a core has stored outlives every house.
//!
//! A core stores a record durably before it answers. Between the two, and before and behind them,
//! it can die; answers get lost, come twice, late and in another order, and some are lies.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::pump::{Binding, Ended, Fate, Outbound, Pump, Settings};
use super::window::Pace;
use crate::vocabulary::chance::Chance;

pub(crate) mod core;

use self::core::{Answer, Core};

thread_local! {
    static CHANCE: RefCell<Option<Chance>> = const { RefCell::new(None) };
}

/// From here on jitter on this thread comes from a seed.
pub(crate) fn seed(chance: Chance) {
    CHANCE.set(Some(chance));
}

pub(super) fn chance() -> Option<u64> {
    CHANCE.with_borrow_mut(|chance| chance.as_mut().map(Chance::next))
}

/// As the MQTT binding: how long the cursor may lag when nothing else wants it saved.
const SAVE_AFTER: Duration = Duration::from_millis(200);
/// The longest sleep between two looks at what is due.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// An attempt at a core that is not there.
const NOBODY_THERE: Duration = Duration::from_millis(300);

/// The cores by the names of their destinations.
#[derive(Clone, Default)]
pub(crate) struct Cores(Arc<Mutex<BTreeMap<String, Core>>>);

impl Cores {
    pub fn add(&self, name: &str, core: Core) {
        self.0.lock().unwrap().insert(name.to_owned(), core);
    }

    /// What speaks to one of them.
    pub fn binding(&self, name: &str) -> ToCore {
        ToCore { cores: self.clone(), name: name.to_owned() }
    }

    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Core>> {
        self.0.lock().unwrap()
    }

    /// Looks at one core, or does something to it.
    pub fn with<T>(&self, name: &str, what: impl FnOnce(&mut Core) -> T) -> T {
        what(self.lock().get_mut(name).expect("a core of this name"))
    }
}

/// The binding to one core.
pub(crate) struct ToCore {
    cores: Cores,
    name: String,
}

/// A record on its way.
#[derive(Clone)]
pub(crate) struct Sent {
    pub sequence: u64,
    /// The one before it here.
    pub previous: u64,
    pub payload: Arc<[u8]>,
}

impl ToCore {
    pub fn settings(&self, source: &str) -> Settings {
        Settings {
            name: self.name.clone(),
            source: source.to_owned(),
            cursors: std::path::PathBuf::new(),
            receivers: vec![self.name.clone()],
            pace: Pace { resend_after_ms: 5_000 },
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Core) -> T) -> T {
        self.cores.with(&self.name, what)
    }

    /// A record goes onto the wire: it arrives, is stored and is answered later, or not.
    fn send(&self, sent: &Sent) {
        let (cores, name, sent) = (self.cores.clone(), self.name.clone(), sent.clone());
        let Some((line, wait_ms)) = self.with(Core::wire) else { return };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            let Some(commit_ms) = cores.with(&name, |core| core.takes(line)) else { return };
            tokio::time::sleep(Duration::from_millis(commit_ms)).await;
            let answers = cores.with(&name, |core| core.stores(line, &sent));
            for (wait_ms, answer) in answers {
                let (cores, name) = (cores.clone(), name.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    cores.with(&name, |core| core.says(line, answer));
                });
            }
        });
    }

    fn hear(pump: &mut Pump<Sent>, answer: &Answer) {
        match answer {
            Answer::Acknowledgement(json) => pump.hear_acknowledgement(json.as_bytes()),
            Answer::Have(json) => pump.hear_have(json.as_bytes()),
        }
    }
}

impl Binding for ToCore {
    type Message = Sent;

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Sent> {
        match outbound.event() {
            Some(event) => {
                let bytes = event.payload.len();
                let sequence = outbound.sequence.number();
                let previous = outbound.written.routes.get(&self.name).copied().unwrap_or(u64::MAX);
                let message = Sent { sequence, previous, payload: event.payload.into() };
                Fate::Send { message, bytes }
            }
            None => Fate::Damaged,
        }
    }

    async fn session(
        &mut self,
        pump: &mut Pump<Sent>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let (line, mut heard) = mpsc::unbounded_channel();
        if !self.with(|core| core.connects(pump.reader.stream(), line)) {
            return match super::pump::stopped_within(stop, NOBODY_THERE).await {
                true => Ended::Stopped,
                false => Ended::Lost("nobody there".to_owned()),
            };
        }
        pump.connected();
        let synced = self.with(|core| Arc::clone(&core.synced));
        let mut save_at: Option<Instant> = None;
        let mut wake = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                answer = heard.recv() => match answer {
                    Some(answer) => Self::hear(pump, &answer),
                    None => return Ended::Lost("cut".to_owned()),
                },
                // A watch channel would wake the destinations in random order.
                () = synced.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            if durable.has_changed().is_err() {
                return Ended::Stopped;
            }
            while let Ok(answer) = heard.try_recv() {
                Self::hear(pump, &answer);
            }
            if let Err(why) = pump.fill(self).await {
                return Ended::Lost(why);
            }
            self.with(|core| core.sees(pump.window.in_flight(), pump.window.bytes()));
            pump.send_due(|sent| {
                self.send(sent);
                true
            });
            pump.count(*durable.borrow());
            let now = Instant::now();
            if !pump.is_behind() {
                save_at = None;
            } else if *save_at.get_or_insert(now + SAVE_AFTER) <= now {
                pump.save().await;
                save_at = None;
            }
            let due = pump.window.next_due_ms().map(|due| due.saturating_sub(pump.now_ms()).max(1));
            let due = now + due.map_or(LOOK_AFTER, Duration::from_millis).min(LOOK_AFTER);
            wake = save_at.map_or(due, |save| save.min(due));
        }
    }
}
