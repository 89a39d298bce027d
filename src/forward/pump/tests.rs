use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::forward::UnavailableWhy;
use crate::forward::acknowledgement::{Have, Range};
use crate::forward::stored::EventKind;
use crate::journal::{Appender, Journal, Kind, NewRecord, Opened, Options, SEGMENT_BYTES_MIN};

mod earlier;

fn observation(number: u64) -> NewRecord {
    let stored = Stored {
        kind: EventKind::Observation,
        time: "2026-11-23T08:00:00Z".to_owned(),
        subject: "bed-3".to_owned(),
        routes: BTreeMap::from([("core".to_owned(), number - 1)]),
        data: serde_json::Map::new(),
    };
    NewRecord { kind: Kind::Observation, time_us: 1, payload: stored.to_bytes() }
}

fn append(appender: &mut Appender, record: NewRecord) {
    let (told, fate) = std::sync::mpsc::channel();
    let done = Box::new(move |how| told.send(how).unwrap());
    appender.try_append(vec![record], done).unwrap();
    fate.recv().unwrap().unwrap();
}

/// A journal with `count` observations in small segments.
fn journal(folder: &Path, count: u64) -> Opened {
    let options = Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() };
    let mut opened = Journal::open(&folder.join("journal"), options).unwrap();
    for number in 1..=count {
        append(&mut opened.appender, observation(number));
    }
    opened
}

/// A receiver that is told nothing but numbers.
struct Numbers;

impl Binding for Numbers {
    type Message = u64;

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<u64> {
        Fate::Send { message: outbound.sequence.number(), bytes: 100 }
    }

    async fn session(
        &mut self,
        _: &mut Pump<u64>,
        _: &mut watch::Receiver<u64>,
        _: &mut watch::Receiver<bool>,
    ) -> Ended {
        Ended::Stopped
    }
}

fn pump_to(folder: &Path, opened: &Opened) -> (Pump<u64>, UnboundedReceiver<Unavailable>) {
    let settings = Settings {
        name: "core".to_owned(),
        source: "urn:uuid:1".to_owned(),
        cursors: folder.to_owned(),
        receivers: vec!["core".to_owned()],
        pace: Pace { resend_after_ms: 5_000 },
    };
    let counters = Arc::new(Counters::default());
    let pump = Pump::open(settings, opened.reader.clone(), counters).unwrap();
    let (sender, told) = unbounded_channel();
    (pump.telling(sender), told)
}

fn all(told: &mut UnboundedReceiver<Unavailable>) -> Vec<(u64, u64, UnavailableWhy)> {
    std::iter::from_fn(|| told.try_recv().ok())
        .map(|one| {
            assert_eq!(one.destination, "core");
            (one.first, one.last, one.why)
        })
        .collect()
}

/// Sends and accepts everything that the journal holds.
fn accept_everything(pump: &mut Pump<u64>) {
    let stream = pump.reader.stream();
    loop {
        pump.take_from_journal(&mut Numbers, u64::MAX).unwrap();
        if pump.window.in_flight() == 0 {
            return;
        }
        pump.window.send_due(0, || 0, |_| true);
        let accepted = vec![1..=pump.window.highest_sent()];
        let answer = crate::forward::acknowledgement::Acknowledgement {
            stream,
            accepted,
            rejected: Vec::new(),
            receiver_time: "2026-11-23T08:00:00Z".to_owned(),
            receiver_id: "core".to_owned(),
        };
        assert_eq!(pump.window.acknowledge(&answer, 0, || 0).disbelieved, []);
    }
}

fn have(pump: &mut Pump<u64>, ranges: &[Range], generation: u64) {
    let stream = pump.reader.stream();
    let receiver_id = "core".to_owned();
    let have = Have { stream, ranges: ranges.to_vec(), receiver_id, generation };
    pump.window.have(&have).unwrap();
    pump.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    pump.hear_answers();
}

