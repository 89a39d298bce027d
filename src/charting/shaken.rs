//! The listener of the bedside: TLS hands are shaken beside each other, so one slow phone stops
//! nobody.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections that have not shaken hands by then are let go.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Hands that are being shaken at once; the others wait in the kernel.
const HANDSHAKES_MAX: usize = 64;
/// When no connection can be had for now, such as for want of file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Connections that have shaken hands.
pub struct Shaken {
    shaken: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Shaken {
    /// Accepts in the background until it is dropped, each connection by what `acceptor` gives
    /// then: certificates are renewed. Where it gives none, the connection is let go.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(
        listener: TcpListener,
        acceptor: impl Fn() -> Option<TlsAcceptor> + Send + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (tell, shaken) = mpsc::channel(16);
        tokio::spawn(async move {
            let turns = std::sync::Arc::new(tokio::sync::Semaphore::new(HANDSHAKES_MAX));
            loop {
                let Ok(turn) = std::sync::Arc::clone(&turns).acquire_owned().await else { return };
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = tell.closed() => return,
                };
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    continue;
                };
                let Some(acceptor) = acceptor() else { continue };
                let tell = tell.clone();
                tokio::spawn(async move {
                    let hands = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream));
                    match hands.await {
                        Ok(Ok(stream)) => drop(tell.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                        Err(_) => tracing::debug!("TLS took too long"),
                    }
                    drop(turn);
                });
            }
        });
        Ok(Self { shaken, address })
    }
}

/// Where a phone is, whatever the connection.
#[derive(Clone, Copy, Debug)]
pub struct PhoneAddress(pub SocketAddr);

impl Connected<IncomingStream<'_, Shaken>> for PhoneAddress {
    fn connect_info(stream: IncomingStream<'_, Shaken>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for PhoneAddress {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl axum::serve::Listener for Shaken {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.shaken.recv().await {
            Some(shaken) => shaken,
            // The accepting task lives as long as this does.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
