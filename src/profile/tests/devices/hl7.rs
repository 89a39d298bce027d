//! Monitors that send HL7, on lines of their published messages.

use super::read;

const GE: &str = include_str!("../../../../device-profiles/ge-healthcare/b-series/profile.toml");
const VS: &str = include_str!("../../../../device-profiles/mindray/vs/profile.toml");
const XH80X: &str = include_str!("../../../../device-profiles/mindray/xh80x/profile.toml");
const PIIC: &str = include_str!("../../../../device-profiles/philips/piic-mdil/profile.toml");
const EFFICIA: &str = include_str!("../../../../device-profiles/philips/efficia-cm/profile.toml");

fn message(segments: &[&str]) -> Vec<u8> {
    format!("\u{b}{}\r\u{1c}\r", segments.join("\r")).into_bytes()
}

#[test]
fn sentinels_count_where_the_device_sends_no_status() {
    let head = "MSH|^~\\&|XH80X^00A037009B000000^EUI-64||||20210611102047||ORU^R01^ORU_R01|41|P|\
                2.4|||AL|NE||UNICODE UTF-8";
    let row = |value: &str, status: &str| {
        let obx = format!(
            "OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC|1.7.4.147842|{value}|264864^MDC_DIM_BEAT_PER_MIN\
             ^MDC|||||{status}|||20210611102047"
        );
        read(XH80X, &message(&[head, "OBR|1|||182777000^monitoring of patient^SCT", &obx]))
    };
    for sentinel in ["-999", "-99.9", "-1", "-100", "-10000"] {
        assert_eq!(row(sentinel, ""), ["(147842)@1.7.4.147842:not-available"]);
        assert!(row(sentinel, "R")[0].ends_with(&format!("={sentinel}")), "{sentinel}");
    }
    assert!(row("72", "")[0].ends_with("=72"));
}

#[test]
fn every_file_reads_a_message_of_its_kind() {
    let head = |version: &str| format!("MSH|^~\\&|X||||20210611102047||ORU^R01|1|P|{version}");
    let obr = "OBR|1|||MONITOR|||20210611102047";
    let mdil = "OBX||NM|0002-4bb8^SpO2^MDIL|0|95|0004-0220^%^MDIL|||||F";
    let mdc = "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.22.1.2|100|262688^MDC_DIM_PERCENT^MDC\
               |||||R";
    let none = "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1||262688^MDC_DIM_PERCENT^MDC|||||X";
    for (file, version, obx, expected) in [
        (GE, "2.6", mdc, "(150456)@1.22.1.2=100"),
        (VS, "2.6", mdc, "(150456)@1.22.1.2=100"),
        (PIIC, "2.3", mdil, "(0002-4bb8)@0=95"),
        (EFFICIA, "2.4", mdil, "(0002-4bb8)@0=95"),
        (EFFICIA, "2.4", none, "(150456)@1.1.1.1:not-available"),
        // A number with status X is none on this device.
        (EFFICIA, "2.4", &none.replace("||262688", "|97|262688"), "(150456)@1.1.1.1:not-available"),
    ] {
        assert_eq!(read(file, &message(&[&head(version), obr, obx])), [expected], "{obx}");
    }
}

#[test]
fn demo_mode_is_no_patient() {
    let head = "MSH|^~\\&|MINDRAY_VS_SERIES^00A037009B023649^EUI-64|MINDRAY|||\
                20260727124424.0000+0000||ORU^R01^ORU_R01|1|P|2.6|||AL|NE||UNICODE UTF-8";
    let obx = "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.150456|77|262688^MDC_DIM_PERCENT\
               ^MDC||DEMO|||R";
    let mut driver = super::opened(VS);
    let bytes = message(&[head, "OBR|1", obx]);
    driver.receive(&bytes, super::Peer::STREAM, super::START);
    let messages = super::messages(driver.as_mut());
    assert_eq!(messages[0].groups[0].mode, crate::vocabulary::Mode::Training);
}
