//! `wardgate run`

use std::path::Path;

use super::Failed;
use crate::gateway::{configuration, run};
use crate::operate;

pub(super) fn run(config: &Path) -> Result<(), Failed> {
    let configuration = configuration::load(config).map_err(Failed)?;
    operate::start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::one(format!("the runtime cannot start: {error}")))?;
    runtime.block_on(run::run(configuration)).map_err(Failed::one)
}
