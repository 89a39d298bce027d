use super::monitor::{Poll, attribute, be, list, object, string};
use super::*;
use crate::vocabulary::Mode;
use crate::vocabulary::reading::EventKind;

/// An entry with the text on the screen (form 516).
pub(super) fn entry(source: u16, code: u16, kind: u16, state: u16, text: &str) -> Vec<u8> {
    let text_id = 0x0003_0000u32 | u32::from(code);
    let information =
        [be(&[1]), text_id.to_be_bytes().to_vec(), be(&[5, 0x4000]), string(text)].concat();
    let head = be(&[source, code, kind, state, 0x0006, 0, 7, 516, information.len() as u16]);
    [head, information].concat()
}

fn hear(bench: &mut Bench, attributes: &[Vec<u8>]) -> Vec<String> {
    bench.messages.clear();
    let ticks = (bench.now.monotonic_us() / 125) as u32;
    let poll = Poll { class: 0x36, group: 0x0801, ..Poll::numerics(ticks) };
    bench.hear(&poll.of(&[object(1, attributes)]));
    bench.now = bench.now.plus_ms(1_000);
    let groups = bench.messages.iter().flat_map(|message| &message.groups);
    let event = |group: &Group| {
        assert_eq!(group.event, Some(EventKind::Alarm));
        group.readings.iter().map(say).collect::<Vec<_>>().join(" ")
    };
    groups.map(event).collect()
}

const LOW: &str = "0003-003e=** SpO₂ matala attr-alert-source=4bb8";

#[test]
fn an_alarm_appears_changes_and_ends_once() {
    let mut bench = Bench::open(Framing::Lan);
    let low = |state| list(&[entry(0x4bb8, 0x003e, 512, state, "** SpO₂ matala")]);
    let list_of = |id, entries| attribute(id, entries);
    let none = list(&[]);
    let said = hear(&mut bench, &[list_of(0x0902, low(0x0008)), list_of(0x0904, none.clone())]);
    let priority = "attr-alarm-priority=PM attr-alert-type=SP";
    let start = format!("{LOW} attr-event-phase=start attr-alarm-state=active {priority}");
    assert_eq!(said, [start]);
    assert!(hear(&mut bench, &[list_of(0x0902, low(0)), list_of(0x0904, none.clone())]).is_empty());
    let latched = format!("{LOW} attr-event-phase=continue attr-alarm-state=latched {priority}");
    assert_eq!(hear(&mut bench, &[list_of(0x0902, low(0x2000))]), [latched]);
    // A reply without the list says nothing of it.
    assert!(hear(&mut bench, &[list_of(0x0904, none.clone())]).is_empty());
    let end = format!("{LOW} attr-event-phase=end attr-alarm-state=inactive {priority}");
    assert_eq!(hear(&mut bench, &[list_of(0x0902, none.clone())]), [end]);
    assert!(hear(&mut bench, &[list_of(0x0902, none)]).is_empty());
}

#[test]
fn a_list_that_cannot_be_read_ends_no_alarm() {
    let mut bench = Bench::open(Framing::Lan);
    let low = list(&[entry(0x4bb8, 0x003e, 512, 0, "** SpO₂ matala")]);
    assert_eq!(hear(&mut bench, &[attribute(0x0902, low.clone())]).len(), 1);
    let mut broken = low.clone();
    broken[1] = 2;
    assert!(hear(&mut bench, &[attribute(0x0902, broken)]).is_empty());
    assert_eq!(bench.refusals(), [Why::TooShort]);
    assert!(hear(&mut bench, &[attribute(0x0902, low)]).is_empty());
}

#[test]
fn technical_demo_and_test_alarms() {
    let mut bench = Bench::open(Framing::Lan);
    let entries = list(&[
        entry(0x4bb8, 0x0134, 1, 0x0100, "SpO₂ ANTURI"),
        entry(0x4182, 0x0112, 4, 0x0400, "EKG IRTI"),
    ]);
    let said = hear(&mut bench, &[attribute(0x0904, entries)]);
    assert!(said[0].ends_with("attr-alarm-priority=PL attr-alert-type=ST"), "{said:?}");
    let modes: Vec<Mode> = bench.messages[0].groups.iter().map(|group| group.mode).collect();
    assert_eq!(modes, [Mode::Training, Mode::Debugging]);
    let flags = &bench.messages[0].groups[1].readings[0].flags;
    assert_eq!(flags[0].0, "TEST");
}

#[test]
fn an_entry_without_text_has_the_number_of_its_text() {
    let mut bench = Bench::open(Framing::Lan);
    let information = [be(&[1]), 0x0003_0102u32.to_be_bytes().to_vec(), be(&[5, 0])].concat();
    let head = be(&[0x4182, 0x0028, 256, 0, 6, 0, 7, 513, information.len() as u16]);
    let said = hear(&mut bench, &[attribute(0x0902, list(&[[head, information].concat()]))]);
    assert!(said[0].starts_with("0003-0028=0003-0102 "), "{said:?}");
    // Another form of information is skipped by its length.
    let head = be(&[0x4182, 0x0028, 256, 0, 6, 0, 7, 999, 4]);
    let said = hear(&mut bench, &[attribute(0x0902, list(&[[head, vec![1, 2, 3, 4]].concat()]))]);
    assert_eq!(said.len(), 2, "{said:?}");
}
