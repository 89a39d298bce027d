use super::*;

/// The cuff's label and values in a displayed record.
fn cuff(number: u8, time: u32, label: i32, systolic: i32) -> Made {
    let fields = [(76, ON), (80, label), (82, systolic), (84, 7000), (86, 9000), (88, 71)];
    Made { number, time, ..MADE }.with(1, class(0, time, &fields))
}

/// An auxiliary record: the time of the latest cuff pressure.
fn auxiliary(number: u8, time: u32, measured: u32) -> Made {
    let mut data = vec![0; 114];
    data[..4].copy_from_slice(&measured.to_le_bytes());
    Made { number, time, ..MADE }.with(4, data)
}

fn measured(messages: &[Message]) -> Vec<(String, Option<String>)> {
    let groups = messages.iter().flat_map(|message| &message.groups);
    let groups = groups.filter(|group| group.readings.iter().any(|one| one.sub_id == "nibp"));
    groups
        .map(|group| {
            let time = group.time.as_ref().map(|time| time.as_written.clone());
            (group.readings[0].value.as_sent().to_owned(), time)
        })
        .collect()
}

#[test]
fn a_cuff_pressure_is_told_once_at_its_own_time() {
    let mut driver = driver_of(profile(), Some("UTC"));
    let t = MADE.time;
    let mut all = Vec::new();
    for made in [
        cuff(1, t, 0, 12000),
        auxiliary(2, t + 1, t - 40),
        cuff(3, t + 10, 0, 12000),
        auxiliary(4, t + 11, t - 40),
        cuff(5, t + 20, 1 << 8, 12000),
        // A new one: the cuff is being inflated, then the values are there.
        cuff(6, t + 30, 1 << 5, 12000),
        auxiliary(7, t + 31, t - 40),
        cuff(8, t + 40, 0, 12000),
        auxiliary(9, t + 41, t + 38),
        cuff(10, t + 50, 0, 12000),
        cuff(11, t + 60, 0, 12000),
    ] {
        all.extend(fed(&mut driver, &made.frame()));
    }
    let expected = [("120.00", "20231114221240"), ("120.00", "20231114221358")];
    assert_eq!(measured(&all), expected.map(|(v, t)| (v.to_owned(), Some(t.to_owned()))));
    let told: Vec<&Message> = all.iter().filter(|one| one.repeat_basis.is_some()).collect();
    assert_eq!(told.len(), 2);
    let names: Vec<&str> = told[0].groups[0].readings.iter().map(name).collect();
    assert_eq!(names, ["nibp-systolic", "nibp-diastolic", "nibp-mean", "nibp.hr"]);
    let at = told[0].groups[0].readings[0].at.clone();
    assert_eq!(told[0].raw[at], 12000i16.to_le_bytes());
    assert!(all.iter().all(|one| one.refusals.is_empty()));
}

#[test]
fn a_start_anew_makes_the_same_message_of_the_same_pressure() {
    let told = |offset: u32| {
        let mut driver = driver_of(profile(), Some("UTC"));
        let t = MADE.time + offset;
        let mut all = fed(&mut driver, &cuff(1, t, 0, 12000).frame());
        all.extend(fed(&mut driver, &auxiliary(2, t + 1, MADE.time - 40).frame()));
        all.extend(fed(&mut driver, &cuff(3, t + 10, 0, 12000).frame()));
        all.into_iter().find_map(|one| one.repeat_basis)
    };
    assert!(told(0).is_some());
    assert_eq!(told(0), told(300));
}

#[test]
fn a_monitor_without_auxiliary_records_is_told_by_change() {
    let mut driver = driver_of(DriProfile { auxiliary: false, ..profile() }, Some("UTC"));
    let t = MADE.time;
    let mut all = Vec::new();
    for (index, (label, systolic)) in
        [(0, 12000), (0, 12000), (1 << 8, 12000), (1 << 5, 12000), (0, 12000), (0, 11800)]
            .into_iter()
            .enumerate()
    {
        let made = cuff(index as u8, t + 10 * index as u32, label, systolic);
        all.extend(fed(&mut driver, &made.frame()));
    }
    let values: Vec<_> = measured(&all).into_iter().collect();
    assert_eq!(values, ["120.00", "120.00", "118.00"].map(|value| (value.to_owned(), None)));
    let flagged = all.iter().flat_map(|one| &one.groups).flat_map(|group| &group.readings);
    let flagged = flagged.filter(|one| one.sub_id == "nibp");
    assert!(flagged.into_iter().all(|one| one.flags[0].0 == "measurement-time-not-stated"));
}

