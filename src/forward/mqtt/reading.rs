//! From the journal into the window: what is for this destination, and what cannot be had.

use super::{Forwarder, Outgoing};
use crate::forward::stored::{Stored, render};
use crate::forward::{Counters, Unavailable, UnavailableWhy};
use crate::journal::{self, Kind, Missing, Record};
use crate::vocabulary::{DeviceName, Sequence};

/// What a topic and the properties of a record add to its payload at most.
const PROPERTIES_BYTES: usize = 2048;

impl Forwarder {
    /// Puts durable records in flight while there is room. After an error nothing is passed over:
    /// the same records are read again.
    pub(super) fn take_from_journal(
        &mut self,
        packet_bytes_max: usize,
    ) -> Result<(), journal::Error> {
        while let Some((records, bytes)) = self.window.room() {
            let from = Sequence::FIRST.plus(self.window.next() - 1);
            let read = self.reader.read_from(from, records, bytes)?;
            if read.next == from {
                break;
            }
            // Before the window moves: it forgets what lies behind it.
            read.freed.into_iter().for_each(|range| self.tell(range, UnavailableWhy::Freed));
            read.missing.into_iter().for_each(|range| self.tell(range, UnavailableWhy::Damaged));
            for record in read.records {
                self.take(packet_bytes_max, record);
            }
            self.window.pass(read.next.number() - 1);
        }
        Ok(())
    }

    fn take(&mut self, packet_bytes_max: usize, record: Record) {
        let sequence = record.sequence.number();
        let forwardable = forwardable(record.kind);
        if forwardable == Forwardable::No || self.window.is_accepted(sequence) {
            return self.window.pass(sequence);
        }
        let Some(stored) = Stored::from_bytes(&record.payload) else {
            if forwardable == Forwardable::Yes {
                self.tell(sequence..=sequence, UnavailableWhy::Damaged);
            }
            return self.window.pass(sequence);
        };
        let (source, name) = (&self.destination.source, &self.destination.name);
        let stream = self.reader.stream();
        let Some(rendered) = render(&stored, stream, record.sequence, source, name) else {
            return self.window.pass(sequence);
        };
        if DeviceName::parse(&stored.subject).is_err() {
            // It would change the topic.
            self.tell(sequence..=sequence, UnavailableWhy::Damaged);
            return self.window.pass(sequence);
        }
        let bytes = rendered.payload.len() + PROPERTIES_BYTES;
        if bytes > packet_bytes_max {
            Counters::add(&self.counters.set_aside, 1);
            return self.window.put_aside(sequence, "larger-than-the-broker-takes");
        }
        let rest = format!("{}/{}", stored.kind.name(), stored.subject);
        let topic = self.destination.address.topic(&rest);
        self.window.put(sequence, Outgoing { topic, rendered }, bytes, record.time_us);
    }

    /// Tells of what is needed here and cannot be had, each sequence once.
    fn tell(&mut self, range: Missing, why: UnavailableWhy) {
        for needed in self.window.not_accepted(range) {
            for new in self.told.outside(needed) {
                self.told.add(new.clone());
                self.tell_new(*new.start(), *new.end(), why);
            }
        }
    }

