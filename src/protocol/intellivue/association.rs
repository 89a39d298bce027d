//! Association control: ACSE in a fixed BER envelope (facts/monitors.md 1.4).
//!
//! ```text
//! | type | LI | session data | C1 | LI2 | fixed header | ASN length | user info | 16 x 00 |
//! ```
//! LI counts everything behind itself, LI2 likewise. Up to 254 it is one byte, else `FF hi lo`.

use super::wire::{Cursor, Short};

/// What association control says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Request,
    Accept {
        /// The shortest poll period that the monitor grants, in ticks of 1/8 ms, where its answer
        /// can be read so far.
        min_poll_period: Option<u32>,
    },
    Refuse,
    ReleaseRequest,
    ReleaseResponse,
    Abort,
}

/// The first byte of every association control message.
mod session {
    pub const REQUEST: u8 = 0x0d;
    pub const ACCEPT: u8 = 0x0e;
    pub const REFUSE: u8 = 0x0c;
    pub const RELEASE_REQUEST: u8 = 0x09;
    pub const RELEASE_RESPONSE: u8 = 0x0a;
    pub const ABORT: u8 = 0x19;
}

const SESSION_DATA: [u8; 14] =
    [0x05, 0x08, 0x13, 0x01, 0x00, 0x16, 0x01, 0x02, 0x80, 0x00, 0x14, 0x02, 0x00, 0x02];

const PRESENTATION: u8 = 0xc1;

/// Byte-identical in four independent clients; the last byte is the tag in front of the ASN length.
const REQUEST_HEADER: [u8; 131] = [
    0x31, 0x80, 0xa0, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0xa2, 0x80, 0xa0, 0x03, 0x00, 0x00, 0x01,
    0xa4, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0x06, 0x04, 0x52, 0x01, 0x00, 0x01, 0x30, 0x80, 0x06,
    0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x30, 0x80, 0x02, 0x01, 0x02, 0x06, 0x0c, 0x2a, 0x86,
    0x48, 0xce, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x30, 0x80, 0x06, 0x0c, 0x2a, 0x86,
    0x48, 0xce, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xa0, 0x80, 0x60, 0x80, 0xa1, 0x80, 0x06, 0x0c, 0x2a,
    0x86, 0x48, 0xce, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0xbe, 0x80, 0x28,
    0x80, 0x06, 0x0c, 0x2a, 0x86, 0x48, 0xce, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x02,
    0x01, 0x02, 0x81,
];

const TRAILER: [u8; 16] = [0; 16];

/// What stands in front of the ASN length of an accept.
const ACCEPT_MARK: [u8; 8] = [0xbe, 0x80, 0x28, 0x80, 0x02, 0x01, 0x02, 0x81];

