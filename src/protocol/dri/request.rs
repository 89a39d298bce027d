//! Everything that is ever sent to a monitor: requests whose only free parts are the interval, the
//! classes and the waves of the device file (facts/monitors.md 2.3 and 2.4, GE document M1017617).
//! None of them changes anything at the monitor but what it sends over this line.

use super::record::{ALARM, HEADER, VALUES, WAVE};
use super::wire::framed;

/// Requests within 5 s of the one before are ignored by the monitor; the rest is the time that two
/// requests take on the wire.
pub const SPACING_MS: u64 = 5_500;

/// The shortest interval of displayed values.
pub const INTERVAL_S_MIN: u16 = 5;

const DISPLAYED: u8 = 1;
const AUXILIARY: u8 = 4;

/// Which classes a request asks for; the basic class always comes.
pub(super) const EXT1: u32 = 1 << 1;
pub(super) const EXT2: u32 = 1 << 2;
pub(super) const EXT3: u32 = 1 << 3;

/// Displayed values every so many seconds.
pub(super) fn displayed(interval_s: u16, classes: u32) -> Vec<u8> {
    values(DISPLAYED, interval_s, classes)
}

/// The times of cuff pressure, cardiac output and wedge pressure.
pub(super) fn auxiliary(interval_s: u16) -> Vec<u8> {
    values(AUXILIARY, interval_s, 0)
}

/// Subscribes one kind of sub-record; 0 s stops it.
fn values(kind: u8, interval_s: u16, classes: u32) -> Vec<u8> {
    let mut data = vec![kind];
    data.extend(interval_s.to_le_bytes());
    data.extend(classes.to_le_bytes());
    data.extend([0, 0]);
    framed(&record(VALUES, &data))
}

/// Waves from now on.
pub(super) fn start_waves(kinds: &[u8]) -> Vec<u8> {
    waves(0, kinds)
}

/// No more waves.
pub(super) fn stop_waves() -> Vec<u8> {
    waves(1, &[])
}

/// The kinds, ended by FF if there are fewer than eight, and the room for sixteen more.
fn waves(what: i16, kinds: &[u8]) -> Vec<u8> {
    const KINDS: usize = 8;
    let mut list: Vec<u8> = kinds.iter().copied().take(KINDS).collect();
    if list.len() < KINDS {
        list.push(0xff);
    }
    list.resize(KINDS, 0);
    let mut data = what.to_le_bytes().to_vec();
    data.extend([0, 0]);
    data.extend(list);
    data.extend([0; 16 + 4]);
    framed(&record(WAVE, &data))
}

/// Alarms whenever they change.
pub(super) fn differential_alarms() -> Vec<u8> {
    const ENTER: i16 = 2;
    let mut data = ENTER.to_le_bytes().to_vec();
    data.extend([0; 10]);
    framed(&record(ALARM, &data))
}

/// A request has one sub-record of kind 0, and zeros wherever the monitor would say who it is.
fn record(main_type: i16, data: &[u8]) -> Vec<u8> {
    // No request is longer than 72 bytes.
    let length = (HEADER + data.len()) as u16;
    let mut record = length.to_le_bytes().to_vec();
    record.resize(14, 0);
    record.extend(main_type.to_le_bytes());
    // The one sub-record begins at 0 and is of kind 0; 0xff ends the list of them.
    record.resize(21, 0);
    record.push(0xff);
    record.resize(HEADER, 0);
    record.extend(data);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trend is never asked for; its frame shows the escape of a checksum 7D.
    const TREND_60_S: u8 = 3;

    fn hex(text: &str) -> Vec<u8> {
        let read = |byte| u8::from_str_radix(byte, 16).unwrap();
        text.split_whitespace().map(read).collect()
    }

    /// The frames that the document prints (facts/monitors.md 2.3 and 2.4; GE document M1017617
    /// appendix A), in its order.
    #[test]
    fn the_printed_frames_are_sent_byte_for_byte() {
        let all = EXT1 | EXT2 | EXT3;
        assert_eq!(
            displayed(10, all),
            hex("7e 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 0a 00 0e 00 00 00 00 00 49 7e")
        );
        assert_eq!(
            values(DISPLAYED, 0, 0),
            hex("7e 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 31 7e")
        );
        assert_eq!(
            values(TREND_60_S, 60, all),
            hex("7e 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 3c 00 0e 00 00 00 00 00 7d 5d \
         7e")
        );
        assert_eq!(
            values(TREND_60_S, 0, 0),
            hex("7e 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 00 33 7e")
        );
        assert_eq!(
            start_waves(&[1]),
            hex("7e 48 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 ff 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 ff 00 00 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 48 7e")
        );
        assert_eq!(
            stop_waves(),
            hex("7e 48 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 ff 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 ff 00 00 00 00 00 00 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 48 7e")
        );
    }

    #[test]
    fn eight_waves_need_no_end() {
        let eight = start_waves(&[1, 4, 8, 9, 10, 11, 12, 13]);
        assert_eq!(eight[1 + 40..][..14], [0, 0, 0, 0, 1, 4, 8, 9, 10, 11, 12, 13, 0, 0]);
    }
}
