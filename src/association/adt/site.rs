//! What the site says of its patient administration.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::protocol::hl7v2::Path;
use crate::vocabulary::{Place, Purpose};

/// Unit, room and bed of PV1-3 as the patient administration writes them: `6402^3001^1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct PlaceName(String);

impl PlaceName {
    /// From unit, room and bed; empty ones at the end do not count.
    pub(in crate::association) fn of(parts: &[String]) -> Self {
        let joined = parts.iter().map(|part| part.trim()).collect::<Vec<_>>().join("^");
        Self(joined.trim_end_matches('^').to_owned())
    }

    /// Unit, room and bed.
    pub(in crate::association) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('^')
    }

    pub(in crate::association) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The configuration of an ADT feed.
///
/// ```
/// use wardgate::association::adt::AdtSite;
/// let site: AdtSite = toml::from_str(
///     "main_roots = [\"1.2.246.10.1234567.22.2\"]\n\
///      [authorities]\nPI = \"1.2.246.10.1234567.22.2\"\n\
///      [places]\n\"6402^3001^1\" = \"icu/bed-1\"\n",
/// )
/// .unwrap();
/// assert_eq!(site.places.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdtSite {
    /// The roots whose identifiers wristbands carry, best first: of several identifiers of one
    /// patient, the first such is the one that goes on.
    pub main_roots: Vec<String>,
    /// From the name of an assigning authority (CX.4.1) to its root. One that sends an OID of its
    /// own (CX.4.2 with ISO) needs no line.
    pub authorities: BTreeMap<String, String>,
    /// The root of identifiers without an authority; without this they are not taken.
    pub root_without_authority: Option<String>,
    /// From unit, room and bed to the site's places.
    pub places: BTreeMap<PlaceName, Place>,
    /// Where a `Y` says that the patient's data are protected (turvakielto).
    pub protection: Path,
    /// Production or test; the installation's, not a key of the feed.
    #[serde(skip)]
    pub purpose: Purpose,
}

impl Default for AdtSite {
    fn default() -> Self {
        Self {
            main_roots: Vec::new(),
            authorities: BTreeMap::new(),
            root_without_authority: None,
            places: BTreeMap::new(),
            protection: "PD1-12".parse().expect("a path of a known form"),
            purpose: Purpose::Production,
        }
    }
}
