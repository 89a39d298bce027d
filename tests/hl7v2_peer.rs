//! A house with devices on real transports sends HL7 v2 to stand-in cores by the ready-made maps;
//! what was sent goes to judges that others wrote (hl7apy, node-hl7-client) and to the checker of
//! the IHE rules, and what the cores hold is what the devices sent.

mod house;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use house::hl7_core::{Hl7Core, observations, ready_made};
use house::lis01::{Analyser, ph_result};
use house::mllp::Mllp;
use house::{House, Plan, TCP_SERVER, device, judges, repository};
use serde_json::Value as Json;

fn destination(name: &str, port: u16, map: &Path) -> String {
    format!(
        "[[destination]]\nname = \"{name}\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         proves = \"stored-by-core\"\n\
         hl7v2 = {{ host = \"127.0.0.1\", port = {port}, map = \"{}\", answer_within_s = 1 }}\n\n",
        map.display()
    )
}

/// The messages of a store in their blocks, each once more than it was sent again.
fn sent(store: &Path) -> Vec<u8> {
    let mut blocks = Vec::new();
    for line in std::fs::read_to_string(store).unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<Json>(line) else { continue };
        let text = line["message"].as_str().unwrap();
        let bytes: Vec<u8> =
            text.chars().map(|one| u8::try_from(u32::from(one)).unwrap()).collect();
        blocks.extend([b"\x0B", bytes.as_slice(), b"\x1C\x0D"].concat());
    }
    blocks
}

fn passes(mut judge: Command, file: &Path, count: usize) {
    let output = judge.arg(file).output().expect("the judge runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{judge:?}\n{said}{errors}");
    let expected = format!("{count} messages, 0 faults");
    assert_eq!(said.lines().last(), Some(expected.as_str()), "{judge:?}");
}

/// All judges over all that a store holds.
fn judged(house: &House, python: &PathBuf, store: &Path) -> usize {
    let bytes = sent(store);
    let count = bytes.iter().filter(|byte| **byte == 0x0B).count();
    let file = house.path("sent.hl7");
    std::fs::write(&file, bytes).unwrap();
    passes(judges::judge(python, "ihe_rules.py"), &file, count);
    passes(judges::judge(python, "hl7apy_check.py"), &file, count);
    let modules = repository().join("target/node/node_modules");
    if modules.join("node-hl7-client").exists() {
        let mut node = Command::new("node");
        node.arg(repository().join("tests/judges/node/hl7_read.cjs"));
        node.env("WARDGATE_NODE_MODULES", modules);
        passes(node, &file, count);
    } else {
        let no_skip = std::env::var_os("WARDGATE_NO_SKIP").is_some_and(|set| set == "1");
        assert!(!no_skip, "node-hl7-client is not installed");
        println!("SKIPPED node-hl7-client: not installed (tests/run installs it)");
    }
    count
}

/// facts/pumps.md 7.3: one event, with what concerns its source.
const DELIVERY_STARTS: &str = "\
MSH|^~\\&|PUMPS^0011223344556677^EUI-64||||20261120101010+0200||ORU^R42^ORU_R01|E-1|P|2.6|||AL|NE||\
UNICODE UTF-8|||IHE_PCD_010^IHE PCD^1.3.6.1.4.1.19376.1.6.4.10^ISO\r\
PID|||^^^^^U||^^^^^^U\r\
OBR|1||E-1^PUMPS^0011223344556677^EUI-64|999999^Unknown medication|||20261120101010+0200\r\
OBX|1||69985^MDC_DEV_PUMP_INFUS_MDS^MDC|1.0.0.0|||||||X|||||||P52814^^0011223344556677^EUI-64\r\
OBX|2|CWE|68487^MDC_ATTR_EVT_COND^MDC|1.1.1.101|197288^MDC_EVT_PUMP_DELIV_START^MDC||||||R\r\
OBX|3|NM|158014^MDC_FLOW_FLUID_PUMP_CURRENT^MDC|1.1.1.102|15.4|265266^MDC_DIM_MILLI_L_PER_HR^MDC^\
mL/h^mL/h^UCUM|||||R\r";

