use super::*;
use crate::vocabulary::reading::EventKind;

/// 510 bytes: sound, silence, five alarms of 98 bytes.
fn alarm(sound: u8, silence: u8, alarms: &[(&[u8], u8)]) -> Vec<u8> {
    let mut data = vec![0; 510];
    (data[2], data[8]) = (sound, silence);
    for (index, (text, colour)) in alarms.iter().enumerate() {
        let at = 10 + 98 * index;
        data[at..at + text.len()].copy_from_slice(text);
        data[at + 82] = *colour;
    }
    data
}

fn made(level: u8, data: Vec<u8>) -> Vec<u8> {
    Made { level, main_type: 4, ..MADE }.with(1, data).frame()
}

#[test]
fn alarms_are_events_with_their_text_and_colour() {
    let data = alarm(1, 6, &[(b"HR LOW", 3), (b"SpO2 PROBE OFF", 1)]);
    let seen = fed(&mut driver(), &made(10, data));
    assert_eq!(seen[0].groups[0].event, Some(EventKind::Alarm));
    assert_eq!(
        texts(&seen),
        [
            "alarm.sound_on_off 1",
            "alarm.silence_info 6",
            "alarm.text HR LOW",
            "alarm.color 3",
            "alarm.text SpO2 PROBE OFF",
            "alarm.color 1",
        ]
    );
    let readings = &seen[0].groups[0].readings;
    assert_eq!((readings[2].sub_id.as_str(), readings[4].sub_id.as_str()), ("1", "2"));
    let shown = format!("{:?} {:?}", seen[0], readings);
    assert!(!shown.contains("LOW"), "{shown}");
}

#[test]
fn the_end_of_alarms_is_an_event_too() {
    let seen = fed(&mut driver(), &made(11, alarm(1, 0, &[])));
    assert_eq!(texts(&seen), ["alarm.sound_on_off 1", "alarm.silence_info 0"]);
}

#[test]
fn letters_beyond_ascii_need_the_devices_character_set() {
    let frame = made(10, alarm(1, 0, &[(b"SYKE KORKEA \xc4", 2)]));
    let refused = fed(&mut driver(), &frame);
    assert_eq!(refused[0].refusals[0].why, Why::Charset);
    // What cannot be read is the text; that the screen shows a yellow alarm is said.
    assert_eq!(texts(&refused)[2..], ["alarm.color 2"]);
    let mut latin = driver();
    latin.site.charset = Some("8859/1".to_owned());
    assert_eq!(texts(&fed(&mut latin, &frame))[2], "alarm.text SYKE KORKEA Ä");
}

#[test]
fn what_no_alarm_record_holds_is_refused() {
    let odd = [
        alarm(2, 0, &[]),
        alarm(1, 8, &[]),
        alarm(1, 0, &[(b"A", 4)]),
        // Not sorted by colour.
        alarm(1, 0, &[(b"A", 1), (b"B", 3)]),
    ];
    for data in odd {
        let seen = fed(&mut driver(), &made(10, data));
        assert!(seen[0].groups.is_empty() && seen[0].refusals[0].why == Why::OddSegment);
    }
    let seen = fed(&mut driver(), &made(9, alarm(1, 0, &[])));
    assert_eq!(seen[0].refusals[0].why, Why::UnsupportedMessage);
}
