//! What lines, cables and foreign programs do to good bytes.

use super::XorShift;

/// One to three blows: flipped bits, other bytes, control characters, lost and doubled pieces.
pub fn mutated(good: &[u8], random: &mut XorShift) -> Vec<u8> {
    const TELLING: [u8; 16] = *b"\x02\x03\x04\x05\x0b\x17\x1c\r\n|^$*,\xaa\x55";
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(8) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 => bytes[at] = TELLING[random.below(TELLING.len())],
            4 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
            5 => drop(bytes.remove(at)),
            6 => bytes.truncate(at),
            _ => {
                let end = at + random.below(bytes.len() - at);
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}
