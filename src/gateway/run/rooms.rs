//! What a house is made of besides journal, committer and devices: each is started here.

use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::{Lasting, RunError};
use crate::gateway::asked::{Desk, LOOK_UPS_AT_ONCE};
use crate::gateway::background::Background;
use crate::gateway::committer::{Begin, Committer, Request};
use crate::gateway::destinations::{self, Ground};
use crate::gateway::gaps::GapCause;
use crate::gateway::room::Room;
use crate::gateway::snapshot::HouseShown;
use crate::gateway::waveforms::WaveformHouse;
use crate::journal::{self, Reader};
use crate::vocabulary::Moment;

/// What runs the destinations, and the low waters of the required ones.
pub(super) type Delivering = (Vec<JoinHandle<()>>, Vec<watch::Receiver<u64>>);

impl Lasting {
    /// What runs behind everybody else.
    pub(super) fn background(
        &self,
        reader: &Reader,
        requests: &mpsc::UnboundedSender<Request>,
    ) -> Background {
        if !self.world.has_background {
            return Background::default();
        }
        Background::start(&self.configuration.gateway.data, reader, &self.identities, requests)
    }

    /// The waveforms, if anybody takes them; they are shown from now on.
    pub(super) fn waveforms(
        &self,
        room: &Arc<Room>,
        reader: &Reader,
        before: GapCause,
    ) -> WaveformHouse {
        let Self { configuration, world, identities, .. } = self;
        let house = (Some((Arc::clone(room), reader.clone())), &self.ledger);
        let waveforms = WaveformHouse::start(configuration, world, identities, house, before);
        self.shown.show_waveforms(waveforms.shown());
        waveforms
    }

    /// What stands in the journal before the first message: the memory, what happened since the
    /// last run, and the device files in force.
    pub(super) async fn first_records(
        &self,
        committer: &mut Committer,
        recovery: &journal::Recovery,
        before: GapCause,
        now: Moment,
    ) {
        let Self { configuration, identities, .. } = self;
        committer.checkpoint(Begin::Wherever, now.utc_us()).await;
        committer.started_after(identities, configuration.digest, before, now).await;
        committer.configured(now).await;
        committer.tick(now).await;
        if !recovery.damaged.is_empty() || recovery.set_aside.is_some() {
            committer.damaged(identities, now).await;
        }
        for (setup, identity) in configuration.devices.iter().zip(identities) {
            let firmware = setup.firmware.as_deref().unwrap_or_default();
            let text = setup.profile.flattened_text(firmware);
            committer.profile(&identity.stamp, &text, now).await;
        }
    }

    /// Starts the destinations and shows them with the journal they read.
    pub(super) fn deliver(
        &mut self,
        (reader, room, background): (&Reader, &Arc<Room>, &Background),
        durable: &watch::Receiver<u64>,
        requests: &mpsc::UnboundedSender<Request>,
        stop: &watch::Receiver<bool>,
        failure: Option<journal::Failure>,
    ) -> Result<Delivering, RunError> {
        let configuration = &self.configuration;
        let world = &self.world;
        let inbox = self.inbox.as_ref();
        let ground = Ground { world, configuration, reader, durable, requests, stop, inbox };
        let forwarding = {
            let _on_delivery = world.delivery.enter();
            destinations::start(&ground, &configuration.destinations)
                .map_err(|(name, what)| RunError::Destination { name, what })?
        };
        let destinations::Forwarding { tasks, counters, mut low_waters, commands } = forwarding;
        let held = destinations::held(configuration, reader, &mut low_waters);
        let desk = Arc::new(Desk {
            requests: requests.clone(),
            commands,
            reader: reader.clone(),
            cursors: configuration.gateway.data.join("cursors"),
            held: Mutex::new(held),
            index: background.index.clone(),
            turns: Semaphore::new(LOOK_UPS_AT_ONCE),
            gatekeeper: OnceLock::new(),
        });
        self.show(HouseShown {
            identities: self.identities.clone(),
            reader: reader.clone(),
            room: Arc::clone(room),
            counters,
            desk,
            scrub: background.scrub.clone(),
            failure,
            waveforms: None,
        })?;
        Ok((tasks, low_waters))
    }
}
