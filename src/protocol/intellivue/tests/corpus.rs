//! The two real Connect Indications: the one whose bytes are in the corpus, and the facts of the
//! other (facts/monitors.md 1.3).

use super::*;

fn of_corpus() -> Vec<u8> {
    let corpus = std::env::var("WARDGATE_CORPUS").unwrap_or_else(|_| "../shared/corpus".to_owned());
    let name = "connect_indication_einstein_M8007A_G.01.78.bin";
    let path = format!("{corpus}/monitors/philips-intellivue/{name}");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_real_indication_says_model_software_label_and_port() {
    let bytes = of_corpus();
    let says = identity::indication(&bytes).unwrap();
    assert_eq!(says.identity.model, "M8007A");
    assert_eq!(says.identity.firmware, "G.01.78");
    assert_eq!(says.identity.serial_number, "DE22713007");
    assert_eq!(says.label, "ECC MON RM15");
    assert_eq!(says.port, Some(24_105));
}

#[test]
fn it_is_answered_with_an_association_request_on_the_announced_port() {
    let mut bench = Bench::open(Framing::Lan);
    bench.sent.clear();
    bench.hear(&of_corpus());
    let [(_, request, to)] = &bench.sent[..] else { panic!("{:?}", bench.sent) };
    assert_eq!((request.len(), request[0], *to), (238, 0x0d, Peer(24_105)));
    assert_eq!(bench.identities.len(), 1);
    bench.hear(&of_corpus());
    assert_eq!((bench.identities.len(), bench.messages.len()), (1, 0));
}

#[test]
fn a_cut_or_turned_indication_panics_nowhere_and_invents_no_port() {
    let bytes = of_corpus();
    for end in 0..bytes.len() {
        assert_eq!(identity::indication(&bytes[..end]), None, "{end}");
    }
    let mut bench = Bench::open(Framing::Lan);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut turned = bytes.clone();
            turned[at] ^= 1 << bit;
            bench.hear(&turned);
        }
    }
    assert!(bench.readings().is_empty());
}

#[test]
fn the_facts_of_the_other_monitor() {
    // The sheet's second sample, put together again from its words.
    let entry = |words: [u16; 4]| monitor::be(&words);
    let protocols = monitor::list(&[
        entry([1, 3, 24_000, 0]),
        entry([2, 3, 24_000, 0]),
        entry([1, 1, 24_105, 0]),
        entry([5, 1, 24_105, 0]),
        entry([10, 1, 24_012, 0]),
        entry([8, 1, 33_333, 0]),
    ]);
    let spec = |kind, component, text: &str| {
        let head = monitor::be(&[kind, component, text.len() as u16]);
        [head, text.as_bytes().to_vec()].concat()
    };
    let production = monitor::list(&[
        spec(1, 8, "DE351A4061\0\t"),
        spec(2, 8, "866062\0\0"),
        spec(2, 0x58, "S-M8003-1402A \n"),
        spec(4, 0x58, "L.01.18\n"),
    ]);
    // The attribute goes on behind its list, as the other real one does.
    let production = [production.clone(), production].concat();
    let model = [monitor::be(&[8]), b"Philips\0".to_vec(), monitor::be(&[8])].concat();
    let model = [model, b"866062\0\0".to_vec()].concat();
    let attributes = monitor::list(&[
        monitor::attribute(0xf135, vec![0; 34]),
        monitor::attribute(0xf101, protocols),
        monitor::attribute(0x092d, production),
        monitor::attribute(0x0928, model),
    ]);
    let sized = |bytes: Vec<u8>| [monitor::be(&[bytes.len() as u16]), bytes].concat();
    let event = [monitor::be(&[0x0023, 0, 0, 0, 1, 0x0d17]), sized(attributes)].concat();
    let invoke = [monitor::be(&[0, 0]), sized(event)].concat();
    let indication = [hex("00000100 0001"), sized(invoke)].concat();
    let says = identity::indication(&indication).unwrap();
    assert_eq!(says.identity.model, "866062");
    assert_eq!(says.identity.serial_number, "DE351A4061");
    assert_eq!(says.identity.firmware, "L.01.18");
    assert_eq!((says.label.as_str(), says.port), ("", Some(24_105)));
}
