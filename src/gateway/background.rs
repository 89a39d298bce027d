//! What runs behind everybody else: the index of look-ups, and the scrub that reads the journal's
//! old segments again. Neither holds anything up; without them the house still takes and delivers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::committer::{DeviceIdentity, Request};
use super::indexing;
use crate::index::{Hasher, Index, IndexThread, Options};
use crate::journal::{DamagedRange, Reader, Scrub, ScrubCounters, ScrubPace, ScrubThread};

/// 10 GB in a day. A larger journal is read faster, so that each pass ends within its day.
const SCRUB_PACE: ScrubPace =
    ScrubPace { bytes_per_second: 120_000, pass_every: Duration::from_secs(24 * 3600) };

/// What is found damaged within this time is one gap per device, not one per range of bytes.
const DAMAGE_WITHIN: Duration = Duration::from_secs(1);

/// How long the index may take to stop; it is built anew if that is not enough.
const STOP_INDEX: Duration = Duration::from_secs(5);

/// What runs in the background of a house.
#[derive(Default)]
pub(super) struct Background {
    pub index: Option<Index>,
    pub scrub: Option<Arc<ScrubCounters>>,
    index_thread: Option<IndexThread>,
    scrub_thread: Option<ScrubThread>,
    damage: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts both. What cannot be started is said and left out.
    pub fn start(
        data: &std::path::Path,
        reader: &Reader,
        devices: &[Arc<DeviceIdentity>],
        requests: &mpsc::UnboundedSender<Request>,
    ) -> Self {
        let mut background = Self::default();
        match start_index(data, reader) {
            Ok((index, thread)) => {
                background.index = Some(index);
                background.index_thread = Some(thread);
            }
            Err(error) => tracing::error!(%error, "there is no index: nothing can be looked up"),
        }
        let scrub = Scrub::new(reader.clone());
        let counters = scrub.counters();
        let (found, damage) = mpsc::unbounded_channel();
        let tell = Box::new(move |range: DamagedRange| {
            tracing::error!(?range, "the journal is damaged below what was durable");
            // Its other end is there as long as the house is.
            let _ = found.send(range);
        });
        match scrub.start(SCRUB_PACE, tell) {
            Ok(thread) => {
                let telling = tell_of(damage, devices.to_vec(), requests.clone());
                background.damage = Some(tokio::spawn(telling));
                background.scrub = Some(counters);
                background.scrub_thread = Some(thread);
            }
            Err(error) => tracing::error!(%error, "the journal is not scrubbed"),
        }
        background
    }

    /// Stops both, in order if they do so in time.
    pub async fn stop(self) {
        let Self { index, scrub: _, index_thread, scrub_thread, damage } = self;
        drop(index);
        let stopping = tokio::task::spawn_blocking(move || {
            drop(scrub_thread);
            if let Some(thread) = index_thread {
                thread.stop();
            }
        });
        if tokio::time::timeout(STOP_INDEX, stopping).await.is_err() {
            tracing::warn!("the index did not stop in time: it is built anew");
        }
        if let Some(damage) = damage {
            // It ends with the thread that tells it.
            if tokio::time::timeout(DAMAGE_WITHIN * 2, damage).await.is_err() {
                tracing::warn!("the scrub did not stop in time");
            }
        }
    }
}

fn start_index(
    data: &std::path::Path,
    reader: &Reader,
) -> Result<(Index, IndexThread), Box<dyn std::error::Error>> {
    let options = Options {
        folder: data.join("index"),
        reader: reader.clone(),
        describe: Arc::new(indexing::describe),
        hasher: Hasher::new(reader, data)?,
    };
    Ok(Index::start(options)?)
}

/// Tells the committer of damage that cost records, so that it stands in gap records as damage
/// does that is found when the journal is opened.
async fn tell_of(
    mut found: mpsc::UnboundedReceiver<DamagedRange>,
    devices: Vec<Arc<DeviceIdentity>>,
    requests: mpsc::UnboundedSender<Request>,
) {
    while let Some(range) = found.recv().await {
        let mut lost = range.sequences.is_some();
        let until = tokio::time::Instant::now() + DAMAGE_WITHIN;
        while let Ok(Some(more)) = tokio::time::timeout_at(until, found.recv()).await {
            lost |= more.sequences.is_some();
        }
        if lost {
            let devices = devices.clone();
            // The committer is gone only when the house stops.
            let _ = requests.send(Request::Damaged(devices));
        }
    }
}
