//! Ports and tellers over real connections: what a manager takes, and what comes to a consumer.

use super::*;
use crate::association::{By, DeviceId, EntryId, Ledger, PersonId, Says, Span, Utc};
use crate::gateway::adt::tests::{MemoryDesk, Sender};
use crate::vocabulary::{PatientId, Purpose};

const ROOT: &str = "1.2.246.10.1234567.22.2026";

fn table(role: &str, more: &str) -> PcimTable {
    let listen = if role == "reporter" { "" } else { "listen = \"127.0.0.1:0\"\n" };
    toml::from_str(&format!("role = \"{role}\"\n{listen}error_base = 500\n{more}")).unwrap()
}

fn device() -> DeviceId {
    DeviceId::parse("pump-4").unwrap()
}

fn site() -> PcimSite {
    let patients =
        toml::from_str(&format!("authorities.A = \"{ROOT}\"\nmain_roots = [\"{ROOT}\"]")).unwrap();
    let machines = [("pump-4".to_owned(), device())].into();
    let zone = Some(jiff::tz::TimeZone::UTC);
    PcimSite { patients, machines, zone, ..PcimSite::default() }
}

fn patient(number: &str) -> PatientId {
    PatientId::given(ROOT, number, Purpose::Production).unwrap()
}

/// A DEV-51 about the pump, as a reporter sends it.
fn told(id: &str, who: &str, act: &str, more: &str) -> String {
    let (code, begin) = match act {
        "begins" => ("198332^MDC_EVT_ASSOCIATION_PATIENT_DEVICE^MDC", "20260302100000"),
        _ => ("198334^MDC_EVT_DISASSOCIATION_PATIENT_DEVICE^MDC", "|20260302110000"),
    };
    format!(
        "MSH|^~\\&|CritCare||AssocMgr||20260302103000||ORU^R01^ORU_R01|m-{id}|P|2.6|||AL|NE|||||\
         IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO\n\
         PID|||{who}^^^A^PI\nPV1||E|3 WEST ICU^3001^1\n\
         OBR|||{id}|69136^MDC_OBS_ASSOCIATION_PATIENT_DEVICE^MDC{more}\n\
         OBX|1|CWE|68487^MDC_ATTR_EVT_COND^MDC||{code}||||||F\n\
         PRT|1|UC||EQUIP^EQUIP^HL70912||||||pump-4|{begin}\n\
         PRT|2|UC||AUT^AUT^HL70912|58793||||||20260302103000"
    )
}

fn manager(desk: &MemoryDesk) -> (Arc<PcimPort<MemoryDesk>>, watch::Sender<bool>) {
    let port = PcimPort::new(table("manager", ""), site(), desk.clone());
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(Arc::clone(&port).run(stopping));
    (port, stop)
}

/// Who has the pump.
fn has_pump(ledger: &Ledger) -> Vec<PatientId> {
    ledger.standing(now()).into_iter().map(|one| one.patient).collect()
}

fn now() -> Utc {
    Utc::from_us(clock::now().utc_us())
}

