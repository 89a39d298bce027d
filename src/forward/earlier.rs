//! What was kept before a destination was configured, and goes there all the same because its table
//! says so: `start = "oldest"`, or a time.
//!
//! Such records have no route to it, for routes are decided when a record is kept. The rule here is
//! the one by which they would have been routed, and what they name as `previous` comes from the
//! journal alone: the record before that goes by the same rule. So a record sent again is the same
//! bytes. As the journal frees its oldest records, the cursor file holds the one that the next one
//! names.
//!
//! Behind records that were damaged since, or freed and asked for again, the chain goes on from
//! the last one that can still be read; a gap record tells of what lies between.

use std::collections::BTreeSet;

use super::cursor::Earlier;
use super::stored::{EventKind, Written};
use crate::journal::{Error, Kind, Reader, Record};
use crate::profile::Status;
use crate::vocabulary::Sequence;

/// How far back is looked at once: a message is a few records.
const LOOK_BACK: u64 = 64;
const LOOK_AHEAD: usize = 1024;
const READ_BYTES: usize = 4 << 20;

/// The records of the time before a destination came, in their order.
#[derive(Debug)]
pub(super) struct Chain {
    destination: String,
    saved: Earlier,
    /// What goes there, above what the cursor file names.
    going: BTreeSet<u64>,
    /// Up to here records came one after another; `last` is the last of them that goes there.
    at: u64,
    last: u64,
}

impl Chain {
    /// Goes on where the cursor file says.
    pub fn new(destination: String, saved: Earlier) -> Self {
        let (at, last) = (saved.settled, saved.last);
        Self { destination, saved, going: BTreeSet::new(), at, last }
    }

    /// Whether a record is of the time before the destination came.
    pub fn covers(&self, sequence: u64) -> bool {
        (self.saved.from..=self.saved.through).contains(&sequence)
    }

    /// Routes a record if it goes there. Records come in order, or the one before is looked for.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn route(
        &mut self,
        reader: &mut Reader,
        record: &Record,
        written: Option<&mut Written<'_>>,
    ) -> Result<(), Error> {
        let sequence = record.sequence.number();
        let going = written.filter(|one| goes(&self.saved, &self.destination, record.kind, one));
        if self.at + 1 != sequence {
            if going.is_none() {
                self.at = 0;
                return Ok(());
            }
            self.last = before(reader, &self.saved, &self.destination, sequence)?;
        }
        self.at = sequence;
        if let Some(written) = going {
            written.routes.entry(self.destination.clone()).or_insert(self.last);
            self.last = sequence;
            if sequence > self.saved.settled {
                self.going.insert(sequence);
            }
        }
        Ok(())
    }

    /// What the cursor file is to hold beside this low-water mark.
    pub fn save(&mut self, low_water: u64) -> Earlier {
        if low_water > self.saved.settled {
            self.saved.settled = low_water;
            let above = self.going.split_off(&(low_water + 1));
            self.saved.last = self.going.pop_last().unwrap_or(self.saved.last);
            self.going = above;
        }
        self.saved
    }
}

/// The last record before `sequence` that goes there by the rule; 0 for none.
///
/// # Errors
/// The journal cannot be read.
pub fn before(
    reader: &mut Reader,
    earlier: &Earlier,
    destination: &str,
    sequence: u64,
) -> Result<u64, Error> {
    // Nothing below the mark has to be looked at again.
    let (least, known) = if sequence > earlier.settled {
        (earlier.settled + 1, earlier.last)
    } else {
        (earlier.from, 0)
    };
    let least = least.max(reader.first().number());
    let mut end = sequence.min(earlier.through + 1);
    while end > least {
        let start = least.max(end.saturating_sub(LOOK_BACK));
        let mut found = None;
        let mut next = start;
        while next < end {
            let from = Sequence::FIRST.plus(next - 1);
            let wanted = usize::try_from(end - next).unwrap_or(usize::MAX);
            let read = reader.read_from(from, wanted, READ_BYTES)?;
            if read.next == from {
                break;
            }
            next = read.next.number();
            for record in read.records.iter().filter(|one| one.sequence.number() < end) {
                let stored = Written::from_bytes(&record.payload);
                let stored = stored.filter(|one| goes(earlier, destination, record.kind, one));
                found = stored.map(|_| record.sequence.number()).or(found);
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        end = start;
    }
    Ok(known)
}

/// The first sequence that was kept at this time or later; the one behind the last for none.
///
/// # Errors
/// The journal cannot be read.
pub fn first_kept_since(reader: &mut Reader, time_us: i64) -> Result<Sequence, Error> {
    let mut next = reader.first_since(time_us)?;
    loop {
        let read = reader.read_from(next, LOOK_AHEAD, READ_BYTES)?;
        if let Some(found) = read.records.iter().find(|one| one.time_us >= time_us) {
            // A batch is of one message, and whole.
            let before = u64::from(found.batch_index);
            return Ok(Sequence::new(found.sequence.number() - before).unwrap_or(found.sequence));
        }
        if read.next == next {
            return Ok(next);
        }
        next = read.next;
    }
}

/// Whether a record of the time before goes to a destination: as `gateway::routing` decides for
/// one that takes everything.
fn goes(earlier: &Earlier, destination: &str, kind: Kind, written: &Written<'_>) -> bool {
    if written.routes.contains_key(destination) {
        return true;
    }
    let has = |key: &str| written.has(key);
    match kind {
        Kind::Observation => {
            let status = written.text("profile_status");
            let released = status.is_some_and(|status| status == Status::Released.as_str());
            let whole = !has("held") && !has("part_of") && !has("sampled");
            let files = earlier.released_only;
            let good_patient = !files || earlier.unattributed || !written.is_null("patient");
            whole && (released || !files) && good_patient
        }
        // A gap of sequences is about another destination.
        Kind::Gap => written.kind == EventKind::Gap && !has("first"),
        Kind::DeviceState | Kind::Association => !has("box_only"),
        Kind::Wire
        | Kind::Profile
        | Kind::Configuration
        | Kind::ClockStep
        | Kind::SetAside
        | Kind::Start
        | Kind::Stop
        | Kind::Carried
        | Kind::Manifest
        | Kind::Waveform
        | Kind::Destination
        | Kind::Audit
        | Kind::Register
        | Kind::Other(_) => false,
    }
}
