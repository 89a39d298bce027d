//! The fourteen rows of facts/association.md 1.11.

use super::*;
use crate::vocabulary::Why;

fn first_with(from: &str, to: &str) -> Result<Heard, Unread> {
    assert!(FIRST.contains(from), "{from}");
    heard(&FIRST.replace(from, to))
}

fn same_as_first(read: Result<Heard, Unread>) {
    let (read, first) = (read.unwrap(), heard(FIRST).unwrap());
    assert!(read.evidence == first.evidence && read.transaction == first.transaction);
}

#[test]
fn row_1_both_arcs_of_the_oid_are_taken_and_the_first_is_sent() {
    let name = "IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO";
    same_as_first(first_with(name, "^IHE PCD^1.3.6.1.4.1.19376.1.6.4.51.1^ISO"));
    same_as_first(first_with(name, "^^1.3.6.1.4.1.19376.1.6.1.51.1^ISO"));
    let read = first_with(name, "^^1.3.6.1.4.1.19376.1.6.4.52.1^ISO").unwrap();
    assert_eq!(read.transaction, Transaction::Report);
    let refused = first_with(name, "IHE_DEV_001^^1.3.6.1.4.1.19376.1.6.1.1.1^ISO").unwrap_err();
    assert_eq!(refused.refused.why, Why::UnsupportedMessage);
    let sent = written::sent(Transaction::Communicate, &begins("x"));
    assert!(sent.contains("|IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO\r"));
}

#[test]
fn row_2_and_4_and_12_a_filter_is_recognised_in_each_printed_form() {
    for trigger in ["QSB^Z66^QSB_Q16", "QSB^Q66^QSB_Q16"] {
        for arc in ["1", "4"] {
            for query in ["Q66^Device-Patient Subscription^HL7005", "Q66"] {
                let message = format!(
                    "MSH|^~\\&|A||B||20160726123002||{trigger}|1|P|2.6|||AL|AL|||||IHE_DEV_019\
                     ^IHE PCD^1.3.6.1.4.1.19376.1.6.{arc}.19.1^ISO\r\
                     QPD|{query}|Q0044|PV1.3.1^EQ^MICU^AND|PV1.3.2^EQ^10\rRCP|I||R\r"
                );
                assert!(is_subscription(message.as_bytes()));
            }
        }
    }
    let cancel = "MSH|^~\\&|A||B||20160726123002||QSX^J66^QSX_J01|1|P|2.6\r\
                  QID|Q0044|Q66^Device-Patient Subscription^HL7005\r";
    assert!(is_subscription(cancel.as_bytes()));
    let other = "MSH|^~\\&|A||B||20160726123002||QSB^Z66^QSB_Q16|1|P|2.6\rQPD|Q22|T\r";
    assert!(!is_subscription(other.as_bytes()));
    assert!(!is_subscription(FIRST.replace('\n', "\r").as_bytes()));
}

#[test]
fn row_3_the_name_without_a_zero() {
    same_as_first(first_with("IHE_DEV_051", "IHE_DEV_51"));
    // The drafts of 2018.
    let name = "IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO";
    same_as_first(first_with(name, "IHE_PCD_017^IHE PCD^1.3.6.1.4.1.19376.1.6.4.17^ISO"));
}

#[test]
fn row_5_obx_4_may_be_missing_and_is_sent() {
    same_as_first(first_with("_COND^MDC||198332", "_COND^MDC|0.0.0.0|198332"));
    assert!(written::sent(Transaction::Report, &begins("x")).contains("_COND^MDC|0.0.0.0|198332"));
}

#[test]
fn row_6_and_13_the_times_of_the_participants_count_and_not_those_of_obr() {
    same_as_first(first_with("|20160726120000|20160726123000\nOBX", "|20160726080000|\nOBX"));
    let late = Evidence { stated: at(10, 30), ..begins("x") };
    let sent = written::sent(Transaction::Communicate, &late);
    assert!(sent.contains("|||20260302100000+0000|20260302103000+0000\r"), "{sent}");
}

#[test]
fn row_7_the_author_of_an_end_says_when_in_either_field() {
    let by_table = heard(&ending()).unwrap();
    assert_eq!(by_table.evidence.stated, then(23, 1));
    let by_example = ending().replace("|||20160726230100", "||20160726230100");
    assert!(heard(&by_example).unwrap().evidence == by_table.evidence);
}

#[test]
fn row_8_a_deletion_is_read_as_wrong_and_never_sent() {
    let read = first_with("||||||F", "||||||D").unwrap();
    assert_eq!(read.evidence.status, Status::Wrong);
    let wrong = Evidence { status: Status::Wrong, ..begins("y") };
    assert!(written::sent(Transaction::Communicate, &wrong).contains("||||||W\r"));
}

