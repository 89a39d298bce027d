//! The devices' tasks, and who they are to the committer.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::gateway::committer::{DeviceIdentity, Request};
use crate::gateway::configuration::{Configuration, DeviceSetup};
use crate::gateway::device::Device;
use crate::gateway::guests::Guests;
use crate::gateway::record::ProfileStamp;
use crate::gateway::status::DeviceStatus;
use crate::gateway::waveforms::Inlet;
use crate::gateway::world::stop_for_one;
use crate::link::Ports;

pub(super) fn start_devices(
    configuration: &Configuration,
    identities: &[Arc<DeviceIdentity>],
    requests: &mpsc::UnboundedSender<Request>,
    (ports, inlet): (&Arc<dyn Ports>, Option<&Arc<Inlet>>),
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let guests = Arc::new(Guests::default());
    let start = |setup: &DeviceSetup, identity: &Arc<DeviceIdentity>| {
        let device = Device::new(
            setup.clone(),
            Arc::clone(identity),
            Arc::clone(&configuration.vocabulary),
            requests.clone(),
            Arc::clone(ports),
            inlet.cloned(),
            configuration.gateway.uncertainty_ms_max,
        );
        tokio::spawn(device.run(stop_for_one(stop), Arc::clone(&guests)))
    };
    let setups = configuration.devices.iter().zip(identities);
    setups.map(|(setup, identity)| start(setup, identity)).collect()
}

pub(in crate::gateway) fn identities(configuration: &Configuration) -> Vec<Arc<DeviceIdentity>> {
    let identity = |setup: &DeviceSetup| {
        Arc::new(DeviceIdentity {
            name: setup.name.clone(),
            stamp: ProfileStamp::of(&setup.profile),
            profile_status: setup.profile.file().provenance.status,
            status: Arc::new(DeviceStatus::default()),
        })
    };
    configuration.devices.iter().map(identity).collect()
}
