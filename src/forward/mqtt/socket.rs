//! The TCP side of the MQTT client: small packets leave at once, and so do TCP's own receipts.
//!
//! MQTT is many small packets in both directions, and the defaults of TCP hold each back for up to
//! 40 ms: Nagle's algorithm waits with a small packet until the one before it is received, and
//! delayed acknowledgement waits with saying so. We turn off the first for what we send, and the
//! second for what we receive, because brokers keep Nagle's algorithm on unless told otherwise
//! (Mosquitto's `set_tcp_nodelay` is false by default, rumqttd has no such setting).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rumqttc::{MqttOptions, NetworkOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A name may stand for several addresses, and a dead one must leave time for the others within
/// the client's 5 seconds. One lost SYN (sent again after 1 s) fits.
const ADDRESS_WITHIN: Duration = Duration::from_millis(1500);

/// Makes the client of these options use sockets without either wait.
pub fn without_waits(options: &mut MqttOptions) {
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    options.set_socket_connector(connect);
}

async fn connect(host: String, network: NetworkOptions) -> io::Result<Prompt> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(host).await?.collect();
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let connecting = rumqttc::default_socket_connect(address.to_string(), network.clone());
        match tokio::time::timeout(ADDRESS_WITHIN, connecting).await {
            Ok(Ok(stream)) => {
                crate::link::watch_peer(&stream)?;
                return Ok(Prompt { stream });
            }
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

/// A connection that tells its peer at once what has arrived.
struct Prompt {
    stream: TcpStream,
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            // The kernel falls back by itself, so it is asked each time. Without it the
            // connection is only slower.
            let _ = self.stream.set_quickack(true);
        }
        polled
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
