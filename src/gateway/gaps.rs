//! Records about a device rather than of it: gaps that begin and end, and what it says of itself.
//! Every destination gets them, so that no core takes silence for "no change".

use serde_json::json;

use super::committer::{Committer, DeviceIdentity};
use super::configuration::DestinationTable;
use super::memory::OpenGap;
use crate::forward::stored::{EventKind, Stored};
use crate::journal::Kind;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{Moment, Sequence};

/// Why data could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    BoxRestarted,
    LinkDown,
    BoxBusy,
    /// The link is up and nothing was heard for longer than the device file allows.
    DeviceSilent,
    /// What was once durable cannot be read any more.
    JournalDamaged,
    /// The disk has no room for more: messages were not kept, and their senders were told.
    RoomShort,
    /// The journal took nothing, because the disk failed or was read-only.
    StorageFailed,
    /// Nobody vouches for the clock of the box: the times of what lies inside are not proven.
    ClockUnproven,
}

impl GapCause {
    /// The cause as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BoxRestarted => "box-restarted",
            Self::LinkDown => "link-down",
            Self::BoxBusy => "box-busy",
            Self::DeviceSilent => "device-silent",
            Self::JournalDamaged => "journal-damaged",
            Self::RoomShort => "room-short",
            Self::StorageFailed => "storage-failed",
            Self::ClockUnproven => "clock-unproven",
        }
    }
}

impl Committer {
    pub(super) async fn link_up(&mut self, device: &DeviceIdentity, now: Moment) {
        self.gaps_ended(device.name.as_str(), None, now).await;
    }

    /// Whether a gap of this cause is open.
    pub(super) fn gap_is_open(&self, subject: &str, cause: GapCause) -> bool {
        let memory = self.memory.devices.get(subject);
        memory.is_some_and(|one| one.open_gaps.values().any(|gap| gap.cause == cause.as_str()))
    }

    pub(super) async fn gap_began(
        &mut self,
        subject: &str,
        cause: GapCause,
        began_us: Option<i64>,
        now: Moment,
    ) {
        let after = self.memory.devices.get(subject).and_then(|one| one.last);
        let after = after.map(|(_, sequence)| sequence);
        let mut data = serde_json::Map::new();
        data.insert("phase".to_owned(), json!("began"));
        data.insert("cause".to_owned(), json!(cause.as_str()));
        data.insert("began".to_owned(), json!(began_us.map(utc_text)));
        data.insert("began_us".to_owned(), json!(began_us));
        data.insert("after".to_owned(), json!(after));
        if let Some(sequence) =
            self.append_state(EventKind::Gap, Kind::Gap, subject, data, now).await
        {
            let gap = OpenGap { cause: cause.as_str().to_owned(), began_us, after };
            let memory = self.memory.devices.entry(subject.to_owned()).or_default();
            memory.open_gaps.insert(sequence.number(), gap);
        }
    }

    /// Ends the open gaps of one cause, or of every cause that the link is the end of.
    pub(super) async fn gaps_ended(&mut self, subject: &str, cause: Option<GapCause>, now: Moment) {
        let Some(memory) = self.memory.devices.get(subject) else { return };
        // A link that comes back makes no room.
        let ends = |gap: &OpenGap| match cause {
            Some(cause) => gap.cause == cause.as_str(),
            None => gap.cause != GapCause::RoomShort.as_str(),
        };
        let open: Vec<(u64, OpenGap)> = memory
            .open_gaps
            .iter()
            .filter(|(_, gap)| ends(gap))
            .map(|(number, gap)| (*number, gap.clone()))
            .collect();
        for (number, gap) in open {
            let mut data = serde_json::Map::new();
            data.insert("phase".to_owned(), json!("ended"));
            data.insert("gap".to_owned(), json!(number));
            data.insert("cause".to_owned(), json!(gap.cause));
            data.insert("began".to_owned(), json!(gap.began_us.map(utc_text)));
            data.insert("began_us".to_owned(), json!(gap.began_us));
            data.insert("after".to_owned(), json!(gap.after));
            data.insert("ended".to_owned(), json!(now.utc_text()));
            data.insert("ended_us".to_owned(), json!(now.utc_us()));
            if self.append_state(EventKind::Gap, Kind::Gap, subject, data, now).await.is_some()
                && let Some(memory) = self.memory.devices.get_mut(subject)
            {
                memory.open_gaps.remove(&number);
            }
        }
    }

    pub(super) async fn identity(
        &mut self,
        device: &DeviceIdentity,
        identity: &crate::protocol::Identity,
        now: Moment,
    ) {
        let mut data = serde_json::Map::new();
        data.insert("model".to_owned(), json!(identity.model));
        data.insert("serial_number".to_owned(), json!(identity.serial_number));
        data.insert("firmware".to_owned(), json!(identity.firmware));
        let name = device.name.as_str();
        let _ = self.append_state(EventKind::DeviceState, Kind::DeviceState, name, data, now).await;
    }

    /// A record about a device, or about the box, that every destination gets.
    pub(super) async fn append_state(
        &mut self,
        event: EventKind,
        kind: Kind,
        subject: &str,
        data: serde_json::Map<String, serde_json::Value>,
        now: Moment,
    ) -> Option<Sequence> {
        let previous = |one: &DestinationTable| {
            let known = self.memory.last_routed.get(&one.name).copied().unwrap_or(0);
            (one.name.clone(), known)
        };
        let stored = Stored {
            kind: event,
            time: now.utc_text(),
            subject: subject.to_owned(),
            routes: self.destinations.iter().map(previous).collect(),
            data,
        };
        let sequence = self.append_one(kind, now.utc_us(), stored.to_bytes()).await?;
        for destination in &self.destinations {
            self.memory.last_routed.insert(destination.name.clone(), sequence.number());
        }
        if kind != Kind::Association {
            let memory = self.memory.devices.entry(subject.to_owned()).or_default();
            memory.last = Some((now.utc_us(), sequence.number()));
        }
        Some(sequence)
    }
}
