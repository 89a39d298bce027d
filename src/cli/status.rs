//! `wardgate status`

use super::{ConfigurationPath, Failed, say};
use crate::gateway::certificates::CertificateSnapshot;
use crate::gateway::status::{JournalSnapshot, ProofSnapshot, Snapshot, ask};
use crate::gateway::waveforms::WaveformsSnapshot;

#[derive(clap::Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    path: ConfigurationPath,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &StatusArguments) -> Result<(), Failed> {
    let file = arguments.path.read()?;
    let socket = file.gateway.socket;
    let snapshot = ask(&socket).map_err(|error| {
        Failed::one(format!("no daemon answers on {}: {error}", socket.display()))
    })?;
    if arguments.json {
        let text = serde_json::to_string(&snapshot).map_err(Failed::one)?;
        say(&text);
    } else {
        table(&snapshot);
    }
    Ok(())
}

fn table(snapshot: &Snapshot) {
    let journal = &snapshot.journal;
    say(&format!("gateway  {} {} since {}", snapshot.gateway, snapshot.version, snapshot.since));
    say(&format!(
        "journal  {}, {} records durable, {} segments, stream {}",
        journal.door, journal.durable, journal.segments, snapshot.stream
    ));
    room(journal);
    if let Some(journal) = &snapshot.waveforms {
        waveforms(journal);
    }
    behind(snapshot);
    feeds(snapshot);
    say("");
    say(&format!(
        "{:<24} {:<5} {:>9} {:>8} {:>8} {:>8} {:>8}  last message",
        "device", "link", "readings", "refused", "unmapped", "held", "repeats"
    ));
    for device in &snapshot.devices {
        let link = if device.connections > 0 { "up" } else { "DOWN" };
        let last = device.last_message.as_deref().unwrap_or("never");
        say(&format!(
            "{:<24} {link:<5} {:>9} {:>8} {:>8} {:>8} {:>8}  {last}",
            device.name,
            device.readings,
            device.refused,
            device.unmapped,
            device.held,
            device.repeats
        ));
        if device.connections == 0 {
            let trouble = if device.trouble.is_empty() { "waiting" } else { &device.trouble };
            say(&format!("    {}: {trouble}", device.link));
        } else if !device.trouble.is_empty() {
            say(&format!("    {}", device.trouble));
        }
        if device.line_errors > 0 {
            say(&format!("    {} damaged bytes on the line since the start", device.line_errors));
        }
        if device.samples > 0 || device.samples_dropped > 0 {
            let (kept, dropped) = (device.samples, device.samples_dropped);
            say(&format!("    waveforms: {kept} samples kept, {dropped} dropped"));
        }
        if device.busy {
            say("    the box is busy: bytes may be lost, a gap is open");
        }
    }
    destinations(snapshot);
}

fn destinations(snapshot: &Snapshot) {
    say("");
    say(&format!(
        "{:<24} {:<5} {:>9} {:>12} {:>8} {:>8} {:>9}",
        "destination", "link", "sent", "acknowledged", "backlog", "resent", "set aside"
    ));
    for destination in &snapshot.destinations {
        let link = if destination.connected { "up" } else { "DOWN" };
        say(&format!(
            "{:<24} {link:<5} {:>9} {:>12} {:>8} {:>8} {:>9}",
            destination.name,
            destination.sent,
            destination.acknowledged,
            destination.backlog,
            destination.resent,
            destination.set_aside
        ));
        if !destination.connected && !destination.trouble.is_empty() {
            say(&format!("    {}", destination.trouble));
        }
        if let Some(proof) = &destination.proof {
            let ProofSnapshot { through, waiting, since, lacked } = proof;
            say(&format!("    proven by manifests up to {through}; nothing behind that is freed"));
            if let Some(since) = since {
                say(&format!("    {waiting} manifests have no answer that counts, since {since}"));
            }
            if *lacked > 0 {
                say(&format!("    ATTENTION {lacked} answers named records that the core lacks"));
            }
        }
        for one in &destination.certificates {
            say(&format!("    {}", certificate(one)));
        }
        if let Some(why) = &destination.refused {
            say(&format!("    nothing is sent until it is started again: {why}"));
        }
        if let Some(oldest) = &destination.oldest_unacknowledged {
            say(&format!("    the oldest on its way is of {oldest}"));
        }
        if let Some((sequence, code)) = &destination.newest_set_aside {
            let name = &destination.name;
            say(&format!("    set aside: the newest is {sequence}, {code}"));
            say(&format!("    wardgate destination set-aside {name} lists them"));
        }
        if destination.rejected > 0 || destination.refused_acknowledgements > 0 {
            let (rejected, refused) = (destination.rejected, destination.refused_acknowledgements);
            say(&format!("    {rejected} rejections, {refused} answers not believed"));
        }
        if destination.unavailable > 0 {
            say(&format!("    {} records cannot be had any more", destination.unavailable));
        }
        if destination.cursor_failures > 0 {
            let failures = destination.cursor_failures;
            say(&format!("    {failures} writes of the cursor failed: is the disk full?"));
        }
    }
    for holding in &snapshot.holding {
        let (name, low_water) = (&holding.name, holding.low_water);
        say(&format!("{name:<24} has no table and holds the journal from record {low_water} on"));
        say(&format!("    wardgate destination retire {name} --reason ... lets it go"));
    }
}

