//! From the journal into the window: which records are for this destination, and what becomes of
//! those that cannot be read.

use super::{Binding, Counters, Fate, Outbound, Pump, Settings};
use crate::forward::UnavailableWhy;
use crate::forward::stored::Written;
use crate::journal::{self, Kind, Record};
use crate::vocabulary::Sequence;

/// What is read at once while devices wait. Over MQTT that is more than two thousand records a
/// second, which is a large ward's; what is left is sent when there is no crowd any more.
const CROWDED_RECORDS: usize = 48;

impl<M: Send + Sync + 'static> Pump<M> {
    pub(super) fn take_from_journal<B: Binding<Message = M>>(
        &mut self,
        binding: &mut B,
        most: u64,
    ) -> Result<(), journal::Error> {
        let before = self.window.in_flight();
        self.calm = if self.reader.is_crowded() { 0 } else { self.calm.saturating_add(1) };
        let room = if self.holds_back() { CROWDED_RECORDS } else { usize::MAX };
        let durable = self.reader.durable().map_or(0, Sequence::number).min(most);
        // Nothing leaves the window meanwhile.
        let taken = |pump: &Self| pump.window.in_flight().saturating_sub(before);
        while let left @ 1.. = room.saturating_sub(taken(self))
            && let Some(reading) = self.window.reading(durable)
        {
            let from = Sequence::FIRST.plus(reading.from - 1);
            let span = usize::try_from(reading.until - reading.from + 1).unwrap_or(usize::MAX);
            let read =
                self.reader.read_from(from, reading.records.min(span).min(left), reading.bytes)?;
            if read.next == from {
                break;
            }
            // Before the window moves: it forgets what lies behind it.
            let clip = |range: journal::Missing| *range.start()..=(*range.end()).min(reading.until);
            read.freed.into_iter().for_each(|one| self.tell(clip(one), UnavailableWhy::Freed));
            read.missing.into_iter().for_each(|one| self.tell(clip(one), UnavailableWhy::Damaged));
            for record in read.records.into_iter().take_while(|one| {
                // Damage may end above the hole that is being drained.
                one.sequence.number() <= reading.until
            }) {
                self.take(binding, record)?;
            }
            self.window.pass((read.next.number() - 1).min(reading.until));
        }
        Ok(())
    }

    fn take<B: Binding<Message = M>>(
        &mut self,
        binding: &mut B,
        record: Record,
    ) -> Result<(), journal::Error> {
        let sequence = record.sequence.number();
        let forwardable = forwardable(record.kind);
        let chain = self.earlier.as_mut().filter(|chain| chain.covers(sequence));
        let accepted = self.window.is_accepted(sequence);
        if forwardable == Forwardable::No || (accepted && chain.is_none()) {
            self.window.pass(sequence);
            return chain.map_or(Ok(()), |chain| chain.route(&mut self.reader, &record, None));
        }
        let mut written = Written::from_bytes(&record.payload);
        if let Some(chain) = chain {
            chain.route(&mut self.reader, &record, written.as_mut())?;
        }
        match written {
            Some(written) if !accepted && written.routes.contains_key(&self.settings.name) => {
                self.put(binding, &record, written);
            }
            Some(_) => self.window.pass(sequence),
            None => {
                if forwardable == Forwardable::Yes {
                    self.tell(sequence..=sequence, UnavailableWhy::Damaged);
                }
                self.window.pass(sequence);
            }
        }
        Ok(())
    }

    fn put<B: Binding<Message = M>>(
        &mut self,
        binding: &mut B,
        record: &Record,
        written: Written<'_>,
    ) {
        let sequence = record.sequence.number();
        let Settings { name, source, .. } = &self.settings;
        let (destination, source) = (name.clone(), source.clone());
        let outbound = Outbound {
            written,
            stream: self.reader.stream(),
            sequence: record.sequence,
            time_us: record.time_us,
            destination: &destination,
            source: &source,
        };
        match binding.message(&outbound) {
            Fate::Send { message, bytes } => {
                self.note_manifest(&outbound);
                let names = outbound.names();
                self.window.put_after(sequence, message, bytes, record.time_us, names);
            }
            Fate::SetAside(code) => {
                Counters::add(&self.counters.set_aside, 1);
                self.window.put_aside(sequence, code);
            }
            Fate::NotForHere => self.window.pass(sequence),
            Fate::Damaged => {
                self.tell(sequence..=sequence, UnavailableWhy::Damaged);
                self.window.pass(sequence);
            }
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
        Kind::Observation
        | Kind::Gap
        | Kind::DeviceState
        | Kind::Association
        | Kind::Manifest
        | Kind::Waveform => Forwardable::Yes,
        Kind::Other(_) => Forwardable::Perhaps,
        Kind::Wire
        | Kind::Profile
        | Kind::Configuration
        | Kind::ClockStep
        | Kind::SetAside
        | Kind::Start
        | Kind::Stop
        | Kind::Carried
        | Kind::Destination
        | Kind::Audit
        | Kind::Register => Forwardable::No,
    }
}
