//! The world's end of a wire: bytes with receive moments, nothing more.
//!
//! A [`Port`] is an open serial line, TCP connection or replay. Opening, reopening with back-off
//! and telling an unplugged port apart live here; what the bytes mean does not. A local serial port
//! and a serial server's raw TCP look the same from above, but only the first one sees line errors.
//!
//! | file | what |
//! |---|---|
//! | `clock` | the only place that asks the box's clocks |
//! | `capture` | the text form of a capture, read and written |
//! | `back_off` | how long to wait before the next attempt |

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub mod back_off;
pub mod capture;
pub mod clock;
#[cfg(test)]
pub(crate) mod simulated;

/// How long a TCP connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a device may take to accept a reply. A reply is a few bytes; a device that does not
/// read for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is quiet for this long is asked whether it lives. A dead one is noticed within
/// 25 s of its last byte: facts/reliability.md 2.3 row 9 asks for 30.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_PROBES: u32 = 3;

/// What was sent must be received within this time, or the connection ends: without it the kernel
/// sends the same bytes again for a quarter of an hour, and keep-alive waits meanwhile. It also
/// ends a connection whose peer is there and never reads.
const RECEIVED_WITHIN: Duration = Duration::from_secs(20);

/// The parameters of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialParameters {
    pub baud: u32,
    pub data_bits: u8,
    pub parity: Parity,
    pub stop_bits: u8,
}

/// Parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// Where a device hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A local port by a path that stays the same (/dev/serial/by-id or by-path).
    Serial { path: PathBuf, parameters: SerialParameters },
    /// A device that listens, or a serial server's raw TCP.
    TcpClient { address: String },
    /// A device that connects to the box.
    TcpServer { listen: SocketAddr },
    /// A device that sends datagrams.
    Udp { listen: SocketAddr },
    /// A capture, played at its own pace once.
    Replay { file: PathBuf },
}

impl Endpoint {
    /// What the endpoint is, for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Serial { path, parameters } => {
                format!("serial {} at {} baud", path.display(), parameters.baud)
            }
            Self::TcpClient { address } => format!("tcp to {address}"),
            Self::TcpServer { listen } => format!("tcp on {listen}"),
            Self::Udp { listen } => format!("udp on {listen}"),
            Self::Replay { file } => format!("replay of {}", file.display()),
        }
    }

    /// Whether bytes are lost for good when the box does not read for a while.
    pub const fn loses_unread_bytes(&self) -> bool {
        match self {
            Self::Serial { .. } | Self::Udp { .. } => true,
            Self::TcpClient { .. } | Self::TcpServer { .. } | Self::Replay { .. } => false,
        }
    }
}

/// Opens ports: those of this box, or simulated ones.
pub trait Ports: Send + Sync {
    /// As [`Port::open`].
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a>;
}

/// A port that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Port>> + Send + 'a>>;

/// The ports of this box.
#[derive(Clone, Copy, Debug)]
pub struct BoxPorts;

impl Ports for BoxPorts {
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a> {
        Box::pin(Port::open(endpoint))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection of the stream kind.
pub struct Port {
    stream: Box<dyn Stream>,
}

impl Port {
    /// Opens a serial line, a TCP connection or a replay.
    ///
    /// # Errors
    /// What the system says. Listening endpoints do not open this way.
    pub async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Serial { path, parameters } => open_serial(path, parameters),
            Endpoint::TcpClient { address } => {
                let connect = TcpStream::connect(address);
                let stream = tokio::time::timeout(CONNECT_TIMEOUT, connect).await??;
                Self::of_tcp(stream)
            }
            Endpoint::Replay { file } => capture::replay(file),
            Endpoint::TcpServer { .. } | Endpoint::Udp { .. } => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a listening endpoint is not opened",
            )),
        }
    }

    /// An accepted or opened TCP connection.
    ///
    /// # Errors
    /// What the system says to `TCP_NODELAY`.
    pub fn of_tcp(stream: TcpStream) -> io::Result<Self> {
        // A reply of one byte must not wait for company: analysers count fifteen seconds.
        stream.set_nodelay(true)?;
        watch_peer(&stream)?;
        Ok(Self { stream: Box::new(stream) })
    }

    pub(crate) fn of_stream(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream) }
    }

    /// Reads what is there; 0 means unplugged or closed, for ever. Safe to cancel.
    ///
    /// # Errors
    /// What the system says; the port is of no use afterwards.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    /// Writes a reply to the end.
    ///
    /// # Errors
    /// What the system says, or a time-out; the port is of no use afterwards.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(WRITE_TIMEOUT, write).await?
    }
}

/// Makes the kernel notice a peer that is gone: one that lost its power says no goodbye, and
/// without this its connection stays for ever.
///
/// # Errors
/// What the system says.
pub fn watch_peer(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_PROBES)?;
    let within_ms = u32::try_from(RECEIVED_WITHIN.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, within_ms)?;
    Ok(())
}

fn open_serial(path: &Path, parameters: &SerialParameters) -> io::Result<Port> {
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
    let stream = tokio_serial::new(path.to_string_lossy(), parameters.baud)
        .data_bits(data_bits)
        .parity(parity)
        .stop_bits(stop_bits)
        // Soft flow control would swallow the bytes 11 and 13 of a binary protocol.
        .flow_control(FlowControl::None)
        .open_native_async()
        .map_err(io::Error::from)?;
    Ok(Port::of_stream(stream))
}
