//! TLS of a port on which another system of the hospital tells things: with an authority of
//! clients, both sides prove themselves. Files are read anew for each connection, because
//! certificates are renewed while the box runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;

use crate::forward::tls::TlsError;

/// The files of a listening port. None of them: it is plain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortFiles {
    /// Our certificate, PEM; with `key`.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// The authority of clients, PEM: then only clients with its certificate are let in.
    pub client_ca: Option<PathBuf>,
}

impl PortFiles {
    /// Whether both sides prove themselves.
    pub const fn are_mutual(&self) -> bool {
        self.certificate.is_some() && self.key.is_some() && self.client_ca.is_some()
    }

    /// What a connection needs for TLS; `None` without files.
    ///
    /// # Errors
    /// Half of a pair, or a file that is not what it should be.
    pub fn server(&self) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) if self.client_ca.is_none() => return Ok(None),
            (None, None) => {
                return Err(TlsError::Half { field: "client_ca", lacks: "certificate" });
            }
            (Some(_), None) => return Err(TlsError::Half { field: "certificate", lacks: "key" }),
            (None, Some(_)) => return Err(TlsError::Half { field: "key", lacks: "certificate" }),
        };
        let chain = certificates("certificate", certificate)?;
        let text = std::fs::read(key)
            .map_err(|error| TlsError::File { field: "key", kind: error.kind() })?;
        let key =
            PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NotPem { field: "key" })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of the default versions");
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut authorities = RootCertStore::empty();
                authorities.add_parsable_certificates(certificates("client_ca", ca)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
                let verifier =
                    verifier.build().map_err(|_| TlsError::NotPem { field: "client_ca" })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(|_| TlsError::OtherKey)?;
        Ok(Some(Arc::new(config)))
    }
}

fn certificates(
    field: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|error| TlsError::File { field, kind: error.kind() })?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|_| TlsError::NotPem { field })?;
    if found.is_empty() { Err(TlsError::NotPem { field }) } else { Ok(found) }
}
