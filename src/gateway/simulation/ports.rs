//! Simulated serial lines and TCP connections, between the house's ports and devices.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::link::{Endpoint, Opening, Port, Ports};

/// What comes out of a device's line.
pub(super) enum FromDevice {
    Bytes(Vec<u8>),
    /// The port fails: a parity error, a break, an adapter that is gone.
    Fails(io::ErrorKind),
}

/// A device's end of an open connection; dropping it is the cable that is pulled.
pub(super) struct End {
    pub to_house: UnboundedSender<FromDevice>,
    pub from_house: UnboundedReceiver<Vec<u8>>,
}

/// The house's end.
struct Wire {
    from_device: UnboundedReceiver<FromDevice>,
    /// What came and was not read.
    rest: Vec<u8>,
    to_device: UnboundedSender<Vec<u8>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.from_device.poll_recv(context)) {
                Some(FromDevice::Bytes(bytes)) => self.rest = bytes,
                Some(FromDevice::Fails(kind)) => return Poll::Ready(Err(kind.into())),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = buffer.remaining().min(self.rest.len());
        let behind = self.rest.split_off(count);
        buffer.put_slice(&self.rest);
        self.rest = behind;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = self.to_device.send(bytes.to_vec());
        Poll::Ready(sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// All sockets of the box, by path or address.
#[derive(Clone, Default)]
pub(super) struct Sockets(Arc<Mutex<BTreeMap<String, Socket>>>);

#[derive(Default)]
struct Socket {
    is_unplugged: bool,
    device: Option<UnboundedSender<End>>,
}

impl Sockets {
    /// A device hangs itself on; whenever the house opens the port, it gets its end.
    pub fn attach(&self, name: &str) -> UnboundedReceiver<End> {
        let (device, ends) = unbounded_channel();
        self.0.lock().unwrap().entry(name.to_owned()).or_default().device = Some(device);
        ends
    }

    pub fn set_unplugged(&self, name: &str, is_unplugged: bool) {
        self.0.lock().unwrap().entry(name.to_owned()).or_default().is_unplugged = is_unplugged;
    }

    fn connect(&self, name: &str) -> io::Result<Port> {
        let sockets = self.0.lock().unwrap();
        let socket = sockets.get(name).filter(|socket| !socket.is_unplugged);
        let device = socket.and_then(|socket| socket.device.as_ref());
        let device = device.ok_or(io::ErrorKind::NotFound)?;
        let (to_house, from_device) = unbounded_channel();
        let (to_device, from_house) = unbounded_channel();
        device
            .send(End { to_house, from_house })
            .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(Port::of_stream(Wire { from_device, rest: Vec::new(), to_device }))
    }
}

impl Ports for Sockets {
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            match endpoint {
                Endpoint::Serial { path, .. } => self.connect(&path.to_string_lossy()),
                Endpoint::TcpClient { address } => self.connect(address),
                Endpoint::TcpServer { .. }
                | Endpoint::Udp { .. }
                | Endpoint::UdpDevice { .. }
                | Endpoint::Replay { .. } => Err(io::ErrorKind::Unsupported.into()),
            }
        })
    }
}
