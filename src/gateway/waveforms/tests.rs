//! What drivers give, a disk that fails, and numbers beside waveforms. What a core gets is in
//! `tests/waveforms.rs`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::inlet::Came;
use super::shown::Counts;
use super::*;
use crate::check::clock::{FirstSample, SampleRule};
use crate::gateway::committer::{DeviceIdentity, Request};
use crate::gateway::connection::Conversation;
use crate::gateway::device::Device;
use crate::gateway::record::FirmwareProof;
use crate::gateway::tests::device_with;
use crate::link::clock;
use crate::protocol::{Driver, Event, LinkChange, MessageId, Peer, Settled};
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    DeviceCode, DeviceUnit, Mode, Moment, Period, SampleArray, Samples, Scale, Waveform,
};

mod beside;
mod failing;

/// A driver that has something to say whatever it hears.
struct Says(VecDeque<Event>);

impl Driver for Says {
    fn link(&mut self, _: LinkChange, _: Moment) {}
    fn receive(&mut self, _: &[u8], _: Peer, _: Moment) {}
    fn settled(&mut self, _: MessageId, _: Settled, _: Moment) {}
    fn wake(&mut self, _: Moment) {}
    fn next_wake(&self) -> Option<Moment> {
        None
    }
    fn poll(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

fn conversation(device: &Device, events: impl IntoIterator<Item = Event>) -> Conversation {
    let (fate, _) = mpsc::unbounded_channel();
    let mut one = device.conversation(fate, Peer::STREAM);
    one.driver = Box::new(Says(events.into_iter().collect()));
    one
}

fn array(samples: &[Option<i32>]) -> SampleArray {
    SampleArray {
        code: DeviceCode::Codings(vec![Coding::new("150456", "MDC_PULS_OXIM_SAT_O2", "MDC")]),
        sub_id: "1".to_owned(),
        unit: Some(DeviceUnit::text("%")),
        period: Period::per_second(500).unwrap(),
        scale: Scale::Step { lsb: "0.1".to_owned() },
        samples: samples.to_vec(),
        time: None,
        flags: Vec::new(),
    }
}

fn event(arrays: Vec<SampleArray>, mode: Mode) -> Event {
    Event::Samples(Samples { received: clock::now(), mode, arrays })
}

fn inlet(bytes: usize) -> (Arc<Inlet>, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    (Arc::new(Inlet::new(bytes, Arc::clone(&counts))), counts)
}

#[tokio::test]
async fn samples_of_a_driver_get_codes_and_a_time_and_wait_for_nobody() {
    let (inlet, _) = inlet(INLET_BYTES_MAX);
    let mut came = inlet.open();
    let (requests, _numbers) = mpsc::unbounded_channel();
    let (device, status) = device_with(requests, Some(inlet));
    let samples = [Some(1), None, Some(-3), Some(4), Some(5)];
    let no_period = SampleArray { period: Period { us: 0, samples: 1 }, ..array(&samples) };
    let events = [
        event(vec![array(&samples), no_period], Mode::Production),
        event(vec![array(&samples)], Mode::Training),
        event(vec![array(&[])], Mode::Production),
    ];
    let (replies, close) = device.drain(&mut conversation(&device, events));
    assert_eq!((replies, close), (Vec::new(), None));
    let mut taken = Vec::new();
    while let Ok(Came::Samples(submission, _permit)) = came.try_recv() {
        taken.push(submission);
    }
    assert_eq!(
        taken.iter().map(|one| one.mode).collect::<Vec<_>>(),
        [Mode::Production, Mode::Training]
    );
    let submission = &taken[0];
    assert_eq!(submission.proof, FirmwareProof::Proven);
    let [(waveform, first)] = submission.arrays.as_slice() else { panic!("one sound array") };
    assert_eq!(waveform.parameter.as_deref(), Some("spo2"));
    assert_eq!(waveform.samples, samples);
    assert_eq!(first.rule, SampleRule::ReceivedLessSpan);
    assert_eq!(submission.received.utc_us() - first.utc_us, 10_000, "five of 500 a second");
    assert_eq!(status.refused.load(Ordering::Relaxed), 2, "no period, no samples");
}

#[tokio::test]
async fn where_nobody_asks_samples_vanish() {
    let (requests, mut numbers) = mpsc::unbounded_channel();
    let (device, status) = device_with(requests, None);
    let events = [event(vec![array(&[Some(1)])], Mode::Production)];
    device.drain(&mut conversation(&device, events));
    assert!(numbers.try_recv().is_err());
    assert_eq!(status.samples_dropped.load(Ordering::Relaxed), 0);
}

/// Room for three, and one gap until half of it is free again.
#[tokio::test]
async fn a_full_inlet_is_one_gap_however_often_a_little_comes_free() {
    let (inlet, counts) = inlet(16 << 10);
    let mut came = inlet.open();
    let (requests, _numbers) = mpsc::unbounded_channel();
    let (device, _) = device_with(requests, Some(inlet));
    let samples = vec![Some(7); 500];
    let say = |count| {
        let event = || event(vec![array(&samples)], Mode::Production);
        device.drain(&mut conversation(&device, (0..count).map(|_| event())));
    };
    say(5);
    assert_eq!(counts.samples_dropped.load(Ordering::Relaxed), 1000);
    let mut taken: VecDeque<_> = std::iter::from_fn(|| came.try_recv().ok()).collect();
    assert_eq!(taken.len(), 4);
    assert!(matches!(taken.pop_back(), Some(Came::GapBegan { .. })));
    drop(taken.pop_front());
    say(1);
    assert!(came.try_recv().is_err(), "a little room is not enough");
    drop(taken);
    say(1);
    assert!(matches!(came.try_recv(), Ok(Came::Samples(..))));
    assert_eq!(counts.samples_dropped.load(Ordering::Relaxed), 1500);
}

/// Four waveforms of 500 samples a second, as a monitor sends them four times a second.
fn four(device: &Arc<DeviceIdentity>) -> Submission {
    let received = clock::now();
    let period = Period::per_second(500).unwrap();
    let waveform = |channel: i32| Waveform {
        parameter: None,
        mdc_code: None,
        mdc: String::new(),
        codings: vec![Coding::new("0002-0102", "ECG II", "MDIL")],
        sub_id: channel.to_string(),
        unit_as_sent: Vec::new(),
        unit_mdc: None,
        ucum: None,
        period,
        scale: Scale::Step { lsb: "0.005".to_owned() },
        samples: (0..125).map(|one| Some(8192 + channel * 100 + one)).collect(),
        time: None,
        flags: Vec::new(),
        doubts: Vec::new(),
    };
    let utc_us = received.utc_us() - 250_000;
    let first = FirstSample { utc_us, rule: SampleRule::ReceivedLessSpan, corrected: None };
    Submission {
        device: Arc::clone(device),
        received,
        mode: Mode::Production,
        firmware: Some("2.2".to_owned()),
        proof: FirmwareProof::Proven,
        arrays: (0..4).map(|channel| (waveform(channel), first)).collect(),
    }
}

/// A configuration with a destination of waveforms that nobody answers for.
fn configuration(folder: &Path) -> crate::gateway::configuration::Configuration {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
    let text = format!(
        r#"[gateway]
id = "urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11"
tenant = "demo"
site = "site"
ward = "icu"
name = "box-1"
data = "{folder}/data"
socket = "{folder}/socket"
device_profiles = "{profiles}"
mode = "bench"

[[device]]
name = "oximeter"
profile = "nordpuls/po-100"
place = "icu/bed-1"
firmware = "2.2"
link = {{ udp = "127.0.0.1:0" }}

[[destination]]
name = "waves"
files = "trial"
required = "best-effort"
take = "waveforms"
mqtt = {{ host = "127.0.0.1", port = 1, receivers = ["core"] }}
"#,
        folder = folder.display(),
        profiles = profiles.display(),
    );
    std::fs::create_dir_all(folder.join("data/cursors")).unwrap();
    let file = folder.join("wardgate.toml");
    std::fs::write(&file, text).unwrap();
    crate::gateway::configuration::load(&file).unwrap()
}

async fn wait(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
