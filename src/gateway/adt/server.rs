//! A port on which other systems of the hospital tell things in HL7 v2 over MLLP. One task per
//! connection; a message is answered before the next one is read, so nothing piles up here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::connection::sleep_until;
use crate::link::back_off::BackOff;
use crate::link::tls_server::{Renewed, ServerFiles};
use crate::link::{Heard, Port, clock, watch_peer};
use crate::protocol::hl7v2::mllp::{Framing, PieceKind};
use crate::protocol::{MessageId, Peer, Session};

/// A feed has one connection, an engine some; more than these at once is a mistake.
pub const CONNECTIONS_MAX: usize = 32;

/// Connections that have not shaken hands by then are let go.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

const READ_BYTES: usize = 16 << 10;

/// Who hears what comes on a port.
pub trait Hears: Send + Sync + 'static {
    /// Takes one message, with its framing, and says what the sender is told.
    fn hear(&self, raw: &[u8], id: MessageId) -> impl Future<Output = Vec<Vec<u8>>> + Send;

    /// Bytes came that are no whole message, for a reason.
    fn damaged(&self, kind: PieceKind);

    /// Where the port listens, or why it does not.
    fn listening(&self, what: Result<SocketAddr, String>);

    /// So many connections are open now.
    fn connections(&self, count: usize);
}

/// Listens until it is told to stop.
pub async fn serve<H: Hears>(
    listen: SocketAddr,
    files: ServerFiles,
    hears: Arc<H>,
    mut stop: watch::Receiver<bool>,
) {
    let mut back_off = BackOff::default();
    let listener = loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => break listener,
            Err(error) => {
                tracing::error!(%listen, %error, "cannot listen");
                hears.listening(Err(format!("tcp on {listen}: {error}")));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(back_off.next_wait()) => {}
            _ = stop.changed() => return,
        }
    };
    if let Ok(address) = listener.local_addr() {
        hears.listening(Ok(address));
    }
    let (sessions, files) = (AtomicU64::new(0), Arc::new(Renewed::of(files)));
    let mut connections = JoinSet::new();
    loop {
        hears.connections(connections.len());
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    let defect = error.is_panic();
                    tracing::error!(%listen, defect, "a connection's task has failed");
                }
                continue;
            }
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                let session = Session(sessions.fetch_add(1, Ordering::Relaxed));
                let (files, hears) = (Arc::clone(&files), Arc::clone(&hears));
                let stop = stop.clone();
                connections.spawn(async move {
                    if let Some(port) = shaken(stream, &files).await {
                        converse(port, session, &*hears, stop).await;
                    }
                });
            }
            Ok(_) => tracing::warn!(%listen, "too many connections: one was refused"),
            Err(error) => {
                tracing::warn!(%listen, %error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// The connection, after TLS has let it in where there is any.
async fn shaken(stream: TcpStream, files: &Renewed) -> Option<Port> {
    let acceptor = match files.acceptor() {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, "TLS of a port: its connection was not taken");
            return None;
        }
    };
    let Some(acceptor) = acceptor else { return Port::of_tcp(stream).ok() };
    stream.set_nodelay(true).ok()?;
    watch_peer(&stream).ok()?;
    let handshake = acceptor.accept(stream);
    match tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await {
        Ok(Ok(stream)) => Some(Port::of_stream(stream)),
        // What a peer sent is not repeated.
        Ok(Err(_)) => {
            tracing::warn!("TLS of a port: a connection was not let in");
            None
        }
        Err(_) => {
            tracing::warn!("TLS of a port: a connection did not shake hands in time");
            None
        }
    }
}

async fn converse<H: Hears>(
    mut port: Port,
    session: Session,
    hears: &H,
    mut stop: watch::Receiver<bool>,
) {
    let mut framing = Framing::new(clock::now());
    let mut buffer = vec![0; READ_BYTES];
    let mut number = 0;
    let mut open = true;
    while open {
        let wake = framing.next_wake();
        tokio::select! {
            biased;
            _ = stop.changed() => open = false,
            () = sleep_until(wake), if wake.is_some() => framing.wake(clock::now()),
            read = port.read(&mut buffer) => match read {
                Ok(Heard::Bytes { count, .. }) => {
                    framing.receive(buffer.get(..count).unwrap_or_default(), clock::now());
                }
                Ok(Heard::Closed | Heard::LineError(_)) | Err(_) => open = false,
            },
        }
        if !open {
            framing.close();
        }
        while let Some(piece) = framing.poll() {
            if piece.kind != PieceKind::Block {
                hears.damaged(piece.kind);
                continue;
            }
            number += 1;
            for answer in hears.hear(&piece.raw, MessageId { session, number }).await {
                // Who is gone sends again; what was kept is known then.
                if port.write(&answer, Peer::STREAM).await.is_err() {
                    return;
                }
            }
        }
    }
}
