//! Whatever happens to the captures of these devices on the line: no driver panics, nothing depends
//! on how the bytes are cut, and every reading stands in the raw bytes of its message.

use super::*;
use crate::vocabulary::chance::Chance;

/// Device files with one capture each.
const DEVICES: [(&str, &str); 9] = [
    ("masimo/radical-7", "steady-off-alarm"),
    ("masimo/rad-8", "manual-sample"),
    ("nellcor/n-395", "header-rows-words"),
    ("nonin/ascii", "forms-of-the-manuals"),
    ("nonin/format-7-13", "packets"),
    ("ivy/450c", "recorded"),
    ("puritan-bennett/840", "both-reports"),
    ("oridion/capnostream-20", "identification-and-numerics"),
    ("medtronic/bis-vista", "processed"),
];

fn file(folder: &str, name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
    std::fs::read_to_string(root.join(folder).join(name)).unwrap()
}

/// How often each capture is damaged.
const TIMES: usize = 40;

fn bytes_of(capture: &str) -> Vec<u8> {
    let lines = capture.lines().filter_map(|line| line.strip_prefix('+'));
    let hex = lines.filter_map(|line| line.split_once("< ")?.1.split('|').next());
    hex.flat_map(str::split_whitespace).map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn damaged(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(damaged.len() as u64) as usize;
        match chance.below(4) {
            0 => damaged[at] ^= 1 << chance.below(8),
            1 => drop(damaged.remove(at)),
            2 => damaged.insert(at, chance.below(256) as u8),
            _ => damaged.truncate(at + 1),
        }
    }
    damaged
}

fn events(profile: &Profile, pieces: &[&[u8]]) -> Vec<Message> {
    let mut driver = profile.driver(&profile.file().firmware.tested[0], Site::default());
    driver.link(LinkChange::Opened { session: Session(1) }, START);
    pieces.iter().for_each(|piece| driver.receive(piece, Peer::STREAM, START));
    for _ in 0..20 {
        let Some(due) = driver.next_wake() else { break };
        driver.wake(due);
    }
    driver.link(LinkChange::Closed, START.plus_ms(60_000));
    messages(driver.as_mut())
}

#[test]
fn damaged_captures_are_survived_and_do_not_depend_on_the_cuts() {
    let mut chance = Chance(20);
    for (folder, capture) in DEVICES {
        let profile = profile(&file(folder, "profile.toml"));
        let good = bytes_of(&file(folder, &format!("captures/{capture}.capture")));
        for _ in 0..TIMES {
            let bad = damaged(&good, &mut chance);
            let whole = events(&profile, &[&bad]);
            let (head, tail) = bad.split_at(chance.below(bad.len() as u64) as usize);
            assert_eq!(events(&profile, &[head, tail]), whole, "{}", bad.escape_ascii());
            let raw: usize = whole.iter().map(|message| message.raw.len()).sum();
            assert!(raw <= bad.len(), "no byte comes twice");
            for message in &whole {
                let mut readings = message.groups.iter().flat_map(|group| &group.readings);
                assert!(readings.all(|reading| reading.at.end <= message.raw.len()));
            }
        }
    }
}