const RELEASE_RESPONSE: [u8; 26] = [
    0x0a, 0x18, 0xc1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xa0, 0x80, 0x63, 0x80, 0x80,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

const ABORT: [u8; 48] = [
    0x19, 0x2e, 0x11, 0x01, 0x03, 0xc1, 0x29, 0xa0, 0x80, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01,
    0x06, 0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xa0,
    0x80, 0x64, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

const POLL_PROFILE_SUPPORT: u16 = 0x0001;
const POLL_PROFILE_EXTENSION: u16 = 0xf001;

/// Numerics every second, waves, enumerations: the options that clients in the field ask for.
const EXTENDED_OPTIONS: u32 = 0x8c00_0000;

/// Asks for an association: 238 bytes, of which period and message size are ours.
pub(super) fn request(min_poll_period: u32, message_bytes_max: u32) -> Vec<u8> {
    let user_info = user_info(min_poll_period, message_bytes_max);
    let mut presentation = REQUEST_HEADER.to_vec();
    // 72 bytes: the ASN length is one byte.
    presentation.push(u8::try_from(user_info.len()).unwrap_or(0));
    presentation.extend(user_info);
    presentation.extend(TRAILER);
    let mut session = SESSION_DATA.to_vec();
    session.push(PRESENTATION);
    session.extend(length_indicator(presentation.len()));
    session.extend(presentation);
    let mut message = vec![session::REQUEST];
    message.extend(length_indicator(session.len()));
    message.extend(session);
    message
}

fn user_info(min_poll_period: u32, message_bytes_max: u32) -> Vec<u8> {
    let mut info = Vec::new();
    let mut put = |word: u32| info.extend(word.to_be_bytes());
    put(0x8000_0000); // protocol MDDL version 1
    put(0x4000_0000); // nomenclature version
    put(0x0000_0000); // functional units
    put(0x8000_0000); // system type: client
    put(0x2000_0000); // cold start
    put(0x0000_0000); // option list: none
    put(0x0001_002c); // supported profiles: one
    put(u32::from(POLL_PROFILE_SUPPORT) << 16 | 0x0028);
    put(0x8000_0000); // revision
    put(min_poll_period);
    put(message_bytes_max); // we receive at most
    put(message_bytes_max); // we send at most
    put(0xffff_ffff); // bandwidth
    put(0x6000_0000); // objects come and go
    put(0x0001_000c); // optional packages: one
    put(u32::from(POLL_PROFILE_EXTENSION) << 16 | 0x0008);
    put(EXTENDED_OPTIONS);
    put(0x0000_0000);
    info
}

fn length_indicator(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(length) if length < 0xff => vec![length],
        Ok(_) | Err(_) => {
            let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
            vec![0xff, high, low]
        }
    }
}

/// The answer to a release request.
pub(super) fn release_response() -> Vec<u8> {
    RELEASE_RESPONSE.to_vec()
}

/// Ends an association without an answer.
pub(super) fn abort() -> Vec<u8> {
    ABORT.to_vec()
}

/// Reads an association control message; `None` if it is none, or not as long as it says.
pub(super) fn read(message: &[u8]) -> Option<Control> {
    let mut cursor = Cursor::new(message);
    let kind = cursor.byte("a session type").ok()?;
    let length = read_length(&mut cursor).ok()?;
    if length != cursor.left() {
        return None;
    }
    match kind {
        session::REQUEST => Some(Control::Request),
        session::ACCEPT => Some(Control::Accept { min_poll_period: granted(cursor.rest()) }),
        session::REFUSE => Some(Control::Refuse),
        session::RELEASE_REQUEST => Some(Control::ReleaseRequest),
        session::RELEASE_RESPONSE => Some(Control::ReleaseResponse),
        session::ABORT => Some(Control::Abort),
        _ => None,
    }
}

fn read_length(cursor: &mut Cursor<'_>) -> Result<usize, Short> {
    match cursor.byte("a length indicator")? {
        0xff => cursor.u16("a length indicator").map(usize::from),
        short => Ok(usize::from(short)),
    }
}

/// The granted poll period out of an accept.
fn granted(accept: &[u8]) -> Option<u32> {
    let mark = accept.windows(ACCEPT_MARK.len()).position(|window| window == ACCEPT_MARK)?;
    let mut cursor = Cursor::new(accept.get(mark + ACCEPT_MARK.len()..)?);
    let length = match cursor.byte("an ASN length").ok()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(cursor.byte("an ASN length").ok()?),
        0x82 => usize::from(cursor.u16("an ASN length").ok()?),
        _ => return None,
    };
    let mut info = cursor.part(length, "user info").ok()?;
    for _ in 0..5 {
        info.u32("versions, units, system type and start mode").ok()?;
    }
    info.attributes().ok()?;
    let profiles = info.attributes().ok()?;
    let support = super::wire::find(&profiles, POLL_PROFILE_SUPPORT)?;
    let mut support = Cursor::new(cursor_bytes(accept, mark, &support.value)?);
    support.u32("a revision").ok()?;
    support.u32("a poll period").ok()
}

/// `info` counts from behind the mark.
fn cursor_bytes<'a>(
    accept: &'a [u8],
    mark: usize,
    range: &std::ops::Range<usize>,
) -> Option<&'a [u8]> {
    accept.get(mark + ACCEPT_MARK.len()..)?.get(range.clone())
}

