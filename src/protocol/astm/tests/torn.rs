//! ETX without CR: a record is believed by what follows it, and half a value is never a value
//! (facts/lab.md 1.2, 1.5).

use super::*;
use crate::protocol::Completeness;
use crate::vocabulary::Why;

const ETX: u8 = 3;

/// A record that only ETX closes.
fn closed(number: usize, text: &str) -> Vec<u8> {
    frame(number, text.as_bytes(), ETX)
}

/// A transmission in which only ETX closes records.
fn without_cr(records: &[&str]) -> Vec<u8> {
    let frames = records.iter().enumerate().map(|(index, text)| closed(index + 1, text));
    let mut bytes = vec![5];
    bytes.extend(frames.flatten());
    bytes.push(4);
    bytes
}

const NO_L: &str = "specimen_id = 'O.3.1'\ntest_code = 'R.3.4'\nends_with_l_record = 'no'\n";

#[test]
fn etx_in_the_middle_of_a_value_makes_no_shorter_value() {
    let mut bench = begun(&[H, P, O]);
    let (first, second) = (closed(4, "R|1|^^^pH|7"), record(5, "5.35||N||F"));
    assert_eq!(bench.feed(&first), [ACK]);
    assert_eq!(bench.feed(&second), [ACK]);
    assert_eq!(bench.feed(&record(6, "R|2|^^^NA|142|mmol/L")), [ACK]);
    assert_eq!(bench.feed(&record(7, L)), [ACK]);
    let message = &bench.messages[0];
    assert_eq!(message.completeness, Completeness::Complete);
    assert_eq!(values(&bench), ["142"]);
    assert_eq!(refusals(message), [Why::TooShort]);
    // Both halves are shown.
    let shown = &message.raw[message.refusals[0].at.clone()];
    assert!(shown.starts_with(b"R|1|^^^pH|7\x03") && shown.ends_with(b"5.35||N||F"));
}

