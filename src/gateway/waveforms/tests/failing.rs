//! A disk that fails under the waveforms, and takes writes again.

use std::io;

use super::*;
use crate::forward::stored::Stored;
use crate::gateway::ledger::LedgerDesk;
use crate::gateway::run::identities;
use crate::gateway::world::{DataDisk, World};
use crate::journal::memory::Memory;
use crate::journal::{self, Journal, Keys, Kind, Opened, Options, Reader, Storage};
use crate::link::BoxPorts;
use crate::vocabulary::Sequence;

struct Disk {
    waveforms: Arc<Memory>,
    cursors: Arc<Memory>,
}

impl DataDisk for Disk {
    fn open_journal(&self, _: Options) -> Result<Opened, journal::Error> {
        Err(journal::Error::NothingThere)
    }

    fn open_waveforms(&self, options: Options) -> Result<Opened, journal::Error> {
        Journal::open_on(Arc::clone(&self.waveforms) as Arc<dyn Storage>, options, None)
    }

    fn open_proven(&self, _: Keys) -> Result<Reader, journal::Error> {
        Err(journal::Error::NothingThere)
    }

    fn cursors(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::clone(&self.cursors) as Arc<dyn Storage>)
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX / 2
    }

    fn probe(&self, _: u64) -> io::Result<()> {
        // It fails as long as everything does.
        self.waveforms.create("probe", 1)?;
        self.waveforms.unlink("probe")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_costs_samples_and_the_gap_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(folder.path());
    let waveforms = Arc::new(Memory::default());
    let disk = Disk { waveforms: Arc::clone(&waveforms), cursors: Arc::new(Memory::rewritten()) };
    let delivery = tokio::runtime::Handle::current();
    let world = World {
        disk: Arc::new(disk),
        ports: Arc::new(BoxPorts),
        delivery,
        has_background: false,
        cores: None,
        bedside: None,
    };
    let devices = identities(&configuration);
    let before = crate::gateway::gaps::GapCause::BoxRestarted;
    let house = WaveformHouse::start(
        &configuration,
        &world,
        &devices,
        (None, &LedgerDesk::default()),
        before,
    );
    let (inlet, shown) = (house.inlet().unwrap(), house.shown().unwrap());
    wait("it is open", || shown.snapshot().door == "open").await;
    let kept = four(&devices[0]);
    let last_us = kept.received.utc_us();
    inlet.offer(kept);
    wait("samples are kept", || shown.snapshot().samples == 500).await;

    waveforms.set_failing(true);
    inlet.offer(four(&devices[0]));
    wait("they are dropped", || shown.snapshot().samples_dropped == 500).await;
    let door = shown.snapshot().door;
    assert!(door.starts_with("shut: "), "{door}");
    waveforms.set_failing(false);
    wait("it is open again", || shown.snapshot().door == "open").await;
    let again = four(&devices[0]);
    let again_us = again.begins().utc_us();
    inlet.offer(again);
    wait("samples are kept again", || shown.snapshot().samples == 1000).await;
    house.stop().await;

    let opened = Journal::open_on(waveforms, Options::default(), None).unwrap();
    let mut reader = opened.reader;
    let records = reader.read_from(Sequence::FIRST, 1000, 1 << 20).unwrap().records;
    let gaps = records.iter().filter(|one| one.kind == Kind::Gap);
    let gaps: Vec<Stored> = gaps.filter_map(|one| Stored::from_bytes(&one.payload)).collect();
    let said = |gap: &Stored, key: &str| gap.data[key].clone();
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert_eq!(
        (said(&gaps[0], "phase"), said(&gaps[1], "phase")),
        ("began".into(), "ended".into())
    );
    assert!(gaps.iter().all(|one| one.data["cause"] == "storage-failed"));
    assert_eq!(said(&gaps[0], "began_us"), last_us);
    assert_eq!(said(&gaps[1], "ended_us"), again_us);
}