/// After how long without a message from us the monitor gives the association up
/// (facts/monitors.md 1.5).
pub(super) const fn time_out_ms(min_poll_period: u32) -> u64 {
    let period_ms = min_poll_period as u64 / 8;
    match period_ms {
        0..=3_300 => 10_000,
        3_301..=43_000 => 3 * period_ms,
        _ => 130_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace()
            .flat_map(|word| {
                let pairs = word.as_bytes().chunks(2);
                pairs.map(|pair| std::str::from_utf8(pair).unwrap().to_owned()).collect::<Vec<_>>()
            })
            .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
            .collect()
    }

    /// facts/monitors.md 1.4, part by part, with the period of 1 s that is written there and the
    /// largest LAN message.
    const REQUEST: &str = "0D EC 05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1 DC
        31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A4 80 30 80 02 01 01 06 04 52 01 00 01 30 80
        06 02 51 01 00 00 00 00 30 80 02
        01 02 06 0C 2A 86 48 CE 14 02 01 00 00 00 01 01 30 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 02
        01 00 00 00 00 00 00 61 80 30 80
        02 01 01 A0 80 60 80 A1 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 03 01 00 00 BE 80 28 80 06 0C
        2A 86 48 CE 14 02 01 00 00 00 01
        01 02 01 02 81 48
        80000000 40000000 00000000 80000000 20000000 0000 0000 0001 002C 0001 0028 80000000
        00001F40 00000554 00000554 FFFFFFFF 60000000 0001 000C F001 0008 8C000000 0000 0000
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

    /// The same page: an accept that grants 1 s.
    const ACCEPT: &str = "0E D4 05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1 C4
        31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A5 80 30 80 80 01 00 81 02 51 01 00 00 30 80
        80 01 00 81 0C 2A 86 48 CE 14 02 01 00 00 00 02 01 00 00 00 00 61 80 30 80 02 01 01 A0 80 61
        80 A1 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 03 01 00 00 A2 03 02 01 00 A3 05 A1 03 02 01 00
        BE 80 28 80 02 01 02 81 48
        80000000 40000000 00000000 00800000 20000000 0000 0000 0001 002C 0001 0028 80000000
        00001F40 00000554 00000554 FFFFFFFF 60000000 0001 000C F001 0008 8C000000 0000 0000
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

    #[test]
    fn the_request_is_the_sheets_to_the_byte() {
        let request = request(8000, 1364);
        assert_eq!(request.len(), 238);
        assert_eq!(request, hex(REQUEST));
        assert_eq!(read(&request), Some(Control::Request));
    }

    fn accept() -> Vec<u8> {
        let mut accept = hex(ACCEPT);
        // The sheet leaves both length indicators open.
        accept[1] = (accept.len() - 2) as u8;
        accept[17] = (accept.len() - 18) as u8;
        accept
    }

    #[test]
    fn an_accept_grants_a_poll_period() {
        let granted = Control::Accept { min_poll_period: Some(8000) };
        assert_eq!(read(&accept()), Some(granted));
        let mut other = accept();
        let mark = other.windows(8).position(|window| window == ACCEPT_MARK).unwrap();
        other[mark + 7] = 0;
        assert_eq!(read(&other), Some(Control::Accept { min_poll_period: None }));
        other.pop();
        assert_eq!(read(&other), None);
    }

    #[test]
    fn the_short_messages() {
        assert_eq!(read(&hex("0C 03 32 01 00")), Some(Control::Refuse));
        assert_eq!(read(&release_response()), Some(Control::ReleaseResponse));
        let mut release = release_response();
        (release[0], release[13]) = (0x09, 0x62);
        let worked =
            "09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00";
        assert_eq!(release, hex(worked));
        assert_eq!(read(&release), Some(Control::ReleaseRequest));
        assert_eq!((abort().len(), read(&abort())), (48, Some(Control::Abort)));
        for odd in ["", "0E", "0E FF", "0E FF 01", "0E 05 00", "19 00 00", "20 00"] {
            assert_eq!(read(&hex(odd)), None, "{odd}");
        }
    }

    #[test]
    fn long_messages_have_a_long_length() {
        // facts/monitors.md 1.4: 300 is FF 01 2C.
        assert_eq!(length_indicator(300), [0xff, 0x01, 0x2c]);
        assert_eq!((length_indicator(254), length_indicator(255)), (vec![254], vec![255, 0, 255]));
    }

    #[test]
    fn the_time_out_follows_the_poll_period() {
        let of_ms = |ms: u32| time_out_ms(ms * 8);
        assert_eq!((of_ms(1000), of_ms(3300)), (10_000, 10_000));
        assert_eq!((of_ms(4000), of_ms(43_000), of_ms(60_000)), (12_000, 129_000, 130_000));
    }
}