#[test]
fn what_a_restored_receiver_needs_and_the_box_has_freed_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let opened = journal(folder.path(), 200);
    let (mut pump, mut told) = pump_to(folder.path(), &opened);
    accept_everything(&mut pump);
    assert_eq!(pump.window.low_water(), 200);
    opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
    let first = opened.reader.first().number();
    assert!(first > 30);
    pump.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    assert_eq!(all(&mut told), [], "freed, and not needed");

    have(&mut pump, &[1..=9, 20..=29], 1);
    let expected = [(10, 19, UnavailableWhy::Freed), (30, first - 1, UnavailableWhy::Freed)];
    assert_eq!(all(&mut told), expected);
    assert_eq!(pump.window.in_flight() as u64, 200 - first + 1);
    assert_eq!(pump.counters.freed.load(std::sync::atomic::Ordering::Relaxed), 10 + first - 30);
    have(&mut pump, &[1..=4, 20..=29], 2);
    assert_eq!(all(&mut told), [(5, 9, UnavailableWhy::Freed)], "only what was not told");
}

#[test]
fn at_a_normal_start_nothing_that_was_freed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let opened = journal(folder.path(), 200);
    let (mut before, _told) = pump_to(folder.path(), &opened);
    accept_everything(&mut before);
    let state = before.window.state();
    before.cursor.lock().unwrap().write(&state).unwrap();
    drop(before);
    opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
    let (mut again, mut told) = pump_to(folder.path(), &opened);
    again.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    assert_eq!((all(&mut told), again.window.low_water()), (vec![], 200));

    // Nor for a destination that was not there when those records were written.
    let new = tempfile::tempdir().unwrap();
    let (mut new, mut told) = pump_to(new.path(), &opened);
    new.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    assert_eq!(all(&mut told), []);
    assert_eq!(new.window.low_water(), opened.reader.first().number() - 1);
}

#[test]
fn what_was_freed_before_an_optional_destination_had_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let opened = journal(folder.path(), 200);
    let (slow, _told) = pump_to(folder.path(), &opened);
    let state = slow.window.state();
    slow.cursor.lock().unwrap().write(&state).unwrap();
    drop(slow);
    opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
    let (mut slow, mut told) = pump_to(folder.path(), &opened);
    slow.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    let first = opened.reader.first().number();
    assert_eq!(all(&mut told), [(1, first - 1, UnavailableWhy::Freed)]);
}

/// Refused for good, the mark waits for the journal; a crash before it finds the record again.
#[tokio::test]
async fn a_record_is_set_aside_when_the_journal_says_so_and_sent_again_when_a_person_asks() {
    let folder = tempfile::tempdir().unwrap();
    let opened = journal(folder.path(), 3);
    let (pump, _told) = pump_to(folder.path(), &opened);
    let (notices, mut noted) = unbounded_channel();
    let mut pump = pump.noting(notices);
    pump.fill(&mut Numbers).await.unwrap();
    assert_eq!(pump.take_due(9).iter().map(|one| one.0).collect::<Vec<_>>(), [1, 2, 3]);
    pump.settle(1, Verdict::Accepted);
    let code = "no-code".to_owned();
    pump.settle(2, Verdict::Refused { code: code.clone(), permanent: true });
    pump.settle(3, Verdict::Accepted);
    assert!(pump.save().await);
    assert_eq!(pump.saved.low_water, 1);

    let (mut crashed, _told) = pump_to(folder.path(), &opened);
    crashed.fill(&mut Numbers).await.unwrap();
    assert_eq!(crashed.take_due(9).iter().map(|one| one.0).collect::<Vec<_>>(), [2]);
    drop(crashed);

    let notice = noted.try_recv().unwrap();
    let sequence = Sequence::new(2).unwrap();
    let (destination, stream) = ("core".to_owned(), opened.reader.stream());
    assert_eq!(notice.what, Aside { destination, stream, sequence, code: code.clone() });
    notice.is_durable(7);
    assert!(pump.save().await);
    assert_eq!(pump.saved.low_water, 3);
    assert_eq!(pump.saved.set_aside, [cursor::SetAside { sequence: 2, code, time_us: 7 }]);

    let (command, commands) = unbounded_channel();
    let mut pump = pump.following(commands);
    let (done, mut answer) = tokio::sync::oneshot::channel();
    command.send(Command::Resend { ranges: vec![(2, 2)], done }).unwrap();
    pump.fill(&mut Numbers).await.unwrap();
    assert_eq!(answer.try_recv(), Ok(true));
    assert_eq!(pump.take_due(9).iter().map(|one| one.0).collect::<Vec<_>>(), [2]);
    assert!(pump.window.state().set_aside.is_empty());
    pump.settle(2, Verdict::Accepted);
    assert_eq!(pump.window.low_water(), 3);
}