    fn tell_new(&self, first: u64, last: u64, why: UnavailableWhy) {
        let destination = &self.destination.name;
        tracing::warn!(destination, first, last, ?why, "records cannot be had any more");
        let counter = match why {
            UnavailableWhy::Freed => &self.counters.freed,
            UnavailableWhy::Damaged => &self.counters.unreadable,
        };
        Counters::add(counter, usize::try_from(last - first + 1).unwrap_or(usize::MAX));
        let Some(sender) = &self.unavailable else { return };
        let what = Unavailable { destination: destination.clone(), first, last, why };
        if sender.send(what).is_err() {
            tracing::error!(destination, first, last, "nobody makes a gap record of this");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Forwardable {
    Yes,
    No,
    /// Kinds of a later version: their payload says so.
    Perhaps,
}

/// Raw bytes and the house's own book-keeping stay in the box.
const fn forwardable(kind: Kind) -> Forwardable {
    match kind {
        Kind::Observation | Kind::Gap | Kind::DeviceState | Kind::Association => Forwardable::Yes,
        Kind::Other(_) => Forwardable::Perhaps,
        Kind::Wire
        | Kind::Profile
        | Kind::Configuration
        | Kind::ClockStep
        | Kind::SetAside
        | Kind::Start
        | Kind::Stop
        | Kind::Carried => Forwardable::No,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::forward::acknowledgement::{Have, Range};
    use crate::forward::mqtt::tests::destination;
    use crate::forward::stored::EventKind;
    use crate::journal::{Appender, Journal, NewRecord, Opened, Options, SEGMENT_BYTES_MIN};

    const LARGE: usize = 1 << 20;

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

    fn forwarder(folder: &Path, opened: &Opened) -> (Forwarder, UnboundedReceiver<Unavailable>) {
        let mut destination = destination("icu");
        destination.cursors = folder.to_owned();
        let counters = Arc::new(Counters::default());
        let forwarder = Forwarder::open(destination, opened.reader.clone(), counters).unwrap();
        let (sender, told) = unbounded_channel();
        (forwarder.telling(sender), told)
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
    fn accept_everything(forwarder: &mut Forwarder) {
        let stream = forwarder.reader.stream();
        loop {
            forwarder.take_from_journal(LARGE).unwrap();
            if forwarder.window.in_flight() == 0 {
                return;
            }
            let accepted = vec![1..=forwarder.window.highest_sent()];
            let answer = crate::forward::acknowledgement::Acknowledgement {
                stream,
                accepted,
                rejected: Vec::new(),
                receiver_time: "2026-11-23T08:00:00Z".to_owned(),
                receiver_id: "core".to_owned(),
            };
            assert_eq!(forwarder.window.acknowledge(&answer, 0, || 0).disbelieved, []);
        }
    }

    fn have(forwarder: &mut Forwarder, ranges: &[Range], generation: u64) {
        let stream = forwarder.reader.stream();
        let receiver_id = "core".to_owned();
        let have = Have { stream, ranges: ranges.to_vec(), receiver_id, generation };
        forwarder.window.have(&have).unwrap();
        forwarder.take_from_journal(LARGE).unwrap();
    }

    #[test]
    fn what_a_restored_receiver_needs_and_the_box_has_freed_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let opened = journal(folder.path(), 200);
        let (mut forwarder, mut told) = forwarder(folder.path(), &opened);
        accept_everything(&mut forwarder);
        assert_eq!(forwarder.window.low_water(), 200);
        opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
        let first = opened.reader.first().number();
        assert!(first > 30);
        forwarder.take_from_journal(LARGE).unwrap();
        assert_eq!(all(&mut told), [], "freed, and not needed");

        have(&mut forwarder, &[1..=9, 20..=29], 1);
        let expected = [(10, 19, UnavailableWhy::Freed), (30, first - 1, UnavailableWhy::Freed)];
        assert_eq!(all(&mut told), expected);
        assert_eq!(forwarder.window.in_flight() as u64, 200 - first + 1);
        assert_eq!(
            forwarder.counters.freed.load(std::sync::atomic::Ordering::Relaxed),
            10 + first - 30
        );
        have(&mut forwarder, &[1..=4, 20..=29], 2);
        assert_eq!(all(&mut told), [(5, 9, UnavailableWhy::Freed)], "only what was not told");
    }

    #[test]
    fn at_a_normal_start_nothing_that_was_freed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let opened = journal(folder.path(), 200);
        let (mut before, _told) = forwarder(folder.path(), &opened);
        accept_everything(&mut before);
        let state = before.window.state();
        before.cursor.lock().unwrap().write(&state).unwrap();
        drop(before);
        opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
        let (mut again, mut told) = forwarder(folder.path(), &opened);
        again.take_from_journal(LARGE).unwrap();
        assert_eq!((all(&mut told), again.window.low_water()), (vec![], 200));

        // Nor for a destination that was not there when those records were written.
        let new = tempfile::tempdir().unwrap();
        let (mut new, mut told) = forwarder(new.path(), &opened);
        new.take_from_journal(LARGE).unwrap();
        assert_eq!(all(&mut told), []);
        assert_eq!(new.window.low_water(), opened.reader.first().number() - 1);
    }

    #[test]
    fn what_was_freed_before_an_optional_destination_had_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let opened = journal(folder.path(), 200);
        let (slow, _told) = forwarder(folder.path(), &opened);
        let state = slow.window.state();
        slow.cursor.lock().unwrap().write(&state).unwrap();
        drop(slow);
        opened.appender.free_before(Sequence::new(200).unwrap()).unwrap();
        let (mut slow, mut told) = forwarder(folder.path(), &opened);
        slow.take_from_journal(LARGE).unwrap();
        let first = opened.reader.first().number();
        assert_eq!(all(&mut told), [(1, first - 1, UnavailableWhy::Freed)]);
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

        let (mut forwarder, mut told) = forwarder(folder.path(), &opened);
        forwarder.take_from_journal(LARGE).unwrap();
        let damaged = UnavailableWhy::Damaged;
        assert_eq!(all(&mut told), [(2, 2, damaged), (4, 4, damaged)]);
        assert_eq!(forwarder.window.in_flight(), 3);
        have(&mut forwarder, &[1..=2], 1);
        assert_eq!(all(&mut told), []);
    }
}
