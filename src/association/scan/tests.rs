use super::*;

const SURE: Scanner = Scanner { layout: Shown::Proven, separators: Shown::Proven };

fn grammar() -> Grammar {
    let text = "national_codes = true\n\
        gsrn_root = \"1.2.246.10.1234567.22.1\"\n\
        [[code]]\nmeans = \"wristband\"\nform = \"P{8 digits}\"\nroot = \"1.2.246.10.1234567.22.2\"\n\
        [[code]]\nmeans = \"device\"\nform = \"DEV.{4 digits}\"\n\
        [[code]]\nmeans = \"place\"\nform = \"BED.{1-3 digits}\"\n\
        [[code]]\nmeans = \"port\"\nform = \"PORT.{1-12 capitals-or-digits}\"\n\
        [[code]]\nmeans = \"staff\"\nform = \"S{6 digits}\"\n\
        [[code]]\nmeans = \"specimen\"\nform = \"{10 digits}\"\n";
    let grammar: Grammar = toml::from_str(text).unwrap();
    assert_eq!(grammar.problems(), []);
    grammar
}

fn scan(text: &str) -> Result<Meaning, Unreadable> {
    read(text, SURE, &grammar(), Purpose::Production)
}

fn patient(root: &str, value: &str) -> Meaning {
    Meaning::Wristband(PatientId::given(root, value, Purpose::Production).unwrap())
}

fn udi(device: &str, serial: &str) -> Meaning {
    Meaning::Device(DeviceCode::Udi { device: device.to_owned(), serial: serial.to_owned() })
}

/// The decoded texts of facts/association.md 3.3, as two independent programs wrote and read them.
#[test]
fn what_a_reader_made_of_printed_symbols() {
    let asset = |number: &str| Meaning::Device(DeviceCode::Asset(number.to_owned()));
    for (text, meaning) in [
        ("]d201064300000000161125013121SN-0042", udi("06430000000016", "SN-0042")),
        ("]d201064300000000161727123110LOT7\u{1d}21SN-0042", udi("06430000000016", "SN-0042")),
        ("]Q3010643000000001621SN-0042\u{1d}17271231", udi("06430000000016", "SN-0042")),
        ("]C18018643000000000000016", patient("1.2.246.10.1234567.22.1", "643000000000000016")),
        (
            "]d28018643000000000000016\u{1d}80191",
            patient("1.2.246.10.1234567.22.1", "643000000000000016"),
        ),
        ("]C1800306430000000016PUMP7", asset("06430000000016PUMP7")),
        ("]C180046430000ASSET42", asset("6430000ASSET42")),
        ("]C14146430000000009254BED3", Meaning::Place("6430000000009/BED3".to_owned())),
        ("]C0131052-308T", patient("1.2.246.21", "131052-308T")),
        ("]d1131052-308T", patient("1.2.246.21", "131052-308T")),
    ] {
        assert_eq!(scan(text), Ok(meaning), "{}", &text[..3]);
    }
    assert_eq!(scan("]d28006064300000000160102"), Err(Unreadable::TypeOnly));
    assert_eq!(scan("]C0+A999123457E"), Err(Unreadable::Hibc));
    assert_eq!(scan("]d1+A99912345/$XYZG"), Err(Unreadable::Hibc));
}

#[test]
fn without_a_symbology_identifier_a_code_is_read_if_only_one_reading_holds() {
    assert_eq!(scan("010643000000001621SN-0042"), Ok(udi("06430000000016", "SN-0042")));
    let wristband = patient("1.2.246.10.1234567.22.2", "P12345678");
    assert_eq!(scan("P12345678"), Ok(wristband.clone()));
    assert_eq!(scan("P12345678\r\n"), Ok(wristband));
    // Twenty-two digits of the site's own, and a wristband of GS1.
    let both: Grammar = toml::from_str(
        "gsrn_root = \"1.2\"\n[[code]]\nmeans = \"specimen\"\nform = \"{22 digits}\"\n",
    )
    .unwrap();
    let text = "8018643000000000000016";
    let read = |text: &str| read(text, SURE, &both, Purpose::Production);
    assert_eq!(read(text), Err(Unreadable::Ambiguous));
    assert_eq!(read(&format!("]C1{text}")).unwrap().kind(), Kind::Wristband);
    assert_eq!(read(&format!("]C0{text}")).unwrap().kind(), Kind::Specimen);
}

