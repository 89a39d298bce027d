//! Entries and acts over the desk, through the real committer and a journal on disk.

mod admission;
mod story;
mod twins;

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::association::{DeviceId, EntryRefused, PersonId, Span};
use crate::gateway::committer::{Begin, Committer};
use crate::gateway::memory::Memory;
use crate::gateway::tests::committer;
use crate::journal::{Journal, Reader, SEGMENT_BYTES};
use crate::vocabulary::{PatientId, Purpose, Sequence};

/// 2026-11-29T09:00:00Z.
const NINE: i64 = 1_795_942_800_000_000;

fn at(minutes: i64) -> Utc {
    Utc::from_us(NINE).plus_s(60 * minutes)
}

fn patient(number: &str) -> PatientId {
    PatientId::given("1.2.246.10.1234567.22.2026", number, Purpose::Production).unwrap()
}

fn scan(id: &str, machine: &str, on: &str, from: Utc) -> NewEntry {
    NewEntry {
        id: EntryId::parse(id).unwrap(),
        stated: from,
        by: By::Scan { person: PersonId::parse("nurse-7").unwrap() },
        says: Says::Associated {
            device: DeviceId::parse(machine).unwrap(),
            channel: None,
            patient: patient(on),
            span: Span { from, until: None },
        },
    }
}

fn confirmation(client_id: &str) -> Act {
    Act {
        kind: ActKind::Confirmation,
        subject: "bed-1".to_owned(),
        time_us: NINE,
        data: [("metrics".to_owned(), json!([]))].into_iter().collect(),
        client_id: client_id.to_owned(),
    }
}

/// A committer that runs, with what it remembers of this folder.
struct Running {
    desk: LedgerDesk,
    requests: mpsc::UnboundedSender<Request>,
    task: JoinHandle<()>,
}

async fn run(folder: &Path) -> Running {
    let mut committer: Committer = committer(folder);
    committer.memory = rebuilt(folder);
    committer.checkpoint(Begin::Wherever, NINE).await;
    let (requests, received) = mpsc::unbounded_channel();
    let desk = LedgerDesk::default();
    let memory = &committer.memory;
    desk.open(requests.clone(), Arc::clone(&memory.ledger), Arc::clone(&memory.register));
    committer.ledger = LedgerKeeper::new(desk.clone(), Lines::default());
    Running { desk, requests, task: tokio::spawn(committer.run(received)) }
}

impl Running {
    async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        let now = crate::link::clock::now();
        self.requests.send(Request::Stop { now, done }).unwrap();
        stopped.await.unwrap();
        self.task.await.unwrap();
    }
}

fn reader(folder: &Path) -> Reader {
    Journal::open_read_only(folder).unwrap().0
}

fn rebuilt(folder: &Path) -> Memory {
    match std::fs::read_dir(folder).unwrap().next() {
        None => Memory::default(),
        Some(_) => Memory::rebuild(&mut reader(folder), SEGMENT_BYTES).unwrap(),
    }
}

#[tokio::test]
async fn an_entry_is_durable_known_again_and_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let house = run(folder.path()).await;
    let first = scan("a-1", "pump-1", "P-1", at(0));
    let added = house.desk.add(vec![first.clone()]).await.unwrap();
    assert!(matches!(added.as_slice(), [Added::New(_)]));
    assert_eq!(house.desk.now().entries().count(), 1);
    let both = vec![first.clone(), scan("a-2", "pump-2", "P-1", at(1))];
    let added = house.desk.add(both).await.unwrap();
    assert!(matches!(added.as_slice(), [Added::Known, Added::New(_)]), "{added:?}");
    let before = Ledger::clone(&house.desk.now());
    house.stop().await;

    let house = run(folder.path()).await;
    assert_eq!(*house.desk.now(), before, "the same ledger after a restart");
    assert_eq!(house.desk.add(vec![first.clone()]).await, Ok(vec![Added::Known]));
    let taken = scan("a-1", "pump-1", "P-2", at(0));
    let refused = house.desk.add(vec![taken]).await;
    let (entry, why) = (first.id.clone(), EntryRefused::IdTaken(first.id));
    assert_eq!(refused, Err(NotAdded::Refused { entry, why }));
    house.stop().await;
}

#[tokio::test]
async fn of_a_batch_with_one_refused_entry_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let house = run(folder.path()).await;
    let mut wrong = scan("b-2", "pump-2", "P-1", at(0));
    wrong.stated = at(-10);
    let refused = house.desk.add(vec![scan("b-1", "pump-1", "P-1", at(0)), wrong]).await;
    assert!(matches!(refused, Err(NotAdded::Refused { why: EntryRefused::Times, .. })));
    assert_eq!(house.desk.now().entries().count(), 0);
    house.stop().await;
    assert_eq!(rebuilt(folder.path()).ledger.entries().count(), 0);
}

#[tokio::test]
async fn an_act_that_comes_again_is_the_same_record_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let house = run(folder.path()).await;
    let first = house.desk.act(confirmation("c-1")).await.unwrap();
    assert_eq!(house.desk.act(confirmation("c-1")).await, Ok(first.clone()));
    let audit = Act { kind: ActKind::Audit, ..confirmation("c-2") };
    let second = house.desk.act(audit.clone()).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(house.desk.act(confirmation("")).await, Err(NotAdded::ClientId));
    house.stop().await;
    let house = run(folder.path()).await;
    assert_eq!(house.desk.act(confirmation("c-1")).await, Ok(first));
    assert_eq!(house.desk.act(audit).await, Ok(second));
    house.stop().await;
    let confirmations = {
        let mut reader = reader(folder.path());
        let read = reader.read_from(Sequence::FIRST, 1000, 1 << 20).unwrap();
        let acts = read.records.into_iter().filter(|one| {
            one.kind == crate::journal::Kind::Observation || one.kind == crate::journal::Kind::Audit
        });
        acts.count()
    };
    assert_eq!(confirmations, 2);
}

/// Rows of the audit have one client id together; each is kept, before and after a restart.
#[tokio::test]
async fn every_row_of_the_audit_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let row = || Act { kind: ActKind::Trail, ..confirmation(TRAIL) };
    for _ in 0..2 {
        let house = run(folder.path()).await;
        for _ in 0..2 {
            house.desk.act(row()).await.unwrap();
        }
        house.stop().await;
    }
    let rows = {
        let mut reader = reader(folder.path());
        let read = reader.read_from(Sequence::FIRST, 1000, 1 << 20).unwrap();
        read.records.iter().filter(|one| one.kind == crate::journal::Kind::Audit).count()
    };
    assert_eq!(rows, 4);
    assert_eq!(rebuilt(folder.path()).acts, Acts::default(), "nobody asks for them again");
}

#[tokio::test]
async fn a_desk_without_a_house_takes_nothing() {
    let desk = LedgerDesk::default();
    assert_eq!(desk.act(confirmation("c-1")).await, Err(NotAdded::NotKept));
}

#[test]
fn acts_are_forgotten_after_two_days() {
    let mut acts = Acts::default();
    acts.note("c-1", 7, NINE);
    acts.forget(NINE + ACTS_KEPT_S * 1_000_000);
    assert_eq!(acts.record("c-1"), Some(7));
    acts.forget(NINE + ACTS_KEPT_S * 1_000_000 + 1);
    assert_eq!(acts.record("c-1"), None);
}
