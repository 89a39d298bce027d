//! What a TLS error is called: the library's own text may quote a peer's certificate.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};

/// The sort of a TLS error. The library's enums are open; what has no name here is of the last
/// sort.
pub fn why(error: &Error) -> &'static str {
    if let Error::InvalidCertificate(bad) = error {
        why_not_trusted(bad)
    } else if let Error::AlertReceived(alert) = error {
        why_refused(*alert)
    } else if let Error::NoCertificatesPresented = error {
        "the receiver shows no certificate"
    } else {
        "the receiver breaks the protocol"
    }
}

fn why_not_trusted(bad: &Bad) -> &'static str {
    if matches!(bad, Bad::Expired | Bad::ExpiredContext { .. }) {
        "the receiver's certificate has expired, or this box's clock is ahead"
    } else if matches!(bad, Bad::NotValidYet | Bad::NotValidYetContext { .. }) {
        "the receiver's certificate is not valid yet, or this box's clock is behind"
    } else if matches!(bad, Bad::Revoked) {
        "the receiver's certificate is revoked"
    } else if matches!(bad, Bad::UnknownIssuer | Bad::BadSignature) {
        "the receiver's certificate is of no authority that ca names"
    } else if matches!(bad, Bad::NotValidForName | Bad::NotValidForNameContext { .. }) {
        "the receiver's certificate is for another name"
    } else if matches!(bad, Bad::UnknownRevocationStatus) {
        "the crl file says nothing of the receiver's certificate"
    } else {
        "the receiver's certificate is not trusted"
    }
}

/// What the receiver says of us (RFC 8446, 6.2).
const REFUSALS: [(Alert, &str); 8] = [
    (Alert::CertificateExpired, "the receiver says that our certificate has expired"),
    (Alert::CertificateRevoked, "the receiver says that our certificate is revoked"),
    (Alert::UnknownCA, "the receiver does not know the authority of our certificate"),
    (Alert::CertificateRequired, "the receiver wants a certificate of ours"),
    (Alert::BadCertificate, NOT_TAKEN),
    (Alert::UnsupportedCertificate, NOT_TAKEN),
    (Alert::CertificateUnknown, NOT_TAKEN),
    (Alert::AccessDenied, NOT_TAKEN),
];
const NOT_TAKEN: &str = "the receiver does not take our certificate";

fn why_refused(alert: Alert) -> &'static str {
    let known = REFUSALS.iter().find(|(one, _)| *one == alert);
    known.map_or("the receiver ends it (our certificate?)", |(_, why)| why)
}

/// The sort of an I/O error, which may be a TLS error inside.
pub fn why_network(error: &io::Error) -> String {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<Error>()) {
        return format!("TLS: {}", why(tls));
    }
    match inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
        Some(inner) => why_network(inner),
        None => format!("network: {:?}", error.kind()),
    }
}
