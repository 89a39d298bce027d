//! The family as a whole: bytes in, messages and acknowledgements out.
//!
//! | file | what it holds against the driver |
//! |---|---|
//! | `text` | Finnish names and units, odd lines, delimiters |
//! | `values` | what each kind of OBX becomes |
//! | `subjects` | patients, specimens, modes, and that none is carried over |
//! | `answers` | which acknowledgement, when, in which order |
//! | `streams` | framing, cuts anywhere, limits, time |
//! | `corpus` | every real message at hand |
//! | `oracle` | field texts against the crate hl7-parser |
//! | `known` | what was read before is read as if nothing were known |
//! | `mutations` | damaged messages: no panic, and the same events however they are cut |

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{Hl7v2Driver, Hl7v2Profile};
use crate::protocol::{
    Driver, Event, LinkChange, Message, MessageId, Peer, Session, Settled, Site,
};
use crate::vocabulary::{Certainty, Moment, Reading};

mod answers;
mod corpus;
mod known;
mod mutations;
mod oracle;
mod streams;
mod subjects;
mod text;
mod values;

/// 2026-11-23T02:33:00Z.
const NOW: Moment = Moment::new(1_000_000, 1_795_401_180_000_000, Certainty::Synchronised);

fn profile(text: &str) -> Hl7v2Profile {
    toml::from_str(text).unwrap()
}

fn driver(profile: Hl7v2Profile, site: Site) -> Hl7v2Driver {
    let mut driver = Hl7v2Driver::new(Arc::new(profile), site);
    driver.link(LinkChange::Opened { session: Session(1) }, NOW);
    driver
}

fn drain(driver: &mut Hl7v2Driver) -> Vec<Event> {
    std::iter::from_fn(|| driver.poll()).collect()
}

/// A block of lines, ended as on the wire.
fn block(lines: &[&[u8]]) -> Vec<u8> {
    let mut block = vec![0x0B];
    for line in lines {
        block.extend_from_slice(line);
        block.push(b'\r');
    }
    block.extend_from_slice(b"\x1C\x0D");
    block
}

const MSH: &[u8] = b"MSH|^~\\&|MON|ICU|WARDGATE|HVA|20261123043300+0200||ORU^R01^ORU_R01|42|P|2.6";

/// The message that comes out of one block.
fn read_with(profile: Hl7v2Profile, site: Site, block: &[u8]) -> Message {
    let mut driver = driver(profile, site);
    driver.receive(block, Peer::STREAM, NOW);
    let mut messages = drain(&mut driver).into_iter().filter_map(|event| match event {
        Event::Message(message) => Some(message),
        Event::Send { .. }
        | Event::Samples(_)
        | Event::Identity(_)
        | Event::Trouble { .. }
        | Event::Close { .. } => None,
    });
    let message = messages.next().expect("a message");
    assert_eq!(messages.next(), None);
    message
}

fn read(lines: &[&[u8]]) -> Message {
    read_with(Hl7v2Profile::default(), Site::default(), &block(lines))
}

fn readings(message: &Message) -> Vec<&Reading> {
    message.groups.iter().flat_map(|group| &group.readings).collect()
}

/// What is sent once message `number` of session 1 is settled.
fn sent(driver: &mut Hl7v2Driver, number: u64, how: Settled) -> Vec<String> {
    driver.settled(MessageId { session: Session(1), number }, how, NOW);
    drain(driver)
        .into_iter()
        .filter_map(|event| match event {
            Event::Send { bytes, .. } => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Event::Message(_)
            | Event::Samples(_)
            | Event::Identity(_)
            | Event::Trouble { .. }
            | Event::Close { .. } => None,
        })
        .collect()
}
