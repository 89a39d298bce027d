//! `core-check`: drives a real core with conforming and hostile traffic, and says which clauses of
//! the ingestion contract it keeps.
//!
//! **It writes test data into the core**: records of mode `debugging`, subject `core-check`, without a
//! patient, in a fresh random stream. It must not be pointed at a core that files such records.

mod clauses;
mod line;
mod records;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use wardgate::forward::http::{Http, HttpConfig, OAuth2Config, Plain};

use clauses::Findings;
use line::{Line, Mqtt};
use records::{Records, SUBJECT};

/// `wardgate-hil core-check`
///
/// Writes test data into the core: mode `debugging`, subject `core-check`, a fresh random stream.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// `https://host[:port][/path]` for the HTTPS binding, `mqtts://host[:port]` for MQTT 5; `http`
    /// and `mqtt` without TLS.
    pub url: String,
    /// The certificate authorities of the core or its broker, PEM.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// Our certificate, PEM.
    #[arg(long, requires = "key")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// OAuth2 client credentials: the token endpoint.
    #[arg(long, requires = "client_id", requires = "secret_file")]
    pub token_url: Option<String>,
    #[arg(long)]
    pub client_id: Option<String>,
    /// The file with the client secret.
    #[arg(long)]
    pub secret_file: Option<PathBuf>,
    #[arg(long)]
    pub scope: Option<String>,
    /// The id that the core's answers must have; without it, only that it is always the same.
    #[arg(long)]
    pub receiver: Option<String>,
    /// An answer must be there within so many seconds.
    #[arg(long, default_value_t = 10)]
    pub within: u16,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What the steps need.
struct Check {
    line: Line,
    /// The same way without our proof of who we are; `None` if we have none to leave out.
    stranger: Option<Http>,
    /// A connection for what makes a core close it, so that no other step suffers for it.
    spare: Option<Http>,
    records: Records,
    receiver: Option<String>,
    within: Duration,
    findings: Findings,
    /// The highest sequence offered.
    highest: u64,
    /// What was acknowledged.
    accepted: std::collections::BTreeSet<u64>,
}

/// Runs all steps and prints what was found; `Ok(true)`: no clause is broken.
pub async fn run(options: Options) -> Result<bool, String> {
    let records = Records::new(random());
    let stream = records.stream.to_string();
    let within = Duration::from_secs(options.within.into());
    let line = connect(&options, &stream, within).await?;
    let (stranger, spare) = match line {
        Line::Https(_) => (stranger(&options)?, Some(http(&http_config(&options))?)),
        Line::Mqtt(_) => (None, None),
    };
    if !options.json {
        println!(
            "core-check writes test data: mode \"debugging\", subject \"{SUBJECT}\", stream {stream}\n"
        );
    }
    let receiver = options.receiver.clone();
    let mut check = Check {
        line,
        stranger,
        spare,
        records,
        receiver,
        within,
        findings: Findings::default(),
        highest: 0,
        accepted: std::collections::BTreeSet::new(),
    };
    check.all().await;
    let keeps = !check.findings.any_broken();
    if options.json {
        let clauses = check.findings.json();
        println!("{}", json!({ "stream": stream, "keeps": keeps, "clauses": clauses }));
    } else {
        print!("{}", check.findings.table());
        println!("\nWhat the clauses mean: docs/ingestion/README.md, \"core-check\".");
    }
    Ok(keeps)
}

/// Bytes that nobody used before, from the hasher that the standard library seeds at random.
fn random() -> [u8; 16] {
    use std::hash::{BuildHasher as _, RandomState};
    std::array::from_fn(|index| RandomState::new().hash_one(index).to_le_bytes()[0])
}

async fn connect(options: &Options, stream: &str, within: Duration) -> Result<Line, String> {
    let (scheme, rest) =
        options.url.split_once("://").ok_or("expected http(s):// or mqtt(s)://")?;
    match scheme {
        "http" | "https" => Ok(Line::Https(Box::new(http(&http_config(options))?))),
        "mqtt" | "mqtts" => {
            let tls = http_config(options).tls();
            let tls = tls.client(&Arc::default()).map_err(|error| error.to_string())?;
            if (scheme == "mqtts") != tls.is_some() {
                return Err("mqtts:// needs --ca, and mqtt:// takes none".to_owned());
            }
            let (host, port) = host_and_port(rest, scheme)?;
            let name = stream.get(..8).unwrap_or(stream);
            let mqtt = Mqtt::connect(&host, port, tls, name, within).await?;
            Ok(Line::Mqtt(Box::new(mqtt)))
        }
        _ => Err("expected http(s):// or mqtt(s)://".to_owned()),
    }
}

fn http(config: &HttpConfig) -> Result<Http, String> {
    Http::new(config, Plain::Anywhere).map_err(|error| error.to_string())
}

/// The same way without our proof; `None` if there is none to leave out.
fn stranger(options: &Options) -> Result<Option<Http>, String> {
    let config = http_config(options);
    if config.oauth2.is_none() && config.certificate.is_none() {
        return Ok(None);
    }
    let nobody = HttpConfig { certificate: None, key: None, oauth2: None, ..config };
    http(&nobody).map(Some)
}

fn http_config(options: &Options) -> HttpConfig {
    let oauth2 = options.token_url.as_ref().map(|token_url| OAuth2Config {
        token_url: token_url.clone(),
        client_id: options.client_id.clone().unwrap_or_default(),
        secret_file: options.secret_file.clone().unwrap_or_default(),
        scope: options.scope.clone(),
        ca: None,
    });
    HttpConfig {
        url: options.url.clone(),
        ca: options.ca.clone(),
        crl: None,
        certificate: options.certificate.clone(),
        key: options.key.clone(),
        oauth2,
        answer_within_s: options.within,
    }
}

fn host_and_port(rest: &str, scheme: &str) -> Result<(String, u16), String> {
    let rest = rest.trim_end_matches('/');
    let default = if scheme == "mqtts" { 8883 } else { 1883 };
    let Some((host, port)) = rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')) else {
        return Ok((rest.trim_matches(['[', ']']).to_owned(), default));
    };
    let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_host_and_port() {
        let read = |rest: &str, scheme: &str| host_and_port(rest, scheme).unwrap();
        assert_eq!(read("core:1884/", "mqtt"), ("core".to_owned(), 1884));
        assert_eq!(read("core", "mqtts"), ("core".to_owned(), 8883));
        assert_eq!(read("[::1]:9", "mqtt"), ("::1".to_owned(), 9));
        assert_eq!(read("[::1]", "mqtt"), ("::1".to_owned(), 1883));
        assert!(host_and_port("core:x", "mqtt").is_err());
    }
}
