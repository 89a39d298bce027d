//! A local serial line. The system marks the bytes that came damaged (`PARMRK`, termios(3)), so
//! that an error has its place in the stream: `FF 00 x` is a damaged byte x, `FF 00 00` a break,
//! and a byte FF of the device comes twice.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{InputModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::io::AsyncReadExt as _;

use super::{Heard, Parity, Port, SerialParameters, Stream};
use crate::protocol::{LineError, Peer};

/// Opens a serial line.
///
/// # Errors
/// What the system says.
pub(super) fn open(path: &Path, parameters: &SerialParameters) -> io::Result<Port> {
    use tokio_serial::{DataBits, FlowControl, SerialPortBuilderExt, StopBits};
    let data_bits = match parameters.data_bits {
        5 => DataBits::Five,
        6 => DataBits::Six,
        7 => DataBits::Seven,
        _ => DataBits::Eight,
    };
    let parity = match parameters.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if parameters.stop_bits == 2 { StopBits::Two } else { StopBits::One };
    // Soft flow control would swallow the bytes 11 and 13 of a binary protocol.
    let flow = if parameters.rts_cts { FlowControl::Hardware } else { FlowControl::None };
    // Opened before the library takes the line for itself alone; it has no words for marks.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let line = rustix::fs::open(path, flags, Mode::empty())?;
    let stream = tokio_serial::new(path.to_string_lossy(), parameters.baud)
        .data_bits(data_bits)
        .parity(parity)
        .stop_bits(stop_bits)
        .flow_control(flow)
        .open_native_async()
        .map_err(io::Error::from)?;
    let mut settings = tcgetattr(&line)?;
    settings.input_modes |= InputModes::INPCK | InputModes::PARMRK;
    settings.input_modes &= !(InputModes::IGNPAR | InputModes::IGNBRK | InputModes::BRKINT);
    tcsetattr(&line, OptionalActions::Now, &settings)?;
    Ok(Port::of_marked_stream(stream, parameters.parity != Parity::None))
}

/// How many marked bytes are read at once.
const READ_BYTES: usize = 4096;

/// A stream with marks in it.
pub(super) struct Marked {
    stream: Box<dyn Stream>,
    has_parity: bool,
    /// Read and not handed on yet.
    waiting: Vec<u8>,
}

impl Marked {
    pub fn new(stream: Box<dyn Stream>, has_parity: bool) -> Self {
        Self { stream, has_parity, waiting: Vec::new() }
    }

    pub fn stream(&mut self) -> &mut Box<dyn Stream> {
        &mut self.stream
    }

    /// The bytes up to the next mark, or the mark. Safe to cancel.
    ///
    /// # Errors
    /// What the system says.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        loop {
            if let Some(heard) = self.next(buffer) {
                return Ok(heard);
            }
            let mut more = [0; READ_BYTES];
            match self.stream.read(&mut more).await? {
                0 => return Ok(Heard::Closed),
                count => self.waiting.extend_from_slice(more.get(..count).unwrap_or_default()),
            }
        }
    }

    /// `None`: more must be read first.
    fn next(&mut self, buffer: &mut [u8]) -> Option<Heard> {
        let (mut count, mut used) = (0, 0);
        let mut error = None;
        while let Some(place) = buffer.get_mut(count) {
            let rest = self.waiting.get(used..).unwrap_or_default();
            let (byte, takes) = match rest {
                [0xff, 0xff, ..] => (0xff, 2),
                [0xff, 0, damaged, ..] if count == 0 => {
                    used += 3;
                    error = Some(self.kind(*damaged));
                    break;
                }
                // What stands before a mark goes first. A lone FF waits for its second half.
                [0xff, 0, ..] | [0xff] | [] => break,
                [byte, ..] => (*byte, 1),
            };
            *place = byte;
            count += 1;
            used += takes;
        }
        self.waiting.drain(..used);
        match error {
            Some(error) => Some(Heard::LineError(error)),
            None => (count > 0).then_some(Heard::Bytes { count, from: Peer::STREAM }),
        }
    }

    /// The system does not tell parity from framing; without parity only framing is left.
    fn kind(&self, damaged: u8) -> LineError {
        match (damaged, self.has_parity) {
            (0, _) => LineError::Break,
            (_, true) => LineError::Parity,
            (_, false) => LineError::Framing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    async fn heard(
        bytes: &[u8],
        cut: usize,
        has_parity: bool,
    ) -> (Vec<u8>, Vec<(usize, LineError)>) {
        let (mut device, ours) = duplex(64);
        let mut marked = Marked::new(Box::new(ours), has_parity);
        let bytes = bytes.to_vec();
        let writes = tokio::spawn(async move {
            for part in bytes.chunks(cut) {
                device.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut plain, mut errors) = (Vec::new(), Vec::new());
        let mut buffer = [0; 7];
        loop {
            match marked.read(&mut buffer).await.unwrap() {
                Heard::Bytes { count, .. } => plain.extend_from_slice(&buffer[..count]),
                Heard::LineError(error) => errors.push((plain.len(), error)),
                Heard::Closed => break,
            }
        }
        writes.await.unwrap();
        (plain, errors)
    }

    #[tokio::test]
    async fn marks_have_their_place_and_bytes_stay_what_they_were() {
        // 'A', a byte FF, a damaged 'B', a break, 'C', FF, FF, 00.
        let wire = [0x41, 0xff, 0xff, 0xff, 0, 0x42, 0xff, 0, 0, 0x43, 0xff, 0xff, 0xff, 0xff, 0];
        for cut in 1..=wire.len() {
            let (plain, errors) = heard(&wire, cut, true).await;
            assert_eq!(plain, [0x41, 0xff, 0x43, 0xff, 0xff, 0], "cut {cut}");
            assert_eq!(errors, [(2, LineError::Parity), (2, LineError::Break)], "cut {cut}");
        }
        let (_, errors) = heard(&wire, 3, false).await;
        assert_eq!(errors[0], (2, LineError::Framing));
    }
}