#[test]
fn a_pressure_whose_time_never_comes_is_told_when_the_link_ends() {
    let mut driver = driver_of(profile(), Some("UTC"));
    let frame = cuff(1, MADE.time, 0, 12000).frame();
    assert!(measured(&fed(&mut driver, &frame)).is_empty());
    driver.link(LinkChange::Closed, NOW);
    let seen = messages(&mut driver);
    assert_eq!(measured(&seen), [("120.00".to_owned(), None)]);
    assert_eq!((seen[0].raw.as_slice(), &seen[0].repeat_basis), (frame.as_slice(), &None));
    driver.link(LinkChange::Closed, NOW);
    assert!(messages(&mut driver).is_empty());
    // The same if the monitor does not know auxiliary records: with the third record.
    let mut driver = driver_of(profile(), Some("UTC"));
    let told = [0, 1, 2].map(|index| {
        let made = cuff(index, MADE.time + 10 * u32::from(index), 0, 12000);
        measured(&fed(&mut driver, &made.frame())).len()
    });
    assert_eq!(told, [0, 0, 1]);
}

#[test]
fn an_old_pressure_of_unknown_age_is_refused_once() {
    let mut driver = driver_of(DriProfile { auxiliary: false, ..profile() }, None);
    let first = fed(&mut driver, &cuff(1, MADE.time, 1 << 8, 12000).frame());
    assert!(measured(&first).is_empty());
    assert_eq!(first[0].refusals[0].why, Why::Unreadable);
    let second = fed(&mut driver, &cuff(2, MADE.time + 10, 1 << 8, 12000).frame());
    assert!(measured(&second).is_empty() && second[0].refusals.is_empty());
}

#[test]
fn nothing_is_told_before_the_first_measurement() {
    let mut driver = driver_of(profile(), Some("UTC"));
    let t = MADE.time;
    let none = |number, time| {
        let fields = [(76, ON), (82, -32767), (84, -32767), (86, -32767), (88, -32767)];
        Made { number, time, ..MADE }.with(1, class(0, time, &fields))
    };
    let mut all = fed(&mut driver, &none(1, t).frame());
    all.extend(fed(&mut driver, &auxiliary(2, t + 1, 0).frame()));
    all.extend(fed(&mut driver, &none(3, t + 10).frame()));
    assert!(measured(&all).is_empty());
}

#[test]
fn cardiac_output_by_bolus_is_a_measurement_and_continuous_is_not() {
    let output = |mode: i32| {
        let mut driver = driver_of(DriProfile { auxiliary: false, ..profile() }, None);
        let mut all = Vec::new();
        for number in 0..3u8 {
            let fields = [(204, ON), (208, mode << 2), (210, 5120), (216, -32767)];
            let made = Made { number, ..MADE }.with(1, basic(&fields));
            all.extend(fed(&mut driver, &made.frame()));
        }
        texts(&all).into_iter().filter(|one| one.contains("5120")).collect::<Vec<_>>()
    };
    assert_eq!(output(1), ["output-card 5120"]);
    assert_eq!(output(2), ["output-card-cts 5120"; 3]);
    assert_eq!(output(0), ["co_wedge.co 5120"; 3]);
}

#[test]
fn the_body_surface_is_a_setting() {
    let mut data = vec![0; 114];
    data[14..16].copy_from_slice(&183i16.to_le_bytes());
    let seen = fed(&mut driver(), &MADE.with(4, data).frame());
    assert_eq!(texts(&seen), ["aux.pat_bsa 1.83"]);
}
