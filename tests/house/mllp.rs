//! A sender of HL7 v2 over MLLP, from facts/lab.md 3.1 alone: 0B, the message with CR ends, 1C 0D.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection.
pub struct Mllp {
    pub stream: TcpStream,
    pending: Vec<u8>,
}

/// MSA-1 and MSA-2 of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: String,
    pub control_id: String,
}

impl Mllp {
    /// A connection that waits for answers as long as a patient gateway does.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, pending: Vec::new() })
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a message in its frame.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.send_bytes(&framed(message))
    }

    /// The next answer.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == [0x1c, 0x0d]) {
                let block: Vec<u8> = self.pending.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&block).into_owned();
                let msa = text.split('\r').find(|segment| segment.starts_with("MSA|"));
                let fields: Vec<&str> = msa.unwrap_or_default().split('|').collect();
                let field = |index: usize| fields.get(index).copied().unwrap_or("?").to_owned();
                return Ok(Answer { code: field(1), control_id: field(2) });
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.pending.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Sends a message and waits for its answer.
    pub fn ask(&mut self, message: &[u8]) -> io::Result<Answer> {
        self.send(message)?;
        self.answer()
    }
}

/// A message in its frame.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&[0x0b], message, &[0x1c, 0x0d]].concat()
}

/// What varies in an observation message of a monitor (facts/semantics.md 1.1).
#[derive(Clone, Copy)]
pub struct Vital<'a> {
    /// MSH-7.
    pub sent: &'a str,
    /// MSH-10.
    pub control_id: &'a str,
    /// OBR-7.
    pub time: &'a str,
    pub patient: &'a str,
    pub heart_rate: &'a str,
}

/// An ORU^R01 with one heart rate, in the original acknowledgement mode.
pub fn vital(vital: Vital<'_>) -> Vec<u8> {
    let Vital { sent, control_id, time, patient, heart_rate } = vital;
    format!(
        "MSH|^~\\&|MON^0011223344556677^EUI-64||||{sent}||ORU^R01^ORU_R01|{control_id}|P|2.6\r\
         PID|||{patient}^^^WARD^MR\r\
         OBR|1||1^MON|182777000^monitoring of patient^SCT|||{time}\r\
         OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|{heart_rate}|\
         264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R\r"
    )
    .into_bytes()
}
