//! A connection to a receiver of HL7 v2, with TLS where its table names files.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::{Peer, TlsFiles, why_network};

/// What bytes go over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Connects. What is seen of the receiver's certificate is noted in `peer`.
///
/// # Errors
/// What is wrong with the files, or the sort of a network's error, without a word of the peer.
pub async fn connect(
    host: &str,
    port: u16,
    tls: &TlsFiles,
    peer: &Arc<Peer>,
) -> Result<Box<dyn Wire>, String> {
    let client = tls.client(peer).map_err(|error| error.to_string())?;
    let network = |error: std::io::Error| why_network(&error);
    // An IPv6 address comes without brackets here.
    let tcp = TcpStream::connect((host, port)).await.map_err(network)?;
    tcp.set_nodelay(true).map_err(network)?;
    let Some(client) = client else { return Ok(Box::new(tcp)) };
    let name = match host.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_) => {
            ServerName::try_from(host.to_owned()).map_err(|_| "the host is no name".to_owned())?
        }
    };
    let shaking_hands = TlsConnector::from(client).connect(name, tcp);
    Ok(Box::new(shaking_hands.await.map_err(network)?))
}
