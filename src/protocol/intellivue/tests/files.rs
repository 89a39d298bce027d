//! The two device files: one table, two links.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::monitor::{Poll, cuff, simple};
use super::*;
use crate::mapping::Mapper;
use crate::profile::{Drafts, Profile, Protocol};
use crate::vocabulary::{ParameterKind, Vocabulary};

const LAN: &str = include_str!("../../../../device-profiles/philips/intellivue-lan/profile.toml");
const RS232: &str =
    include_str!("../../../../device-profiles/philips/intellivue-rs232/profile.toml");

fn vocabulary() -> Vocabulary {
    Vocabulary::parse(
        include_str!("../../../../device-profiles/vocabulary/parameters.toml"),
        include_str!("../../../../device-profiles/vocabulary/units.toml"),
    )
    .unwrap()
}

fn read(text: &str) -> Profile {
    Profile::read(text, &vocabulary(), Drafts::Accepted)
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn table(profile: &Profile) -> IntellivueProfile {
    let protocol = &profile.file().protocol;
    let Protocol::Intellivue(table) = protocol else { panic!("{}", protocol.family()) };
    table.clone()
}

#[test]
fn both_links_have_one_table() {
    let (lan, rs232) = (table(&read(LAN)), table(&read(RS232)));
    assert_eq!((lan.framing, rs232.framing), (Framing::Lan, Framing::Rs232));
    let same = IntellivueProfile {
        framing: lan.framing,
        message_bytes_max: lan.message_bytes_max,
        ..rs232.clone()
    };
    assert_eq!(lan, same);
    assert!(lan.waves.is_empty(), "nothing is set unless a device file asks for it");
    assert_eq!(lan.stated().len(), lan.numeric.len() + lan.by_number.len());
}

/// What the corpus table of physiological codes names and the vocabulary calls episodic is read
/// once per measurement.
#[test]
fn every_episodic_code_is_listed() {
    let corpus = std::env::var("WARDGATE_CORPUS").unwrap_or_else(|_| "../shared/corpus".to_owned());
    let path = format!("{corpus}/monitors/philips-intellivue/physio_codes.csv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let words = vocabulary();
    let listed: BTreeSet<u16> = table(&read(LAN)).episodic.iter().map(|one| one.code()).collect();
    let codes = text.lines().skip(1).filter_map(|line| line.split(',').next()?.parse::<u16>().ok());
    let episodic = codes.filter(|code| {
        let known = words.parameter_by_mdc_code(0x0002_0000 + u32::from(*code));
        known.is_some_and(|(_, parameter)| parameter.kind == ParameterKind::Episodic)
    });
    let episodic: BTreeSet<u16> = episodic.collect();
    assert!(episodic.len() > 30 && episodic.is_subset(&listed));
}

#[test]
fn codes_map_by_number_by_table_or_not_at_all() {
    let profile = read(LAN);
    let mapper = Mapper::new(&profile, "L.01.18", Arc::new(vocabulary()));
    let mut bench = Bench::open(Framing::Lan);
    let objects = [
        simple(1, 0x4182, 0, 0x0aa0, 60),
        simple(2, 0x4822, 0, 0x0aa0, 61),
        simple(3, 0x7498, 0, 0x0220, 40),
        simple(4, 0xf04e, 0, 0x0200, 45),
        simple(5, 0x4b48, 0, 0x1140, 98),
        cuff(0, 16),
    ];
    bench.hear(&Poll::numerics(8_000).of(&objects));
    let mapped = mapper.map(&bench.messages[0].groups);
    assert_eq!(mapped.refusals, []);
    let metrics: Vec<_> = mapped.observations.iter().flat_map(|one| &one.metrics).collect();
    let named: Vec<(Option<&str>, Option<&str>)> = metrics
        .iter()
        .map(|metric| (metric.parameter.as_deref(), metric.unit_mdc.as_deref()))
        .collect();
    let (bpm, mmhg) = (Some("MDC_DIM_BEAT_PER_MIN"), Some("MDC_DIM_MMHG"));
    let expected = [
        (Some("heart-rate"), bpm),
        (Some("pulse-rate-pleth"), bpm),
        (Some("vent-conc-away-o2-insp"), Some("MDC_DIM_PERCENT")),
        (None, Some("MDC_DIM_DIMLESS")),
        (Some("temperature"), Some("MDC_DIM_FAHR")),
        (Some("nibp-systolic"), mmhg),
        (Some("nibp-diastolic"), mmhg),
        (Some("nibp-mean"), mmhg),
    ];
    assert_eq!(named, expected);
    assert!(metrics.iter().all(|metric| metric.doubts.is_empty()), "{metrics:?}");
}
