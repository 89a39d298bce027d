//! What is seen of the receiver's certificate while rustls judges it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::validity::Validity;
use super::why;

/// The receiver's certificate as the last handshake showed it.
#[derive(Debug, Default)]
pub struct Peer(Mutex<Seen>);

/// What was seen; nothing before the first handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub validity: Option<Validity>,
    /// Why it was refused.
    pub refused: Option<&'static str>,
}

impl Peer {
    /// What the last handshake showed.
    pub fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// rustls's verifier, and a note of what it said.
#[derive(Debug)]
pub(super) struct Noting {
    verifier: Arc<WebPkiServerVerifier>,
    peer: Arc<Peer>,
}

impl Noting {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>, peer: &Arc<Peer>) -> Self {
        Self { verifier, peer: Arc::clone(peer) }
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        self.peer.note(Seen {
            validity: Validity::of_certificate(end_entity),
            refused: judged.as_ref().err().map(why),
        });
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
