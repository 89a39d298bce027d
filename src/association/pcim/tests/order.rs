//! What any sequence of begin, end, correction and W comes to, against a much simpler reckoning.

use super::*;
use crate::association::Span;
use crate::association::tests::{entry, nurse};
use crate::vocabulary::PatientId;
use crate::vocabulary::chance::Chance;

/// Patient and time of an association as the ledger has it: what counts, with its end.
fn interval(ledger: &Ledger) -> Vec<(PatientId, Span)> {
    let view = ledger.view(Utc::MAX);
    let counting = ledger.entries().filter(|entry| view.counts(entry));
    let found = counting.filter_map(|entry| {
        let Says::Associated { patient, span, .. } = &entry.says else { return None };
        Some((patient.clone(), view.span_of(entry, *span)))
    });
    found.collect()
}

/// The same from the evidence, sorted: the last one to say something is right.
fn expected(evidence: &[Evidence]) -> Vec<(PatientId, Span)> {
    let mut sorted = evidence.to_vec();
    sorted.sort_by_key(|one| (one.stated, one.event.clone()));
    let (mut from, mut until, mut who) = (None, None, None);
    for one in &sorted {
        match (one.status, one.act) {
            (Status::Wrong, _) => return Vec::new(),
            (Status::Asserted, _) => {}
            (Status::Validated | Status::Corrected, Act::Begins) => {
                (from, who) = (one.begin, Some(one.patient.clone()));
            }
            (Status::Validated | Status::Corrected, Act::Ends) => until = one.end,
        }
    }
    let (Some(from), Some(who)) = (from, who) else { return Vec::new() };
    vec![(who, Span { from, until: until.map(|until: Utc| until.max(from)) })]
}

/// Some events of one association, each with its own times.
fn some(chance: &mut Chance) -> Vec<Evidence> {
    let count = 2 + chance.below(5);
    let events = (0..count).map(|number| {
        let act = if chance.below(3) == 0 { Act::Ends } else { Act::Begins };
        let status = match chance.below(12) {
            0 => Status::Wrong,
            1 => Status::Asserted,
            2..6 => Status::Corrected,
            _ => Status::Validated,
        };
        let patient = patient(if chance.below(4) == 0 { "B2" } else { "A1" });
        let begin = at(8, chance.below(12) as i64 * 5);
        let end = at(9, chance.below(12) as i64 * 5);
        let stated = at(10, chance.below(60) as i64);
        let wrong = status == Status::Wrong;
        // C of an end changes no patient here: who speaks of an end names who had it.
        let patient = if act == Act::Ends { self::patient("A1") } else { patient };
        let status = if act == Act::Ends && status == Status::Corrected {
            Status::Validated
        } else {
            status
        };
        Evidence {
            event: id(&if number == 0 { "x".to_owned() } else { format!("e{number}") }),
            act,
            status,
            patient,
            begin: Some(begin).filter(|_| act == Act::Begins && !wrong),
            end: Some(end).filter(|_| act == Act::Ends && !wrong),
            stated,
            ..begins("x")
        }
    });
    events.collect()
}

#[test]
fn any_order_of_arrival_comes_to_the_interval_of_the_sorted_evidence() {
    let (mut stands, mut ends, mut wrong) = (0, 0, 0);
    for seed in 0..3000 {
        let mut chance = Chance(seed);
        let mut evidence = some(&mut chance);
        let expected = expected(&evidence);
        for _ in 0..3 {
            shuffle(&mut evidence, &mut chance);
            let (mut book, mut ledger) = (Book::default(), Ledger::default());
            let (mut far_book, mut far_ledger) = (Book::default(), Ledger::default());
            for one in &evidence {
                take(&mut book, &mut ledger, one.clone());
                // Others are told everything at each connection, and again.
                for told in heard_by(&book, Transaction::Report) {
                    take(&mut far_book, &mut far_ledger, told);
                }
                // What is sent again changes nothing.
                let taken = book.clone().take(one.clone(), &ledger);
                assert_eq!(taken, Ok(crate::association::Taken::Known));
            }
            assert!(interval(&ledger) == expected, "seed {seed}");
            // Who is told of each change has come to the same.
            assert!(interval(&far_ledger) == expected, "seed {seed}, told");
            // A restart in between loses nothing: the book is written and read.
            let text = serde_json::to_string(&book).unwrap();
            assert!(serde_json::from_str::<Book>(&text).unwrap() == book);
        }
        match expected.first() {
            None => wrong += 1,
            Some((_, span)) if span.until.is_some() => ends += 1,
            Some(_) => stands += 1,
        }
    }
    assert!(stands > 300 && ends > 300 && wrong > 300, "{stands} {ends} {wrong}");
}

