//! An analyser that sends over LIS01, from facts/lab.md 1.2 and 1.3 alone.
//!
//! ```text
//! ENQ -> ACK, then per frame: STX FN text ETX C1 C2 CR LF -> ACK, then EOT
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const ENQ: u8 = 0x05;
pub const EOT: u8 = 0x04;
pub const ACK: u8 = 0x06;
pub const NAK: u8 = 0x15;

/// A sender waits 15 s for an answer (facts/lab.md 1.3).
const ANSWER: Duration = Duration::from_secs(15);

/// One connection.
pub struct Analyser {
    pub stream: TcpStream,
}

impl Analyser {
    /// A connection as analysers make it: they are the client.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer, one byte.
    pub fn answer(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// Sends and waits for the answer.
    pub fn ask(&mut self, bytes: &[u8]) -> io::Result<u8> {
        self.send(bytes)?;
        self.answer()
    }

    /// A whole transmission, one record per frame. `true` once the last frame is acknowledged.
    pub fn transmit(&mut self, records: &[String]) -> io::Result<bool> {
        if self.ask(&[ENQ])? != ACK {
            return Ok(false);
        }
        for (index, record) in records.iter().enumerate() {
            if self.ask(&frame(index + 1, record.as_bytes()))? != ACK {
                self.send(&[EOT])?;
                return Ok(false);
            }
        }
        self.send(&[EOT])?;
        Ok(true)
    }
}

/// The sum of bytes modulo 256, two capital hexadecimal digits.
pub fn checksum(body: &[u8]) -> String {
    format!("{:02X}", body.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 256)
}

/// One record in one frame. `number` counts from 1; the frame number is it modulo 8.
pub fn frame(number: usize, record: &[u8]) -> Vec<u8> {
    let mut body = format!("{}", number % 8).into_bytes();
    body.extend_from_slice(record);
    body.extend([b'\r', 0x03]);
    let sum = checksum(&body);
    [&[0x02], body.as_slice(), sum.as_bytes(), b"\r\n"].concat()
}

/// The records of one pH result (facts/lab.md 2.2 and 2.3: R.13 is when the test was completed).
pub fn ph_result(patient: &str, specimen: &str, ph: &str, completed: &str) -> Vec<String> {
    vec![
        format!("H|\\^&|||BG-7^1.8.2|||||||P|LIS2-A2|{completed}"),
        format!("P|1||{patient}"),
        format!("O|1|{specimen}||^^^pH|R"),
        format!("R|1|^^^pH|{ph}|||N||F||||{completed}"),
        "L|1|N".to_owned(),
    ]
}
