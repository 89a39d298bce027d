//! Device files of real devices, on the examples that their sources print.

use std::sync::LazyLock;

use super::*;
use crate::protocol::{Driver, Event, LinkChange, Message, Peer, Session};
use crate::vocabulary::{Certainty, DeviceCode, Moment, Reading};

mod asked;
mod damage;
mod frames;
mod hl7;
mod lines;

const START: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);

/// Read once: it is large.
static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    Vocabulary::parse(
        include_str!("../../../device-profiles/vocabulary/parameters.toml"),
        include_str!("../../../device-profiles/vocabulary/units.toml"),
    )
    .unwrap()
});

pub(super) fn profile(text: &str) -> Profile {
    Profile::read(text, &VOCABULARY, Drafts::Accepted).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems.iter().map(|one| one.in_file("", text)).collect();
        panic!("{}", shown.join("\n"))
    })
}

/// A driver with its link open.
pub(super) fn opened(text: &str) -> Box<dyn Driver> {
    let profile = profile(text);
    let mut driver = profile.driver(&profile.file().firmware.tested[0], Site::default());
    driver.link(LinkChange::Opened { session: Session(1) }, START);
    driver
}

/// What comes of bytes, each message in a line: `spo2=097 [mark]`, `spo2:probe-off`, `!checksum`.
/// Bytes come one by one and in one piece, and nothing may differ.
pub(super) fn read(text: &str, bytes: &[u8]) -> Vec<String> {
    let mut whole = opened(text);
    whole.receive(bytes, Peer::STREAM, START);
    let whole: Vec<Message> = messages(whole.as_mut());
    let mut bytewise = opened(text);
    bytes.iter().for_each(|byte| bytewise.receive(&[*byte], Peer::STREAM, START));
    assert_eq!(messages(bytewise.as_mut()), whole, "cuts change nothing");
    whole.iter().map(shown).collect()
}

pub(super) fn messages(driver: &mut dyn Driver) -> Vec<Message> {
    std::iter::from_fn(|| driver.poll())
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            Event::Send { .. }
            | Event::Samples(_)
            | Event::Identity(_)
            | Event::Trouble { .. }
            | Event::Close { .. } => None,
        })
        .collect()
}

pub(super) fn shown(message: &Message) -> String {
    let reading = |reading: &Reading| {
        let name = match &reading.code {
            DeviceCode::Parameter(name) => name.clone(),
            DeviceCode::Codings(codings) => format!("({})", codings[0].code),
        };
        let channel =
            if reading.sub_id.is_empty() { String::new() } else { format!("@{}", reading.sub_id) };
        let value = match reading.value.absent_reason() {
            Some(reason) => format!(":{reason}"),
            None => format!("={}", reading.value.as_sent()),
        };
        let flags: Vec<&str> = reading.flags.iter().map(|flag| flag.0.as_str()).collect();
        let marks =
            if flags.is_empty() { String::new() } else { format!(" [{}]", flags.join(", ")) };
        format!("{name}{channel}{value}{marks}")
    };
    let readings = message.groups.iter().flat_map(|group| &group.readings).map(reading);
    let refused = message.refusals.iter().map(|refused| format!("!{}", refused.why.as_str()));
    let firmware = message.firmware.iter().map(|firmware| format!("firmware {firmware}"));
    readings.chain(refused).chain(firmware).collect::<Vec<_>>().join("; ")
}
