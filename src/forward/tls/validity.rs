//! When a certificate begins and ends, and how near its end is.
//!
//! Only dates are read here, for a warning; whether a certificate is good is for rustls to say.
//! DER by RFC 5280, 4.1 and 5.1:
//! ```text
//! Certificate     ::= SEQUENCE { SEQUENCE { [0] version, serial INTEGER, signature SEQUENCE,
//!                       issuer SEQUENCE, validity SEQUENCE { notBefore Time, notAfter Time }, ...
//! CertificateList ::= SEQUENCE { SEQUENCE { version INTEGER, signature SEQUENCE,
//!                       issuer SEQUENCE, thisUpdate Time, nextUpdate Time, ...
//! ```
//! `Time` is UTCTime (`YYMMDDHHMMSSZ`, years 1950 to 2049) or GeneralizedTime (`YYYYMMDDHHMMSSZ`).

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// From when to when, both included, seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before_s: i64,
    pub not_after_s: i64,
}

/// How near an end is; each has its own warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    In30Days,
    In14Days,
    In7Days,
    In1Day,
    Ended,
}

/// What is warned of: facts/reliability.md 2.3 row 17.
const STEPS: [(i64, Ending); 5] = [
    (-1, Ending::Ended),
    (DAY_S, Ending::In1Day),
    (7 * DAY_S, Ending::In7Days),
    (14 * DAY_S, Ending::In14Days),
    (30 * DAY_S, Ending::In30Days),
];

const DAY_S: i64 = 86_400;

/// How near the end of something is that holds up to and including `not_after_s`; `None` while it
/// is more than 30 days away.
///
/// ```
/// use wardgate::forward::tls::validity::{Ending, ending};
/// let day_s = 86_400;
/// assert_eq!(ending(31 * day_s, 0), None);
/// assert_eq!(ending(13 * day_s, 0), Some(Ending::In14Days));
/// assert_eq!(ending(13 * day_s, 14 * day_s), Some(Ending::Ended));
/// ```
pub fn ending(not_after_s: i64, now_s: i64) -> Option<Ending> {
    let left_s = not_after_s.saturating_sub(now_s);
    STEPS.iter().find(|(within_s, _)| left_s <= *within_s).map(|(_, ending)| *ending)
}

impl Validity {
    /// Of a certificate, DER; `None` if it is none.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (mut rest, _) = element(certificate, SEQUENCE)?;
        if let Some((_, behind)) = element(rest, VERSION) {
            rest = behind;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, rest) = element(rest, tag)?;
        }
        let (dates, _) = element(rest, SEQUENCE)?;
        let (not_before_s, rest) = time(dates)?;
        let (not_after_s, _) = time(rest)?;
        Some(Self { not_before_s, not_after_s })
    }

    /// Of a list of revoked certificates, DER: from its update to the next. `None` if it is none,
    /// or names no next one.
    pub fn of_list(der: &[u8]) -> Option<Self> {
        let (list, _) = element(der, SEQUENCE)?;
        let (mut rest, _) = element(list, SEQUENCE)?;
        if let Some((_, behind)) = element(rest, INTEGER) {
            rest = behind;
        }
        for tag in [SEQUENCE, SEQUENCE] {
            (_, rest) = element(rest, tag)?;
        }
        let (not_before_s, rest) = time(rest)?;
        let (not_after_s, _) = time(rest)?;
        Some(Self { not_before_s, not_after_s })
    }
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, explicit.
const VERSION: u8 = 0xA0;

/// The content of the element at the beginning, if it has this tag, and what is behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7F => (usize::from(*length), rest),
        // At most four bytes of length: no certificate has more.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Seconds since 1970 UTC, and what is behind them.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if let Some((text, rest)) = element(bytes, UTC_TIME) {
        let century = if text.first()? >= &b'5' { "19" } else { "20" };
        let text = format!("{century}{}", std::str::from_utf8(text).ok()?);
        return Some((seconds(&text)?, rest));
    }
    let (text, rest) = element(bytes, GENERALIZED_TIME)?;
    Some((seconds(std::str::from_utf8(text).ok()?)?, rest))
}

/// Of `YYYYMMDDHHMMSSZ`.
fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let two = |at: usize| part(at..at + 2)?.try_into().ok();
    let date = Date::new(part(0..4)?, two(4)?, two(6)?).ok()?;
    let time = Time::new(two(8)?, two(10)?, two(12)?, 0).ok()?;
    let zoned = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        IsCa, KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
    };

    use super::*;

    #[test]
    fn warnings_come_at_30_14_7_and_1_days() {
        let table = [
            (31 * DAY_S, None),
            (30 * DAY_S + 1, None),
            (30 * DAY_S, Some(Ending::In30Days)),
            (14 * DAY_S + 1, Some(Ending::In30Days)),
            (14 * DAY_S, Some(Ending::In14Days)),
            (7 * DAY_S + 1, Some(Ending::In14Days)),
            (7 * DAY_S, Some(Ending::In7Days)),
            (DAY_S + 1, Some(Ending::In7Days)),
            (DAY_S, Some(Ending::In1Day)),
            (0, Some(Ending::In1Day)),
            (-1, Some(Ending::Ended)),
            (-400 * DAY_S, Some(Ending::Ended)),
        ];
        for (left_s, expected) in table {
            for now_s in [0, 1_795_000_000] {
                assert_eq!(ending(now_s + left_s, now_s), expected, "{left_s}");
            }
        }
    }

    /// Seconds of midnights, from `date -u -d 2049-12-31 +%s` and so on.
    const MIDNIGHTS: [((i32, u8, u8), i64); 6] = [
        ((1950, 1, 1), -631_152_000),
        ((1970, 1, 1), 0),
        ((2026, 11, 28), 1_795_824_000),
        ((2049, 12, 31), 2_524_521_600),
        ((2050, 1, 1), 2_524_608_000),
        ((2126, 10, 30), 4_948_992_000),
    ];

    #[test]
    fn the_dates_are_those_of_the_certificate() {
        for pair in MIDNIGHTS.windows(2) {
            let [(from, not_before_s), (to, not_after_s)] = pair else { unreachable!("two") };
            let mut params = CertificateParams::new(vec!["core".to_owned()]).unwrap();
            params.not_before = date_time_ymd(from.0, from.1, from.2);
            params.not_after = date_time_ymd(to.0, to.1, to.2);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
            let issuer = issuer.unwrap();
            let expected = Validity { not_before_s: *not_before_s, not_after_s: *not_after_s };
            assert_eq!(Validity::of_certificate(issuer.der()), Some(expected));
            let list = CertificateRevocationListParams {
                this_update: date_time_ymd(from.0, from.1, from.2),
                next_update: date_time_ymd(to.0, to.1, to.2),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            let list = list.signed_by(&issuer).unwrap();
            assert_eq!(Validity::of_list(list.der()), Some(expected));
        }
    }

    /// Cut anywhere or with any byte changed it gives dates or none, and never panics.
    #[test]
    fn rubbish_gives_no_dates() {
        let params = CertificateParams::new(vec!["core".to_owned()]).unwrap();
        let whole = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let whole = whole.der().to_vec();
        for length in 0..whole.len() {
            assert_eq!(Validity::of_certificate(&whole[..length]), None, "{length}");
            for byte in [0x00, 0x30, 0x80, 0x84, 0xFF] {
                let mut wrong = whole.clone();
                wrong[length] = byte;
                let _ = Validity::of_certificate(&wrong);
                let _ = Validity::of_list(&wrong);
            }
        }
        assert_eq!(Validity::of_certificate(b""), None);
        assert_eq!(Validity::of_list(&whole), None);
    }
}
