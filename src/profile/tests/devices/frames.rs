//! Devices that send frames and need not be asked.

use super::read;

const NONIN: &str = include_str!("../../../../device-profiles/nonin/format-7-13/profile.toml");

/// A packet by facts/monitors.md 4.3: `numbers` by frame from 1, every other one 0.
fn packet(status: u8, numbers: &[(usize, u8)]) -> Vec<u8> {
    let mut packet = Vec::new();
    for frame in 1..=25 {
        let first = u8::from(frame == 1);
        let number = numbers.iter().find(|(at, _)| *at == frame).map_or(0, |(_, number)| *number);
        let head = [0x80 | first | status, 0x7f, 0x3c, number];
        let sum = head.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        packet.extend(head);
        packet.push(sum);
    }
    packet
}

#[test]
fn nonin_the_published_frame_has_its_sum() {
    // `83 7F 3C 62` gives A0: the first frame, green perfusion, byte 4 is 62.
    assert_eq!(packet(0x02, &[(1, 0x62)])[..5], [0x83, 0x7f, 0x3c, 0x62, 0xa0]);
}

#[test]
fn nonin_numbers_stand_in_their_frames() {
    // 261 = 10_0000101: the high two bits in frame 1, the low seven in frame 2.
    let numbers = [(1, 0x02), (2, 0x05), (3, 97), (4, 14), (9, 96), (14, 1)];
    assert_eq!(read(NONIN, &packet(0x02, &numbers)), ["spo2=97; pulse-rate-pleth=261"]);
    let missing = [(1, 0x03), (2, 0x7f), (3, 127)];
    let none = "spo2:not-available; pulse-rate-pleth:not-available";
    assert_eq!(read(NONIN, &packet(0, &missing)), [none]);
    // A saturation that cannot be refuses the packet.
    assert_eq!(read(NONIN, &packet(0, &[(2, 60), (3, 101)])), ["!unreadable"]);
}

#[test]
fn nonin_status_bits_void_and_mark() {
    let numbers = [(2, 60), (3, 97)];
    let seen = |status| read(NONIN, &packet(status, &numbers)).remove(0);
    assert_eq!(
        seen(0x06),
        "spo2=97 [red-or-yellow-perfusion]; \
                            pulse-rate-pleth=60 [red-or-yellow-perfusion]"
    );
    assert_eq!(seen(0x20), "spo2=97 [artefact]; pulse-rate-pleth=60 [artefact]");
    let off = "spo2:sensor-fault [sensor-alarm]; pulse-rate-pleth:sensor-fault [sensor-alarm]";
    assert_eq!(seen(0x08), off);
    let lost = "spo2:invalid [out-of-track]; pulse-rate-pleth:invalid [out-of-track]";
    assert_eq!(seen(0x10), lost);
    // One frame of the 25 is enough.
    let mut one = packet(0, &numbers);
    one[60] |= 0x08;
    one[64] = one[64].wrapping_add(0x08);
    assert_eq!(read(NONIN, &one), [off]);
    let battery = [(2, 60), (3, 97), (8, 0x01)];
    let low = "spo2=97 [low-battery]; pulse-rate-pleth=60 [low-battery]";
    assert_eq!(read(NONIN, &packet(0, &battery)), [low]);
}

#[test]
fn nonin_a_damaged_or_torn_packet_gives_nothing_and_the_next_one_everything() {
    let good = packet(0x02, &[(2, 60), (3, 97)]);
    let value = "spo2=97; pulse-rate-pleth=60";
    for at in [0, 2, 13, 14, 57, 124] {
        let mut damaged = good.clone();
        damaged[at] ^= 0x04;
        let seen = read(NONIN, &[damaged, good.clone()].concat());
        assert_eq!(seen.last().unwrap(), value, "{at}");
        assert!(seen[..seen.len() - 1].iter().all(|one| one.starts_with('!')), "{at}: {seen:?}");
    }
    for lost in [0, 1, 5, 60, 124] {
        let mut torn = good.clone();
        torn.remove(lost);
        let seen = read(NONIN, &[torn, good.clone()].concat());
        assert_eq!(seen.iter().filter(|one| *one == value).count(), 1, "{lost}: {seen:?}");
        assert!(seen.iter().all(|one| one == value || one.starts_with('!')), "{lost}: {seen:?}");
    }
}
