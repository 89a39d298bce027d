//! Every shipped device file loads, explains every byte, gives what its captures must give, and
//! gives the same however its bytes are cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wardgate::gateway::configuration::{known_profiles, load_profile, load_vocabulary};
use wardgate::gateway::replay::{self, Outcome, Piece};
use wardgate::profile::{Drafts, Profile, explain};
use wardgate::protocol::Site;
use wardgate::vocabulary::Vocabulary;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles")
}

fn profiles() -> (Arc<Vocabulary>, Vec<(String, Profile)>) {
    let vocabulary = Arc::new(load_vocabulary(&folder()).unwrap());
    let load = |id: String| {
        let path = folder().join(&id).join("profile.toml");
        let profile = load_profile(&path, &vocabulary, Drafts::Accepted)
            .unwrap_or_else(|problems| panic!("{}", problems.join("\n")));
        (id, profile)
    };
    let profiles: Vec<_> = known_profiles(&folder()).into_iter().map(load).collect();
    assert!(profiles.len() >= 7, "only {} device files", profiles.len());
    (vocabulary, profiles)
}

fn captures(id: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder().join(id).join("captures")).into_iter().flatten();
    let mut captures: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "capture"))
        .collect();
    captures.sort();
    captures
}

#[test]
fn ids_are_the_folders_names_and_each_has_notes() {
    for (id, profile) in profiles().1 {
        assert_eq!(profile.id(), id);
        let notes = std::fs::read_to_string(folder().join(&id).join("NOTES.md")).unwrap();
        assert!(notes.to_lowercase().contains("evidence"), "{id}/NOTES.md states no evidence");
    }
}

#[test]
fn the_command_checks_them_all_with_their_captures() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wardgate"));
    command.args(["profile", "check", "--bench"]);
    command.args(profiles().1.iter().map(|(id, _)| folder().join(id)));
    let output = command.output().unwrap();
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    for made_up in ["nordpuls/po-100", "nordpuls/bx-2", "laborin/bg-7"] {
        assert!(!captures(made_up).is_empty(), "{made_up} has no capture");
    }
}

#[test]
fn every_byte_is_claimed_or_a_known_gap() {
    let (vocabulary, profiles) = profiles();
    for (id, profile) in profiles {
        for firmware in &profile.file().firmware.tested {
            let text = explain::explain(&profile, firmware, &vocabulary);
            let free = text.contains("? claimed by nobody");
            let said = !profile.file().provenance.known_gaps.is_empty();
            assert!(!free || said, "{id}: {text}");
        }
    }
}

#[test]
fn a_variant_replaces_whole_fields_for_its_firmware_alone() {
    let (_, profiles) = profiles();
    let (_, bx2) = profiles.iter().find(|(id, _)| id == "nordpuls/bx-2").unwrap();
    let step = |firmware: &str| {
        let flat: toml::Table = bx2.flattened_text(firmware).parse().unwrap();
        assert!(!flat.contains_key("variant"));
        let fields = flat["protocol"]["frame"]["message"][0]["field"].as_array().unwrap().clone();
        let field = fields.iter().find(|one| one["parameter"].as_str() == Some("perfusion-index"));
        field.unwrap()["lsb"].as_str().unwrap().to_owned()
    };
    assert_eq!((step("3.0"), step("3.1")), ("0.1".to_owned(), "0.01".to_owned()));
}

/// The pieces with every run of bytes cut again by `cut`.
fn recut(pieces: &[(u64, Piece)], cut: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<(u64, Piece)> {
    let recut = |(at, piece): &(u64, Piece)| match piece {
        Piece::Bytes(bytes) => {
            cut(bytes).into_iter().map(|bytes| (*at, Piece::Bytes(bytes))).collect()
        }
        Piece::Disconnect => vec![(*at, Piece::Disconnect)],
    };
    pieces.iter().flat_map(recut).collect()
}

#[test]
fn captures_give_the_same_however_they_are_cut() {
    let (vocabulary, profiles) = profiles();
    for (id, profile) in &profiles {
        for capture in captures(id) {
            let content = std::fs::read(&capture).unwrap();
            let text = String::from_utf8(content.clone()).unwrap();
            let parsed = wardgate::link::capture::Capture::parse(&text).unwrap();
            let firmware = parsed.firmware.unwrap();
            let run = |pieces: &[(u64, Piece)]| -> Outcome {
                replay::run(profile, &firmware, Site::default(), &vocabulary, pieces)
            };
            let pieces = replay::pieces(profile, &content).unwrap();
            let whole = run(&pieces);
            assert!(whole.messages > 0, "{}", capture.display());
            no_prefix_invents_a_value(&pieces, &whole, &run);
            let transport = &profile.file().link.transport;
            if transport.udp.is_some() || transport.udp_device.is_some() {
                // A datagram comes whole or not at all.
                continue;
            }
            let bytewise = recut(&pieces, |bytes| bytes.iter().map(|one| vec![*one]).collect());
            assert_eq!(run(&bytewise).lines, whole.lines, "{} byte by byte", capture.display());
            let longest = pieces.iter().map(|(_, piece)| match piece {
                Piece::Bytes(bytes) => bytes.len(),
                Piece::Disconnect => 0,
            });
            for at in places(longest.max().unwrap_or(0)) {
                let halves = recut(&pieces, |bytes| {
                    let (head, tail) = bytes.split_at(at.min(bytes.len()));
                    vec![head.to_vec(), tail.to_vec()]
                });
                assert_eq!(run(&halves).lines, whole.lines, "{} cut at {at}", capture.display());
            }
        }
    }
}

/// Every place of a short capture, and so many of a long one: each is a whole run of it.
fn places(bytes: usize) -> impl Iterator<Item = usize> {
    const PLACES: usize = 400;
    // Odd, so that frames of even lengths are cut in their middle, too.
    let step = (bytes / PLACES) | 1;
    (1..bytes).step_by(step)
}

/// A capture that stops anywhere gives no value that the whole one does not give.
fn no_prefix_invents_a_value(
    pieces: &[(u64, Piece)],
    whole: &Outcome,
    run: &impl Fn(&[(u64, Piece)]) -> Outcome,
) {
    let value = |line: &serde_json::Value| {
        let key = |key: &str| line.get(key).cloned().unwrap_or_default();
        (key("parameter"), key("value"), key("absent"))
    };
    let known: Vec<_> = whole.lines.iter().map(value).collect();
    let total: usize = pieces.iter().map(|(_, piece)| length(piece)).sum();
    for end in places(total) {
        let mut left = end;
        let mut prefix = Vec::new();
        for (at, piece) in pieces {
            if let Piece::Bytes(bytes) = piece {
                let taken = left.min(bytes.len());
                prefix.push((*at, Piece::Bytes(bytes[..taken].to_vec())));
                left -= taken;
            }
        }
        for line in run(&prefix).lines.iter().filter(|line| line.get("refused").is_none()) {
            assert!(known.contains(&value(line)), "invented {line} after {end} bytes");
        }
    }
}

fn length(piece: &Piece) -> usize {
    match piece {
        Piece::Bytes(bytes) => bytes.len(),
        Piece::Disconnect => 0,
    }
}