fn shuffle(evidence: &mut [Evidence], chance: &mut Chance) {
    for last in (1..evidence.len()).rev() {
        evidence.swap(last, chance.below(last as u64 + 1) as usize);
    }
}

#[test]
fn a_scan_of_this_site_is_ended_corrected_and_declared_wrong_from_outside() {
    let scan = crate::association::tests::associated("pump-4", "A1", at(10, 0));
    let mut ledger = Ledger::default();
    ledger.add(entry("x", at(10, 0), nurse(), scan)).unwrap();
    let mut book = Book::default();
    // The manager's echo changes nothing, whichever id it has.
    for event in ["x", "echo"] {
        take(&mut book, &mut ledger, Evidence { stated: at(10, 1), ..begins(event) });
        assert_eq!(ledger.entries().count(), 1);
    }
    let ends = Evidence {
        act: Act::Ends,
        begin: None,
        end: Some(at(11, 0)),
        stated: at(11, 1),
        ..begins("e1")
    };
    take(&mut book, &mut ledger, ends);
    let until = Some(at(11, 0));
    assert!(interval(&ledger) == [(patient("A1"), Span { from: at(10, 0), until })]);
    let corrects = Evidence {
        status: Status::Corrected,
        begin: Some(at(10, 10)),
        stated: at(11, 5),
        ..begins("c1")
    };
    take(&mut book, &mut ledger, corrects);
    assert!(interval(&ledger) == [(patient("A1"), Span { from: at(10, 10), until })]);
    let wrong = Evidence { status: Status::Wrong, begin: None, stated: at(11, 9), ..begins("w1") };
    take(&mut book, &mut ledger, wrong);
    assert!(interval(&ledger).is_empty());
}

#[test]
fn what_a_person_here_ended_or_withdrew_is_not_brought_back() {
    let (mut book, mut ledger) = (Book::default(), Ledger::default());
    take(&mut book, &mut ledger, begins("x"));
    let end = crate::association::tests::ended("x", at(10, 30));
    ledger.add(entry("here", at(10, 31), nurse(), end)).unwrap();
    let corrects = Evidence {
        status: Status::Corrected,
        begin: Some(at(10, 5)),
        stated: at(11, 0),
        ..begins("c1")
    };
    take(&mut book, &mut ledger, corrects);
    let span = Span { from: at(10, 5), until: Some(at(10, 30)) };
    assert!(interval(&ledger) == [(patient("A1"), span)]);
    let withdrawn = crate::association::tests::withdrawn("c1/association");
    ledger.add(entry("out", at(11, 10), nurse(), withdrawn)).unwrap();
    let again = Evidence { status: Status::Corrected, stated: at(11, 20), ..begins("c2") };
    take(&mut book, &mut ledger, again);
    assert!(interval(&ledger).is_empty());
}

