//! Who the monitor says it is: Connect Indication, MDS Create Event, and the attributes of the MDS
//! (facts/monitors.md 1.3, 1.9).
//!
//! A Connect Indication is `00 00 01 00` (nomenclature version) and an event report of the class
//! 0023 with the event 0D17.

use super::export::{self, EventReport, Export, PollResult};
use super::wire::{Attribute, Cursor, ascii, find, utf16};
use crate::protocol::Identity;

/// What every Connect Indication begins with.
const NOMENCLATURE_VERSION: [u8; 4] = [0x00, 0x00, 0x01, 0x00];
const EVENT_CONNECT_INDICATION: u16 = 0x0d17;

mod attribute {
    pub const BED_LABEL: u16 = 0x091e;
    pub const MODEL: u16 = 0x0928;
    pub const PRODUCTION: u16 = 0x092d;
    pub const TIME_ABSOLUTE: u16 = 0x0987;
    pub const TIME_RELATIVE: u16 = 0x098f;
    pub const PROTOCOLS: u16 = 0xf101;
    /// The monitor's or bed's label in a Connect Indication; its name is in no public code.
    pub const LABEL: u16 = 0xf135;
}

/// Application protocol "data out" over UDP.
const DATA_OUT: u16 = 5;
const UDP: u16 = 1;

/// The component that holds the system's software in both real indications.
const SYSTEM_SOFTWARE: u16 = 0x0058;

mod specification {
    pub const SERIAL_NUMBER: u16 = 1;
    pub const SOFTWARE_REVISION: u16 = 4;
}

/// What a monitor says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Says {
    /// Empty parts are not said.
    pub identity: Identity,
    /// The label of monitor or bed.
    pub label: String,
    /// The port that takes associations, where it announces one.
    pub port: Option<u16>,
    /// The monitor's clock: ticks and BCD, at the same moment.
    pub clock: Option<(u32, [u8; 8])>,
}

/// A Connect Indication; `None` if it is none.
pub(super) fn indication(message: &[u8]) -> Option<Says> {
    let mut cursor = Cursor::new(message);
    if cursor.array::<4>("a nomenclature version").ok()? != NOMENCLATURE_VERSION {
        return None;
    }
    let Ok(Export::Event { report, .. }) = export::operation(&mut cursor) else { return None };
    if report.event != EVENT_CONNECT_INDICATION {
        return None;
    }
    let attributes = Cursor::within(message, &report.information).attributes().ok()?;
    Some(of_attributes(message, &attributes))
}

/// An MDS Create Event: object (class, context, handle), then its attributes. One that cannot be
/// read says nothing; it is answered all the same.
pub(super) fn created(message: &[u8], report: &EventReport) -> Says {
    let mut information = Cursor::within(message, &report.information);
    let attributes =
        information.array::<6>("an object").ok().and_then(|_| information.attributes().ok());
    of_attributes(message, &attributes.unwrap_or_default())
}

/// The MDS in a poll result.
pub(super) fn polled(message: &[u8], poll: &PollResult) -> Says {
    let mut says = Says::default();
    for object in &poll.objects {
        let one = of_attributes(message, &object.attributes);
        let keep = |known: &mut String, said: String| {
            if known.is_empty() {
                *known = said;
            }
        };
        keep(&mut says.identity.model, one.identity.model);
        keep(&mut says.identity.serial_number, one.identity.serial_number);
        keep(&mut says.identity.firmware, one.identity.firmware);
        keep(&mut says.label, one.label);
        says.clock = says.clock.or(one.clock);
    }
    says
}

fn of_attributes(message: &[u8], attributes: &[Attribute]) -> Says {
    let value = |id| find(attributes, id).map(|found| Cursor::within(message, &found.value));
    let mut says = Says::default();
    if let Some(mut model) = value(attribute::MODEL) {
        says.identity.model = model_number(&mut model).unwrap_or_default();
    }
    if let Some(mut production) = value(attribute::PRODUCTION) {
        production_specification(&mut production, &mut says.identity);
    }
    let bed = value(attribute::BED_LABEL).and_then(|mut label| label.string().ok());
    let announced = || value(attribute::LABEL).map(|label| utf16(label.rest()));
    says.label = bed.filter(|bed| !bed.is_empty()).or_else(announced).unwrap_or_default();
    says.port = value(attribute::PROTOCOLS).and_then(|mut list| data_out_port(&mut list));
    let relative = value(attribute::TIME_RELATIVE).and_then(|mut time| time.u32("a time").ok());
    let absolute = value(attribute::TIME_ABSOLUTE).and_then(|mut time| time.array("a time").ok());
    says.clock = relative.zip(absolute);
    says
}

/// Manufacturer, then model number, each with its length.
fn model_number(model: &mut Cursor<'_>) -> Option<String> {
    let mut text = || {
        let length = model.u16("a length").ok()?;
        Some(ascii(model.part(usize::from(length), "a text").ok()?.rest()))
    };
    text()?;
    text()
}

/// Serial number and software revision. The list's own length counts: one real attribute is more
/// than twice as long as its list, and repeats it behind it.
fn production_specification(production: &mut Cursor<'_>, identity: &mut Identity) {
    let Ok((count, mut list)) = production.list("a production specification") else { return };
    let mut of_system = false;
    for _ in 0..count {
        let entry = (|| {
            let kind = list.u16("a specification type").ok()?;
            let component = list.u16("a component").ok()?;
            let length = list.u16("a length").ok()?;
            let text = ascii(list.part(usize::from(length), "a text").ok()?.rest());
            Some((kind, component, text))
        })();
        let Some((kind, component, text)) = entry else { return };
        match kind {
            specification::SERIAL_NUMBER if identity.serial_number.is_empty() => {
                identity.serial_number = text;
            }
            specification::SOFTWARE_REVISION
                if identity.firmware.is_empty() || (component == SYSTEM_SOFTWARE && !of_system) =>
            {
                of_system = component == SYSTEM_SOFTWARE;
                identity.firmware = text;
            }
            _ => {}
        }
    }
}

/// Entries of application protocol, transport, port and options; the sheet's rule: data out, UDP.
fn data_out_port(list: &mut Cursor<'_>) -> Option<u16> {
    let (count, mut entries) = list.list("a list of protocols").ok()?;
    for _ in 0..count {
        let application = entries.u16("an application protocol").ok()?;
        let transport = entries.u16("a transport").ok()?;
        let port = entries.u16("a port").ok()?;
        entries.u16("options").ok()?;
        if (application, transport) == (DATA_OUT, UDP) && port != 0 {
            return Some(port);
        }
    }
    None
}