#[test]
fn each_kind_is_known_for_what_it_is() {
    for (text, kind) in [
        ("P12345678", Kind::Wristband),
        ("DEV.0042", Kind::Device),
        ("BED.3", Kind::Place),
        ("PORT.BED3A", Kind::Port),
        ("S123456", Kind::Staff),
        ("]C18017643000000000000016", Kind::Staff),
        ("2611280042", Kind::Specimen),
    ] {
        assert_eq!(scan(text).unwrap().kind(), kind, "{text}");
    }
    let label = scan("2611280042").unwrap().expect(Kind::Wristband).unwrap_err();
    assert_eq!(label.to_string(), "this is a specimen label, not a patient's wristband");
}

/// The simulated wrong layouts of facts/association.md 3.6.
#[test]
fn what_a_wrong_keyboard_layout_makes_of_a_code_is_never_another_code() {
    let plus = Unreadable::PersonalCode(PersonalCodeError::PlusFromScan);
    for (number, (text, why)) in [
        ("131052+308T", plus),
        (")01=06430000000016)21=SN+0042", Unreadable::Unknown),
        ("A99912345-\u{a4}XYZG", Unreadable::Unknown),
        ("https\u{d6}--x.fi-01-06430000000016", Unreadable::Address),
        ("(01)06430000000016(21)SN-0042", Unreadable::BracketText),
        ("=)1TE123456A&)RZ12345678", Unreadable::Iccbba),
        ("[)>\u{1e}06\u{1d}9N1", Unreadable::Envelope),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(scan(text), Err(why), "case {number}");
    }
}

#[test]
fn until_the_test_label_was_read_only_what_no_layout_changes_is_read() {
    let unsure = |layout, separators, text: &str| {
        read(text, Scanner { layout, separators }, &grammar(), Purpose::Production)
    };
    let layout = |text: &str| unsure(Shown::Unproven, Shown::Proven, text);
    assert!(layout("P12345678").is_ok() && layout("DEV.0042").is_ok());
    assert_eq!(layout("131052-308T"), Err(Unreadable::LayoutUnproven));
    assert_eq!(layout("010643000000001621SN-0042"), Err(Unreadable::LayoutUnproven));
    let separators = |text: &str| unsure(Shown::Proven, Shown::Unproven, text);
    assert!(separators("]C18018643000000000000016").is_ok());
    // Whether more stood behind the serial number, nobody knows.
    assert_eq!(separators("]d2010643000000001621SN0042"), Err(Unreadable::SeparatorUnproven));
}

#[test]
fn a_dropped_separator_never_gives_another_device() {
    // The lot swallows the serial number: a type and a lot are left.
    assert_eq!(scan("]d2010643000000001610LOT721SN-0042"), Err(Unreadable::TypeOnly));
    // Lost or doubled where a length is fixed, it does no harm.
    let patient = patient("1.2.246.10.1234567.22.1", "643000000000000016");
    assert_eq!(scan("]d2801864300000000000001680191"), Ok(patient.clone()));
    assert_eq!(scan("]d2\u{1d}8018643000000000000016\u{1d}\u{1d}80191\u{1d}"), Ok(patient));
}

#[test]
fn a_character_may_stand_for_the_separator() {
    let grammar: Grammar = toml::from_str("separator = \"#\"\n").unwrap();
    let text = "010643000000001610LOT7#21SN-0042";
    let scanned = read(text, SURE, &grammar, Purpose::Production);
    assert_eq!(scanned, Ok(udi("06430000000016", "SN-0042")));
}