#[test]
fn a_proposal_files_nothing_until_somebody_stands_behind_it() {
    let (mut book, mut ledger) = (Book::default(), Ledger::default());
    let asserted = Evidence { status: Status::Asserted, ..begins("x") };
    take(&mut book, &mut ledger, asserted);
    assert_eq!((ledger.entries().count(), book.proposals().count()), (0, 1));
    // F without a time confirms what was asserted.
    let confirms = Evidence { begin: None, stated: at(10, 20), ..begins("f") };
    take(&mut book, &mut ledger, confirms);
    assert_eq!(book.proposals().count(), 0);
    assert!(interval(&ledger) == [(patient("A1"), Span { from: at(10, 0), until: None })]);
    // And one that confirms nothing at all is refused.
    let other = Evidence { association: id("z"), begin: None, ..begins("z") };
    assert_eq!(book.take(other, &ledger), Err(Trouble::Other));
}

#[test]
fn a_person_here_validates_a_proposal_or_declares_it_wrong_and_others_hear_of_it() {
    for holds in [true, false] {
        let (mut book, mut ledger) = (Book::default(), Ledger::default());
        take(&mut book, &mut ledger, Evidence { status: Status::Asserted, ..begins("x") });
        assert!(heard_by(&book, Transaction::Report).is_empty());
        let who = (person("59123"), holds);
        let word = book.decided(&id("x"), id("d"), who.clone(), at(10, 30)).unwrap();
        take(&mut book, &mut ledger, word);
        assert_eq!(book.proposals().count(), 0);
        assert!(book.decided(&id("x"), id("e"), who, at(10, 40)).is_none());
        let told: Vec<Evidence> = current(&ledger, &book, Transaction::Report, at(11, 0));
        let kinds: Vec<(Status, Option<PersonId>)> =
            told.into_iter().map(|one| (one.status, one.validator)).collect();
        let expected = (Status::Validated, Some(person("59123")));
        assert_eq!(kinds, if holds { vec![expected] } else { Vec::new() });
    }
}

#[test]
fn a_later_event_without_a_name_is_matched_by_device_and_patient() {
    let (mut book, mut ledger) = (Book::default(), Ledger::default());
    let ends = Evidence {
        association: id("e1"),
        act: Act::Ends,
        begin: None,
        end: Some(at(11, 0)),
        stated: at(11, 0),
        ..begins("e1")
    };
    assert_eq!(book.matched(&ends, &ledger), Err(Trouble::NotAssociated));
    take(&mut book, &mut ledger, begins("x"));
    assert_eq!(book.matched(&ends, &ledger), Ok(id("x")));
    let of_other = Evidence { patient: patient("B2"), ..ends.clone() };
    assert_eq!(book.matched(&of_other, &ledger), Err(Trouble::NotAssociated));
    take(&mut book, &mut ledger, Evidence { association: id("x"), ..ends.clone() });
    assert_eq!(book.matched(&ends, &ledger), Err(Trouble::NotAssociated));
}

#[test]
fn a_device_on_another_patient_is_the_managers_error_and_a_move_is_none() {
    let (mut book, mut ledger) = (Book::default(), Ledger::default());
    take(&mut book, &mut ledger, begins("x"));
    let other = |begin| Evidence {
        association: id("z"),
        patient: patient("B2"),
        begin: Some(begin),
        stated: begin,
        ..begins("z")
    };
    assert_eq!(book.conflict(&other(at(11, 0)), &ledger), Some(Trouble::OnAnotherPatient));
    // Its own correction is no conflict, nor is the same patient again.
    let own = Evidence { status: Status::Corrected, patient: patient("B2"), ..begins("c") };
    assert_eq!(book.conflict(&own, &ledger), None);
    let ends = Evidence {
        act: Act::Ends,
        begin: None,
        end: Some(at(11, 0)),
        stated: at(11, 0),
        ..begins("e")
    };
    take(&mut book, &mut ledger, ends);
    assert_eq!(book.conflict(&other(at(11, 0)), &ledger), None);
    assert_eq!(book.conflict(&other(at(10, 59)), &ledger), Some(Trouble::OnAnotherPatient));
    // Another machine under a known association.
    let device = Evidence { device: machine("MON5588"), stated: at(12, 0), ..begins("d") };
    assert_eq!(book.take(device, &ledger), Err(Trouble::Other));
}
