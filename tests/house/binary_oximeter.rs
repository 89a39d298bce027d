//! The frames of the made-up BX-2, from its device file's words.

/// CRC-16/MODBUS: start FFFF, polynomial A001 from the low end.
pub fn crc16_modbus(bytes: &[u8]) -> u16 {
    let mut crc = 0xffff_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            crc ^= 0xa001 * carry;
        }
    }
    crc
}

/// A frame of the made-up BX-2: AA 55, length, payload, checksum over length and payload.
pub fn frame(spo2_tenths: u16, pulse: u16, perfusion: u8, counter: u8) -> Vec<u8> {
    let mut checked = vec![7, 0x01];
    checked.extend(spo2_tenths.to_be_bytes());
    checked.extend(pulse.to_be_bytes());
    checked.extend([perfusion, counter]);
    [&[0xaa, 0x55], &checked[..], &crc16_modbus(&checked).to_le_bytes()].concat()
}
