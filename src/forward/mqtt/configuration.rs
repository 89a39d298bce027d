//! How a broker is reached, as the configuration says, and whether that can work.
//!
//! It reads the TLS files and nothing of the network.

use std::net::IpAddr;
use std::path::PathBuf;

use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::Error;
use crate::forward::acknowledgement::RECEIVER_CHARACTERS_MAX;
use crate::forward::tls::TlsFiles;

/// How a broker is reached and who may answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Name or address of the broker.
    pub host: String,
    /// 8883 with TLS, 1883 without, unless said otherwise.
    #[serde(default)]
    pub port: Option<u16>,
    /// The `receiver_id`s whose answers count; at least one.
    pub receivers: Vec<String>,
    /// The certificate authorities of the broker, a PEM file. With it the connection is TLS.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates of these authorities, a PEM file.
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// Our certificate, a PEM file; with `key`.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The silence after which a record is sent again.
    #[serde(default = "resend_after_s")]
    pub resend_after_s: u16,
}

const fn resend_after_s() -> u16 {
    5
}

/// What can be known without a connection: every value makes sense, and the TLS files can be read
/// and belong together. [`Error::field`] names the key of the table that is wrong.
///
/// ```
/// use wardgate::forward::mqtt::{Error, MqttConfig, check};
/// let mqtt: MqttConfig = toml::from_str("host = \"core\"\nreceivers = []").unwrap();
/// assert_eq!(check(&mqtt), Err(Error::NoReceiver));
/// assert_eq!(Error::NoReceiver.field(), Some("receivers"));
/// ```
///
/// # Errors
/// The first thing that is wrong, in the order of the table.
pub fn check(mqtt: &MqttConfig) -> Result<(), Error> {
    let MqttConfig { host, port, receivers, resend_after_s, .. } = mqtt;
    // The names that TLS can check are the names that can be looked up.
    if host.parse::<IpAddr>().is_err() && ServerName::try_from(host.as_str()).is_err() {
        return Err(Error::BadHost);
    }
    if *port == Some(0) {
        return Err(Error::Zero { field: "port" });
    }
    if receivers.is_empty() {
        return Err(Error::NoReceiver);
    }
    let good = |id: &String| (1..=RECEIVER_CHARACTERS_MAX).contains(&id.chars().count());
    if !receivers.iter().all(good) {
        return Err(Error::BadReceiver);
    }
    mqtt.tls().check()?;
    if *resend_after_s == 0 {
        return Err(Error::Zero { field: "resend_after_s" });
    }
    Ok(())
}

impl MqttConfig {
    /// The TLS files that the table names.
    pub fn tls(&self) -> TlsFiles {
        TlsFiles {
            ca: self.ca.clone(),
            crl: self.crl.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::forward::mqtt::tests::CERTIFICATE;
    use crate::forward::tls::TlsError;

    /// The key of [`CERTIFICATE`].
    const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+iHeabWE4B/LBCyq
F5nNoVFAN3aL+ueMd2rMk6Te1mihRANCAAQ6oxIu3xS0thV6uh6e0plyvl9h5QP6
HeRJ7SrlJHs3lJtv1Py1XXckf0ZBIRVaWHx+xTXyeJ2Qj5zsfjuv4joc
-----END PRIVATE KEY-----
";
    const ANOTHER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTVgFiouy0ZRj80K4
fv+usEHYfCjFjbpz4sJZ+2SNdmWhRANCAAQsmKJ7Ytw8yw4HmaOz+5TNz0ewxVtZ
0cMFwdF+bR9QGunuFrJ9xYLBqcYqazXmLUMk/XF6lVRbWX7GUB7CKym3
-----END PRIVATE KEY-----
";

    fn config(more: &str) -> MqttConfig {
        toml::from_str(&format!("host = \"core\"\nreceivers = [\"core\"]\n{more}")).unwrap()
    }

    fn with_files(folder: &Path, files: &[(&str, &str)]) -> MqttConfig {
        let mut config = config("");
        for (field, content) in files {
            let path = folder.join(field);
            if !content.is_empty() {
                std::fs::write(&path, content).unwrap();
            }
            match *field {
                "ca" => config.ca = Some(path),
                "certificate" => config.certificate = Some(path),
                _ => config.key = Some(path),
            }
        }
        config
    }

    #[test]
    fn the_configuration_says_what_it_does_not_know() {
        assert_eq!(config("").resend_after_s, 5);
        let bad = "host = \"core\"\nreceivers = [\"core\"]\npasword = \"x\"";
        assert!(toml::from_str::<MqttConfig>(bad).is_err());
    }

    #[test]
    fn a_value_that_cannot_work_is_named_by_its_field() {
        assert_eq!(check(&config("")), Ok(()));
        for host in ["", "mqtt://core", "core:1883", "co re", "core/x", "-", "[::1]"] {
            let wrong = MqttConfig { host: host.to_owned(), ..config("") };
            assert_eq!(check(&wrong).unwrap_err().field(), Some("host"), "{host:?}");
        }
        for host in ["core.hospital.example", "10.1.2.3", "::1", "localhost", "core-1"] {
            let good = MqttConfig { host: host.to_owned(), ..config("") };
            assert_eq!(check(&good), Ok(()), "{host:?}");
        }
        for receivers in [vec![], vec![String::new()]] {
            let wrong = MqttConfig { receivers, ..config("") };
            assert_eq!(check(&wrong).unwrap_err().field(), Some("receivers"));
        }
        let zero = check(&config("resend_after_s = 0"));
        assert_eq!(zero.unwrap_err().field(), Some("resend_after_s"));
        assert_eq!(check(&config("port = 0")).unwrap_err().field(), Some("port"));
    }

    #[test]
    fn half_of_the_tls_files_is_refused() {
        let ours = [("certificate", CERTIFICATE), ("key", KEY)];
        let halves: [(&[(&str, &str)], &str); 4] = [
            (&ours[..1], "certificate"),
            (&ours[1..], "key"),
            (&ours, "certificate"),
            (&[("ca", CERTIFICATE), ours[1]], "key"),
        ];
        for (files, field) in halves {
            let folder = tempfile::tempdir().unwrap();
            let error = check(&with_files(folder.path(), files)).unwrap_err();
            assert!(matches!(error, Error::Tls(TlsError::Half { .. })), "{error}");
            assert_eq!(error.field(), Some(field));
        }
    }

    #[test]
    fn tls_files_are_read_and_must_belong_together() {
        let good = [("ca", CERTIFICATE), ("certificate", CERTIFICATE), ("key", KEY)];
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check(&with_files(folder.path(), &good)), Ok(()));
        for (index, (field, _)) in good.iter().enumerate() {
            let with = |content: &'static str| {
                let mut files = good;
                files[index].1 = content;
                let folder = tempfile::tempdir().unwrap();
                check(&with_files(folder.path(), &files)).unwrap_err()
            };
            let kind = std::io::ErrorKind::NotFound;
            assert_eq!(with(""), TlsError::File { field, kind }.into());
            let rubbish = with("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
            assert_eq!(rubbish, TlsError::NotPem { field }.into());
            assert_eq!(with("hello"), TlsError::NotPem { field }.into());
        }
        let mut files = good;
        files[2].1 = ANOTHER_KEY;
        let folder = tempfile::tempdir().unwrap();
        let error = check(&with_files(folder.path(), &files)).unwrap_err();
        assert_eq!((error, error.field()), (TlsError::OtherKey.into(), Some("key")));
    }
}
