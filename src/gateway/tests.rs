//! The share of a device: what happens when nothing leaves for the journal; gaps that the
//! committer opens and closes by itself.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::committer::{Committer, DeviceIdentity, Request};
use super::configuration::{DeviceSetup, load_profile, load_vocabulary};
use super::device::Device;
use super::gaps::GapCause;
use super::ledger::LedgerKeeper;
use super::memory::{Memory, OpenGap};
use super::record::ProfileStamp;
use super::room::Room;
use super::routing::Samplers;
use super::status::DeviceStatus;
use super::waveforms::Inlet;
use crate::journal::{Journal, Options};
use crate::link::{BoxPorts, Endpoint, Ports};
use crate::profile::Drafts;
use crate::protocol::Site;
use crate::vocabulary::{Certainty, DeviceName, Moment, Place};

/// One good line of the PO-100 as its manual prints it.
const LINE: &[u8] = b"$PO,10:11:12,097,072,04.5,00*25\r\n";

mod damaged_line;

fn device(requests: mpsc::UnboundedSender<Request>) -> (Arc<Device>, Arc<DeviceStatus>) {
    device_with(requests, None)
}

/// A device on an UDP port; its samples go into this inlet.
pub(super) fn device_with(
    requests: mpsc::UnboundedSender<Request>,
    inlet: Option<Arc<Inlet>>,
) -> (Arc<Device>, Arc<DeviceStatus>) {
    let endpoint = Endpoint::Udp { listen: "127.0.0.1:0".parse().unwrap() };
    device_of(endpoint, Arc::new(BoxPorts), requests, inlet)
}

fn device_at(
    endpoint: Endpoint,
    ports: Arc<dyn Ports>,
    requests: mpsc::UnboundedSender<Request>,
) -> (Arc<Device>, Arc<DeviceStatus>) {
    device_of(endpoint, ports, requests, None)
}

fn device_of(
    endpoint: Endpoint,
    ports: Arc<dyn Ports>,
    requests: mpsc::UnboundedSender<Request>,
    inlet: Option<Arc<Inlet>>,
) -> (Arc<Device>, Arc<DeviceStatus>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
    let vocabulary = Arc::new(load_vocabulary(&folder).unwrap());
    let file = folder.join("nordpuls/po-100/profile.toml");
    let profile = Arc::new(load_profile(&file, &vocabulary, Drafts::Accepted).unwrap());
    let status = Arc::new(DeviceStatus::default());
    let identity = DeviceIdentity {
        name: DeviceName::parse("oximeter").unwrap(),
        stamp: ProfileStamp::of(&profile),
        profile_status: profile.file().provenance.status,
        status: Arc::clone(&status),
    };
    let setup = DeviceSetup {
        name: identity.name.clone(),
        place: Place::parse("icu/bed-1").unwrap(),
        profile,
        firmware: Some("2.2".to_owned()),
        endpoint,
        site: Site::default(),
        machine: crate::association::DeviceId::parse("box-1/oximeter").unwrap(),
        codes: Vec::new(),
        mobility: crate::association::Mobility::default(),
    };
    (Device::new(setup, Arc::new(identity), vocabulary, requests, ports, inlet, 2_000), status)
}

/// A test that would wait for ever fails instead.
async fn next(requests: &mut mpsc::UnboundedReceiver<Request>) -> Request {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, requests.recv())
        .await
        .expect("a request in time")
        .expect("a sender")
}