#[test]
fn damaged_and_glued_codes_are_refused() {
    for (number, (text, why)) in [
        ("", Unreadable::Empty),
        ("\r\n", Unreadable::Empty),
        ("]d2", Unreadable::Empty),
        ("]d2\u{1d}\u{1d}\u{1d}", Unreadable::Empty),
        ("P12345678P12345679", Unreadable::Unknown),
        ("P1234\u{7}5678", Unreadable::ControlCharacters),
        ("]d2010643000000001721SN-0042", Unreadable::CheckDigit),
        ("]C18018643000000000000017", Unreadable::CheckDigit),
        ("]C1801864300000000000001", Unreadable::Value),
        ("]d2010643000000001621", Unreadable::Value),
        ("]d20106430000000016", Unreadable::TypeOnly),
        ("]d20106430000000016172712310110", Unreadable::Value),
        ("]C1800306430000000016", Unreadable::TypeOnly),
        ("]d221SN-0042", Unreadable::Ambiguous),
        ("]d2010643000000001621A\u{1d}21B", Unreadable::Ambiguous),
        ("]d28018643000000000000016\u{1d}010643000000001621A", Unreadable::Ambiguous),
        ("]d28018643000000000000016\u{1d}8017643000000000000016", Unreadable::Ambiguous),
        ("]d2991234", Unreadable::UnknownIdentifier),
        ("]C1\u{e4}\u{e4}\u{e4}", Unreadable::UnknownIdentifier),
        ("131052-308U", Unreadable::PersonalCode(PersonalCodeError::CheckCharacter)),
        ("010594Y9032", Unreadable::Patient(PatientIdError::TemporaryAsNational)),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(scan(text), Err(why), "case {number}");
    }
    assert_eq!(scan(&"1".repeat(500)), Err(Unreadable::TooLong));
}

#[test]
fn no_cut_and_no_changed_character_of_a_label_is_another_patient() {
    let label = "]C18018643000000000000016";
    let whole = scan(label).unwrap();
    for end in 0..label.len() {
        assert!(scan(&label[..end]).is_err(), "cut at {end}");
    }
    for place in 7..label.len() {
        for digit in '0'..='9' {
            let mut changed: Vec<char> = label.chars().collect();
            changed[place] = digit;
            let changed: String = changed.into_iter().collect();
            let same = changed == label;
            assert!(same || scan(&changed).ok() != Some(whole.clone()));
            assert!(same || scan(&changed).is_err(), "place {place}");
        }
    }
}

#[test]
fn a_grammar_says_where_it_is_wrong() {
    let problems = |text: &str| {
        let grammar: Grammar = toml::from_str(text).unwrap();
        grammar.problems().into_iter().map(|one| (text[one.at].to_owned(), one.what)).collect()
    };
    let found: Vec<(String, String)> = problems(
        "national_codes = true\nseparator = \"-\"\n\
         [[code]]\nmeans = \"wristband\"\nform = \"P{8 digits}\"\n\
         [[code]]\nmeans = \"device\"\nform = \"{11 capitals-or-digits}\"\nroot = \"1.2\"\n\
         [[code]]\nmeans = \"wristband\"\nform = \"W{2 digits}\"\nroot = \"hospital\"\n",
    );
    let what: Vec<(&str, &str)> =
        found.iter().map(|(at, what)| (at.as_str(), what.as_str())).collect();
    assert_eq!(
        what,
        [
            ("\"P{8 digits}\"", "expected `root`, the OID of the patients' identifiers"),
            (
                "\"{11 capitals-or-digits}\"",
                "some code has this form and is a personal identity code"
            ),
            ("\"{11 capitals-or-digits}\"", "`root` belongs to wristbands only"),
            ("\"W{2 digits}\"", "expected an OID such as 1.2.246.10.1234567.22.2026"),
            ("\"-\"", "expected a character that no GS1 value holds, such as \"#\""),
        ]
    );
    let unknown = toml::from_str::<Grammar>("national_code = true\n").unwrap_err();
    assert_eq!(unknown.span(), Some(0..13));
    let bad = "[[code]]\nmeans = \"device\"\nform = \"{x digits}\"\n";
    let bad = toml::from_str::<Grammar>(bad).unwrap_err();
    assert!(bad.message().contains("expected letters, digits and signs"));
}

#[test]
fn nothing_shows_a_scanned_code() {
    let texts = ["P12345678", "S123456", "2611280042", "010643000000001621SN0042", "131052-308U"];
    for text in texts {
        let shown = format!("{:?}", scan(text));
        assert!(!shown.contains(text) && !shown.contains("SN0042") && !shown.contains("131052"));
    }
}