/// Until when a certificate is good.
pub(super) fn certificate(one: &CertificateSnapshot) -> String {
    let CertificateSnapshot { which, until, days_left, attention } = one;
    let day = until.split('T').next().unwrap_or(until);
    match attention {
        Some(attention) => format!("ATTENTION {which} {attention} ({day})"),
        None => format!("{which} until {day}, {days_left} days"),
    }
}

/// The index of look-ups and the scrub of the journal.
fn behind(snapshot: &Snapshot) {
    match &snapshot.index {
        None => say("index    none: nothing can be looked up while the disk takes no writes"),
        Some(index) => {
            let how = if index.rebuilding { "BEING REBUILT, complete" } else { "complete" };
            let thrown = match &index.trouble {
                Some(why) => format!("; thrown away {} times, last: {why}", index.thrown_away),
                None => String::new(),
            };
            say(&format!("index    {how} through record {}{thrown}", index.complete_through));
        }
    }
    if let Some(scrub) = &snapshot.scrub {
        let how = match scrub.position {
            0 => "waiting for the next pass".to_owned(),
            position => format!("at record {position}"),
        };
        let megabytes = scrub.read_bytes / 1_000_000;
        let (passes, position) = (scrub.passes, how);
        say(&format!("scrub    {position}, {passes} passes and {megabytes} MB since the start"));
        if scrub.damaged_ranges > 0 || scrub.read_failures > 0 {
            say(&format!(
                "ATTENTION the journal is damaged in {} places: {} records are lost; {} reads \
                 failed",
                scrub.damaged_ranges, scrub.lost_records, scrub.read_failures
            ));
        }
    }
}

/// What other systems of the hospital tell the box, and what it tells them.
fn feeds(snapshot: &Snapshot) {
    if let Some(adt) = &snapshot.adt {
        let last = adt.last_message.as_deref().unwrap_or("never");
        say(&format!(
            "adt      {}, {} connected, {} messages, {} refused, last message {last}",
            adt.port, adt.connections, adt.messages, adt.refused
        ));
        if let Some(since) = &adt.unknown_since {
            say(&format!("         UNKNOWN since {since}: who is where may have changed"));
        }
        if adt.not_named > 0 {
            let (patients, due) = (adt.not_named, &adt.census_due);
            say(&format!("         {patients} patients not named since a census was due at {due}"));
        }
        if !adt.other_events.is_empty() {
            let events = adt.other_events.iter().map(|(name, count)| format!("{name} {count}"));
            let events = events.collect::<Vec<_>>().join(", ");
            say(&format!("         accepted and without a meaning here: {events}"));
        }
    }
    if let Some(pcim) = &snapshot.pcim {
        say(&format!(
            "pcim     {}, {} messages, {} refused, {} wait for a person",
            if pcim.port.is_empty() { "no port" } else { &pcim.port },
            pcim.messages,
            pcim.refused.values().sum::<u64>(),
            pcim.proposals
        ));
        for (name, peer) in &pcim.peers {
            let trouble = if peer.trouble.is_empty() { "told" } else { &peer.trouble };
            let counts = (peer.acknowledged, peer.refused);
            say(&format!("         {name}: {trouble}, {} taken, {} refused", counts.0, counts.1));
        }
    }
}

/// The journal of waveforms.
fn waveforms(journal: &WaveformsSnapshot) {
    let WaveformsSnapshot { door, records, stream, segments, .. } = journal;
    say(&format!("waveforms {door}, {records} records, {segments} segments, stream {stream}"));
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let (used, quota) = (megabytes(journal.bytes), megabytes(journal.quota_bytes));
    let oldest = journal.oldest.as_deref().unwrap_or("none yet");
    say(&format!("          {used} MB of {quota} MB used, oldest record {oldest}"));
    let WaveformsSnapshot { samples_dropped, shed, .. } = journal;
    if *samples_dropped > 0 || *shed > 0 {
        say(&format!(
            "          {samples_dropped} samples dropped, {shed} records gone before a destination \
             had them"
        ));
    }
}

/// What the journal takes, and for how long it would do.
fn room(journal: &JournalSnapshot) {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let quota = journal.quota_bytes.map(|quota| format!(" of {} MB", megabytes(quota)));
    let oldest = journal.oldest.as_deref().unwrap_or("none yet");
    say(&format!(
        "room     {} MB{} used, {} MB not delivered yet, oldest record {oldest}",
        megabytes(journal.bytes),
        quota.unwrap_or_default(),
        megabytes(journal.pinned_bytes),
    ));
    if let Some(seconds) = journal.autonomy_seconds {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        let long = match (days, hours) {
            (0, 0) => format!("{minutes} min"),
            (0, _) => format!("{hours} h {minutes} min"),
            (1..=99, _) => format!("{days} d {hours} h"),
            (_, _) => "more than 99 days".to_owned(),
        };
        say(&format!(
            "         lasts {long} without any destination, at the rate of the last 10 min"
        ));
    }
    if let Some(reason) = &journal.reason {
        say(&format!("ATTENTION {reason}"));
    }
}