#[tokio::test]
async fn a_manager_takes_what_it_can_and_says_why_not() {
    let desk = MemoryDesk::default();
    let (port, _stop) = manager(&desk);
    let mut sender = Sender::to(|| port.snapshot().port).await;
    assert_eq!(sender.told(&told("x", "A1", "begins", "")).await, "MSA|CA|m-x");
    // What is sent again is known.
    assert_eq!(sender.told(&told("x", "A1", "begins", "")).await, "MSA|CA|m-x");
    assert_eq!(desk.ledger().entries().count(), 1);
    assert!(has_pump(&desk.ledger()) == [patient("A1")]);

    sender.send(&told("y", "B2", "begins", "")).await;
    let answer = sender.answer().await;
    assert!(answer.contains("\nMSA|CR|m-y\n"), "{answer}");
    assert!(answer.contains("|E|503^Device is associated with another patient\n"), "{answer}");
    sender.send(&told("z", "C3", "ends", "")).await;
    assert!(sender.answer().await.contains("|504^Device is not associated with a patient\n"));
    let unknown = told("z", "A1", "begins", "").replace("||||||pump-4", "||||||pump-5");
    sender.send(&unknown).await;
    assert!(sender.answer().await.contains("|501^Unknown device\n"));
    assert!(has_pump(&desk.ledger()) == [patient("A1")]);

    // An end without OBR-29 is matched by device and patient; then the next one may have it.
    assert_eq!(sender.told(&told("e", "A1", "ends", "")).await, "MSA|CA|m-e");
    let moved = told("y", "B2", "begins", "").replace("20260302100000", "20260302110000");
    let moved = moved.replace("||||||20260302103000", "||||||20260302113000");
    assert_eq!(sender.told(&moved).await, "MSA|CA|m-y");
    assert!(has_pump(&desk.ledger()) == [patient("B2")]);

    let query = "MSH|^~\\&|A||B||20260302103000||QSB^Z66^QSB_Q16|q|P|2.6|||AL|AL\n\
                 QPD|Q66^Device-Patient Subscription^HL7005|Q0044|PV1.3.1^EQ^MICU";
    sender.send(query).await;
    let answer = sender.answer().await;
    assert!(answer.contains("MSA|CR|q\n") && answer.contains("|200^"), "{answer}");
    let report = told("r", "A1", "begins", "").replace("_051", "_052").replace("1.51.1", "1.52.1");
    assert_eq!(sender.told(&report).await, "MSA|CR|m-r");
    let shown = port.snapshot();
    assert_eq!(shown.refused.values().sum::<u64>(), 5);
    assert_eq!(shown.refused["Device is associated with another patient"], 1);
}

/// Waits until something is so.
async fn until(what: impl Fn() -> bool) {
    for _ in 0..300 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come about");
}

use std::time::Duration;

fn scanned(id: &str, says: Says) -> Statement {
    let by = By::Scan { person: PersonId::parse("person-7").unwrap() };
    Statement { id: EntryId::parse(id).unwrap(), stated: now(), by, says }
}

#[tokio::test]
async fn a_scan_comes_to_the_consumer_with_its_end_and_its_withdrawal() {
    let there = MemoryDesk::default();
    let consumer = PcimPort::new(table("consumer", ""), site(), there.clone());
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(Arc::clone(&consumer).run(stopping.clone()));
    until(|| consumer.snapshot().port.parse::<SocketAddr>().is_ok()).await;
    let port = consumer.snapshot().port.parse::<SocketAddr>().unwrap().port();

    let here = MemoryDesk::default();
    let begin = |number: &str, from| Says::Associated {
        device: device(),
        channel: None,
        patient: patient(number),
        span: Span { from, until: None },
    };
    // Before the consumer is told anything.
    here.keep(Vec::new(), vec![scanned("x", begin("A1", now()))]).await.unwrap();
    let peer = format!("[[peer]]\nname = \"charting\"\nhost = \"127.0.0.1\"\nport = {port}\n");
    let of_manager = table("manager", &peer);
    let teller = peer::Teller::new(&of_manager, &of_manager.peer[0], site(), here.clone());
    let shown = teller.shown();
    tokio::spawn(teller.run(here.ledger.subscribe(), stopping));
    until(|| has_pump(&there.ledger()) == [patient("A1")]).await;

    let association = EntryId::parse("x").unwrap();
    let ends = Says::Ended { association: association.clone(), at: now() };
    here.keep(Vec::new(), vec![scanned("e", ends)]).await.unwrap();
    until(|| has_pump(&there.ledger()).is_empty()).await;
    // Two entries there: the association and its end, by the ids from here.
    assert!(there.ledger().entry(&association).is_some());
    here.keep(Vec::new(), vec![scanned("y", begin("B2", now()))]).await.unwrap();
    until(|| has_pump(&there.ledger()) == [patient("B2")]).await;
    let entry = EntryId::parse("y").unwrap();
    let wrong = Says::Withdrawn { entry, reason: "wrong-patient".to_owned() };
    here.keep(Vec::new(), vec![scanned("w", wrong)]).await.unwrap();
    until(|| has_pump(&there.ledger()).is_empty()).await;
    let shown = shown.lock().unwrap().clone();
    assert_eq!((shown.refused, shown.trouble.as_str()), (0, ""));
    assert!(shown.acknowledged >= 4);
    assert!(consumer.snapshot().refused.is_empty());
    stop.send_replace(true);
}
