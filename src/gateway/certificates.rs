//! Certificates that end: a row in `status`, and a warning in the log 30, 14, 7 and 1 days before
//! and when it is over. Nothing is decided here: whether a certificate is good, TLS says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::forward::Counters;
use crate::forward::tls::validity::{Ending, Validity, ending};
use crate::forward::tls::{Dated, TlsFiles};
use crate::link::clock;
use crate::vocabulary::moment::utc_text;

/// How often the log is told what is new.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What stands in a certificate's place in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSnapshot {
    /// The key of the destination's table (`ca`, `crl`, `certificate`), or `receiver`: what the
    /// receiver showed at the last handshake.
    pub which: String,
    /// The last moment at which it is good.
    pub until: String,
    /// Whole days until then; negative once it is over.
    pub days_left: i64,
    /// What a person has to know of it.
    pub attention: Option<String>,
}

/// The certificates of one destination's files, for `check`.
pub fn of_files(files: &TlsFiles, now_s: i64) -> Vec<CertificateSnapshot> {
    files.dated().iter().map(|dated| snapshot(dated, now_s)).collect()
}

/// The certificates of a running destination.
pub(super) fn of(counters: &Counters, now_s: i64) -> Vec<CertificateSnapshot> {
    dated(counters).iter().map(|dated| snapshot(dated, now_s)).collect()
}

/// Warns until it is told to stop.
pub(super) async fn warn(
    destination: String,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let mut told = Told::default();
    loop {
        let now_s = clock::now().utc_us().div_euclid(1_000_000);
        for dated in told.untold(&dated(&counters), now_s) {
            let CertificateSnapshot { which, until, days_left, attention } =
                snapshot(&dated, now_s);
            let attention = attention.unwrap_or_default();
            tracing::warn!(destination, which, until, days_left, attention, "certificate");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn dated(counters: &Counters) -> Vec<Dated> {
    let mut dated = counters.files.get().map(TlsFiles::dated).unwrap_or_default();
    let receiver = counters.peer.seen().validity;
    dated.extend(receiver.map(|validity| Dated { which: "receiver", validity }));
    dated
}

/// What was warned of: each end once per step.
#[derive(Debug, Default)]
struct Told(BTreeMap<(&'static str, i64), Near>);

/// What is wrong with the dates of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    Begins,
    Ends(Ending),
}

impl Told {
    /// What has to be said now and was not yet.
    fn untold(&mut self, dated: &[Dated], now_s: i64) -> Vec<Dated> {
        let mut untold = Vec::new();
        for one in dated {
            let Some(near) = near(one, now_s) else { continue };
            let key = (one.which, one.validity.not_after_s);
            if self.0.get(&key).is_none_or(|told| *told < near) {
                self.0.insert(key, near);
                untold.push(one.clone());
            }
        }
        untold
    }
}

/// A list of revoked certificates is made anew every few days, so only its end is worth a word.
fn near(dated: &Dated, now_s: i64) -> Option<Near> {
    let Validity { not_before_s, not_after_s } = dated.validity;
    if now_s < not_before_s {
        return Some(Near::Begins);
    }
    let ending = ending(not_after_s, now_s)?;
    (dated.which != "crl" || ending == Ending::Ended).then_some(Near::Ends(ending))
}

fn snapshot(dated: &Dated, now_s: i64) -> CertificateSnapshot {
    let Validity { not_before_s, not_after_s } = dated.validity;
    let text = |at_s: i64| utc_text(at_s.saturating_mul(1_000_000));
    let days_left = (not_after_s - now_s).div_euclid(86_400);
    let attention = near(dated, now_s).map(|near| match near {
        Near::Begins => {
            format!("is good from {} on only, or this box's clock is behind", text(not_before_s))
        }
        Near::Ends(Ending::Ended) => "has ended, or this box's clock is ahead".to_owned(),
        Near::Ends(Ending::In1Day) => "ends within a day".to_owned(),
        Near::Ends(Ending::In7Days | Ending::In14Days | Ending::In30Days) => {
            format!("ends in {days_left} days")
        }
    });
    let which = dated.which.to_owned();
    CertificateSnapshot { which, until: text(not_after_s), days_left, attention }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    fn certificate(which: &'static str, not_before_s: i64, not_after_s: i64) -> Dated {
        Dated { which, validity: Validity { not_before_s, not_after_s } }
    }

    /// A year of a certificate, looked at every hour: five warnings, at their days.
    #[test]
    fn each_step_is_told_once() {
        let ours = [certificate("certificate", 0, 365 * DAY_S)];
        let mut told = Told::default();
        let hours = (0..=370 * 24).filter(|hour| !told.untold(&ours, hour * 3600).is_empty());
        let days_left: Vec<i64> = hours.map(|hour| 365 * 24 - hour).collect();
        assert_eq!(days_left, [30 * 24, 14 * 24, 7 * 24, 24, -1]);
        // The renewed one is another.
        let renewed = [certificate("certificate", 364 * DAY_S, 370 * DAY_S)];
        assert_eq!(told.untold(&renewed, 365 * DAY_S), renewed);
    }

    #[test]
    fn a_person_reads_what_is_wrong() {
        let attention = |dated: Dated, now_s| snapshot(&dated, now_s).attention;
        let ours = || certificate("certificate", DAY_S, 365 * DAY_S);
        assert_eq!(attention(ours(), 100 * DAY_S), None);
        assert_eq!(attention(ours(), 352 * DAY_S).unwrap(), "ends in 13 days");
        assert!(attention(ours(), 0).unwrap().contains("1970-01-02T00:00:00"));
        assert!(attention(ours(), 366 * DAY_S).unwrap().contains("has ended"));
        let list = || certificate("crl", 0, 7 * DAY_S);
        assert_eq!(attention(list(), 6 * DAY_S), None);
        assert!(attention(list(), 8 * DAY_S).unwrap().contains("has ended"));
        assert_eq!(snapshot(&ours(), 352 * DAY_S).days_left, 13);
    }
}
