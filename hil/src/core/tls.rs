//! TLS of the stand-in's HTTP listener; with an authority of clients, both sides prove themselves.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Error;

/// The files of the listener; none: it is plain.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Files {
    /// The certificate of the HTTP listener, PEM.
    #[arg(long, requires = "key")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// The authority of clients, PEM: then only clients with its certificate are let in.
    #[arg(long, requires = "certificate")]
    pub client_ca: Option<PathBuf>,
}

/// Connections that have not shaken hands by then are let go.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// What the files make; `None` without files.
pub fn acceptor(files: &Files) -> Result<Option<TlsAcceptor>, Error> {
    let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
        return Ok(None);
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|_| Error::Tls("key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::Tls("versions"))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(ca)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|_| Error::Tls("client_ca"))?)
        }
    };
    let config =
        builder.with_single_cert(chain, key).map_err(|_| Error::Tls("certificate and key"))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(path).map_err(|_| Error::Tls("certificate"))?;
    found.collect::<Result<_, _>>().map_err(|_| Error::Tls("certificate"))
}

/// Connections that have shaken hands.
pub struct Listener {
    shaken: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Listener {
    /// Shakes hands beside each other: one slow client stops nobody.
    pub fn start(listener: TcpListener, acceptor: TlsAcceptor, address: SocketAddr) -> Self {
        let (tell, shaken) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let Ok((stream, peer)) = listener.accept().await else { continue };
                let (acceptor, tell) = (acceptor.clone(), tell.clone());
                tokio::spawn(async move {
                    let hands = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream));
                    match hands.await {
                        Ok(Ok(stream)) => drop(tell.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                        Err(_) => tracing::debug!("TLS took too long"),
                    }
                });
            }
        });
        Self { shaken, address }
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.shaken.recv().await {
            Some(shaken) => shaken,
            // The accepting task lives as long as the process.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
