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
//! | `serial` | a local serial line, and the errors that it saw |
//! | `udp_device` | a device that is asked over UDP |

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::protocol::{LineError, Peer};

pub mod back_off;
pub mod capture;
pub mod clock;
mod serial;
#[cfg(test)]
pub(crate) mod simulated;
pub mod tls_server;
mod udp_device;

use serial::Marked;
use udp_device::UdpDevice;

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
    /// RTS and CTS govern who may send.
    pub rts_cts: bool,
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
    /// A device that is asked over UDP. `announcements`: where it broadcasts that it is there.
    UdpDevice { address: String, listen: SocketAddr, announcements: Option<SocketAddr> },
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
            Self::UdpDevice { address, .. } => format!("udp to {address}"),
            Self::Replay { file } => format!("replay of {}", file.display()),
        }
    }

    /// Whether bytes are lost for good when the box does not read for a while.
    pub const fn loses_unread_bytes(&self) -> bool {
        match self {
            Self::Serial { .. } | Self::Udp { .. } | Self::UdpDevice { .. } => true,
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

/// An open connection.
pub struct Port {
    inner: Inner,
}

enum Inner {
    Stream(Box<dyn Stream>),
    /// A stream in which the system marks the bytes that came damaged.
    Marked(Marked),
    UdpDevice(UdpDevice),
}

/// What one read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes stand at the head of the buffer: a chunk of a stream, or one datagram.
    Bytes { count: usize, from: Peer },
    /// The port saw an error at this place of the stream.
    LineError(LineError),
    /// Unplugged or closed, for ever.
    Closed,
}

impl Port {
    /// Opens a serial line, a TCP connection, a device over UDP or a replay.
    ///
    /// # Errors
    /// What the system says. Listening endpoints do not open this way.
    pub async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Serial { path, parameters } => serial::open(path, parameters),
            Endpoint::TcpClient { address } => {
                let connect = TcpStream::connect(address);
                let stream = tokio::time::timeout(CONNECT_TIMEOUT, connect).await??;
                Self::of_tcp(stream)
            }
            Endpoint::UdpDevice { address, listen, announcements } => {
                let device = UdpDevice::open(address, *listen, *announcements).await?;
                Ok(Self { inner: Inner::UdpDevice(device) })
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
        Ok(Self::of_stream(stream))
    }

    pub(crate) fn of_stream(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { inner: Inner::Stream(Box::new(stream)) }
    }

    /// A stream in which damaged bytes are marked as a terminal with `PARMRK` marks them.
    pub(crate) fn of_marked_stream(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        has_parity: bool,
    ) -> Self {
        Self { inner: Inner::Marked(Marked::new(Box::new(stream), has_parity)) }
    }

    /// Reads what is there. Safe to cancel.
    ///
    /// # Errors
    /// What the system says; the port is of no use afterwards.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        match &mut self.inner {
            Inner::Stream(stream) => Ok(match stream.read(buffer).await? {
                0 => Heard::Closed,
                count => Heard::Bytes { count, from: Peer::STREAM },
            }),
            Inner::Marked(marked) => marked.read(buffer).await,
            Inner::UdpDevice(device) => device.read(buffer).await,
        }
    }

    /// Writes a reply to the end.
    ///
    /// # Errors
    /// What the system says, or a time-out; the port is of no use afterwards.
    pub async fn write(&mut self, bytes: &[u8], to: Peer) -> io::Result<()> {
        let stream = match &mut self.inner {
            Inner::UdpDevice(device) => return device.write(bytes, to).await,
            Inner::Stream(stream) => stream,
            Inner::Marked(marked) => marked.stream(),
        };
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
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
