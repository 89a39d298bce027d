//! A destination that begins with what was kept before it came.

use serde_json::Value as Json;

use super::*;
use crate::forward::cursor::Earlier;
use crate::profile::Status;

/// A receiver that gets whole events.
struct Events;

impl Binding for Events {
    type Message = Vec<u8>;

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Vec<u8>> {
        Fate::Send { message: outbound.event().unwrap().payload, bytes: 100 }
    }

    async fn session(
        &mut self,
        _: &mut Pump<Vec<u8>>,
        _: &mut watch::Receiver<u64>,
        _: &mut watch::Receiver<bool>,
    ) -> Ended {
        Ended::Stopped
    }
}

fn stored(kind: EventKind, data: Json, routes: &[(&str, u64)]) -> Stored {
    let Json::Object(data) = data else { unreachable!("an object") };
    Stored {
        kind,
        time: "2026-11-23T08:00:00Z".to_owned(),
        subject: "bed-3".to_owned(),
        routes: routes.iter().map(|(name, previous)| ((*name).to_owned(), *previous)).collect(),
        data,
    }
}

fn kept(appender: &mut Appender, kind: Kind, stored: &Stored) {
    append(appender, NewRecord { kind, time_us: 1, payload: stored.to_bytes() });
}

/// What a ward keeps for a destination that is not there yet: twelve records.
fn ward(appender: &mut Appender) {
    let released = Status::Released.as_str();
    let value = |data: Json| stored(EventKind::Observation, data, &[("archive", 0)]);
    kept(appender, Kind::Observation, &value(serde_json::json!({"profile_status": released})));
    append(appender, NewRecord { kind: Kind::Wire, time_us: 1, payload: b"MSH|".to_vec() });
    kept(appender, Kind::Observation, &value(serde_json::json!({"profile_status": "draft"})));
    let held = serde_json::json!({"profile_status": released, "held": ["not-production"]});
    kept(appender, Kind::Observation, &value(held));
    let part = serde_json::json!({"profile_status": released, "part_of": "x"});
    kept(appender, Kind::Observation, &value(part));
    let sampled = serde_json::json!({"profile_status": released, "sampled": {}});
    kept(appender, Kind::Observation, &value(sampled));
    let gap = stored(EventKind::Gap, serde_json::json!({"phase": "began"}), &[]);
    kept(appender, Kind::Gap, &gap);
    let of_another = serde_json::json!({"phase": "ended", "first": 1, "last": 2});
    kept(appender, Kind::Gap, &stored(EventKind::Gap, of_another, &[("archive", 1)]));
    let nothing = || serde_json::json!({});
    kept(appender, Kind::DeviceState, &stored(EventKind::DeviceState, nothing(), &[]));
    kept(appender, Kind::Association, &stored(EventKind::Association, nothing(), &[]));
    kept(appender, Kind::Manifest, &stored(EventKind::Manifest, nothing(), &[("archive", 1)]));
    kept(appender, Kind::Observation, &value(serde_json::json!({"profile_status": released})));
}

fn begins(folder: &Path, opened: &Opened, released_only: bool) -> Earlier {
    let through = opened.reader.durable().unwrap().number();
    let earlier =
        Earlier { from: 1, through, released_only, unattributed: false, settled: 0, last: 0 };
    let state = State { earlier: Some(earlier), ..State::start(opened.reader.stream()) };
    let (mut file, _) = CursorFile::open(&cursor::path(folder, "core")).unwrap();
    file.write(&state).unwrap();
    earlier
}

fn pump_of(folder: &Path, opened: &Opened) -> (Pump<Vec<u8>>, UnboundedReceiver<Unavailable>) {
    let settings = Settings {
        name: "core".to_owned(),
        source: "urn:uuid:1".to_owned(),
        cursors: folder.to_owned(),
        receivers: vec!["core".to_owned()],
        pace: Pace { resend_after_ms: 5_000 },
    };
    let pump = Pump::open(settings, opened.reader.clone(), Arc::default()).unwrap();
    let (sender, told) = unbounded_channel();
    (pump.telling(sender), told)
}

/// What goes out now, by sequence.
fn sent(pump: &mut Pump<Vec<u8>>) -> BTreeMap<u64, Vec<u8>> {
    let mut sent = BTreeMap::new();
    pump.take_from_journal(&mut Events, u64::MAX).unwrap();
    pump.window.reconnected();
    pump.window.send_due(
        0,
        || 0,
        |payload| {
            let event: Json = serde_json::from_slice(payload).unwrap();
            sent.insert(event["data"]["sequence"].as_u64().unwrap(), payload.clone());
            true
        },
    );
    sent
}

