//! The serial line's framing: `C0 11 01 length user-data FCS C1`, FCS low byte first, C0, C1 and 7D
//! inside escaped by 7D and bit 5.

use crate::simulator::random::Random;

/// User data in a frame.
pub fn framed(user_data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(user_data.len()).unwrap_or(0).to_be_bytes();
    let mut inside = vec![0x11, 0x01, length[0], length[1]];
    inside.extend_from_slice(user_data);
    let check = check(&inside);
    inside.extend(check.to_le_bytes());
    let mut frame = vec![0xc0];
    for byte in inside {
        match byte {
            0xc0 | 0xc1 | 0x7d => frame.extend([0x7d, byte ^ 0x20]),
            _ => frame.push(byte),
        }
    }
    frame.push(0xc1);
    frame
}

/// CRC-16/X-25, a table of one bit at a time: polynomial 8408, start and end FFFF.
fn check(bytes: &[u8]) -> u16 {
    let mut crc: u16 = 0xffff;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x8408;
            }
        }
    }
    crc ^ 0xffff
}

/// What a client sends, put together to frames.
#[derive(Default)]
pub struct Frames {
    inside: Option<Vec<u8>>,
}

impl Frames {
    /// The user data of the frames that end in `bytes`. A client's bytes are never damaged here.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut messages = Vec::new();
        for byte in bytes {
            match (*byte, &mut self.inside) {
                (0xc0, inside) => *inside = Some(Vec::new()),
                (0xc1, inside) => {
                    let escaped = inside.take().ok_or("C1 outside a frame")?;
                    messages.push(user_data(&escaped)?);
                }
                (byte, Some(inside)) => inside.push(byte),
                (byte, None) => return Err(format!("{byte:02X} outside a frame")),
            }
        }
        Ok(messages)
    }
}

fn user_data(escaped: &[u8]) -> Result<Vec<u8>, String> {
    let mut inside = Vec::new();
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0x7d => inside.push(bytes.next().ok_or("an escape without a byte")? ^ 0x20),
            byte => inside.push(*byte),
        }
    }
    let at = inside.len().checked_sub(2).ok_or("a frame without FCS")?;
    let (checked, sent) = inside.split_at(at);
    if check(checked).to_le_bytes() != sent {
        return Err("a frame with a wrong FCS".to_owned());
    }
    match checked {
        [0x11, 0x01, high, low, user_data @ ..]
            if usize::from(u16::from_be_bytes([*high, *low])) == user_data.len() =>
        {
            Ok(user_data.to_vec())
        }
        _ => Err("a frame with a wrong header".to_owned()),
    }
}

/// Bytes that no checksum lets through: one bit turned in the middle, and a few of no protocol.
/// Over UDP, where the FCS is missing, the first byte makes it nobody's message.
pub fn noise(random: &mut Random, sent: &[u8]) -> Vec<u8> {
    let mut damaged = sent.to_vec();
    if sent.first() == Some(&0xc0) {
        let at = 6 + usize::try_from(random.below(8)).unwrap_or(0);
        if let Some(byte) = damaged.get_mut(at) {
            // Bit 0 makes neither C0, C1 nor 7D of anything but their neighbours.
            *byte ^= 0x08;
        }
        return damaged;
    }
    if let Some(first) = damaged.first_mut() {
        *first = 0x55;
    }
    damaged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_frame_of_the_sheet() {
        let release = [
            0x09, 0x18, 0xc1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xa0, 0x80, 0x62,
            0x80, 0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let frame = framed(&release);
        assert_eq!(frame[..10], [0xc0, 0x11, 0x01, 0x00, 0x1a, 0x09, 0x18, 0x7d, 0xe1, 0x16]);
        assert_eq!(frame[frame.len() - 3..], [0x41, 0x08, 0xc1]);
        assert_eq!(Frames::default().take(&frame), Ok(vec![release.to_vec()]));
        assert_eq!(check(b"123456789"), 0x906e);
    }

    #[test]
    fn noise_is_no_frame() {
        let mut random = Random::new(3);
        let frame = framed(&[0xe1, 0, 0, 2, 0, 2, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        for _ in 0..50 {
            assert!(Frames::default().take(&noise(&mut random, &frame)).is_err());
        }
    }
}
