//! The files of a TLS client: authorities, our certificate, its key.
//!
//! Read anew for each connection, because certificates are renewed while the gateway runs. It must
//! not fall back to a plain connection: whoever asks for TLS gets it or an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The files that a destination's table names.
#[derive(Clone, Copy, Debug)]
pub struct TlsFiles<'a> {
    /// The certificate authorities of the receiver, PEM. With it the connection is TLS.
    pub ca: Option<&'a PathBuf>,
    /// Our certificate, PEM; with `key`.
    pub certificate: Option<&'a PathBuf>,
    /// Its private key, PEM.
    pub key: Option<&'a PathBuf>,
}

/// Why the files do not make a TLS client. [`TlsError::field`] names the key that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("{field} needs {lacks} beside it: certificate and key come together, and with ca")]
    Half { field: &'static str, lacks: &'static str },
    #[error("cannot read the {field} file: {kind:?}")]
    File { field: &'static str, kind: std::io::ErrorKind },
    #[error("the {field} file does not hold what it should, in PEM")]
    NotPem { field: &'static str },
    #[error("key is not a usable key of certificate")]
    OtherKey,
}

impl TlsError {
    /// The key of the destination's table that is wrong.
    pub const fn field(self) -> &'static str {
        match self {
            TlsError::Half { field, .. }
            | TlsError::File { field, .. }
            | TlsError::NotPem { field } => field,
            TlsError::OtherKey => "key",
        }
    }
}

impl TlsFiles<'_> {
    /// Whether the receiver and we prove ourselves to each other.
    pub const fn are_mutual(&self) -> bool {
        self.ca.is_some() && self.certificate.is_some() && self.key.is_some()
    }

    /// What the connection needs for TLS, read from the files; `None` without TLS.
    ///
    /// # Errors
    /// Half of a pair, or a file that is not what it should be.
    pub fn client(&self) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        let pair = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(TlsError::Half { field: "certificate", lacks: "key" }),
            (None, Some(_)) => return Err(TlsError::Half { field: "key", lacks: "certificate" }),
        };
        let Some(ca) = self.ca else {
            return match pair {
                Some(_) => Err(TlsError::Half { field: "certificate", lacks: "ca" }),
                None => Ok(None),
            };
        };
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(certificates("ca", ca)?);
        if authorities.is_empty() {
            return Err(TlsError::NotPem { field: "ca" });
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of the default versions")
            .with_root_certificates(authorities);
        let Some((certificate, key)) = pair else {
            return Ok(Some(Arc::new(builder.with_no_client_auth())));
        };
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read("key", key)?)
            .map_err(|_| TlsError::NotPem { field: "key" })?;
        let config = builder.with_client_auth_cert(chain, key).map_err(|_| TlsError::OtherKey)?;
        Ok(Some(Arc::new(config)))
    }
}

/// For a client that speaks no TLS, where its library wants a configuration all the same: whoever
/// answers with TLS is not trusted.
pub fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of the default versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn certificates(
    field: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(field, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsError::NotPem { field })
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::File { field, kind: error.kind() })
}
