//! Zeros are written ahead of small groups, and of large ones not. A file system that knows of
//! holes says what was written: room that is only reserved is a hole.

use std::fs::File;
use std::path::Path;

use rustix::fs::SeekFrom;

use super::*;
use crate::journal::{Journal, SEGMENT_BYTES};

/// Where the first hole of the first segment begins, once everything is on the disk; its size if
/// the file system keeps no holes.
fn written_through(folder: &Path) -> u64 {
    let file = File::open(folder.join(super::storage::segment_name(1))).unwrap();
    file.sync_all().unwrap();
    rustix::fs::seek(&file, SeekFrom::Hole(0)).unwrap()
}

fn append(appender: &mut Appender, payload: &[u8]) {
    let (told, fate) = channel();
    let done = Box::new(move |how| told.send(how).unwrap());
    appender.try_append(vec![record(payload)], done).unwrap();
    fate.recv().unwrap().unwrap();
}

#[test]
fn room_behind_small_groups_was_written_before_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(folder.path(), Options::default()).unwrap();
    for number in 0..40_u8 {
        append(&mut opened.appender, &[number; 10_000]);
    }
    let end = opened.reader.segments()[0].end;
    let through = written_through(folder.path());
    assert!(through > end + 4096, "{through} is not far behind {end}");
    drop(opened.appender);

    // Zeros are no records, and no damage.
    let mut opened = Journal::open(folder.path(), Options::default()).unwrap();
    let recovery = &opened.recovery;
    assert_eq!((recovery.torn_bytes, recovery.damaged.len()), (0, 0));
    let (records, missing) = everything(&mut opened.reader);
    assert_eq!((records.len(), missing.len()), (40, 0));
}

#[test]
fn large_groups_write_no_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(folder.path(), Options::default()).unwrap();
    for number in 0..40_u8 {
        append(&mut opened.appender, &[number; 120_000]);
    }
    let end = opened.reader.segments()[0].end;
    let through = written_through(folder.path());
    let keeps_holes = through < SEGMENT_BYTES;
    assert!(!keeps_holes || through <= end + 4096, "{through} is far behind {end}");
}
