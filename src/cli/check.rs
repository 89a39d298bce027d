//! `wardgate check`: the same loader as `run`, and no connection.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Failed, say};
use crate::association::{Enough, Mobility};
use crate::forward::hl7v2::map::Map;
use crate::forward::hl7v2::map::coverage::coverage;
use crate::gateway::certificates;
use crate::gateway::configuration::{self, Configuration, DestinationTable, Start};
use crate::link::clock;
use crate::profile::Protocol;
use crate::vocabulary::moment::utc_text;

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
    say_association(&configuration);
    say_charting(&configuration);
    if !configuration.waveforms.is_empty() {
        let megabytes = gateway.waveforms.bytes / 1_000_000;
        say(&format!("waveforms    kept in a journal of their own of at most {megabytes} MB"));
    }
    for destination in configuration.destinations.iter().chain(&configuration.waveforms) {
        let (files, required) = (destination.files, destination.required);
        let (order, proves) = (destination.order, destination.proves());
        let begins = begins(destination.start);
        say(&format!(
            "destination  {:<24} {files:?}, {required:?}, {order:?}, proves {proves:?}; \
             begins with {begins}",
            destination.name
        ));
        if destination.takes_waveforms() {
            say("  takes      waveforms, and nothing else");
        } else {
            say(&format!("  backup     {}", backup(destination, gateway.retention.hours)));
        }
        let now_s = clock::now().utc_us().div_euclid(1_000_000);
        for one in certificates::of_files(&destination.tls(), now_s) {
            say(&format!("  {}", super::status::certificate(&one)));
        }
        if let Some(map) = configuration.maps.get(&destination.name) {
            say_coverage(map, &configuration);
        }
    }
    let text = std::fs::read_to_string(config).map_err(Failed::one)?;
    for name in super::destination::holding(&toml::from_str(&text).map_err(Failed::one)?) {
        say(&format!(
            "destination  {name:<24} has no table any more and holds the journal: put it back, or \
             wardgate destination retire {name} --reason ..."
        ));
    }
    Ok(())
}

/// Who owns the act of charting.
fn say_charting(configuration: &Configuration) {
    let Some(table) = &configuration.charting else { return };
    say(&format!("charting     {} signs", table.owner.as_str()));
    for (ward, owner) in &table.ward {
        say(&format!("  ward       {ward}: {} signs", owner.as_str()));
    }
    for class in &table.class {
        let wards = if class.wards.is_empty() { "all wards" } else { &class.wards.join(", ") };
        let (of, owner) = (class.of.join(", "), class.owner.as_str());
        say(&format!("  class      {of} on {wards}: {owner} signs"));
    }
}

/// What is enough to file, and which machine each line is.
fn say_association(configuration: &Configuration) {
    let policy = configuration.association.policy();
    let words = |enough: &[Enough]| {
        let words: Vec<&str> = enough.iter().copied().map(Enough::as_str).collect();
        words.join(" or ")
    };
    let hours = policy.unseen_hours_max.seconds() / 3600;
    say(&format!("association  {}; unseen for at most {hours} h", words(&policy.enough)));
    for (class, enough) in &policy.class {
        say(&format!("  {class:<24} {}", words(enough)));
    }
    for place in &policy.one_patient_places {
        say(&format!("  one patient              {}", place.as_str()));
    }
    for device in &configuration.devices {
        let fixed = if device.mobility == Mobility::Fixed { ", fixed" } else { "" };
        let (machine, codes) = (device.machine.as_str(), device.codes.len());
        say(&format!("  machine    {:<24} {machine}{fixed}, {codes} further labels", device.name));
    }
    let forms = configuration.association.scan.code.len();
    say(&format!("  labels     {forms} forms of the site's own"));
}

/// Where a destination begins that was never here.
fn begins(start: Option<Start>) -> String {
    match start {
        None | Some(Start::Now) => "what is kept from its first start on".to_owned(),
        Some(Start::Oldest) => "the oldest record that is still there, if it is new".to_owned(),
        Some(Start::At { time_us }) => {
            format!("what was kept since {}, if it is new", utc_text(time_us))
        }
    }
}

/// Whether what the journal keeps reaches back behind the core's last backup.
fn backup(destination: &DestinationTable, hours: u32) -> String {
    match destination.backup_every_h {
        Some(every) => format!(
            "of the core every {every} h; what it has stored is kept {hours} h while there is room"
        ),
        None => format!(
            "of the core: not stated. It must come more often than every {hours} h \
             (`backup_every_h` says how often, and is then checked)"
        ),
    }
}

/// Which parameters of the configured device files have a place in a destination's map.
fn say_coverage(map: &Map, configuration: &Configuration) {
    let file = map.file();
    say(&format!("  map        {}, version {}", file.title, file.version.as_str()));
    if let Some(reason) = file.alarm.as_ref().and_then(|alarm| alarm.exception.as_ref()) {
        say(&format!("  exception  alarms are sent: {reason}"));
    }
    let without: Vec<&str> = file.without.iter().map(|kind| kind.name()).collect();
    say(&format!("  without    {}", without.join(", ")));
    let mut said = BTreeSet::new();
    for device in &configuration.devices {
        if !said.insert(device.profile.id()) {
            continue;
        }
        let parameters = device.profile.parameters();
        let found = coverage(map, parameters.iter().map(String::as_str));
        let (placed, all) = (found.placed.len(), parameters.len());
        say(&format!("  {:<10} {placed} of {all} parameters have a place", device.profile.id()));
        found.lines().iter().for_each(|line| say(&format!("    {line}")));
        if let Protocol::Hl7v2(_) = device.profile.file().protocol {
            say("    what the device names in MDC  has a place where the vocabulary has its code");
        }
    }
}
