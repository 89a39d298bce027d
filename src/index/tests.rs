//! The index against a plain scan of the journal: whatever happens to the index, an answer that
//! says it is whole is what the scan gives.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::*;
use crate::journal::{Appender, Journal, Kind, NewRecord, SEGMENT_BYTES_MIN};
use crate::vocabulary::Sequence;

/// The published fictional code that no file of an index may hold.
const CANARY: &str = "010107A9067";
const KEY: [u8; 32] = [7; 32];
const PATIENCE: Duration = Duration::from_secs(30);

/// What a record of these tests says.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Says {
    class: Option<u8>,
    unresolved: bool,
    time_us: i64,
    device: String,
    patients: Vec<String>,
    specimens: Vec<String>,
    about: Option<u64>,
    ends: Vec<u64>,
    /// The sequence that it carries.
    carries: Option<u64>,
}

const CLASSES: [Class; 6] =
    [Class::Result, Class::Event, Class::Gap, Class::Association, Class::SetAside, Class::Trend];

fn describe(record: &Record) -> Entry {
    let says: Says = serde_json::from_slice(&record.payload).unwrap();
    let mut classes: Vec<Class> =
        says.class.map(|class| CLASSES[usize::from(class)]).into_iter().collect();
    classes.extend(says.unresolved.then_some(Class::Unresolved));
    Entry {
        sequence: says.carries.unwrap_or(record.sequence.number()),
        time_us: says.time_us,
        classes,
        device: Some(says.device).filter(|device| !device.is_empty()),
        patients: says.patients,
        specimens: says.specimens,
        about: says.about,
        ends: says.ends,
        carries: says.carries.is_some(),
    }
}

/// A journal with small segments.
struct Box {
    folder: tempfile::TempDir,
    appender: Appender,
    reader: Reader,
}

impl Box {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = crate::journal::Options {
            segment_bytes: SEGMENT_BYTES_MIN,
            ..crate::journal::Options::default()
        };
        let opened = Journal::open(&folder.path().join("journal"), options).unwrap();
        Self { folder, appender: opened.appender, reader: opened.reader }
    }

    fn keep(&mut self, says: &Says) -> u64 {
        let payload = serde_json::to_vec(says).unwrap();
        let record = NewRecord { kind: Kind::Observation, time_us: says.time_us, payload };
        let (told, fate) = std::sync::mpsc::channel();
        let done = std::boxed::Box::new(move |kept| told.send(kept).unwrap());
        let sequence = self.appender.try_append(vec![record], done).unwrap();
        fate.recv().unwrap().unwrap();
        sequence.number()
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    fn options(&self, describe: fn(&Record) -> Entry) -> Options {
        Options {
            folder: self.index(),
            reader: self.reader.clone(),
            describe: Arc::new(describe),
            hasher: Hasher::of(&KEY),
        }
    }

    fn start(&self) -> (Index, IndexThread) {
        Index::start(self.options(describe)).unwrap()
    }

    /// A whole index, stopped in order.
    fn indexed(&self) {
        let (index, thread) = self.start();
        wait_until_whole(&index, &self.reader);
        thread.stop();
    }

    /// What a plain scan of the records up to `through` gives, newest first.
    fn scan(&self, query: &Query, through: u64) -> Vec<(i64, u64)> {
        let mut reader = self.reader.clone();
        let (mut entries, mut next) = (Vec::new(), reader.first());
        loop {
            let read = reader.read_from(next, 100, 1 << 20).unwrap();
            if read.next == next {
                break;
            }
            next = read.next;
            let place = |record: &Record| record.sequence.number();
            let ours = read.records.iter().filter(|record| place(record) <= through);
            entries.extend(ours.map(describe));
        }
        let ended: Vec<u64> = entries.iter().flat_map(|entry| entry.ends.clone()).collect();
        let by_sequence: BTreeMap<u64, &Entry> =
            entries.iter().map(|entry| (entry.sequence, entry)).collect();
        let matches = |entry: &Entry| {
            let concerned = match entry.about.and_then(|about| by_sequence.get(&about)) {
                // In doubt it concerns whom it is asked for.
                None if entry.about.is_some() => return true,
                None => entry,
                Some(about) => about,
            };
            query.device.as_ref().is_none_or(|one| concerned.device.as_ref() == Some(one))
                && query.patient.as_ref().is_none_or(|one| concerned.patients.contains(one))
                && query.specimen.as_ref().is_none_or(|one| concerned.specimens.contains(one))
        };
        let wanted = |entry: &&&Entry| {
            let is_open = !ended.contains(&entry.about.unwrap_or(entry.sequence));
            let classes = entry
                .classes
                .iter()
                .filter(|class| is_open || !matches!(class, Class::Unresolved | Class::SetAside));
            classes.clone().any(|class| query.classes.contains(class))
                && (query.since_us..=query.until_us).contains(&entry.time_us)
                && matches(entry)
        };
        let mut found: Vec<(i64, u64)> = by_sequence
            .values()
            .filter(wanted)
            .map(|entry| (entry.time_us, entry.sequence))
            .collect();
        found.sort_unstable();
        found.reverse();
        found.truncate(query.limit);
        found
    }
}