#[test]
fn row_9_three_delimiters_are_told_and_the_message_is_read() {
    let read = first_with("MSH|^~\\&|", "MSH|^~&|").unwrap();
    assert!(read.evidence == heard(FIRST).unwrap().evidence);
    assert_eq!(read.refusals.len(), 1);
    assert_eq!(read.refusals[0].why, Why::OddSegment);
    // The printed form of an id in OBR-29 still names the same association.
    let three = heard(&ending().replace("MSH|^~\\&|", "MSH|^~&|")).unwrap();
    assert_eq!(three.evidence.association, id("15404697^^132233FFFE445566^EUI-64"));
}

#[test]
fn row_10_minute_80_is_no_time_and_no_missing_time_either() {
    let refused = first_with("EUI-64|20160726120000", "EUI-64|20160726168000").unwrap_err();
    assert_eq!((refused.trouble, refused.refused.why), (Trouble::Other, Why::Unreadable));
    // When it was said is known otherwise.
    let read = first_with("1||20160726123000", "1||20160726168000").unwrap();
    // MSH-7, two seconds after half past twelve.
    assert_eq!(read.evidence.stated, then(12, 30).plus_s(2));
    assert_eq!(read.refusals.len(), 1);
}

#[test]
fn row_11_two_participants_or_three() {
    let validator = "\nPRT|3|UC||RO^RO^HL70912|59123^Ratched^N||||||20160726124500";
    let read = heard(&format!("{FIRST}{validator}")).unwrap();
    assert_eq!(read.evidence.validator, Some(person("59123")));
    assert_eq!(read.evidence.stated, then(12, 45));
    let one: Vec<&str> = FIRST.lines().take(6).collect();
    for wrong in [one.join("\n"), format!("{FIRST}{validator}{validator}")] {
        assert_eq!(heard(&wrong).unwrap_err().refused.why, Why::Unparseable);
    }
    let twice = format!("{FIRST}\n{}", FIRST.lines().last().unwrap());
    assert_eq!(heard(&twice).unwrap_err().refused.why, Why::Unparseable);
}

#[test]
fn row_14_prt_stands_behind_obx_in_2_6_and_in_later_versions() {
    assert!(FIRST.contains("|P|2.6|"));
    same_as_first(first_with("|P|2.6|", "|P|2.8.2|"));
}

#[test]
fn what_cannot_be_read_for_certain_is_refused_with_the_profiles_error_and_no_name() {
    for (from, to, trouble) in [
        ("AB60001^^^A^PI", "AB60001^^^B^PI", Trouble::UnknownPatient),
        ("MON5588^^231A8456B1CB2366", "MON5596^^", Trouble::UnknownDevice),
        // Two machines in one field.
        ("MON5588^^231A8456B1CB2366^EUI-64", "MON5588~pump-4", Trouble::UnknownDevice),
        ("198332^MDC_EVT_ASSOC", "198334^MDC_EVT_ASSOC", Trouble::Other),
        ("69136^MDC_OBS_A", "69136^MDC_OBS_B", Trouble::Other),
        ("||||||F", "||||||X", Trouble::Other),
        ("OBR|||15404652|", "OBR||||", Trouble::Other),
        ("AUT^AUT^HL70912", "AP^AP^HL70912", Trouble::Other),
    ] {
        let refused = first_with(from, to).unwrap_err();
        assert_eq!(refused.trouble, trouble, "{to}");
        let told = format!("{refused:?}");
        assert!(!told.contains("AB60001") && !told.contains("Spaniel") && !told.contains("5588"));
    }
    assert_eq!(Trouble::OnAnotherPatient.number(), 3);
    assert_eq!(Trouble::UnknownUser.number(), 8);
}

#[test]
fn a_udi_names_the_machine_and_its_parts_must_agree() {
    let udi = "(01)00643169001763(17)160712(21)21A11F4855^^2.16.840.1.113883.3.3719^ISO";
    let whole = "(01)00643169001763(21)21A11F4855";
    let parts = "|00643169001763||||21A11F4855";
    let equipment = |device: &str, more: &str| {
        let line = FIRST.lines().nth(5).unwrap();
        let with = line.replace("MON5588^^231A8456B1CB2366^EUI-64", device) + "||||" + more;
        heard(&FIRST.replace(line, &with))
    };
    same_as_first(equipment(whole, ""));
    same_as_first(equipment(udi, parts));
    same_as_first(equipment("", parts));
    let other = parts.replace("4855", "4856");
    assert_eq!(equipment(udi, &other).unwrap_err().trouble, Trouble::UnknownDevice);
}
