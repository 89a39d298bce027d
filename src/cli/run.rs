//! `wardgate run`

use std::path::Path;

use super::Failed;
use crate::gateway::{configuration, run};
use crate::operate;

pub(super) fn run(config: &Path) -> Result<(), Failed> {
    let configuration = configuration::load(config).map_err(Failed)?;
    operate::start_log();
    let failed = |error| Failed::one(format!("the runtime cannot start: {error}"));
    let mut house = tokio::runtime::Builder::new_multi_thread();
    let house = house.enable_all().build().map_err(failed)?;
    let mut delivery = tokio::runtime::Builder::new_multi_thread();
    delivery.worker_threads(1).thread_name("delivery").on_thread_start(behind_acknowledgements);
    let delivery = delivery.enable_all().build().map_err(failed)?;
    house.block_on(run::run(configuration, delivery.handle().clone())).map_err(Failed::one)
}

/// How far delivery stands behind, as nice(1) counts: it still gets a tenth of what an equal would,
/// so a core goes on being served however much devices send.
const BEHIND: i32 = 10;

/// When the processor is short, a device that waits for its acknowledgement goes before what the
/// journal keeps for the cores anyway.
fn behind_acknowledgements() {
    // Linux keeps this per thread. Without the right to it nothing but the order suffers.
    if let Err(error) = rustix::process::nice(BEHIND) {
        tracing::debug!(%error, "delivery runs at the priority of everything else");
    }
}
