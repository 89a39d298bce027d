//! TLS towards a receiver: the files of our side, and what is seen of the receiver's certificate.
//!
//! Files are read anew for each connection, because certificates are renewed while the gateway
//! runs, and a connection is made anew when they change. It must not fall back to a plain
//! connection: whoever asks for TLS gets it or an error.
//!
//! | part | does |
//! |---|---|
//! | [`TlsFiles`] | authorities, revocation list, our certificate and its key |
//! | [`Peer`] | until when the receiver's certificate is good, or why it was refused |
//! | [`validity`] | when a certificate begins and ends, and how near its end is. Pure |
//! | [`why`] | the sort of a TLS error, without a word of the peer |

mod peer;
pub mod validity;
mod words;

pub use peer::{Peer, Seen};
pub use words::{why, why_network};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use self::validity::Validity;

/// The files that a destination's table names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authorities of the receiver, PEM. With it the connection is TLS.
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates of these authorities, PEM; with `ca`.
    pub crl: Option<PathBuf>,
    /// Our certificate, PEM; with `key`.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
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

/// A file whose end matters, and when that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The key of the destination's table: `ca`, `crl`, `certificate`.
    pub which: &'static str,
    pub validity: Validity,
}

impl TlsFiles {
    /// Whether the receiver and we prove ourselves to each other.
    pub const fn are_mutual(&self) -> bool {
        self.ca.is_some() && self.certificate.is_some() && self.key.is_some()
    }

    /// Whether they make a TLS client, or none is wanted.
    ///
    /// # Errors
    /// Half of a pair, or a file that is not what it should be.
    pub fn check(&self) -> Result<(), TlsError> {
        self.client(&Arc::default()).map(drop)
    }

    /// What the connection needs for TLS, read from the files; `None` without TLS. What is seen of
    /// the receiver's certificate is noted.
    ///
    /// # Errors
    /// Half of a pair, or a file that is not what it should be.
    pub fn client(&self, peer: &Arc<Peer>) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        let pair = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(TlsError::Half { field: "certificate", lacks: "key" }),
            (None, Some(_)) => return Err(TlsError::Half { field: "key", lacks: "certificate" }),
        };
        let Some(ca) = &self.ca else {
            return match (pair, &self.crl) {
                (Some(_), _) => Err(TlsError::Half { field: "certificate", lacks: "ca" }),
                (None, Some(_)) => Err(TlsError::Half { field: "crl", lacks: "ca" }),
                (None, None) => Ok(None),
            };
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(ca, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of the default versions")
            .dangerous()
            // What is noted is what rustls's own verifier said, which decides.
            .with_custom_certificate_verifier(Arc::new(peer::Noting::new(verifier, peer)));
        let Some((certificate, key)) = pair else {
            return Ok(Some(Arc::new(builder.with_no_client_auth())));
        };
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read("key", key)?)
            .map_err(|_| TlsError::NotPem { field: "key" })?;
        let config = builder.with_client_auth_cert(chain, key).map_err(|_| TlsError::OtherKey)?;
        Ok(Some(Arc::new(config)))
    }

    /// With a list the receiver's own certificate must be known to it: a list of another authority
    /// proves nothing. A list that is past its next update is still believed: it is the newest
    /// word there is, and `status` says how old it is.
    fn verifier(
        &self,
        ca: &Path,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(certificates("ca", ca)?);
        if authorities.is_empty() {
            return Err(TlsError::NotPem { field: "ca" });
        }
        let builder = WebPkiServerVerifier::builder_with_provider(
            Arc::new(authorities),
            Arc::clone(provider),
        );
        let Some(crl) = &self.crl else {
            return builder.build().map_err(|_| TlsError::NotPem { field: "ca" });
        };
        let builder = builder.with_crls(lists(crl)?).only_check_end_entity_revocation();
        builder.build().map_err(|_| TlsError::NotPem { field: "crl" })
    }

    /// What of the files ends one day, as they are now: every authority, every list, and of our
    /// certificate with its chain what ends first. A file that cannot be read says nothing here.
    pub fn dated(&self) -> Vec<Dated> {
        let dates = |which, path: &Option<PathBuf>| -> Vec<Dated> {
            let found = path.iter().filter_map(|path| certificates(which, path).ok()).flatten();
            let validities = found.filter_map(|one| Validity::of_certificate(&one));
            validities.map(|validity| Dated { which, validity }).collect()
        };
        let mut dated = dates("ca", &self.ca);
        let lists = self.crl.iter().filter_map(|path| lists(path).ok()).flatten();
        let validities = lists.filter_map(|one| Validity::of_list(&one));
        dated.extend(validities.map(|validity| Dated { which: "crl", validity }));
        let ours = dates("certificate", &self.certificate);
        dated.extend(ours.into_iter().min_by_key(|one| one.validity.not_after_s));
        dated
    }

    /// All that there is, in the order of the table.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca, &self.crl, &self.certificate, &self.key].into_iter().flatten()
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

fn lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let field = "crl";
    let bytes = read(field, path)?;
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsError::NotPem { field })
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::File { field, kind: error.kind() })
}
