//! What can be wrong in the parts of `line` and `frame` that real devices asked for, each told at
//! its place.

use super::*;

const RADICAL_7: &str = include_str!("../../../device-profiles/masimo/radical-7/profile.toml");
const N_395: &str = include_str!("../../../device-profiles/nellcor/n-395/profile.toml");
const NONIN: &str = include_str!("../../../device-profiles/nonin/format-7-13/profile.toml");
const IVY: &str = include_str!("../../../device-profiles/ivy/450c/profile.toml");
const PB_840: &str = include_str!("../../../device-profiles/puritan-bennett/840/profile.toml");
const CAPNOSTREAM: &str =
    include_str!("../../../device-profiles/oridion/capnostream-20/profile.toml");
const BIS: &str = include_str!("../../../device-profiles/medtronic/bis-vista/profile.toml");

/// One of the problems stands on a line that begins so and says so.
fn told(text: &str, old: &str, new: &str, line: &str, what: &str) {
    let found = problems(text, old, new);
    let fits = |one: &String| one.starts_with(line) && one.contains(what);
    assert!(found.iter().any(fits), "{old:?} as {new:?}: {found:#?}");
}

#[test]
fn a_place_is_a_column_or_keys_and_claimed_once() {
    let keys = "keys = [\"SPO2\"]";
    told(RADICAL_7, keys, "keys = [\"SPO2\"]\ncolumn = 1", "", "expected either a column or keys");
    told(RADICAL_7, "keys = [\"PVI\"]", "keys = [\"desat\"]", "", "key \"desat\" is claimed twice");
    told(RADICAL_7, "keys = { mark = \"=\", ignore_case = true }\n", "", "", "has no keys");
    let both = "parameter = \"spo2\"\ncode = \"X\"";
    told(RADICAL_7, "parameter = \"spo2\"", both, "", "either a parameter");
    told(RADICAL_7, "forms = [\"999\"]", "forms = [\"\"]", "forms", "expected a form");
    told(RADICAL_7, "starts_like = \"99/99/99 99:99:99 \"", "", "", "starts_with or starts_like");
    told(N_395, "words = { at_most = 10, like = \"AA\" }\n", "", "", "in a message with `words`");
    told(N_395, "word = \"SO\"", "word = \"SO\"\nbit = 1", "word", "expected a status word alone");
    told(IVY, "end = \"FE\"", "end = \"0D\"", "end", "expected one byte that can stand in no line");
    told(IVY, "max_bytes = 1024", "max_bytes = 409", "max_bytes", "expected more than 409");
    let mark = "open = \"\\u0002\"";
    told(PB_840, mark, "open = \"\"", "enclosed", "expected two marks");
}

#[test]
fn what_is_sent_has_bytes_an_occasion_and_its_distance() {
    told(CAPNOSTREAM, "ask_apart_ms = 1000\n", "", "[", "expected the least time between");
    told(CAPNOSTREAM, "every_ms = 5000", "every_ms = 500", "every_ms", "at least ask_apart_ms");
    told(CAPNOSTREAM, "after = \"identification\"", "after = \"id\"", "after", "name of a message");
    told(CAPNOSTREAM, "after = \"identification\"\n", "", "[[", "expected an occasion");
    let twice = "bytes = \"85 01 06 (checksum)\"";
    told(CAPNOSTREAM, twice, &format!("{twice}\ntext = \"x\""), "[[", "either text or bytes");
    let early = "bytes = \"85 (checksum) 06\"";
    told(CAPNOSTREAM, twice, early, "bytes", "(checksum) as the last part");
    let number = "bytes = \"85 01 06 (sequence)\"";
    told(CAPNOSTREAM, twice, number, "bytes", "(sequence) is for replies");
    told(CAPNOSTREAM, twice, "bytes = \"85 01 (time)\"", "bytes", "expected bytes in hexadecimal");
    told(BIS, "sequence = { at = 2, bytes = 2 }\n", "", "[[", "(sequence) and the place");
    for (file, stated) in [(PB_840, "poll"), (CAPNOSTREAM, "poll"), (BIS, "poll")] {
        let direction = format!("direction = \"{stated}\"");
        let what = "expected \"poll\"";
        told(file, &direction, "direction = \"listen-only\"", "direction", what);
    }
    let quiet = "direction = \"listen-only\"";
    told(RADICAL_7, quiet, "direction = \"poll\"", "direction", "expected \"listen-only\"");
}

#[test]
fn frames_and_trains_are_whole() {
    told(NONIN, "first = \"01\"", "first = \"81\"", "train", "none of them in both");
    told(NONIN, "frames = 25", "frames = 0", "train", "at least one");
    let train = "train = { frame_bytes = 5, frames = 25, always = \"80\", first = \"01\" }\n";
    told(NONIN, train, "", "[", "expected start and length, or else train");
    told(NONIN, "low = { at = 8, bits = 7 }", "low = { at = 8, bits = 9 }", "low", "1 to 8 bits");
    let escape = "    { sent = \"80 05\", means = \"85\" },\n";
    told(CAPNOSTREAM, escape, "", "escape", "first byte of the start mark");
    let escape = "    { sent = \"80 00\", means = \"80\" },\n";
    told(CAPNOSTREAM, escape, "", "", "begins an escape needs one itself");
    let when = "at = 5\nraw = \"u8\"\nwhen = { at = 26, is = \"02\" }";
    told(CAPNOSTREAM, when, &when.replace("02", "01"), "when", "another one in each row");
    let possible = "possible = { from = 0, to = 100 }";
    told(CAPNOSTREAM, possible, "possible = { from = 1, to = 0 }", "possible", "from <= to");
    told(CAPNOSTREAM, "name = \"numerics\"", "name = \"co2-wave\"", "[[", "comes twice");
    told(CAPNOSTREAM, "payload_type = \"04\"", "payload_type = \"4\"", "payload_type", "01 .. 34");
}