#[test]
fn what_a_house_sends_passes_every_judge_and_is_what_the_devices_sent() {
    let Some(python) = judges::python("hl7v2_peer") else { return };
    let folder = tempfile::tempdir().unwrap();
    let maps = [
        ("pcd", "pcd-01.toml"),
        ("laboratory", "laboratory-oru-2.4.toml"),
        ("older", "older-oru-2.3.toml"),
    ];
    let mut cores = BTreeMap::new();
    let mut destinations = String::new();
    for (name, map) in maps {
        let core = Hl7Core::start(&folder.path().join(name), 0, &[]);
        destinations += &destination(name, core.port, &ready_made(map));
        cores.insert(name, core);
    }
    let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER)
        + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)
        + &device("pumps", "generic/infusion-pump-gateway", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::open(Plan { destinations: Some(destinations), ..Plan::of(devices) });
    let mut stream = std::net::TcpStream::connect(house.listening("oximeter")).unwrap();
    for saturation in ["97", "96", "95"] {
        let line = house::oximeter::line(saturation, "60", "2.5");
        std::io::Write::write_all(&mut stream, &line).unwrap();
    }
    let mut analyser = Analyser::connect(house.listening("analyser")).unwrap();
    assert!(analyser.transmit(&ph_result("", "S-1", "7.40", "20261120101010")).unwrap());
    let mut pumps = Mllp::connect(house.listening("pumps")).unwrap();
    assert_eq!(pumps.ask(DELIVERY_STARTS.as_bytes()).unwrap().code, "CA");

    let count = |name: &str| observations(&folder.path().join(name)).len();
    // Three lines of three values, and the pump's event; the analyser's pH; everything.
    house.wait("the cores have everything", |_| {
        count("pcd") >= 10 && count("laboratory") >= 1 && count("older") >= 11
    });
    house.wait("and have said so", |house| {
        house.status().destinations.iter().all(|one| one.backlog == 0)
    });
    let held = |name: &str, code: &str| -> Vec<String> {
        let lines = observations(&folder.path().join(name));
        let of = lines.iter().filter(|line| line["id"][1].as_str().unwrap().contains(code));
        of.map(|line| line["value"].as_str().unwrap().to_owned()).collect()
    };
    let sorted = |mut values: Vec<String>| {
        values.sort();
        values
    };
    for name in ["pcd", "older"] {
        let saturations = sorted(held(name, "MDC_PULS_OXIM_SAT_O2"));
        assert_eq!(saturations, ["95", "96", "97"], "{name}");
        assert_eq!(held(name, "MDC_FLOW_FLUID_PUMP_CURRENT"), ["15.4"], "{name}");
    }
    for name in ["laboratory", "older"] {
        assert_eq!(held(name, "MDC_CONC_PH_GEN"), ["7.40"], "{name}");
    }
    let judged: usize =
        maps.iter().map(|(name, _)| judged(&house, &python, &folder.path().join(name))).sum();
    assert!(judged >= 4 + 1 + 5, "{judged}");
    let pcd = String::from_utf8(sent(&folder.path().join("pcd"))).unwrap();
    assert!(pcd.contains("|ORU^R42^ORU_R01|") && pcd.contains("1.3.6.1.4.1.19376.1.6.4.10"));
    assert!(!pcd.contains("PID|"), "nobody has said whose it is");
    assert_eq!(house.stop().code(), Some(0));
}

/// A made-up infusion pump's alarm in the segments of IHE PCD-04 (facts/semantics.md 1.5): no
/// patient is stated.
const ALARM: &str = "\
MSH|^~\\&|PUMPS^0011223344556677^EUI-64||||20261120101011+0200||ORU^R40^ORU_R40|A-1|P|2.6\r\
PID|||||^^^^^^U\r\
OBR|1||1^PUMPS|196616^MDC_EVT_ALARM^MDC|||20261120101010+0200\r\
OBX|1|CWE|196616^MDC_EVT_ALARM^MDC|1.1.0.0.1|196940^MDC_EVT_FLUID_LINE_OCCL^MDC||||||F\r\
OBX|2|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.0.0.3|start||||||F\r\
OBX|3|ST|68482^MDC_ATTR_ALARM_STATE^MDC|1.1.0.0.4|active||||||F\r";