#[test]
fn damage_on_the_way_is_told_unless_it_was_accepted_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = journal(folder.path(), 3);
    let garbage = NewRecord { kind: Kind::Gap, time_us: 1, payload: b"{".to_vec() };
    append(&mut opened.appender, garbage);
    append(&mut opened.appender, observation(5));
    // The header of the second record: 96 bytes, payload, zeros to a multiple of 8.
    let record = (96 + observation(2).payload.len()).next_multiple_of(8);
    let segment = folder.path().join("journal").join(opened.reader.segments()[0].file_name());
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096 + record + 20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let (mut pump, mut told) = pump_to(folder.path(), &opened);
    pump.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    let damaged = UnavailableWhy::Damaged;
    assert_eq!(all(&mut told), [(2, 2, damaged), (4, 4, damaged)]);
    assert_eq!(pump.window.in_flight(), 3);
    pump.window.send_due(0, || 0, |_| true);
    have(&mut pump, &[1..=2], 1);
    assert_eq!(all(&mut told), []);
}

/// A power cut between the notice that records are gone and the durable gap record: the cursor on
/// the disk must still lie before them, so that they are missed again.
#[test]
fn the_cursor_does_not_pass_what_is_gone_before_its_gap_record_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let opened = journal(folder.path(), 200);
    let (slow, _told) = pump_to(folder.path(), &opened);
    slow.cursor.lock().unwrap().write(&slow.window.state()).unwrap();
    drop(slow);
    opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
    let first = opened.reader.first().number();

    let (mut pump, mut told) = pump_to(folder.path(), &opened);
    accept_everything(&mut pump);
    assert_eq!(pump.window.low_water(), 200);
    let state = pump.state();
    assert_eq!(state.low_water, 0, "the gap is not durable");
    assert_eq!(state.accepted, [(first, 200)], "what was accepted is not sent again");
    let what = told.try_recv().unwrap();
    assert_eq!((what.first, what.last), (1, first - 1));
    what.recorded.set();
    assert_eq!(pump.state().low_water, 200);
}

/// What may be sent while the cursor cannot be written: what it promised before, and nothing else.
#[test]
fn nothing_above_the_promise_is_taken_while_the_cursor_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = journal(folder.path(), 20);
    let (mut pump, _told) = pump_to(folder.path(), &opened);
    let promised = pump.state();
    assert_eq!((promised.promised, promised.highest_sent), (20, 0));
    pump.saved = promised;
    for number in 21..=30 {
        append(&mut opened.appender, observation(number));
    }
    let may = pump.may_be_sent();
    pump.take_from_journal(&mut Numbers, may).unwrap();
    assert_eq!((pump.window.in_flight(), pump.window.highest_sent()), (20, 20));
    // What was put in flight before the write failed is taken back.
    pump.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    assert_eq!(pump.window.in_flight(), 30);
    pump.window.take_back(may);
    assert_eq!((pump.window.in_flight(), pump.window.highest_sent()), (20, 20));
    pump.take_from_journal(&mut Numbers, u64::MAX).unwrap();
    assert_eq!(pump.window.in_flight(), 30, "and read again");
}

/// While devices wait, little is read at a time, and once they do not, everything.
#[test]
fn a_destination_holds_itself_back_while_devices_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = journal(folder.path(), 200);
    let (mut pump, _told) = pump_to(folder.path(), &opened);
    // Whoever is told last of a group keeps the journal's thread until here.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let done = Box::new(move |_| wait.recv().unwrap());
    opened.appender.try_append(vec![observation(201)], done).unwrap();
    for number in 202..=220 {
        opened.appender.try_append(vec![observation(number)], Box::new(|_| ())).unwrap();
    }
    for turn in 1..=2 {
        pump.take_from_journal(&mut Numbers, 200).unwrap();
        assert_eq!(pump.window.in_flight(), 48 * turn);
    }
    go.send(()).unwrap();
    append(&mut opened.appender, observation(221));
    pump.take_from_journal(&mut Numbers, 200).unwrap();
    assert_eq!(pump.window.in_flight(), 144, "it may come back at once");
    for _ in 0..CALM {
        pump.take_from_journal(&mut Numbers, 200).unwrap();
    }
    assert_eq!(pump.window.in_flight(), 200);
}
