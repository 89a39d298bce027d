//! The sending side of MLLP with the enhanced accept acknowledgement: `0B message 1C 0D` out, an
//! acknowledgement with the message's own control id back.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Stop;
use super::clock::now_us;
use super::log::{Reading, SendLog};

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// How long an acknowledgement may take before the message goes again.
const ACK_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait before connecting, or sending a refused message, again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a message that was not acknowledged is still tried after the word to stop.
const LAST_TRIES: Duration = Duration::from_secs(11);
/// An acknowledgement is a few hundred bytes.
const ANSWER_MAX: usize = 16 << 10;

/// One message with what it says.
pub struct Message {
    pub number: u64,
    /// MSH-10.
    pub control_id: String,
    /// Segments, each with its CR.
    pub text: String,
    pub readings: Vec<Reading>,
}

/// What the receiver said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// CA or AA.
    Accepted,
    /// CE or AE: later perhaps.
    Error,
    /// CR or AR: never.
    Rejected,
}

/// The connection to the receiver, made anew whenever it is needed.
pub struct Sender {
    address: String,
    stream: Option<TcpStream>,
    /// What came behind the last whole block.
    received: Vec<u8>,
}

impl Sender {
    pub fn new(address: String) -> Self {
        Self { address, stream: None, received: Vec::new() }
    }

    /// Connects, however long it takes.
    pub async fn connected(&mut self) -> &mut TcpStream {
        loop {
            let made = match self.stream.take() {
                Some(stream) => Some(stream),
                None => {
                    self.received.clear();
                    TcpStream::connect(&self.address).await.ok()
                }
            };
            if let Some(stream) = made {
                return self.stream.insert(stream);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Sends the message until it is acknowledged or refused for good; `false` if it was told to
    /// stop and the tries are over.
    pub async fn deliver(
        &mut self,
        message: &Message,
        log: &mut SendLog,
        stop: &Stop,
    ) -> io::Result<bool> {
        let mut stop = stop.clone();
        let limit = async move {
            stop.or(std::future::pending::<()>()).await;
            tokio::time::sleep(LAST_TRIES).await;
        };
        tokio::select! {
            biased;
            delivered = self.until_answered(message, log) => delivered.map(|()| true),
            () = limit => Ok(false),
        }
    }

    async fn until_answered(&mut self, message: &Message, log: &mut SendLog) -> io::Result<()> {
        let mut block = vec![START];
        block.extend_from_slice(message.text.as_bytes());
        block.extend_from_slice(&END);
        let mut is_first = true;
        loop {
            if self.connected().await.write_all(&block).await.is_err() {
                self.stream = None;
                continue;
            }
            if std::mem::take(&mut is_first) {
                let sent_us = now_us();
                for reading in &message.readings {
                    log.sent(message.number, reading, sent_us)?;
                }
                log.flush()?;
            }
            match tokio::time::timeout(ACK_WITHIN, self.answer(&message.control_id)).await {
                Ok(Ok(Answer::Accepted)) => return log.acknowledged(message.number, now_us()),
                Ok(Ok(Answer::Rejected)) => {
                    return log.refused(message.number, "rejected by the receiver", now_us());
                }
                Ok(Ok(Answer::Error)) => tokio::time::sleep(AGAIN_AFTER).await,
                Ok(Err(_)) => self.stream = None,
                // Silence: the same bytes again on the same connection.
                Err(_) => {}
            }
        }
    }

    /// Reads until the answer to this message comes. Answers to others are late ones.
    async fn answer(&mut self, control_id: &str) -> io::Result<Answer> {
        loop {
            while let Some(block) = take_block(&mut self.received) {
                if let Some(answer) = answer_in(&block, control_id) {
                    return Ok(answer);
                }
            }
            if self.received.len() > ANSWER_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an endless answer"));
            }
            let Some(stream) = &mut self.stream else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            if stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The first whole block, taken out of what was received.
fn take_block(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = received.windows(END.len()).position(|pair| pair == END)?;
    let behind = received.split_off(end + END.len());
    let mut block = std::mem::replace(received, behind);
    block.truncate(end);
    let start = block.iter().position(|byte| *byte == START)?;
    Some(block.split_off(start + 1))
}

/// MSA-1, if MSA-2 is the control id.
fn answer_in(block: &[u8], control_id: &str) -> Option<Answer> {
    let text = String::from_utf8_lossy(block);
    let msa = text.split(['\r', '\n']).find(|segment| segment.starts_with("MSA|"))?;
    let mut fields = msa.split('|').skip(1);
    let code = fields.next()?;
    if fields.next()? != control_id {
        return None;
    }
    match code {
        "CA" | "AA" => Some(Answer::Accepted),
        "CE" | "AE" => Some(Answer::Error),
        "CR" | "AR" => Some(Answer::Rejected),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_out_whole_however_they_arrive() {
        let mut received = b"\x0bMSH|1\r\x1c\x0d\x0bMSH|2".to_vec();
        assert_eq!(take_block(&mut received).unwrap(), b"MSH|1\r");
        assert_eq!(take_block(&mut received), None);
        received.extend_from_slice(b"\r\x1c\x0d");
        assert_eq!(take_block(&mut received).unwrap(), b"MSH|2\r");
        assert!(received.is_empty());
    }

    #[test]
    fn only_the_answer_with_our_control_id_counts() {
        let answer = |text: &str| answer_in(text.as_bytes(), "77");
        assert_eq!(answer("MSH|^~\\&\rMSA|CA|77\r"), Some(Answer::Accepted));
        assert_eq!(answer("MSH|^~\\&\rMSA|AE|77|no room\r"), Some(Answer::Error));
        assert_eq!(answer("MSH|^~\\&\rMSA|CR|77\r"), Some(Answer::Rejected));
        assert_eq!(answer("MSH|^~\\&\rMSA|CA|777\r"), None);
        assert_eq!(answer("MSH|^~\\&\r"), None);
    }
}
