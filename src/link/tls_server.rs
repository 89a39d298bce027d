//! TLS for whoever connects to the box: a certificate of our own, and with an authority of clients
//! both sides prove themselves.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

/// The files of a listener; none: it is plain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// Whether both sides prove themselves.
    pub const fn are_mutual(&self) -> bool {
        self.certificate.is_some() && self.key.is_some() && self.client_ca.is_some()
    }

    /// When each of them was written.
    fn written(&self) -> [Option<SystemTime>; 3] {
        [&self.certificate, &self.key, &self.client_ca]
            .map(|path| path.as_ref().and_then(|path| path.metadata().ok()?.modified().ok()))
    }

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

/// The files of a listener, read anew when they were written anew: certificates are renewed while
/// the box runs. Files that are no good then leave what was there before.
#[derive(Debug)]
pub struct Renewed {
    files: ServerFiles,
    made: Mutex<Option<Made>>,
}

struct Made {
    written: [Option<SystemTime>; 3],
    acceptor: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("written", &self.written).finish_non_exhaustive()
    }
}

impl Renewed {
    /// Nothing is read yet.
    pub const fn of(files: ServerFiles) -> Self {
        Self { files, made: Mutex::new(None) }
    }

    /// What the files make now; `None` without files.
    ///
    /// # Errors
    /// They make nothing, and never did.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, ServerTlsError> {
        let written = self.files.written();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.written == written) {
            return Ok(made.acceptor.clone());
        }
        let acceptor = match (self.files.acceptor(), made.as_ref()) {
            (Ok(acceptor), _) => acceptor,
            (Err(error), Some(before)) => {
                tracing::error!(%error, "renewed files of a port are no good: the old ones serve");
                before.acceptor.clone()
            }
            (Err(error), None) => return Err(error),
        };
        *made = Some(Made { written, acceptor: acceptor.clone() });
        Ok(acceptor)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(folder: &Path, name: &str) -> ServerFiles {
        let pair = rcgen::KeyPair::generate().unwrap();
        let named = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let made = named.self_signed(&pair).unwrap();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
        std::fs::write(&certificate, made.pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        ServerFiles { certificate: Some(certificate), key: Some(key), client_ca: None }
    }

    fn config(acceptor: &Renewed) -> Arc<ServerConfig> {
        Arc::clone(acceptor.acceptor().unwrap().unwrap().config())
    }

    #[test]
    fn renewed_files_serve_and_bad_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(folder.path(), "localhost");
        let (path, renewed) = (files.certificate.clone().unwrap(), Renewed::of(files.clone()));
        let first = config(&renewed);
        assert!(Arc::ptr_eq(&first, &config(&renewed)), "read once");
        let later = |seconds| SystemTime::now() + std::time::Duration::from_secs(seconds);
        let touch = |at| std::fs::File::open(&path).unwrap().set_modified(at).unwrap();
        let _ = certificate(folder.path(), "renewed");
        touch(later(10));
        let second = config(&renewed);
        assert!(!Arc::ptr_eq(&first, &second), "read anew");
        std::fs::write(&path, "half a fi").unwrap();
        touch(later(20));
        assert!(Arc::ptr_eq(&second, &config(&renewed)), "the old one serves");
        let wrong = Renewed::of(files).acceptor().err().map(|error| error.field);
        assert_eq!(wrong, Some("certificate"));
    }

    #[test]
    fn half_of_a_pair_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(folder.path(), "localhost");
        let half = ServerFiles { key: None, ..files.clone() };
        assert_eq!(half.acceptor().err().map(|error| error.field), Some("certificate"));
        let half = ServerFiles { certificate: None, ..files.clone() };
        assert_eq!(half.acceptor().err().map(|error| error.field), Some("key"));
        assert!(!files.are_mutual());
        let both = ServerFiles { client_ca: files.certificate.clone(), ..files };
        assert!(both.acceptor().unwrap().is_some() && both.are_mutual());
        assert!(ServerFiles::default().acceptor().unwrap().is_none());
    }
}
