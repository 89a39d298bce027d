//! TLS of the stand-in's HTTP listener; with an authority of clients, both sides prove themselves.

use std::path::PathBuf;

use tokio_rustls::TlsAcceptor;
use wardgate::link::tls_server::ServerFiles;

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

/// What the files make; `None` without files.
pub fn acceptor(files: &Files) -> Result<Option<TlsAcceptor>, Error> {
    let Files { certificate, key, client_ca } = files.clone();
    let files = ServerFiles { certificate, key, client_ca };
    files.acceptor().map_err(|error| Error::Tls(error.field))
}
