//! The feed over a real connection: into a journal on disk, and into a desk that can be shut.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::association::{Ledger, Register, Row, Statement, Utc};
use crate::gateway::committer::{Begin, Request};
use crate::gateway::ledger::{LedgerDesk, LedgerKeeper, Lines};
use crate::gateway::memory::Memory;
use crate::gateway::tests::committer;
use crate::journal::{Journal, SEGMENT_BYTES};
use crate::link::tls_server::ServerFiles;

/// A desk in memory, which takes nothing while it is shut.
#[derive(Clone)]
pub(in crate::gateway) struct MemoryDesk {
    shut: Arc<AtomicBool>,
    marks: Arc<Mutex<Vec<MarkKind>>>,
    register: Arc<Mutex<Arc<Register>>>,
    pub ledger: watch::Sender<Arc<Ledger>>,
}

impl Default for MemoryDesk {
    fn default() -> Self {
        let ledger = watch::channel(Arc::default()).0;
        Self { shut: Arc::default(), marks: Arc::default(), register: Arc::default(), ledger }
    }
}

impl EntrySink for MemoryDesk {
    async fn keep(&self, rows: Vec<Row>, statements: Vec<Statement>) -> Result<(), NotTaken> {
        if self.shut.load(Ordering::Relaxed) {
            return Err(NotTaken::NotKept);
        }
        let mut ledger = Ledger::clone(&self.ledger());
        let mut register = Register::clone(&self.register());
        for row in rows {
            register.take(row, &ledger).map_err(|why| NotTaken::Refused(why.text().to_owned()))?;
        }
        for statement in statements {
            let entry = statement.learned(Utc::from_us(clock::now().utc_us()));
            ledger.add(entry).map_err(|why| NotTaken::Refused(why.to_string()))?;
        }
        *self.register.lock().unwrap() = Arc::new(register);
        self.ledger.send_replace(Arc::new(ledger));
        Ok(())
    }

    async fn mark(&self, mark: Mark) -> Result<(), NotTaken> {
        self.marks.lock().unwrap().push(mark.kind);
        Ok(())
    }

    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.borrow())
    }

    fn register(&self) -> Arc<Register> {
        Arc::clone(&self.register.lock().unwrap())
    }

    fn forget(&self, before: Utc) {
        let ledger = self.ledger();
        Arc::make_mut(&mut self.register.lock().unwrap()).forget(before, &ledger);
    }
}

fn table() -> AdtTable {
    toml::from_str(
        "listen = \"127.0.0.1:0\"\ntime_zone = \"Europe/Helsinki\"\n\
         [patients]\nmain_roots = [\"1.2.246.10.1234567.22.2026\"]\n\
         authorities.PI = \"1.2.246.10.1234567.22.2026\"\n\
         places.\"ICU^3^1\" = \"icu/bed-1\"\n",
    )
    .unwrap()
}

fn admission(event: &str) -> String {
    format!(
        "MSH|^~\\&|ADT|H|BOX|H|20260302080000||ADT^{event}|m-{event}|P|2.5\nEVN||20260302080000\n\
         PID|||A1^^^PI||ZZZ^AAA||19730811|F\nPV1||I|ICU^3^1||||||||||||||||E-1"
    )
}

/// A peer that sends a message and reads one answer.
pub(in crate::gateway) struct Sender(TcpStream);

