use super::monitor::{Poll, attribute, be, list, object, string};
use super::*;
use crate::vocabulary::Scale;

#[test]
fn waves_come_only_when_they_are_asked_for() {
    let wave = |samples: &[u16]| {
        let samples = be(samples);
        let head = be(&[0x0102, 0, samples.len() as u16]);
        object(50, &[attribute(0x096e, [head, samples].concat())])
    };
    let scale = [0xfe00_0000u32.to_be_bytes(), 0xfe00_0064u32.to_be_bytes()].concat();
    let form = [be(&[4]), vec![16, 14], be(&[0])].concat();
    let listed = object(
        50,
        &[
            attribute(0x096d, form),
            attribute(0x096f, [scale, be(&[0x2000, 0x20c8])].concat()),
            attribute(0x098d, 16u32.to_be_bytes().to_vec()),
            attribute(0x0a16, list(&[be(&[1, 0x8000])])),
            attribute(0x0996, be(&[0x10b2])),
        ],
    );
    let mut asking = profile(Framing::Lan);
    asking.waves = vec![MdilCode::try_from("0002-0102".to_owned()).unwrap()];
    for (profile, wanted) in [(profile(Framing::Lan), false), (asking, true)] {
        let mut bench = Bench::new(profile);
        bench.driver.link(LinkChange::Opened { session: Session(1) }, START);
        bench.drain();
        let mut monitor = Monitor::new();
        monitor.waves = vec![wave(&[0x2000, 0x20c8, 0xa000, 0x6001])];
        monitor.wave_list = vec![listed.clone()];
        bench.live(&mut monitor, 6_000);
        let set = bench.all_sent.iter().any(|(_, message, _)| monitor::word(message, 10) == 5);
        assert_eq!((set, bench.samples.is_empty()), (wanted, !wanted));
        let Some(samples) = bench.samples.first() else { continue };
        let array = &samples.arrays[0];
        assert_eq!(array.samples, [Some(0x2000), Some(0x20c8), None, Some(0x2001)]);
        assert_eq!((array.period.us, array.period.samples), (2_000, 1));
        let (lower, upper) = ("0.00".to_owned(), "1.00".to_owned());
        let span = Scale::Span { lower, upper, raw_lower: 0x2000, raw_upper: 0x20c8 };
        assert_eq!(array.scale, span);
    }
}

/// As a recorded M8000 has it: one object with leads of 2 ms and a compound of 4 ms, each under a
/// label of its own (jaj42/intellipy, reference/intellivue_enumeration.pcapng, 198.040 s on).
#[test]
fn waves_of_one_object_keep_their_own_forms() {
    let form = |label: u32, words: &str, samples: u16, ticks: u32| {
        let form = [be(&[samples]), vec![16, 14], be(&[0x3000])].concat();
        object(
            686,
            &[
                attribute(0x096d, form),
                attribute(0x098d, ticks.to_be_bytes().to_vec()),
                attribute(0x0924, label.to_be_bytes().to_vec()),
                attribute(0x0927, string(words)),
            ],
        )
    };
    let array = |physio: u16, samples: u16| {
        let raw = vec![0x1f; usize::from(samples) * 2];
        [be(&[physio, 0x0400, samples * 2]), raw].concat()
    };
    let mut asking = profile(Framing::Lan);
    asking.waves = vec![MdilCode::try_from("0002-0102".to_owned()).unwrap()];
    let mut bench = Bench::new(asking);
    bench.driver.link(LinkChange::Opened { session: Session(1) }, START);
    let waves = |ticks| Poll { class: 9, group: 0, ..Poll::numerics(ticks) };
    bench.hear(&waves(8_000).of(&[form(0x0002_0100, "ECG", 4, 32)]));
    bench.hear(&waves(10_000).of(&[form(0x0002_0101, "I", 8, 16)]));
    let leads = list(&[array(0x0102, 4), array(0x0143, 4)]);
    let both = [attribute(0x0967, leads), attribute(0x096e, array(0x0101, 8))];
    // 4 ms or 2 ms: a length that no form has gives nothing.
    let unknown = object(686, &[attribute(0x096e, array(0x013f, 6))]);
    bench.hear(&waves(12_000).of(&[object(686, &both), unknown]));
    let arrays = bench.samples.iter().flat_map(|samples| &samples.arrays);
    let seen: Vec<(String, u64, usize)> = arrays
        .map(|one| {
            let DeviceCode::Codings(codings) = &one.code else { panic!() };
            let name = format!("{} {}", codings[0].code, codings[0].words);
            (name, one.period.us, one.samples.len())
        })
        .collect();
    let wanted =
        [("0002-0102 ECG", 4_000, 4), ("0002-0143 ECG", 4_000, 4), ("0002-0101 I", 2_000, 8)];
    assert_eq!(seen, wanted.map(|(name, us, samples)| (name.to_owned(), us, samples)));
}
