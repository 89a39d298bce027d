//! The sending side of MLLP: `0B message 1C 0D` out, an acknowledgement with the message's own
//! control id back, of the kind that the message asked for. Any other kind is a breach.

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
    pub asks_for: Acknowledgement,
    pub charset: Charset,
}

/// Which acknowledgement a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// CA, CE or CR: MSH-15 is AL, MSH-16 NE.
    Accept,
    /// AA, AE or AR: MSH-15 is NE and MSH-16 AL, or both are empty.
    Application,
}

/// How a message's characters become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    Utf8,
    /// ISO 8859-1. A character that it does not have becomes a question mark.
    Latin1,
}

impl Message {
    /// The message in its block.
    pub fn block(&self) -> Vec<u8> {
        let mut block = vec![START];
        match self.charset {
            Charset::Utf8 => block.extend_from_slice(self.text.as_bytes()),
            Charset::Latin1 => {
                let byte = |character| u8::try_from(u32::from(character)).unwrap_or(b'?');
                block.extend(self.text.chars().map(byte));
            }
        }
        block.extend_from_slice(&END);
        block
    }
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
    /// How often a message was acknowledged otherwise than it asked for.
    pub breaches: u64,
    /// When a message goes again that nobody has acknowledged; never while the connection stands,
    /// where no source says that such a device does that.
    again_after: Option<Duration>,
}

impl Sender {
    pub fn new(address: String) -> Self {
        let (stream, received) = (None, Vec::new());
        Self { address, stream, received, breaches: 0, again_after: Some(ACK_WITHIN) }
    }

    /// The same, but it waits for an acknowledgement as long as the connection stands.
    pub fn that_waits(self) -> Self {
        Self { again_after: None, ..self }
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
        let block = message.block();
        let (mut is_first, again_after) = (true, self.again_after);
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
            let answer = self.answer(&message.control_id);
            let answered = match again_after {
                // Silence: the same bytes again on the same connection.
                Some(time) => match tokio::time::timeout(time, answer).await {
                    Ok(answered) => answered,
                    Err(_) => continue,
                },
                None => answer.await,
            };
            let Ok((kind, answer)) = answered else {
                self.stream = None;
                continue;
            };
            if kind != message.asks_for {
                self.breaches += 1;
                log.breach(message.number, "an acknowledgement that was not asked for")?;
            }
            match answer {
                Answer::Accepted => return log.acknowledged(message.number, now_us()),
                Answer::Rejected => {
                    return log.refused(message.number, "rejected by the receiver", now_us());
                }
                Answer::Error => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// Puts bytes on the wire that nobody answers. `false` if nobody is there to take them.
    pub async fn tell(&mut self, bytes: &[u8]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let is_told = stream.write_all(bytes).await.is_ok();
        if !is_told {
            self.stream = None;
        }
        is_told
    }

    /// The connection is gone without a goodbye; the next message makes a new one.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    /// Reads until the answer to this message comes. Answers to others are late ones.
    async fn answer(&mut self, control_id: &str) -> io::Result<(Acknowledgement, Answer)> {
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
fn answer_in(block: &[u8], control_id: &str) -> Option<(Acknowledgement, Answer)> {
    let text = String::from_utf8_lossy(block);
    let msa = text.split(['\r', '\n']).find(|segment| segment.starts_with("MSA|"))?;
    let mut fields = msa.split('|').skip(1);
    let code = fields.next()?;
    if fields.next()? != control_id {
        return None;
    }
    let (kind, outcome) = code.split_at_checked(1)?;
    let kind = match kind {
        "C" => Acknowledgement::Accept,
        "A" => Acknowledgement::Application,
        _ => return None,
    };
    let outcome = match outcome {
        "A" => Answer::Accepted,
        "E" => Answer::Error,
        "R" => Answer::Rejected,
        _ => return None,
    };
    Some((kind, outcome))
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
    fn characters_become_bytes_of_the_messages_own_set() {
        let message = |charset| Message {
            number: 1,
            control_id: String::new(),
            text: "h\u{e4}\r".to_owned(),
            readings: Vec::new(),
            asks_for: Acknowledgement::Accept,
            charset,
        };
        assert_eq!(message(Charset::Utf8).block(), b"\x0bh\xc3\xa4\r\x1c\x0d");
        assert_eq!(message(Charset::Latin1).block(), b"\x0bh\xe4\r\x1c\x0d");
    }

    #[test]
    fn only_the_answer_with_our_control_id_counts() {
        let answer = |text: &str| answer_in(text.as_bytes(), "77");
        use Acknowledgement::{Accept, Application};
        let taken = "MSH|^~\\&\rMSA|CA|77\r";
        assert_eq!(answer(taken), Some((Accept, Answer::Accepted)));
        let error = "MSH|^~\\&\rMSA|AE|77|no room\r";
        assert_eq!(answer(error), Some((Application, Answer::Error)));
        assert_eq!(answer("MSH|^~\\&\rMSA|CR|77\r"), Some((Accept, Answer::Rejected)));
        assert_eq!(answer("MSH|^~\\&\rMSA|CB|77\r"), None);
        assert_eq!(answer("MSH|^~\\&\rMSA|CA|777\r"), None);
        assert_eq!(answer("MSH|^~\\&\r"), None);
    }
}