impl Sender {
    pub async fn to(port: impl Fn() -> String) -> Self {
        for _ in 0..200 {
            if let Ok(address) = port().parse::<SocketAddr>() {
                return Self(TcpStream::connect(address).await.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody listens")
    }

    pub async fn send(&mut self, message: &str) {
        let block = format!("\u{b}{}\r\u{1c}\r", message.replace('\n', "\r"));
        self.0.write_all(block.as_bytes()).await.unwrap();
    }

    /// The next answer, with a line for each segment.
    pub async fn answer(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\x1c\r") {
            text.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(text).unwrap().replace('\r', "\n")
    }

    /// MSA of the answer to a message.
    pub async fn told(&mut self, message: &str) -> String {
        self.send(message).await;
        let answer = self.answer().await;
        let msa = answer.lines().find(|line| line.starts_with("MSA|")).unwrap();
        msa.to_owned()
    }
}

/// Runs a feed; the sender that stops it when it is dropped.
fn run<S: EntrySink>(feed: &Arc<AdtFeed<S>>) -> watch::Sender<bool> {
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(Arc::clone(feed).run(stopping));
    stop
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut committer = committer(folder.path());
    committer.checkpoint(Begin::Wherever, 1_772_409_600_000_000).await;
    let (requests, received) = mpsc::unbounded_channel();
    let desk = LedgerDesk::default();
    let memory = &committer.memory;
    desk.open(requests.clone(), Arc::clone(&memory.ledger), Arc::clone(&memory.register));
    committer.ledger = LedgerKeeper::new(desk.clone(), Lines::default());
    let committing = tokio::spawn(committer.run(received));

    let feed = AdtFeed::new(table(), desk.clone());
    let stop = run(&feed);
    let mut sender = Sender::to(|| feed.snapshot().port).await;
    assert_eq!(sender.told(&admission("A01")).await, "MSA|AA|m-A01");
    // The same again is known, and acknowledged as well.
    assert_eq!(sender.told(&admission("A01")).await, "MSA|AA|m-A01");
    assert_eq!(desk.now().entries().count(), 1);
    let patient = desk.now().present().pop_first().unwrap();
    let known = desk.register().persons.known(&patient, &desk.now()).unwrap();
    assert_eq!(known.name.as_deref(), Some("ZZZ AAA"));
    stop.send_replace(true);

    let (done, stopped) = oneshot::channel();
    requests.send(Request::Stop { now: clock::now(), done }).unwrap();
    stopped.await.unwrap();
    committing.await.unwrap();
    let mut reader = Journal::open_read_only(folder.path()).unwrap().0;
    let rebuilt = Memory::rebuild(&mut reader, SEGMENT_BYTES).unwrap();
    assert!(*rebuilt.register == *desk.register());
    assert!(rebuilt.ledger.present() == desk.now().present());
    // And from a checkpoint, which replaces what stands before it.
    let mut again = super::super::tests::committer(folder.path());
    again.memory = rebuilt;
    again.checkpoint(Begin::Wherever, 1_772_409_700_000_000).await;
    let (requests, received) = mpsc::unbounded_channel();
    let (done, stopped) = oneshot::channel();
    requests.send(Request::Stop { now: clock::now(), done }).unwrap();
    again.run(received).await;
    stopped.await.unwrap();
    let mut reader = Journal::open_read_only(folder.path()).unwrap().0;
    let carried = Memory::rebuild(&mut reader, SEGMENT_BYTES).unwrap();
    assert!(*carried.register == *desk.register());
}

#[tokio::test]
async fn a_shut_journal_is_told_and_the_same_message_is_taken_later() {
    let desk = MemoryDesk::default();
    let feed = AdtFeed::new(table(), desk.clone());
    let _stop = run(&feed);
    let mut sender = Sender::to(|| feed.snapshot().port).await;
    desk.shut.store(true, Ordering::Relaxed);
    assert_eq!(sender.told(&admission("A01")).await, "MSA|AE|m-A01");
    assert_eq!((desk.ledger().entries().count(), desk.register().persons.count()), (0, 0));
    desk.shut.store(false, Ordering::Relaxed);
    assert_eq!(sender.told(&admission("A01")).await, "MSA|AA|m-A01");
    assert_eq!((desk.ledger().entries().count(), desk.register().persons.count()), (1, 1));
    // In enhanced mode the sender hears that it is kept, and no more.
    let enhanced = admission("A08").replace("|P|2.5\n", "|P|2.5|||AL|NE\n");
    assert_eq!(sender.told(&enhanced).await, "MSA|CA|m-A08");
}

#[tokio::test]
async fn other_events_are_counted_and_what_is_no_adt_is_refused() {
    let desk = MemoryDesk::default();
    let feed = AdtFeed::new(table(), desk.clone());
    assert!(feed.snapshot().unknown_since.is_some());
    let _stop = run(&feed);
    let mut sender = Sender::to(|| feed.snapshot().port).await;
    assert_eq!(sender.told(&admission("A60")).await, "MSA|AA|m-A60");
    assert_eq!(sender.told(&admission("A01")).await, "MSA|AA|m-A01");
    assert_eq!(sender.told(&admission("A01").replace("ADT^A01", "ORU^R01")).await, "MSA|AR|m-A01");
    let nobody = admission("A01").replace("A1^^^PI", "A1^^^OTHER");
    assert_eq!(sender.told(&nobody).await, "MSA|AR|m-A01");
    let shown = feed.snapshot();
    assert_eq!((shown.messages, shown.refused, shown.connections), (4, 2, 1));
    assert_eq!(shown.other_events, BTreeMap::from([("A60".to_owned(), 1)]));
    assert_eq!((shown.unknown_since.clone(), shown.not_named), (None, 0));
    // The first word after the start was a silence's end.
    assert_eq!(*desk.marks.lock().unwrap(), [MarkKind::HeardAgain]);
    let text = serde_json::to_string(&shown).unwrap();
    assert!(!text.contains("ZZZ") && !text.contains("A1\"") && !text.contains("E-1"));
    // A census becomes due: the patient who is here was not named since.
    feed.census_is_due(clock::now());
    assert_eq!(feed.snapshot().not_named, 1);
    assert_eq!(sender.told(&admission("A08")).await, "MSA|AA|m-A08");
    assert_eq!(feed.snapshot().not_named, 0);
}

#[tokio::test]
async fn a_port_with_files_lets_in_nobody_without_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let key_pair = rcgen::KeyPair::generate().unwrap();
    let named = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let made = named.self_signed(&key_pair).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, made.pem()).unwrap();
    std::fs::write(&key, key_pair.serialize_pem()).unwrap();
    let client_ca = Some(certificate.clone());
    let files = ServerFiles { certificate: Some(certificate), key: Some(key), client_ca };
    assert!(files.are_mutual());

    let desk = MemoryDesk::default();
    let feed = AdtFeed::new(AdtTable { tls: files, ..table() }, desk.clone());
    let _stop = run(&feed);
    let mut sender = Sender::to(|| feed.snapshot().port).await;
    sender.send(&admission("A01")).await;
    let mut heard = Vec::new();
    // An alert, or nothing: no acknowledgement, and the connection ends.
    let _ = sender.0.read_to_end(&mut heard).await;
    assert!(!heard.windows(3).any(|part| part == b"MSA"));
    assert_eq!((feed.snapshot().messages, desk.ledger().entries().count()), (0, 0));
}
