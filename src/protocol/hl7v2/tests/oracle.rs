//! Our fields against those of the crate hl7-parser, on messages that it reads rightly: ASCII, CR,
//! four delimiters (facts/crates.md 2.1 says where it does not).

use super::super::segments::{Delimiters, Line, split};
use super::*;

fn agree(message: &[u8], name: &str) -> usize {
    let text = std::str::from_utf8(message).unwrap();
    let theirs = hl7_parser::Message::parse(text.trim_end_matches('\r')).unwrap();
    let delimiters = Delimiters::read(message).unwrap();
    let lines = split(message, 0..message.len(), delimiters);
    let mut compared = 0;
    for (line, segment) in lines.iter().zip(theirs.segments()) {
        let Line::Segment(ours) = line else { panic!("{name}: odd line") };
        assert_eq!(&ours.id[..], segment.name.as_bytes(), "{name}");
        for number in 1..=ours.field_count() {
            let our_field = ours.field(number).map(|at| &text[at]).unwrap_or_default();
            let their_field = segment.field(number).map(|of| of.raw_value()).unwrap_or_default();
            assert_eq!(our_field, their_field, "{name}: {}-{number}", segment.name);
            compared += 1;
        }
    }
    assert_eq!(lines.len(), theirs.segments().count(), "{name}");
    compared
}

#[test]
fn fields_are_where_another_parser_finds_them() {
    let own = b"MSH|^~\\&|A|B||D|20261123||ORU^R01^ORU_R01|1|P|2.6\rPID|||1^^^X~2^^^Y||A^B||\r\
                OBX|1|NM|1^2^3^4^5^6|1.1|97|%|||||R|||\r";
    assert!(agree(own, "own") > 30);
    let Some(root) = corpus::corpus("hl7v2 oracle") else { return };
    let mut compared = 0;
    for file in corpus::files(&root) {
        for message in corpus::messages(&std::fs::read(&file).unwrap()) {
            let usual = message.is_ascii() && message.starts_with(b"MSH|^~\\&|");
            let odd = message.split(|byte| *byte == b'\r').any(|line| line.len() == 3);
            if usual && !odd {
                compared += agree(&message, &file.display().to_string());
            }
        }
    }
    assert!(compared > 2_000, "only {compared} fields compared");
}
