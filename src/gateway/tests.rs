//! The share of a device: what happens when nothing leaves for the journal.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::committer::{DeviceIdentity, Request};
use super::configuration::{DeviceSetup, load_profile, load_vocabulary};
use super::device::Device;
use super::gaps::GapCause;
use super::record::ProfileStamp;
use super::status::DeviceStatus;
use crate::link::Endpoint;
use crate::profile::Drafts;
use crate::protocol::Site;
use crate::vocabulary::{DeviceName, Place};

/// One good line of the PO-100 as its manual prints it.
const LINE: &[u8] = b"$PO,10:11:12,097,072,04.5,00*25\r\n";

fn device(requests: mpsc::UnboundedSender<Request>) -> (Arc<Device>, Arc<DeviceStatus>) {
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
        endpoint: Endpoint::Udp { listen: "127.0.0.1:0".parse().unwrap() },
        site: Site::default(),
    };
    (Device::new(setup, Arc::new(identity), vocabulary, requests, 2_000), status)
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
            | Request::Free { .. }
            | Request::Manifest { .. }
            | Request::Ping(_)
            | Request::Stop { .. } => panic!("only messages and the gap are expected"),
        }
    };
    assert_eq!(ended, GapCause::BoxBusy);
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}
