use super::*;

fn wave(status: u8, samples: &[i16]) -> Vec<u8> {
    let mut data = vec![samples.len() as u8, 0, status, 0, 0, 0];
    samples.iter().for_each(|sample| data.extend(sample.to_le_bytes()));
    data
}

fn arrays(waves: &[Wave], made: &Made) -> Vec<SampleArray> {
    let mut driver = driver_of(DriProfile { waves: waves.to_vec(), ..profile() }, None);
    driver.receive(&made.frame(), Peer::STREAM, NOW);
    let only = |event| {
        if let Event::Samples(samples) = event { Some(samples.arrays) } else { None }
    };
    events(&mut driver).into_iter().filter_map(only).flatten().collect()
}

#[test]
fn waves_are_samples_with_their_rate_and_step() {
    let made = Made { main_type: 1, ..MADE }
        .with(1, wave(1, &[5, -7, -32000]))
        .with(4, wave(0, &[12000]))
        .with(8, wave(8, &[3]));
    let seen = arrays(&[Wave::Ecg1, Wave::Invp1], &made);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].samples, [Some(5), Some(-7), None]);
    assert_eq!((seen[0].period.us, seen[0].period.samples), (1_000_000, 300));
    assert_eq!(seen[0].flags, [Flag("gap".to_owned())]);
    assert_eq!(seen[1].scale, crate::vocabulary::Scale::Step { lsb: "0.01".to_owned() });
    assert_eq!(seen[1].samples, [Some(12000)]);
    // An electrode that is off measures nothing.
    let off = arrays(&[Wave::Pleth], &made);
    assert_eq!(off[0].code, DeviceCode::Parameter("puls-oxim-pleth".to_owned()));
    assert_eq!((off[0].samples.as_slice(), off[0].flags.len()), (&[None][..], 1));
}

#[test]
fn waves_that_nobody_wants_are_stopped_and_not_kept() {
    let made = Made { main_type: 1, ..MADE }.with(1, wave(0, &[5]));
    assert!(arrays(&[], &made).is_empty());
    let mut driver = driver_of(DriProfile { auxiliary: false, ..profile() }, None);
    driver.receive(&made.frame(), Peer::STREAM, NOW);
    let mut sent = Vec::new();
    for second in 0..20 {
        driver.wake(NOW.plus_ms(second * 1000));
        for event in events(&mut driver) {
            if let Event::Send { bytes, .. } = event {
                sent.push(bytes);
            }
        }
    }
    assert_eq!(sent, [request::displayed(10, 14), request::stop_waves()]);
}

#[test]
fn a_wave_that_says_another_length_is_damaged() {
    let mut data = wave(0, &[5, 6, 7]);
    data[0] = 4;
    let made = Made { main_type: 1, ..MADE }.with(1, data);
    assert!(arrays(&[Wave::Ecg1], &made).is_empty());
    let long = Made { main_type: 1, ..MADE }.with(9, wave(0, &[5; 26]));
    assert!(arrays(&[Wave::Co2], &long).is_empty());
    let mut driver = driver_of(DriProfile { waves: vec![Wave::Co2], ..profile() }, None);
    assert_eq!(fed(&mut driver, &long.frame())[0].refusals[0].why, Why::OddSegment);
}

#[test]
fn every_wave_has_a_kind_and_600_samples_are_the_most() {
    let all = [
        (Wave::Ecg1, 1, 300),
        (Wave::Ecg2, 2, 300),
        (Wave::Ecg3, 3, 300),
        (Wave::Invp1, 4, 100),
        (Wave::Invp2, 5, 100),
        (Wave::Invp3, 6, 100),
        (Wave::Invp4, 7, 100),
        (Wave::Pleth, 8, 100),
        (Wave::Co2, 9, 25),
        (Wave::O2, 10, 25),
        (Wave::N2o, 11, 25),
        (Wave::Aa, 12, 25),
        (Wave::Awp, 13, 25),
        (Wave::Flow, 14, 25),
        (Wave::Resp, 15, 25),
    ];
    for (wave, kind, rate) in all {
        assert_eq!((wave.kind(), wave.samples_per_second()), (kind, rate));
    }
    let check = |waves: &[Wave]| DriProfile { waves: waves.to_vec(), ..profile() }.check();
    assert!(check(&[Wave::Ecg1, Wave::Ecg2]).is_ok());
    assert!(check(&[Wave::Ecg1, Wave::Invp1, Wave::Pleth, Wave::Co2, Wave::Resp]).is_ok());
    assert_eq!(check(&[Wave::Ecg1, Wave::Ecg2, Wave::Invp1]).unwrap_err().0, "waves");
    assert_eq!(check(&[Wave::Co2, Wave::Co2]).unwrap_err().0, "waves");
    let interval = DriProfile { interval_s: 4, ..profile() };
    assert_eq!(interval.check().unwrap_err().0, "interval_s");
}