/// Alarms and results by specimen are off in the ready-made maps: a site's map switches them on.
#[test]
fn alarms_and_results_by_specimen_pass_every_judge() {
    let Some(python) = judges::python("hl7v2_peer") else { return };
    let folder = tempfile::tempdir().unwrap();
    let map = |name: &str, change: &dyn Fn(String) -> String| {
        let path = folder.path().join(format!("{name}.map"));
        let text = std::fs::read_to_string(ready_made(name)).unwrap();
        std::fs::write(&path, change(text)).unwrap();
        path
    };
    let alarms = map("pcd-01.toml", &|text| {
        text + "\n[alarm]\nmessage = \"pcd-04\"\nsub_id = \"containment\"\n\
                exception = \"the receiver keeps a log of alarms\"\n\
                service = { code = \"196616\", words = \"MDC_EVT_ALARM\", system = \"MDC\" }\n"
    });
    let specimens = map("laboratory-oru-2.4.toml", &|text| {
        let type_of = "specimen_type = { code = \"BLD\", words = \"Whole blood\", \
                       system = \"HL70487\" }\nsub_id = \"number\"";
        text.replace("\"2.4\"", "\"2.5.1\"")
            .replace("\"oru-r01\"", "\"oul-r22\"")
            .replace("sub_id = \"number\"", type_of)
    });
    let store = |name: &str| folder.path().join(name);
    let pcd = Hl7Core::start(&store("pcd"), 0, &[]);
    let laboratory = Hl7Core::start(&store("laboratory"), 0, &[]);
    let destinations = Some(
        destination("pcd", pcd.port, &alarms)
            + &destination("laboratory", laboratory.port, &specimens),
    );
    let devices = device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)
        + &device("pumps", "generic/infusion-pump-gateway", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::open(Plan { destinations, ..Plan::of(devices) });
    let mut analyser = Analyser::connect(house.listening("analyser")).unwrap();
    for (specimen, ph) in [("S-1", "7.40"), ("S-2", "7.05")] {
        let result = ph_result("", specimen, ph, "20261120101010");
        assert!(analyser.transmit(&result).unwrap());
    }
    let mut pumps = Mllp::connect(house.listening("pumps")).unwrap();
    let update = ALARM.replace("|A-1|", "|A-2|").replace("|start|", "|update|");
    for alarm in [ALARM, &update] {
        assert!(pumps.ask(alarm.as_bytes()).is_ok());
    }
    let text = |name: &str| String::from_utf8(sent(&store(name))).unwrap();
    let count = |name: &str, words: &str| text(name).matches(words).count();
    house.wait("both have what is theirs", |_| {
        count("pcd", "|ORU^R40^ORU_R40|") >= 2 && count("laboratory", "|OUL^R22^OUL_R22|") >= 2
    });
    assert!(text("pcd").contains("IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.4.1^ISO"));
    assert!(text("pcd").contains("For the record, not for notification"));
    assert!(text("pcd").contains("|196940^MDC_EVT_FLUID_LINE_OCCL^MDC|"));
    for (specimen, ph) in [("S-1", "|7.40|"), ("S-2", "|7.05|")] {
        assert_eq!(count("laboratory", &format!("SPM|1|{specimen}&LAB||BLD^Whole blood")), 1);
        assert_eq!(count("laboratory", ph), 1);
    }
    assert!(judged(&house, &python, &store("pcd")) >= 2);
    assert!(judged(&house, &python, &store("laboratory")) >= 2);
}

#[test]
fn a_core_that_dies_around_its_commit_holds_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    for fault in ["dies-before", "dies-after", "silent", "error", "twice", "wrong-id"] {
        let _ = std::fs::remove_file(&store);
        let mut core = Hl7Core::start(&store, 0, &["--fault", fault, "--faults", "1"]);
        let destinations = Some(destination("core", core.port, &ready_made("pcd-01.toml")));
        let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
        let mut house = House::open(Plan { destinations, ..Plan::of(devices) });
        let mut stream = std::net::TcpStream::connect(house.listening("oximeter")).unwrap();
        for _ in 0..3 {
            let line = house::oximeter::line("97", "60", "2.5");
            std::io::Write::write_all(&mut stream, &line).unwrap();
        }
        if fault.starts_with("dies") {
            assert_eq!(core.process.wait().unwrap().code(), Some(9), "{fault}");
            core = Hl7Core::start(&store, core.port, &[]);
        }
        house.wait(fault, |house| {
            let destination = &house.status().destinations[0];
            destination.acknowledged == 3 && destination.backlog == 0
        });
        assert_eq!(observations(&store).len(), 9, "{fault}: three lines of three values, once");
        drop(core);
    }
}

#[test]
fn check_prints_what_has_a_place_and_refuses_a_bad_map_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.toml");
    let text = std::fs::read_to_string(ready_made("pcd-01.toml")).unwrap();
    std::fs::write(&map, format!("{text}\n[parameter.perfusion-index]\nleft_out = \"unused\"\n"))
        .unwrap();
    let destinations = Some(destination("core", 2575, &map));
    let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let house = House::build(Plan { destinations, ..Plan::of(devices) });
    let said = house.verb(&["check"]);
    let text_said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text_said}{}", String::from_utf8_lossy(&said.stderr));
    assert!(text_said.contains("nordpuls/po-100 2 of 3 parameters have a place"), "{text_said}");
    assert!(text_said.contains("150456^MDC_PULS_OXIM_SAT_O2^MDC"), "{text_said}");
    assert!(text_said.contains("set aside: left out: unused"), "{text_said}");
    std::fs::write(&map, text.replace("\"2.6\"", "\"2.7\"")).unwrap();
    let said = house.verb(&["check"]);
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    let line = text.lines().position(|line| line.starts_with("version")).unwrap() + 1;
    assert!(!said.status.success());
    assert!(errors.contains(&format!("map.toml:{line}:")), "{errors}");
}