fn chain(sent: &BTreeMap<u64, Vec<u8>>) -> Vec<(u64, u64)> {
    let previous = |payload: &[u8]| {
        let event: Json = serde_json::from_slice(payload).unwrap();
        event["data"]["previous"].as_u64().unwrap()
    };
    sent.iter().map(|(sequence, payload)| (*sequence, previous(payload))).collect()
}

fn accept(pump: &mut Pump<Vec<u8>>, ranges: &[Range]) {
    let answer = crate::forward::acknowledgement::Acknowledgement {
        stream: pump.reader.stream(),
        accepted: ranges.to_vec(),
        rejected: Vec::new(),
        receiver_time: "2026-11-23T08:00:00Z".to_owned(),
        receiver_id: "core".to_owned(),
    };
    assert_eq!(pump.window.acknowledge(&answer, 0, || 0).disbelieved, []);
}

#[test]
fn what_was_kept_before_goes_by_the_rule_of_live_routing_in_one_chain() {
    for (released_only, expected) in [
        (false, vec![(1, 0), (3, 1), (7, 3), (9, 7), (10, 9), (12, 10)]),
        (true, vec![(1, 0), (7, 1), (9, 7), (10, 9), (12, 10)]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = journal(folder.path(), 0);
        ward(&mut opened.appender);
        let earlier = begins(folder.path(), &opened, released_only);
        let mut reader = opened.reader.clone();
        let last = crate::forward::earlier::before(&mut reader, &earlier, "core", 13).unwrap();
        assert_eq!(last, 12, "the first live record names it");
        let value = serde_json::json!({"profile_status": "released"});
        let live = stored(EventKind::Observation, value, &[("core", last)]);
        kept(&mut opened.appender, Kind::Observation, &live);
        let (mut pump, mut told) = pump_of(folder.path(), &opened);
        let live = std::iter::once((13, 12));
        let all: Vec<_> = expected.into_iter().chain(live).collect();
        assert_eq!(chain(&sent(&mut pump)), all);
        assert!(told.try_recv().is_err(), "nothing is missing");
    }
}

/// Accepted in any order, saved, and opened again: what goes out again is the same bytes.
#[tokio::test]
async fn what_is_sent_again_after_a_restart_is_the_same_bytes() {
    for accepted in [vec![], vec![1..=1], vec![1..=3], vec![3..=3, 9..=9], vec![1..=7, 10..=10]] {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = journal(folder.path(), 0);
        ward(&mut opened.appender);
        begins(folder.path(), &opened, false);
        let (mut pump, _told) = pump_of(folder.path(), &opened);
        let first = sent(&mut pump);
        assert_eq!(first.len(), 6);
        accept(&mut pump, &accepted);
        assert!(pump.save().await);
        drop(pump);
        let (mut pump, _told) = pump_of(folder.path(), &opened);
        let again = sent(&mut pump);
        let open = |one: &&u64| !accepted.iter().any(|range| range.contains(*one));
        assert_eq!(again.len(), first.keys().filter(open).count(), "{accepted:?}");
        for (sequence, payload) in again {
            assert_eq!(first[&sequence], payload, "{accepted:?}: {sequence}");
        }
    }
}

/// The segments behind the low-water mark are freed; the next record still names the one before
/// it, and what was freed before the destination came is told.
#[tokio::test]
async fn what_is_freed_meanwhile_is_named_and_what_was_freed_before_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = journal(folder.path(), 0);
    for _ in 0..200 {
        let value = serde_json::json!({"text": "x".repeat(2000)});
        let value = stored(EventKind::Observation, value, &[]);
        kept(&mut opened.appender, Kind::Observation, &value);
    }
    let segments = opened.reader.segments();
    assert!(segments.len() > 3, "{}", segments.len());
    opened.appender.free_before(segments[1].first).unwrap();
    let first = opened.reader.first().number();
    begins(folder.path(), &opened, false);
    let (mut pump, mut told) = pump_of(folder.path(), &opened);
    let one = sent(&mut pump);
    assert_eq!(all(&mut told), [(1, first - 1, UnavailableWhy::Freed)]);
    assert_eq!(chain(&one)[..2], [(first, 0), (first + 1, first)]);
    // Everything of the next segment is accepted, the cursor is saved, and the segment goes.
    let second = segments[2].first.number();
    pump.unrecorded.clear();
    accept(&mut pump, &[first..=second - 1]);
    assert!(pump.save().await);
    assert_eq!(*pump.low_water().borrow(), second - 1);
    drop(pump);
    opened.appender.free_before(segments[2].first).unwrap();
    let (mut pump, mut told) = pump_of(folder.path(), &opened);
    let again = sent(&mut pump);
    assert_eq!(chain(&again)[0], (second, second - 1));
    assert!(one.get(&second).is_none_or(|payload| *payload == again[&second]));
    assert_eq!(all(&mut told), []);
}
