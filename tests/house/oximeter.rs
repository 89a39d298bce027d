//! The lines of the made-up PO-100, from its device file's words: `$`, columns, `*`, XOR of what
//! stands between them in two hexadecimal digits, CR LF.

/// A line with a good checksum.
pub fn line(spo2: &str, pulse: &str, perfusion: &str) -> Vec<u8> {
    let checked = format!("PO,120000,{spo2},{pulse},{perfusion},00");
    format!("${checked}*{:02X}\r\n", xor(checked.as_bytes())).into_bytes()
}

/// Exclusive-or of all bytes.
pub fn xor(bytes: &[u8]) -> u8 {
    let mut sum = 0;
    for byte in bytes {
        sum ^= byte;
    }
    sum
}
