//! TLS for whoever connects to the box: a certificate of our own, and with an authority of clients
//! both sides prove themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// The files of a listener; none: it is plain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFiles {
    /// Our certificate with its chain, PEM; with `key`.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// The authority of clients, PEM: then only clients with its certificate are let in.
    pub client_ca: Option<PathBuf>,
}

/// Why the files do not make a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct ServerTlsError {
    /// The key of the table that is wrong.
    pub field: &'static str,
    pub what: &'static str,
}

const fn wrong(field: &'static str, what: &'static str) -> ServerTlsError {
    ServerTlsError { field, what }
}

impl ServerFiles {
    /// What the files make; `None` without files.
    ///
    /// # Errors
    /// Half of a pair, or a file that is not what it should be.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, ServerTlsError> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return Err(wrong("certificate", "needs key beside it")),
            (None, Some(_)) => return Err(wrong("key", "needs certificate beside it")),
            (None, None) if self.client_ca.is_some() => {
                return Err(wrong("client_ca", "needs certificate and key beside it"));
            }
            (None, None) => return Ok(None),
        };
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|_| wrong("key", "cannot be read as a private key in PEM"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of the default versions");
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates("client_ca", ca)?);
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier =
                    verifier.map_err(|_| wrong("client_ca", "holds no certificate of use"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder
            .with_single_cert(chain, key)
            .map_err(|_| wrong("key", "is not the key of certificate"))?;
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }
}

fn certificates(
    field: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    let unread = wrong(field, "cannot be read as certificates in PEM");
    let found = CertificateDer::pem_file_iter(path).map_err(|_| unread)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|_| unread)?;
    if found.is_empty() { Err(unread) } else { Ok(found) }
}
