use super::*;

/// Runs the driver's clock for so many seconds and writes down what it sends, and when.
fn run(driver: &mut DriDriver, from_s: u64, to_s: u64, sent: &mut Vec<(u64, Vec<u8>)>) {
    let end = NOW.plus_ms(to_s * 1000);
    let mut now = NOW.plus_ms(from_s * 1000);
    while let Some(next) = driver.next_wake().filter(|next| *next <= end) {
        now = now.max(next);
        driver.wake(now);
        for event in events(driver) {
            if let Event::Send { bytes, to } = event {
                assert_eq!(to, Peer::STREAM);
                sent.push((now.since_ms(NOW), bytes));
            }
        }
    }
}

/// What may ever be sent with this profile.
fn templates(profile: &DriProfile) -> Vec<Vec<u8>> {
    let kinds: Vec<u8> = profile.waves.iter().map(|wave| wave.kind()).collect();
    vec![
        request::displayed(profile.interval_s, profile.class_bits()),
        request::auxiliary(profile.interval_s),
        request::differential_alarms(),
        request::start_waves(&kinds),
        request::stop_waves(),
    ]
}

/// Every scenario at once: start, answers, silence, a monitor that comes back, unwanted waves,
/// damage, a link that closes and opens.
#[test]
fn everything_sent_is_a_template_and_never_too_early() {
    let profiles = [
        profile(),
        DriProfile { interval_s: 5, alarms: true, ..profile() },
        DriProfile {
            auxiliary: false,
            alarms: true,
            waves: vec![Wave::Ecg1, Wave::Pleth],
            ..profile()
        },
    ];
    for profile in profiles {
        let allowed = templates(&profile);
        let mut driver = driver_of(profile.clone(), Some("UTC"));
        let mut sent = Vec::new();
        let mut number = 0;
        for second in 0..400u64 {
            let now = NOW.plus_ms(second * 1000);
            match second {
                100..200 | 330..400 => {}
                210 => driver.link(LinkChange::Closed, now),
                215 => driver.link(LinkChange::Opened { session: Session(8) }, now),
                220 => driver.receive(&[0x7e, 1, 2, 3, 0x7d], Peer::STREAM, now),
                230 => driver.link(LinkChange::LineError(crate::protocol::LineError::Parity), now),
                240 => {
                    let wave = Made { main_type: 1, ..MADE }.with(2, vec![0, 0, 0, 0, 0, 0]);
                    driver.receive(&wave.frame(), Peer::STREAM, now);
                }
                _ if second % 10 == 5 => {
                    number += 1;
                    let made = Made { number, ..MADE }.with(1, basic(&[(122, ON), (128, 9700)]));
                    driver.receive(&made.frame(), Peer::STREAM, now);
                }
                _ => {}
            }
            run(&mut driver, second, second, &mut sent);
        }
        assert!(sent.len() > 8);
        for (at, bytes) in &sent {
            assert!(allowed.contains(bytes), "{at}: {bytes:02X?}");
        }
        let near = sent.windows(2).find(|pair| pair[1].0 - pair[0].0 < 5000);
        assert_eq!(near, None);
        assert!(sent.iter().all(|(at, _)| !(210_000..215_000).contains(at)), "sent while closed");
    }
}

#[test]
fn the_subscription_comes_first_and_again_on_silence() {
    let mut driver = driver();
    let mut sent = Vec::new();
    run(&mut driver, 0, 11, &mut sent);
    let displayed = request::displayed(10, 14);
    let auxiliary = request::auxiliary(10);
    assert_eq!(sent, [(5500, displayed.clone()), (11_000, auxiliary.clone())]);
    // The monitor answers at 12 s and then falls silent: asked again three intervals later.
    let record = MADE.with(1, basic(&[])).frame();
    driver.receive(&record, Peer::STREAM, NOW.plus_ms(12_000));
    events(&mut driver);
    sent.clear();
    run(&mut driver, 12, 60, &mut sent);
    assert_eq!(sent[0], (42_000, displayed.clone()));
    assert_eq!(sent[1], (47_500, auxiliary));
}

#[test]
fn silence_is_trouble_until_values_come() {
    let mut driver = driver_of(DriProfile { auxiliary: false, ..profile() }, None);
    let mut seen = Vec::new();
    let mut wake = |driver: &mut DriDriver, ms| {
        driver.wake(NOW.plus_ms(ms));
        for event in events(driver) {
            if let Event::Trouble { words } = event {
                seen.push(words.is_some());
            }
        }
        seen.clone()
    };
    assert!(wake(&mut driver, 5500).is_empty());
    assert_eq!(wake(&mut driver, 35_500), [true]);
    driver.receive(&MADE.with(1, basic(&[])).frame(), Peer::STREAM, NOW.plus_ms(36_000));
    assert_eq!(wake(&mut driver, 36_000), [true, false]);
}

#[test]
fn alarms_are_asked_for_only_where_they_are_known() {
    for (level, asked) in [(9, false), (10, true)] {
        let only = DriProfile { auxiliary: false, alarms: true, ..profile() };
        let mut driver = driver_of(only, None);
        driver.receive(&Made { level, ..MADE }.with(1, basic(&[])).frame(), Peer::STREAM, NOW);
        events(&mut driver);
        let mut sent = Vec::new();
        run(&mut driver, 0, 25, &mut sent);
        let alarms = sent.iter().any(|(_, bytes)| *bytes == request::differential_alarms());
        assert_eq!(alarms, asked, "level {level}");
    }
}
