use super::*;

mod devices;
mod extensions;

const FRAME: &str = include_str!("../../device-profiles/nordpuls/bx-2/profile.toml");
const LINE: &str = include_str!("../../device-profiles/nordpuls/po-100/profile.toml");

/// The problems of a device file in which `old` stands as `new`.
fn problems(text: &str, old: &str, new: &str) -> Vec<String> {
    assert!(text.contains(old), "{old:?} is not in the file");
    let vocabulary = Vocabulary::parse(
        include_str!("../../device-profiles/vocabulary/parameters.toml"),
        include_str!("../../device-profiles/vocabulary/units.toml"),
    )
    .unwrap();
    let changed = text.replace(old, new);
    let problems = Profile::read(&changed, &vocabulary, Drafts::Accepted).err().unwrap_or_default();
    let line = |problem: &Problem| {
        let shown = changed.lines().nth(problem.position.line - 1).unwrap_or_default();
        format!("{shown}: {}", problem.what)
    };
    problems.iter().map(line).collect()
}

const VARIANT: &str = "at = 5\nraw = \"u8\"\nlsb = \"0.01\"";

#[test]
fn what_a_variant_makes_of_the_file_is_checked_too() {
    assert_eq!(problems(FRAME, VARIANT, VARIANT), [""; 0]);
    let bad = [
        (VARIANT.replace("0.01", "a tenth"), "with firmware \"3.1\": expected a decimal"),
        // Over the bytes of the pulse rate, and behind the payload of 7 bytes.
        (VARIANT.replace("at = 5", "at = 4"), "with firmware \"3.1\": byte 4 is claimed 2 times"),
        (VARIANT.replace("at = 5", "at = 40"), "with firmware \"3.1\": byte 40 lies outside"),
    ];
    for (variant, expected) in bad {
        let found = problems(FRAME, VARIANT, &variant);
        let place = format!("[[variant]]: {expected}");
        assert!(found.iter().any(|one| one.starts_with(&place)), "{variant}: {found:?}");
    }
    let mark = "absent = { \"0xFF\" = \"not-measured\" }\nsource = \"letter\"";
    let found = problems(FRAME, mark, &mark.replace("0xFF", "0xFFFF"));
    assert_eq!(found, ["[[variant]]: with firmware \"3.1\": expected a raw form of U8"]);
}

#[test]
fn a_problem_of_the_file_itself_is_said_once() {
    let found = problems(FRAME, "lsb = \"1\"", "lsb = \"one\"");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_checksum_covers_at_least_the_length_and_the_payload() {
    for from in [0, 1] {
        assert_eq!(problems(FRAME, "from = 2", &format!("from = {from}")), [""; 0]);
    }
    for from in [3, 5, 60_000] {
        let found = problems(FRAME, "from = 2", &format!("from = {from}"));
        assert!(found[0].contains("expected a checksum that covers the length"), "{found:?}");
    }
}

#[test]
fn a_flag_marks_parameters_or_says_the_mode() {
    let flag = LINE.find("[[protocol.line.message.flag]]").unwrap();
    let affects = LINE[flag..].lines().find(|line| line.starts_with("affects")).unwrap();
    assert!(problems(LINE, affects, "affects = []")[0].contains("expected parameters"));
    assert_eq!(problems(LINE, affects, "mode = \"training\""), [""; 0]);
    let absent = problems(LINE, affects, "mode = \"training\"\nabsent = \"off\"");
    assert!(absent[0].contains("expected parameters"));
    assert!(problems(LINE, affects, "mode = \"production\"")[0].contains("production"));
}