#[test]
fn wherever_etx_cuts_a_record_no_other_value_comes_out() {
    let records = [("7.35", "mmol/L|3 to 9"), ("7", "mmol/L|3 to 9"), ("12", "mmol/L|3 to 9")];
    // `M|5` and `C|9` would be records, were there others of their letter before them.
    let units = [("7.35", "mM|5"), ("7.35", "M|5"), ("12", "aS|3"), ("12", "C|9")];
    for (value, unit) in records.into_iter().chain(units) {
        let whole = format!("R|1|^^^CR|{value}|{unit}|N||F");
        for more in [PLAIN, NO_L] {
            for at in 1..=whole.len() {
                let mut bench = Bench::new(more);
                let (first, second) = whole.split_at(at);
                bench.feed(&[5]);
                for (index, text) in [H, P, O].into_iter().enumerate() {
                    assert_eq!(bench.feed(&record(index + 1, text)), [ACK]);
                }
                assert_eq!(bench.feed(&closed(4, first)), [ACK]);
                assert_eq!(bench.feed(&record(5, second)), [ACK]);
                bench.feed(&record(6, L));
                bench.feed(&[4]);
                let found = values(&bench);
                let refused = bench.messages.iter().any(|one| !one.refusals.is_empty());
                if at == whole.len() {
                    assert_eq!((found, refused), (vec![value], false), "CR in the next frame");
                } else {
                    assert!(found.is_empty() && refused, "{first} / {second}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn a_unit_that_was_cut_is_no_l_record() {
    let mut bench = begun(&[H, P, O]);
    assert_eq!(bench.feed(&closed(4, "R|1|^^^GLU|5.60|mmol/")), [ACK]);
    assert_eq!(bench.feed(&record(5, "L||N||F")), [ACK]);
    assert_eq!(bench.feed(&record(6, L)), [ACK]);
    assert_eq!(refusals(&bench.messages[0]), [Why::TooShort]);
    assert!(values(&bench).is_empty());
}

#[test]
fn devices_that_close_every_record_with_etx_are_read() {
    let records = [H, P, O, R, "C|1|I|40|I", "R|2|^^^NA|142|mmol/L||N||F", L];
    let expected = Bench::fed(PLAIN, &[&transmission(&records)]);
    let bytes = without_cr(&records);
    for profile in [PLAIN, NO_L] {
        let whole = Bench::fed(profile, &[&bytes]);
        assert_eq!(values(&whole), ["5.60", "142"]);
        assert!(whole.messages.iter().all(|one| one.refusals.is_empty()));
        for message in &whole.messages {
            for reading in message.groups.iter().flat_map(|group| &group.readings) {
                assert_eq!(&message.raw[reading.at.clone()], reading.value.as_sent().as_bytes());
            }
            for group in &message.groups {
                assert_eq!(group.subject.specimen, "SP9");
                assert_eq!(group.subject.patient_ids[0].id, "PAT7");
            }
        }
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(Bench::fed(profile, &singly).events, whole.events, "byte by byte");
        for at in 1..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(Bench::fed(profile, &[first, second]).events, whole.events, "cut at {at}");
        }
    }
    let whole = Bench::fed(PLAIN, &[&bytes]);
    assert_eq!(values(&whole), values(&expected));
    assert_eq!(whole.messages[0].repeat_basis, expected.messages[0].repeat_basis);
}

#[test]
fn a_record_that_only_etx_closed_is_not_believed_when_the_sender_stops() {
    type End = fn(&mut Bench);
    let ends: [End; 4] = [
        |bench| drop(bench.feed(&[4])),
        |bench| drop(bench.feed(&[5])),
        |bench| drop(bench.pass(40_000)),
        Bench::close,
    ];
    for end in ends {
        let mut bench = begun(&[H, P, O, R]);
        assert_eq!(bench.feed(&closed(5, "R|2|^^^pH|7")), [ACK]);
        end(&mut bench);
        assert_eq!(values(&bench), ["5.60"]);
        let message = &bench.messages[0];
        assert_eq!(message.completeness, Completeness::Incomplete);
        assert!(
            message
                .refusals
                .iter()
                .any(|refused| { message.raw[refused.at.clone()].starts_with(b"R|2|^^^pH|7") })
        );
    }
}

#[test]
fn without_l_records_eot_ends_the_last_record_and_nothing_else_does() {
    let begun = || {
        let mut bench = Bench::new(NO_L);
        bench.feed(&[5]);
        for (index, text) in [H, P, O].into_iter().enumerate() {
            assert_eq!(bench.feed(&closed(index + 1, text)), [ACK]);
        }
        assert_eq!(bench.feed(&closed(4, "R|1|^^^pH|7.35")), [ACK]);
        assert!(bench.readings().is_empty(), "what follows is not known yet");
        bench
    };
    let mut bench = begun();
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["7.35"]);
    assert!(bench.messages.iter().all(|one| one.refusals.is_empty()));

    let mut bench = begun();
    bench.close();
    assert!(values(&bench).is_empty());
    let last = bench.messages.last().unwrap();
    assert_eq!(last.completeness, Completeness::Incomplete);
    assert!(refusals(last).contains(&Why::Incomplete));

    // The sender gives up while its frame is stored: the record is shown, not forgotten.
    let mut bench = begun();
    bench.store = None;
    assert_eq!(bench.feed(&closed(5, "R|2|^^^NA|14")), SILENCE);
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["7.35"]);
    let last = bench.messages.last().unwrap();
    assert_eq!(last.completeness, Completeness::Incomplete);
    assert!(refusals(last).contains(&Why::Incomplete));
}

#[test]
fn a_torn_patient_or_order_leaves_its_results_to_nobody() {
    for torn in [["P|2||PAT", "8"], ["O|2|SP", "10"], [r"H|\", "^&|||LAB"]] {
        for profile in [PLAIN, NO_L] {
            let [first, second] = torn;
            let records = [H, P, O, R].into_iter().enumerate();
            let mut bytes = vec![5];
            bytes.extend(records.flat_map(|(index, text)| record(index + 1, text)));
            bytes.extend(closed(5, first));
            bytes.extend(record(6, second));
            bytes.extend(record(7, "R|1|^^^K|4.1"));
            bytes.extend(record(8, "C|1|I|40|I"));
            bytes.extend(record(9, "P|3||PAT9"));
            bytes.extend(record(10, "O|1|SP11"));
            bytes.extend(record(11, "R|1|^^^NA|142"));
            bytes.extend(record(12, L));
            bytes.push(4);
            let bench = Bench::fed(profile, &[&bytes]);
            let header_torn = first.starts_with('H');
            let expected = if header_torn { &["5.60"][..] } else { &["5.60", "142"] };
            assert_eq!(values(&bench), expected, "{torn:?} {profile}");
            let groups: Vec<_> = bench.messages.iter().flat_map(|one| &one.groups).collect();
            assert_eq!(groups[0].subject.specimen, "SP9");
            if !header_torn {
                assert_eq!(groups[1].subject.specimen, "SP11");
            }
        }
    }
}

#[test]
fn a_damaged_order_counts_for_later_frames_too() {
    let mut bench = Bench::new(NO_L);
    bench.feed(&[5]);
    let records = [H, P, O, " O|2|SPB", "R|1|^^^K|4.1", "R|2|^^^NA|142", "O|3|SPC", R];
    for (index, text) in records.into_iter().enumerate() {
        assert_eq!(bench.feed(&record(index + 1, text)), [ACK]);
    }
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["5.60"]);
    let whys: Vec<Why> = bench.messages.iter().flat_map(refusals).collect();
    assert_eq!(whys, [Why::OddSegment, Why::Unreadable, Why::Unreadable]);
}
