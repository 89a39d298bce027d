//! `[adt]`: the patient administration's feed.

use std::net::SocketAddr;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{ConfigurationFile, Loader, Mode};
use crate::association::Utc;
use crate::association::adt::AdtSite;
use crate::link::tls_server::ServerFiles;
use crate::profile::position::Step::{self, Key};
use crate::vocabulary::{Moment, PatientId, Purpose};

/// The feed.
///
/// ```
/// use wardgate::gateway::configuration::AdtTable;
/// let table: AdtTable = toml::from_str(
///     "listen = \"127.0.0.1:6661\"\n\
///      time_zone = \"Europe/Helsinki\"\n\
///      silent_after_min = 30\n\
///      census_at = \"02:30\"\n\
///      [patients]\n\
///      main_roots = [\"1.2.246.10.1234567.22.2\"]\n\
///      authorities.PI = \"1.2.246.10.1234567.22.2\"\n",
/// )
/// .unwrap();
/// assert_eq!(table.silent_after_s(), Some(1800));
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdtTable {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate, key, and the authority of those who are let in.
    #[serde(default)]
    pub tls: ServerFiles,
    /// How the feed names patients and places.
    #[serde(default)]
    pub patients: AdtSite,
    /// The zone of times without one; the gateway's unless said.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// After how many minutes without a message the feed counts as silent; learned unless said.
    #[serde(default)]
    pub silent_after_min: Option<u32>,
    /// When a census is due each night, by the feed's zone: `02:30`.
    #[serde(default)]
    pub census_at: Option<String>,
    /// How many hours after a discharge a person's name is kept.
    #[serde(default = "keep_hours")]
    pub keep_hours: u32,
}

/// A shift and a half: what was measured may be charted until the next morning.
fn keep_hours() -> u32 {
    12
}

/// More would keep names of people who are long gone.
const KEEP_HOURS_MAX: u32 = 72;

/// A day.
const SILENT_MIN_MAX: u32 = 24 * 60;

impl AdtTable {
    /// The site's limit of silence, if it gives one.
    pub fn silent_after_s(&self) -> Option<u64> {
        self.silent_after_min.map(|minutes| u64::from(minutes) * 60)
    }

    /// The feed's zone.
    pub fn zone(&self) -> Option<TimeZone> {
        self.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok())
    }

    /// Who left after this is still kept.
    pub fn keep_after(&self, now: Moment) -> Utc {
        Utc::from_us(now.utc_us()).plus_s(-3600 * i64::from(self.keep_hours))
    }

    /// The next time at which a census is due, after this one.
    pub fn next_census(&self, now: Moment) -> Option<Moment> {
        let at: Time = self.census_at.as_deref().and_then(time_of_day)?;
        let zone = self.zone().unwrap_or(TimeZone::UTC);
        let here = Timestamp::from_microsecond(now.utc_us()).ok()?.to_zoned(zone);
        let mut next = here.with().time(at).build().ok()?;
        if next <= here {
            next = next.tomorrow().ok()?.with().time(at).build().ok()?;
        }
        let wait: SignedDuration = here.duration_until(&next);
        Some(now.plus_ms(u64::try_from(wait.as_millis()).ok()?))
    }
}

/// `HH:MM`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl Mode {
    /// On the bench there are only made-up patients.
    pub(in crate::gateway) const fn purpose(self) -> Purpose {
        match self {
            Mode::Production => Purpose::Production,
            Mode::Bench => Purpose::Test,
        }
    }
}

impl Loader<'_> {
    /// The feed's table, checked, with what it takes from the gateway's.
    pub(super) fn adt(&mut self, file: &ConfigurationFile) -> Option<AdtTable> {
        let mut table = file.adt.clone()?;
        let at = [Key("adt")];
        self.port(&at, table.listen, &table.tls);
        self.zone(&[Key("adt"), Key("time_zone")], table.time_zone.as_deref());
        self.patients(&at, &table.patients);
        if table.silent_after_min.is_some_and(|minutes| !(1..=SILENT_MIN_MAX).contains(&minutes)) {
            let what = format!("expected 1 to {SILENT_MIN_MAX} minutes");
            self.add(&[Key("adt"), Key("silent_after_min")], what);
        }
        if !(1..=KEEP_HOURS_MAX).contains(&table.keep_hours) {
            let what = format!("expected 1 to {KEEP_HOURS_MAX} hours");
            self.add(&[Key("adt"), Key("keep_hours")], what);
        }
        if table.census_at.as_deref().is_some_and(|text| time_of_day(text).is_none()) {
            let what = "expected a time of day such as \"02:30\"";
            self.add(&[Key("adt"), Key("census_at")], what);
        }
        table.time_zone = table.time_zone.or_else(|| file.gateway.time_zone.clone());
        table.patients.purpose = self.mode.purpose();
        Some(table)
    }

    /// A port on which other systems tell of patients: in production both sides prove themselves,
    /// unless it is this box alone that can reach it.
    pub(super) fn port(&mut self, table: &[Step<'_>], listen: SocketAddr, files: &ServerFiles) {
        let at = |key: &'static str| [table, &[Key("tls"), Key(key)]].concat();
        if let Err(error) = files.acceptor() {
            self.add(&at(error.field), error.to_string());
        }
        let plain = !files.are_mutual() && !listen.ip().is_loopback();
        if plain && self.mode == Mode::Production {
            let what = "expected `tls` with certificate, key and client_ca: in production a port \
                        that hears of patients lets in only who proves itself";
            self.add(&[table, &[Key("listen")]].concat(), what);
        }
    }

    /// Roots of identifiers.
    pub(super) fn patients(&mut self, table: &[Step<'_>], site: &AdtSite) {
        let wrong =
            |root: &str| PatientId::given(root, "131052-308T", Purpose::Production).is_err();
        let what = "expected an OID such as \"1.2.246.10.1234567.22.2026\"";
        let at = |key: &'static str| [table, &[Key("patients"), Key(key)]].concat();
        for (index, _) in site.main_roots.iter().enumerate().filter(|(_, root)| wrong(root)) {
            self.add(&[&at("main_roots")[..], &[Step::Index(index)]].concat(), what);
        }
        for (name, _) in site.authorities.iter().filter(|(_, root)| wrong(root)) {
            self.add(&[&at("authorities")[..], &[Key(name)]].concat(), what);
        }
        if site.root_without_authority.as_deref().is_some_and(wrong) {
            self.add(&at("root_without_authority"), what);
        }
    }
}
