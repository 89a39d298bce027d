//! How old segments are, so that what is rebuilt from the journal at start is not freed too soon.

use std::io;

use super::Reader;
use crate::journal::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES};
use crate::journal::storage::segment_name;
use crate::journal::{Error, Segment, failure};
use crate::vocabulary::Sequence;

/// How old a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentAge {
    /// The first sequence that it may hold.
    pub first: Sequence,
    /// The time of its first record, microseconds since 1970 UTC; `None` while it holds none, or
    /// where that record's header is damaged.
    pub first_time_us: Option<i64>,
}

impl Reader {
    /// The age of each segment, oldest first. Reads one record header of each.
    ///
    /// # Errors
    /// A segment cannot be read. One that is freed meanwhile is left out.
    pub fn segment_ages(&self) -> Result<Vec<SegmentAge>, Error> {
        let mut ages = Vec::new();
        for segment in self.segments() {
            match self.first_time(&segment) {
                Ok(first_time_us) => ages.push(SegmentAge { first: segment.first, first_time_us }),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && self.first() > segment.first => {}
                Err(error) => return Err(failure("read segment")(error).into()),
            }
        }
        Ok(ages)
    }

    /// What [`super::super::Appender::free_before`] may be told so that only segments go whose
    /// records are all older than `time_us`: the first sequence of the oldest segment to keep.
    ///
    /// The caller takes the lower one of this and of every cursor.
    ///
    /// # Errors
    /// As [`Reader::segment_ages`].
    pub fn first_since(&self, time_us: i64) -> Result<Sequence, Error> {
        let mut ages = &*self.segment_ages()?;
        let mut keep = self.first();
        while let [segment, later @ ..] = ages {
            // A segment ends when the next one begins: the next first record that can be read
            // bounds its age from above. Its own first record counts, too: the clock may have
            // been put back in between.
            let end = later.iter().find_map(|next| next.first_time_us);
            let old = |time: i64| time < time_us;
            if !(end.is_some_and(old) && segment.first_time_us.is_none_or(old)) {
                break;
            }
            keep = later.first().map_or(keep, |next| next.first);
            ages = later;
        }
        Ok(keep)
    }

    fn first_time(&self, segment: &Segment) -> io::Result<Option<i64>> {
        let mut raw = [0; RECORD_HEADER_BYTES];
        // What lies behind the last commit is not read: it may be half-written.
        if segment.end < SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let name = segment_name(segment.number);
        self.shared.storage.read_at(&name, SEGMENT_HEADER_BYTES, &mut raw)?;
        Ok(RecordHeader::decode(&raw, self.shared.stream).map(|header| header.time_us))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::journal::memory::Memory;
    use crate::journal::recovery::recover;
    use crate::journal::writer::{Batch, Where, Writer};
    use crate::journal::{Journal, Kind, NewRecord, Options, SEGMENT_BYTES_MIN, Storage};

    fn options() -> Options {
        Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() }
    }

    fn open(disk: &Arc<Memory>) -> (Writer, Reader) {
        let storage = Arc::clone(disk) as Arc<dyn Storage>;
        let (writer, _) = recover(storage, &options()).unwrap();
        let reader = Reader::new(writer.shared());
        (writer, reader)
    }

    /// One record a second. 4000 bytes of payload and 96 of header: two fit in a segment of
    /// 16 KiB with its header of 4 KiB, and a third one fills it.
    fn keep(writer: &mut Writer, time_us: i64) {
        let record = NewRecord { kind: Kind::Wire, time_us, payload: vec![0; 4000] };
        let done = Box::new(|kept: Result<(), _>| kept.unwrap());
        let place = Where::Next;
        writer.commit(vec![Batch { records: vec![record], done, place }]);
    }

    fn numbers(ages: &[SegmentAge]) -> Vec<(u64, Option<i64>)> {
        ages.iter().map(|age| (age.first.number(), age.first_time_us)).collect()
    }

    #[test]
    fn a_segment_is_as_old_as_its_first_record() {
        let disk = Arc::new(Memory::default());
        let (mut writer, reader) = open(&disk);
        assert_eq!(numbers(&reader.segment_ages().unwrap()), [(1, None)]);
        assert_eq!(reader.first_since(i64::MAX), Ok(Sequence::FIRST));
        for second in 1..=7 {
            keep(&mut writer, second);
        }
        let ages = reader.segment_ages().unwrap();
        assert_eq!(numbers(&ages), [(1, Some(1)), (4, Some(4)), (7, Some(7))]);
    }

    #[test]
    fn only_segments_that_are_wholly_older_may_go() {
        let disk = Arc::new(Memory::default());
        let (mut writer, reader) = open(&disk);
        for second in 1..=7 {
            keep(&mut writer, second);
        }
        // Segments hold the seconds 1 to 3, 4 to 6, and 7.
        for (since, first) in [(0, 1), (3, 1), (4, 1), (5, 4), (7, 4), (8, 7), (i64::MAX, 7)] {
            assert_eq!(reader.first_since(since).unwrap().number(), first, "since {since}");
        }
        // A damaged first record says nothing; the one behind it bounds both segments.
        disk.flip(&segment_name(2), 4096 + 5, 1);
        assert_eq!(numbers(&reader.segment_ages().unwrap())[1], (4, None));
        for (since, first) in [(5, 1), (7, 1), (8, 7)] {
            assert_eq!(reader.first_since(since).unwrap().number(), first, "since {since}");
        }
    }

    #[test]
    fn a_clock_that_was_put_back_frees_nothing_early() {
        let disk = Arc::new(Memory::default());
        let (mut writer, reader) = open(&disk);
        for second in [101, 102, 103, 4, 5, 6, 7] {
            keep(&mut writer, second);
        }
        assert_eq!(reader.first_since(50), Ok(Sequence::FIRST));
        assert_eq!(reader.first_since(102).unwrap().number(), 7);
    }

    #[test]
    fn ages_and_freeing_fit_together() {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = Journal::open(folder.path(), options()).unwrap();
        let (told, fate) = std::sync::mpsc::channel();
        for time_us in 1..=7 {
            let record = NewRecord { kind: Kind::Wire, time_us, payload: vec![0; 4000] };
            let told = told.clone();
            let done = Box::new(move |kept| told.send(kept).unwrap());
            opened.appender.try_append(vec![record], done).unwrap();
            fate.recv().unwrap().unwrap();
        }
        let first = opened.reader.first_since(7).unwrap();
        assert_eq!(opened.appender.free_before(first), Ok(1));
        assert_eq!(opened.reader.first().number(), 4);
        let ages = opened.reader.segment_ages().unwrap();
        assert_eq!(numbers(&ages), [(4, Some(4)), (7, Some(7))]);
    }
}
