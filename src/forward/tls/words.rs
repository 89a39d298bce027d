//! What a TLS error is called: the library's own text may quote a peer's certificate.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};

/// The sort of a TLS error. The library's enums are open; what has no name here is of the last
/// sort.
pub fn why(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(bad) => why_not_trusted(bad),
        Error::NoCertificatesPresented => "the receiver shows no certificate",
        Error::AlertReceived(alert) => why_refused(*alert),
        _ => "the receiver breaks the protocol",
    }
}

fn why_not_trusted(bad: &Bad) -> &'static str {
    match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            "the receiver's certificate has expired, or this box's clock is ahead"
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "the receiver's certificate is not valid yet, or this box's clock is behind"
        }
        Bad::Revoked => "the receiver's certificate is revoked",
        Bad::UnknownIssuer | Bad::BadSignature => {
            "the receiver's certificate is of no authority that ca names"
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "the receiver's certificate is for another name"
        }
        Bad::UnknownRevocationStatus => "the crl file says nothing of the receiver's certificate",
        _ => "the receiver's certificate is not trusted",
    }
}

/// What the receiver says of us (RFC 8446, 6.2).
fn why_refused(alert: Alert) -> &'static str {
    match alert {
        Alert::CertificateExpired => "the receiver says that our certificate has expired",
        Alert::CertificateRevoked => "the receiver says that our certificate is revoked",
        Alert::UnknownCA => "the receiver does not know the authority of our certificate",
        Alert::CertificateRequired => "the receiver wants a certificate of ours",
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied => "the receiver does not take our certificate",
        _ => "the receiver ends it (our certificate?)",
    }
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
