//! Link 1: which machine hangs on a line. A machine that names itself is known again at each
//! reconnect; one that cannot is unproven after every unplugging until somebody scans port and
//! device.

use std::collections::BTreeSet;

use super::entry::{By, Entry, Says};
use super::ledger::Ledger;
use super::names::{DeviceId, EntryId, Line};
use super::time::Utc;
use super::view::View;

/// What hangs on a line at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OnLine {
    /// Nobody ever said.
    Unknown,
    /// It was pulled out, or the machine was found elsewhere.
    Unproven { since: EntryId },
    /// This machine, by this entry.
    Machine { device: DeviceId, by: EntryId },
    /// The machine names itself here and elsewhere at once.
    Twice { entries: Vec<EntryId> },
}

impl Ledger {
    /// The machine that hangs on a line at an instant, as known now; `None` if nobody said, it is
    /// unproven, or the machine is seen elsewhere as well.
    pub fn hangs_on(&self, port: &Line, at: Utc) -> Option<DeviceId> {
        match self.view(Utc::MAX).on_line(port, at) {
            OnLine::Machine { device, .. } => Some(device),
            OnLine::Unknown | OnLine::Unproven { .. } | OnLine::Twice { .. } => None,
        }
    }

    /// What the configuration said last of a line.
    pub fn configured_on(&self, port: &Line) -> Option<DeviceId> {
        let view = self.view(Utc::MAX);
        let said = view.shelf.of_port(port).filter(|entry| entry.by == By::Configuration);
        said.max_by_key(|entry| order(entry)).and_then(|entry| entry.says.plugged_device()).cloned()
    }
}

impl View<'_> {
    /// What hangs on the line at that instant.
    pub fn on_line(&self, port: &Line, at: Utc) -> OnLine {
        let on_port = self.on_port(port, at);
        let OnLine::Machine { device, by } = on_port else { return on_port };
        let Some(here) = self.shelf.get(&by) else { return OnLine::Unknown };
        let ports: BTreeSet<&Line> = self
            .shelf
            .of_device(&device)
            .filter_map(|entry| entry.says.plugged_into())
            .filter(|other| *other != port)
            .collect();
        for other in ports {
            let OnLine::Machine { device: same, by: there } = self.on_port(other, at) else {
                continue;
            };
            let Some(there) = self.shelf.get(&there).filter(|_| same == device) else { continue };
            // The later scan says where the machine is; two machines cannot be one.
            match (is_scan(here), is_scan(there)) {
                (true, false) => {}
                (true, true) if order(here) > order(there) => {}
                (false, true) | (true, true) => {
                    return OnLine::Unproven { since: there.id.clone() };
                }
                (false, false) => {
                    let mut entries = vec![here.id.clone(), there.id.clone()];
                    entries.sort();
                    return OnLine::Twice { entries };
                }
            }
        }
        OnLine::Machine { device, by }
    }

    /// The instants at which what hangs on the line can change.
    pub fn line_edges(&self, port: &Line) -> BTreeSet<Utc> {
        let machines: BTreeSet<&DeviceId> =
            self.shelf.of_port(port).filter_map(|entry| entry.says.plugged_device()).collect();
        let ports: BTreeSet<&Line> = machines
            .into_iter()
            .flat_map(|device| self.shelf.of_device(device))
            .filter_map(|entry| entry.says.plugged_into())
            .chain([port])
            .collect();
        let plugs = ports.into_iter().flat_map(|port| self.shelf.of_port(port));
        plugs.filter_map(|entry| entry.says.plug_time()).collect()
    }

    /// The same, without a look at the other lines.
    fn on_port(&self, port: &Line, at: Utc) -> OnLine {
        let mut events: Vec<&Entry> = self
            .shelf
            .of_port(port)
            .filter(|entry| {
                entry.says.plug_time().is_some_and(|time| time <= at) && self.counts(entry)
            })
            .collect();
        events.sort_by_key(|entry| order(entry));
        let mut now = OnLine::Unknown;
        for entry in events {
            let Says::Plugged { device, .. } = &entry.says else {
                now = OnLine::Unproven { since: entry.id.clone() };
                continue;
            };
            // What the configuration says was true before the plug was pulled.
            let pulled = matches!(now, OnLine::Unproven { .. });
            if entry.by != By::Configuration || !pulled {
                now = OnLine::Machine { device: device.clone(), by: entry.id.clone() };
            }
        }
        now
    }
}

fn is_scan(entry: &Entry) -> bool {
    matches!(entry.by, By::Scan { .. })
}

/// By time; at one instant the plug is pulled before another is put in.
fn order(entry: &Entry) -> (Option<Utc>, bool, Utc, &EntryId) {
    let plugged = matches!(entry.says, Says::Plugged { .. });
    (entry.says.plug_time(), plugged, entry.stated, &entry.id)
}