#[tokio::test]
async fn a_full_share_stops_reading_and_is_one_gap() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let (device, status) = device(sender);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(device.run(stopping, Arc::default()));
    assert!(matches!(next(&mut requests).await, Request::LinkUp { .. }));
    let address = status.listening.lock().unwrap().clone();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();

    // Nothing is taken from here on: submissions pile up until the share is used up.
    let mut held = Vec::new();
    let began = loop {
        socket.send_to(LINE, &address).unwrap();
        tokio::task::yield_now().await;
        match requests.try_recv() {
            Ok(Request::Message(submission)) => held.push(submission),
            Ok(Request::GapBegan { cause, .. }) => break cause,
            Ok(_) => panic!("only messages and the gap are expected"),
            Err(_) => {}
        }
        assert!(held.len() <= 5_000, "the share has no end");
    };
    assert_eq!(began, GapCause::BoxBusy);
    assert!(held.len() > 1_000, "the share took only {} small messages", held.len());

    // Room again: the waiting messages come, and the gap ends.
    drop(held);
    let ended = loop {
        match next(&mut requests).await {
            Request::Message(_) => {}
            Request::GapEnded { cause, .. } => break cause,
            Request::GapBegan { .. } => {}
            Request::LinkUp { .. }
            | Request::Identity { .. }
            | Request::Unavailable(_)
            | Request::Noted(_)
            | Request::Person { .. }
            | Request::Unplugged { .. }
            | Request::Ledger { .. }
            | Request::Act { .. }
            | Request::Rows { .. }
            | Request::Forget { .. }
            | Request::Moves { .. }
            | Request::Examined(_)
            | Request::End(..)
            | Request::Free { .. }
            | Request::Manifest { .. }
            | Request::Tick { .. }
            | Request::Ping(_)
            | Request::Damaged(_)
            | Request::Stop { .. } => panic!("only messages and the gap are expected"),
        }
    };
    assert_eq!(ended, GapCause::BoxBusy);
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}

pub(super) fn committer(folder: &Path) -> Committer {
    committer_and_reader(folder).0
}

pub(super) fn committer_and_reader(folder: &Path) -> (Committer, crate::journal::Reader) {
    let opened = Journal::open(folder, Options::default()).unwrap();
    let committer = Committer {
        name: "box-1".to_owned(),
        clock_offset_us: None,
        appender: opened.appender,
        stream: opened.reader.stream(),
        memory: Memory::default(),
        ledger: LedgerKeeper::default(),
        destinations: Vec::new(),
        samplers: Samplers::default(),
        room: Arc::new(Room::default()),
        trends: BTreeMap::new(),
    };
    (committer, opened.reader)
}

/// As the time server is out of reach from the first second to the tenth.
#[tokio::test]
async fn while_nobody_vouches_for_the_clock_one_gap_of_the_box_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut committer = committer(folder.path());
    let at = |second: i64, certainty| {
        let us = second * 1_000_000;
        Moment::new(us as u64, 1_795_162_211_000_000 + us, certainty)
    };
    let open = |committer: &Committer| -> Vec<OpenGap> {
        let memory = committer.memory.devices.get("box-1");
        memory.map(|one| one.open_gaps.values().cloned().collect()).unwrap_or_default()
    };
    committer.tick(at(0, Certainty::Synchronised)).await;
    assert_eq!(open(&committer), []);
    for second in 1..10 {
        committer.tick(at(second, Certainty::Unproven)).await;
        let gaps = open(&committer);
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].cause, "clock-unproven");
        assert_eq!(gaps[0].began_us, Some(1_795_162_212_000_000), "from the first second on");
    }
    committer.tick(at(10, Certainty::Synchronised)).await;
    assert_eq!(open(&committer), []);
}

/// A link that comes back ends what the link was the reason of, and nothing else.
#[tokio::test]
async fn a_link_that_comes_back_makes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut committer = committer(folder.path());
    let now = Moment::new(1, 1_795_162_211_000_000, Certainty::Synchronised);
    for cause in [GapCause::LinkDown, GapCause::StorageFailed, GapCause::RoomShort] {
        committer.gap_began("bed-1", cause, Some(1), now).await;
    }
    committer.gaps_ended("bed-1", None, now).await;
    let open: Vec<String> =
        committer.memory.devices["bed-1"].open_gaps.values().map(|one| one.cause.clone()).collect();
    assert_eq!(open, ["room-short"]);
    committer.tick(now).await;
    assert!(committer.memory.devices["bed-1"].open_gaps.is_empty(), "there is room");
}
