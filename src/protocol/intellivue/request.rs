//! What this family may send in the data export protocol; nothing else is ever sent
//! (facts/monitors.md 1.5, 1.6). Free are invoke id, poll number, the time of a reply, and what the
//! event that is answered says.

/// The object classes that are asked for.
pub(super) mod class {
    pub const NUMERIC: u16 = 0x0006;
    pub const WAVE: u16 = 0x0009;
    pub const MDS: u16 = 0x0021;
    pub const PATIENT: u16 = 0x002a;
    pub const ALERT_MONITOR: u16 = 0x0036;
}

/// The attribute groups that are asked for.
pub(super) mod group {
    pub const ALL: u16 = 0x0000;
    pub const ALERT_MONITOR: u16 = 0x0801;
    pub const OBSERVED_VALUE: u16 = 0x0803;
    pub const PATIENT: u16 = 0x0807;
    pub const DYNAMIC: u16 = 0x0810;
    pub const STATIC: u16 = 0x0811;
}

pub(super) const EVENT_MDS_CREATE: u16 = 0x0d06;
pub(super) const ACTION_POLL: u16 = 0x0c16;
pub(super) const ACTION_EXTENDED_POLL: u16 = 0xf13b;
const POLL_PERIOD: u16 = 0xf13e;
const WAVE_PRIORITY_LIST: u16 = 0xf23a;

/// Session id and presentation context of every data export message.
pub(super) const SESSION: [u8; 4] = [0xe1, 0x00, 0x00, 0x02];

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn message(words_behind_session: &[u16]) -> Vec<u8> {
    [SESSION.to_vec(), words(words_behind_session)].concat()
}

/// One reply, at once: 36 bytes.
pub(super) fn single_poll(invoke: u16, poll_number: u16, class: u16, group: u16) -> Vec<u8> {
    let action = [0x0021, 0, 0, 0, 0, ACTION_POLL, 8];
    let poll = [poll_number, 1, class, group];
    message(&[&[1, 0x1c, invoke, 7, 0x16], &action[..], &poll].concat())
}

/// Replies again and again for `period_ticks` of 1/8 ms, in the rhythm of the class: 48 bytes.
pub(super) fn extended_poll(
    invoke: u16,
    poll_number: u16,
    class: u16,
    group: u16,
    period_ticks: u32,
) -> Vec<u8> {
    let action = [0x0021, 0, 0, 0, 0, ACTION_EXTENDED_POLL, 0x14];
    let poll = [poll_number, 1, class, group];
    let mut bytes = message(
        &[&[1, 0x28, invoke, 7, 0x22], &action[..], &poll, &[1, 8, POLL_PERIOD, 4]].concat(),
    );
    bytes.extend(period_ticks.to_be_bytes());
    bytes
}

/// Chooses which waves are exported, by their labels. The one thing that is ever set on a device:
/// what it exports, never what it does, and only with the list of the device file.
pub(super) fn choose_waves(invoke: u16, labels: &[u32]) -> Vec<u8> {
    // A device file holds a handful: `IntellivueProfile::check`.
    let count = u16::try_from(labels.len()).unwrap_or(0);
    let list = 4 * count;
    let modification = list + 10;
    let argument = modification + 14;
    let set = [0x0021, 0, 0, 0, 0, 1, modification];
    let entry = [0, WAVE_PRIORITY_LIST, list + 4, count, list];
    let mut bytes = message(&[&[1, argument + 6, invoke, 5, argument], &set[..], &entry].concat());
    bytes.extend(labels.iter().take(usize::from(count)).flat_map(|label| label.to_be_bytes()));
    bytes
}

/// The answer to an MDS Create Event: 28 bytes.
pub(super) fn mds_create_result(invoke: u16, object: [u8; 6], time_ticks: u32) -> Vec<u8> {
    let mut bytes = message(&[2, 0x14, invoke, 1, 0x0e]);
    bytes.extend(object);
    bytes.extend(time_ticks.to_be_bytes());
    bytes.extend(words(&[EVENT_MDS_CREATE, 0]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        let pairs = digits.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_single_poll_is_the_worked_one() {
        // facts/monitors.md 1.2, second frame: numerics, all attributes.
        let worked = "E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C \
                      16 00 08 00 01 00 01 00 06 00 00";
        assert_eq!(single_poll(1, 1, class::NUMERIC, group::ALL), hex(worked));
    }

    #[test]
    fn an_extended_poll_nests_its_lengths() {
        // facts/monitors.md 1.6, field by field, for 60 s (480,000 ticks).
        let fields = "E1000002 0001 0028 0004 0007 0022 0021 0000 0000 00000000 F13B 0014 \
                      0003 0001 0036 0801 0001 0008 F13E 0004 00075300";
        assert_eq!(
            extended_poll(4, 3, class::ALERT_MONITOR, group::ALERT_MONITOR, 480_000),
            hex(fields)
        );
    }

    #[test]
    fn the_wave_list_is_set_as_the_sheet_says() {
        // facts/monitors.md 1.7: modify list `count 1, len, operator 0000, F23A, len, {count, len,
        // TextIds}`, ECG lead II alone.
        let fields = "E1000002 0001 0022 0000 0005 001C 0021 0000 0000 00000000 0001 000E 0000 \
                      F23A 0008 0001 0004 00020102";
        assert_eq!(choose_waves(0, &[0x0002_0102]), hex(fields));
        let two = choose_waves(0, &[0x0002_0102, 0x0002_4bb4]);
        assert_eq!(usize::from(u16::from_be_bytes([two[6], two[7]])), two.len() - 8);
        assert_eq!(usize::from(u16::from_be_bytes([two[12], two[13]])), two.len() - 14);
    }

    #[test]
    fn the_create_result_echoes_the_event() {
        let fields = "E1000002 0002 0014 0007 0001 000E 0021 0001 0000 000ABD00 0D06 0000";
        let object = [0x00, 0x21, 0x00, 0x01, 0x00, 0x00];
        assert_eq!(mds_create_result(7, object, 0x000a_bd00), hex(fields));
    }
}