fn everything() -> Query {
    Query {
        classes: CLASSES.into_iter().chain([Class::Unresolved]).collect(),
        device: None,
        patient: None,
        specimen: None,
        since_us: i64::MIN,
        until_us: i64::MAX,
        limit: 10_000,
    }
}

fn look(index: &Index, query: &Query) -> Answer<(i64, u64)> {
    index.look(query, |_, entry| (entry.time_us, entry.sequence)).unwrap()
}

fn wait_until_whole(index: &Index, reader: &Reader) {
    let begun = Instant::now();
    loop {
        let durable = reader.durable().map_or(0, Sequence::number);
        let answer = look(index, &Query { limit: 1, classes: vec![Class::Gap], ..everything() });
        if !answer.rebuilding && answer.complete_through >= durable {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it is not whole: {:?}", index.shown());
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn device(number: u64) -> String {
    format!("bed-{number}")
}

fn patient(number: u64) -> String {
    if number == 0 { CANARY.to_owned() } else { format!("P-{number}") }
}

/// One more record of any kind, about any time.
fn happens(house: &mut Box, random: &mut Random) {
    let last = house.reader.durable().map_or(0, Sequence::number);
    let class = random.below(8);
    let mut says = Says {
        class: u8::try_from(class).ok().filter(|class| *class < 6),
        // Two records may be of the same time, and times go back.
        time_us: i64::try_from(last * 10 + random.below(200)).unwrap(),
        device: device(random.below(4)),
        ..Says::default()
    };
    match class {
        0 | 5 => {
            says.patients = (0..random.below(3)).map(|_| patient(random.below(4))).collect();
            says.patients.dedup();
            says.unresolved = class == 0 && says.patients.is_empty();
            says.specimens = (0..random.below(2)).map(|_| format!("S-{}", last % 5)).collect();
        }
        4 if last > 0 => {
            says.device.clear();
            says.about = Some(1 + random.below(last));
        }
        4 | 6 => says = Says { time_us: says.time_us, ..Says::default() },
        7 if last > 0 => {
            says = Says { ends: vec![1 + random.below(last)], ..Says::default() };
        }
        _ => {}
    }
    house.keep(&says);
}

/// Frees the oldest segments, after what is unresolved there is carried forward.
fn free(house: &mut Box, random: &mut Random) {
    let segments = house.reader.segments();
    let count = segments.len() as u64;
    let Some(before) = segments.get(random.below(count) as usize).map(|one| one.first) else {
        return;
    };
    let mut reader = house.reader.clone();
    let read = reader.read_from(reader.first(), 10_000, 64 << 20).unwrap();
    let ended: Vec<u64> = read.records.iter().flat_map(|one| describe(one).ends).collect();
    for record in read.records.iter().filter(|one| one.sequence < before) {
        let entry = describe(record);
        if entry.classes.contains(&Class::Unresolved) && !ended.contains(&entry.sequence) {
            let mut says: Says = serde_json::from_slice(&record.payload).unwrap();
            says.carries = Some(entry.sequence);
            house.keep(&says);
        }
    }
    house.appender.free_before(before).unwrap();
}

fn some_query(random: &mut Random, last: u64) -> Query {
    let mut query = everything();
    if random.below(2) == 0 {
        query.classes.retain(|_| random.below(3) == 0);
    }
    query.device = (random.below(3) == 0).then(|| device(random.below(5)));
    query.patient = (random.below(3) == 0).then(|| patient(random.below(5)));
    query.specimen = (random.below(5) == 0).then(|| format!("S-{}", random.below(6)));
    if random.below(2) == 0 {
        query.since_us = random.below(last * 10 + 300).cast_signed();
        query.until_us = query.since_us + random.below(last * 5 + 1).cast_signed();
    }
    if random.below(2) == 0 {
        query.limit = 1 + random.below(30) as usize;
    }
    query
}

fn in_words(query: &Query) -> String {
    let Query { classes, device, patient, specimen, since_us, until_us, limit } = query;
    format!("{classes:?} {device:?} {patient:?} {specimen:?} {since_us}..={until_us} {limit}")
}

/// Asks at random, and compares with the scan of what the answer says it covers.
fn compare(house: &Box, index: &Index, random: &mut Random, context: &str) {
    let last = house.reader.durable().map_or(1, Sequence::number);
    for number in 0..12 {
        let query = some_query(random, last);
        let answer = look(index, &query);
        let expected = house.scan(&query, answer.complete_through);
        if answer.more && answer.complete_through == 0 {
            assert!(answer.rebuilding && answer.found.is_empty(), "{context}");
            continue;
        }
        let missing = expected.iter().find(|one| !answer.found.contains(one));
        let first = house.reader.first();
        let said = format!("{context}, query {number}, missing {missing:?}, first {first}");
        assert_eq!(answer.found, expected, "{said}, {}", in_words(&query));
        let all = house.scan(&Query { limit: usize::MAX, ..query }, answer.complete_through);
        assert!(answer.more || all.len() == expected.len(), "{context}: what is left out is said");
    }
}

#[test]
fn any_history_gives_what_a_scan_gives() {
    for seed in 1..=3 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (seed * 7919));
        let mut house = Box::new();
        let (mut index, mut thread) = house.start();
        for round in 0..8 {
            let context = format!("seed {seed}, round {round}");
            for _ in 0..random.below(200) {
                happens(&mut house, &mut random);
            }
            if random.below(2) == 0 {
                free(&mut house, &mut random);
            }
            // Whatever it covers so far; nothing is freed meanwhile that it has not seen.
            if random.below(3) == 0 {
                thread.stop();
                if random.below(2) == 0 {
                    fs::remove_dir_all(house.index()).unwrap();
                }
                (index, thread) = house.start();
            }
            wait_until_whole(&index, &house.reader);
            for _ in 0..4 {
                compare(&house, &index, &mut random, &context);
            }
        }
        thread.stop();
        assert!(holds_nothing_of(&house.index(), CANARY), "no identity stands in the index");
    }
}

fn holds_nothing_of(folder: &Path, text: &str) -> bool {
    files(folder).iter().all(|file| {
        let bytes = fs::read(file).unwrap();
        !bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn a_history(seed: u64, records: usize) -> (Box, Random) {
    let (mut house, mut random) = (Box::new(), Random(seed));
    for _ in 0..records {
        happens(&mut house, &mut random);
    }
    (house, random)
}

#[test]
fn stopped_in_order_it_goes_on_where_it_was() {
    let (mut house, mut random) = a_history(3, 300);
    house.indexed();
    for _ in 0..50 {
        happens(&mut house, &mut random);
    }
    let (index, thread) = house.start();
    wait_until_whole(&index, &house.reader);
    assert_eq!(index.shown().thrown_away.load(Ordering::Relaxed), 0, "{:?}", index.shown());
    compare(&house, &index, &mut random, "after a stop in order");
    thread.stop();
}

#[test]
fn while_it_is_built_it_says_how_far_it_is_and_no_more() {
    let (house, mut random) = a_history(4, 2000);
    let (index, thread) = house.start();
    let mut partial = 0;
    loop {
        let query = some_query(&mut random, 2000);
        let answer = look(&index, &query);
        if !answer.rebuilding {
            break;
        }
        partial += usize::from(answer.complete_through > 0);
        if !(answer.more && answer.complete_through == 0) {
            assert_eq!(answer.found, house.scan(&query, answer.complete_through));
        }
        assert!(answer.complete_through <= answer.durable && answer.durable == 2000);
    }
    // How many there are is a matter of how busy the machine is.
    assert!(partial > 0, "no answer while it was built");
    compare(&house, &index, &mut random, "once it is whole");
    thread.stop();
}

#[test]
fn any_hurt_file_is_noticed_and_the_index_built_anew() {
    let (house, mut random) = a_history(5, 400);
    house.indexed();
    let whole = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        for file in files(from) {
            let target = to.join(file.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file, target).unwrap();
        }
    };
    copy(&house.index(), whole.path());
    let names: Vec<PathBuf> = files(whole.path())
        .iter()
        .map(|file| file.strip_prefix(whole.path()).unwrap().to_owned())
        .collect();
    assert!(names.len() >= 2, "{names:?}");
    for name in &names {
        let good = fs::read(whole.path().join(name)).unwrap();
        let length = good.len() as u64;
        let mut hurts: Vec<Vec<u8>> = vec![Vec::new(), [&good[..], b"x"].concat()];
        for _ in 0..4 {
            hurts.push(good[..random.below(length.max(1)) as usize].to_vec());
            let mut flipped = good.clone();
            if let Some(byte) = flipped.get_mut(random.below(length.max(1)) as usize) {
                *byte ^= 1 << random.below(8);
            }
            hurts.push(flipped);
        }
        for hurt in hurts.iter().filter(|hurt| **hurt != good) {
            fs::remove_dir_all(house.index()).unwrap();
            copy(whole.path(), &house.index());
            fs::write(house.index().join(name), hurt).unwrap();
            let (index, thread) = house.start();
            wait_until_whole(&index, &house.reader);
            let context = format!("{} with {} of {length} bytes", name.display(), hurt.len());
            assert_eq!(index.shown().thrown_away.load(Ordering::Relaxed), 1, "{context}");
            compare(&house, &index, &mut random, &context);
            thread.stop();
        }
        // A file that is gone.
        fs::remove_file(house.index().join(name)).unwrap();
        let (index, thread) = house.start();
        wait_until_whole(&index, &house.reader);
        compare(&house, &index, &mut random, &format!("without {}", name.display()));
        thread.stop();
    }
}

#[test]
fn after_an_unclean_stop_it_is_built_anew() {
    let (house, mut random) = a_history(6, 300);
    let (index, thread) = house.start();
    wait_until_whole(&index, &house.reader);
    // What a kill leaves: the folder as it is in the middle of its work.
    let left = tempfile::tempdir().unwrap();
    for file in files(&house.index()) {
        let target = left.path().join("index").join(file.strip_prefix(house.index()).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    thread.stop();
    let folder = left.path().join("index");
    let (index, thread) = Index::start(Options { folder, ..house.options(describe) }).unwrap();
    wait_until_whole(&index, &house.reader);
    assert_eq!(index.shown().thrown_away.load(Ordering::Relaxed), 1);
    assert_eq!(index.shown().trouble(), "it was not stopped in order");
    compare(&house, &index, &mut random, "after a kill");
    thread.stop();
}

#[test]
fn an_index_of_another_journal_or_key_is_not_believed() {
    let (house, _) = a_history(7, 200);
    house.indexed();
    let (other, mut random) = a_history(8, 250);
    fs::rename(house.index(), other.index()).unwrap();
    let (index, thread) = other.start();
    wait_until_whole(&index, &other.reader);
    assert_eq!(index.shown().trouble(), "it is of another stream, version or key");
    compare(&other, &index, &mut random, "another stream");
    thread.stop();

    let hasher = Hasher::of(&[8; 32]);
    let (index, thread) = Index::start(Options { hasher, ..other.options(describe) }).unwrap();
    wait_until_whole(&index, &other.reader);
    assert_eq!(index.shown().trouble(), "it is of another stream, version or key");
    compare(&other, &index, &mut random, "another key");
    thread.stop();
}

/// Says that every record is of the next bed.
fn lies(record: &Record) -> Entry {
    let mut entry = describe(record);
    entry.device = entry.device.map(|_| device(0));
    entry
}

#[test]
fn an_answer_that_is_not_what_the_journal_says_is_given_to_nobody() {
    let (house, mut random) = a_history(9, 300);
    let (index, thread) = Index::start(house.options(lies)).unwrap();
    wait_until_whole(&index, &house.reader);
    thread.stop();
    let (index, thread) = house.start();
    wait_until_whole(&index, &house.reader);
    let query = Query { classes: vec![Class::Gap], device: Some(device(0)), ..everything() };
    let answer = look(&index, &query);
    assert_eq!((answer.found.len(), answer.complete_through, answer.rebuilding), (0, 0, true));
    wait_until_whole(&index, &house.reader);
    assert_eq!(index.shown().thrown_away.load(Ordering::Relaxed), 1);
    compare(&house, &index, &mut random, "after a lie");
    thread.stop();
}

static OPENED: AtomicU32 = AtomicU32::new(0);

fn panics_first(config: &sled::Config) -> sled::Result<sled::Db> {
    match OPENED.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("as sled does on a file that it cannot read"),
        1 => Err(sled::Error::Unsupported("as sled does, too".to_owned())),
        _ => config.open(),
    }
}

#[test]
fn sled_may_panic_or_refuse() {
    let (house, mut random) = a_history(10, 200);
    house.indexed();
    let (index, thread) = Index::start_with(house.options(describe), panics_first).unwrap();
    let answer = look(&index, &everything());
    assert!(answer.rebuilding, "there is none yet");
    wait_until_whole(&index, &house.reader);
    assert!(OPENED.load(Ordering::Relaxed) >= 3);
    compare(&house, &index, &mut random, "after a panic");
    thread.stop();
}

#[test]
fn what_happens_to_the_folder_while_it_is_used_is_noticed() {
    let (mut house, mut random) = a_history(11, 600);
    let (index, thread) = house.start();
    wait_until_whole(&index, &house.reader);
    let thrown_away = || index.shown().thrown_away.load(Ordering::Relaxed);
    for round in 1..=3 {
        fs::remove_dir_all(house.index()).unwrap();
        let begun = Instant::now();
        while thrown_away() < round {
            assert!(begun.elapsed() < PATIENCE);
            // Meanwhile answers come from what sled has open; they are still compared.
            compare(&house, &index, &mut random, "while the folder is gone");
        }
        happens(&mut house, &mut random);
        wait_until_whole(&index, &house.reader);
        compare(&house, &index, &mut random, "after the folder was gone");
    }
    thread.stop();
}

#[test]
fn what_is_freed_goes_from_the_index() {
    let (mut house, mut random) = a_history(12, 1500);
    let (index, thread) = house.start();
    wait_until_whole(&index, &house.reader);
    let before = house.reader.segments().last().unwrap().first;
    house.appender.free_before(before).unwrap();
    happens(&mut house, &mut random);
    let kept = house.reader.durable().unwrap().number() - before.number() + 1;
    wait_until_whole(&index, &house.reader);
    compare(&house, &index, &mut random, "after freeing");
    thread.stop();
    // Taking away goes on behind the answers, and more slowly where the machine is busy.
    let mut left = (0, 0);
    for _ in 0..20 {
        let thread = house.start().1;
        std::thread::sleep(Duration::from_secs(3));
        thread.stop();
        let rows = sled::open(house.index().join("rows")).unwrap();
        let count = |prefix: &[u8]| rows.scan_prefix(prefix).count() as u64;
        left = (count(b"R"), count(b"a"));
        if left.0 <= kept && left.1 <= 3 * kept {
            return;
        }
    }
    panic!("{left:?} rows for {kept} records");
}

fn of_this_process(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What an index of many results and trends takes. Run it alone:
/// `cargo nextest run --lib --run-ignored only what_it_takes --no-capture`, with `RECORDS` and
/// `TRENDS` in the environment.
#[test]
#[ignore = "a measurement"]
fn what_it_takes() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (results, trends) = (number("RECORDS").unwrap_or(100_000), number("TRENDS").unwrap_or(0));
    let folder = tempfile::tempdir().unwrap();
    let opened = Journal::open(&folder.path().join("journal"), Default::default()).unwrap();
    let (mut house, mut kept) = (opened.appender, 0);
    while kept < results + trends {
        let records: Vec<NewRecord> = (kept..kept + 100)
            .map(|number: u64| {
                let says = Says {
                    class: Some(if number < results { 0 } else { 5 }),
                    time_us: number.cast_signed() * 1000,
                    device: device(number % 40),
                    patients: vec![patient(1 + number % 60)],
                    specimens: vec![format!("S-{}", number / 10)],
                    ..Says::default()
                };
                let payload = serde_json::to_vec(&says).unwrap();
                NewRecord { kind: Kind::Observation, time_us: says.time_us, payload }
            })
            .collect();
        let (told, fate) = std::sync::mpsc::channel();
        let done = std::boxed::Box::new(move |kept| told.send(kept).unwrap());
        assert!(house.try_append(records, done).is_ok());
        fate.recv().unwrap().unwrap();
        kept += 100;
    }
    let written_before = of_this_process("io", "write_bytes:");
    let resident_before = of_this_process("status", "VmRSS:");
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let options = Options {
        folder: folder.path().join("index"),
        reader: opened.reader.clone(),
        describe: Arc::new(describe),
        hasher: Hasher::of(&KEY),
    };
    let begun = Instant::now();
    let (index, thread) = Index::start_with(options, |config| {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let mut config = config.clone();
        if let Some(cache) = number("CACHE") {
            config = config.cache_capacity(cache);
        }
        if let Some(segment) = number("SEGMENT") {
            config = config.segment_size(segment as usize);
        }
        config.open()
    })
    .unwrap();
    while index.shown().rebuilding.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(200));
    }
    let built = begun.elapsed();
    let resident_built = of_this_process("status", "VmHWM:") - resident_before;
    let looking = Instant::now();
    let query = Query { classes: vec![Class::Result], limit: 50, ..everything() };
    for number in 0..20 {
        let patient = Some(patient(1 + number % 60));
        assert_eq!(look(&index, &Query { patient, ..query.clone() }).found.len(), 50);
    }
    let looked = looking.elapsed() / 20;
    let resident = of_this_process("status", "VmHWM:") - resident_before;
    let stopping = Instant::now();
    thread.stop();
    let stopped = stopping.elapsed();
    let written = of_this_process("io", "write_bytes:") - written_before;
    let size: u64 =
        files(&folder.path().join("index")).iter().map(|file| file.metadata().unwrap().len()).sum();
    println!(
        "{results} results and {trends} trends: built in {built:?}, peak of memory \
         {resident_built} kB more, {resident} kB with look-ups, {} bytes written per record, {size} bytes on disk, stop \
         {stopped:?}, a look-up of 50 {looked:?}",
        written / (results + trends)
    );
}
