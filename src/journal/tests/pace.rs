//! A journal with a pace gathers what comes between two commits, and closes at once.

use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use super::*;

fn opened(folder: &std::path::Path, pace: Duration, commits: Sender<u64>) -> Opened {
    let on_durable: OnDurable = Arc::new(move |durable: Option<Sequence>| {
        // A test that has seen enough may have dropped the other end.
        let _ = commits.send(durable.map_or(0, Sequence::number));
    });
    Journal::open(folder, Options { pace: Some(pace), on_durable, ..small() }).unwrap()
}

fn append(opened: &mut Opened) -> Receiver<Result<(), NotKept>> {
    let (told, fate) = channel();
    let done: Done = Box::new(move |how| told.send(how).unwrap());
    opened.appender.try_append(vec![record(b"123 124 125")], done).unwrap();
    fate
}

#[test]
fn what_comes_within_the_pace_is_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (told, commits) = channel();
    let pace = Duration::from_millis(300);
    let mut opened = opened(folder.path(), pace, told);
    let begun = Instant::now();
    append(&mut opened).recv().unwrap().unwrap();
    let fates: Vec<_> = (0..50).map(|_| append(&mut opened)).collect();
    for fate in fates {
        fate.recv().unwrap().unwrap();
    }
    assert!(begun.elapsed() >= pace, "the second commit waited");
    opened.appender.close();
    let commits: Vec<u64> = std::iter::from_fn(|| commits.try_recv().ok()).collect();
    assert_eq!(commits.last(), Some(&51));
    assert!(commits.len() <= 3, "one for the first, one for the others: {commits:?}");
}

#[test]
fn closing_waits_for_no_pace() {
    let folder = tempfile::tempdir().unwrap();
    let (told, _commits) = channel();
    let mut opened = opened(folder.path(), Duration::from_secs(3600), told);
    append(&mut opened).recv().unwrap().unwrap();
    let waiting = append(&mut opened);
    opened.appender.close();
    assert_eq!(waiting.recv().unwrap(), Ok(()));
    assert_eq!(everything(&mut opened.reader).0.len(), 2);
}

#[test]
fn whoever_is_in_a_hurry_waits_for_no_pace() {
    let folder = tempfile::tempdir().unwrap();
    let (told, _commits) = channel();
    let mut opened = opened(folder.path(), Duration::from_secs(3600), told);
    append(&mut opened).recv().unwrap().unwrap();
    let waiting = append(&mut opened);
    opened.appender.hurry();
    assert_eq!(waiting.recv().unwrap(), Ok(()));
}
