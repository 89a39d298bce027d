//! `wardgate check`: the same loader as `run`, and no connection.

use std::path::Path;

use super::{Failed, say};
use crate::gateway::configuration;

pub(super) fn run(config: &Path) -> Result<(), Failed> {
    let configuration = configuration::load(config).map_err(Failed)?;
    let gateway = &configuration.gateway;
    say(&format!("{}: good", config.display()));
    say(&format!("gateway      {} on {}/{}", gateway.name, gateway.site, gateway.ward));
    match &gateway.journal_key {
        Some(file) => say(&format!("journal      encrypted, key file {}", file.display())),
        None => say("journal      NOT ENCRYPTED: no `journal_key` in [gateway]"),
    }
    for device in &configuration.devices {
        let status = device.profile.file().provenance.status.as_str();
        let link = device.endpoint.describe();
        let place = device.place.as_str();
        let profile = device.profile.id();
        say(&format!("device       {:<24} {place:<16} {profile} ({status}), {link}", device.name));
    }
    for destination in &configuration.destinations {
        let (files, required) = (destination.files, destination.required);
        say(&format!("destination  {:<24} {files:?}, {required:?}", destination.name));
    }
    Ok(())
}
