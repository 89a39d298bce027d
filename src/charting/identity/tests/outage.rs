//! A provider that turns its keys, goes away and comes back.

use super::*;
use crate::charting::identity::{May, Opened, Person, Refused, SessionMode};

async fn opens(house: &House, phone: &Phone, token: &str, now: Moment) -> Result<Opened, Refused> {
    let request = phone.asks("/v1/session", token, now);
    house.gatekeeper.open_session(&request.headers(), now).await
}

async fn comes(
    house: &House,
    phone: &Phone,
    opened: &Opened,
    now: Moment,
) -> Result<Person, Refused> {
    let request = phone.asks("/v1/x", &opened.secret, now);
    house.gatekeeper.person(&request.headers(), now).await
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_reading() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    opens(&house, &phone, &house.token("t1", at(0)), at(0)).await.unwrap();
    assert_eq!(house.provider.asked(), 1);
    let evil = Pair::new();
    let head = with(&header(), json!({ "kid": "k9" }));
    let requests: Vec<Request> = (0..100)
        .map(|n| {
            let token = evil.signs(&head, &claims(&format!("e{n}"), at(40)));
            phone.asks("/v1/session", &token, at(40))
        })
        .collect();
    let all = requests.into_iter().map(|request| {
        let gatekeeper = Arc::clone(&house.gatekeeper);
        tokio::spawn(async move { gatekeeper.open_session(&request.headers(), at(40)).await })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap().map(drop), Err(Refused::TokenKeyUnknown));
    }
    assert_eq!(house.provider.asked(), 2);
    // A known key with a bad signature is no reason to ask at all.
    let forged = evil.signs(&header(), &claims("e", at(80)));
    let refused = opens(&house, &phone, &forged, at(80)).await;
    assert_eq!(refused.map(drop), Err(Refused::TokenSignature));
    assert_eq!(house.provider.asked(), 2);
}

#[tokio::test]
async fn keys_are_turned_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    opens(&house, &phone, &house.token("t1", at(0)), at(0)).await.unwrap();
    let new = Pair::new();
    house.provider.publish(&[new.published("k2"), house.pair.published("k1")]);
    let by_new =
        |jti: &str, now| new.signs(&with(&header(), json!({ "kid": "k2" })), &claims(jti, now));
    // The first token of a new key has it read, at once if nobody asked just before.
    let early = opens(&house, &phone, &by_new("t2", at(10)), at(10)).await;
    assert_eq!(early.map(drop), Err(Refused::TokenKeyUnknown));
    assert!(opens(&house, &phone, &by_new("t2", at(31)), at(31)).await.is_ok());
    assert!(opens(&house, &phone, &house.token("t3", at(32)), at(32)).await.is_ok());
    house.provider.publish(&[new.published("k2")]);
    // Old keys are fresh for ten minutes.
    assert!(opens(&house, &phone, &house.token("t4", at(600)), at(600)).await.is_ok());
    let gone = opens(&house, &phone, &house.token("t5", at(700)), at(700)).await;
    assert_eq!(gone.map(drop), Err(Refused::TokenKeyUnknown));
    // The operator does not believe a key that the provider still has, and never again.
    house.gatekeeper.remove_key("k2", at(710)).await.unwrap();
    let house = house.restarted(folder.path(), at(720));
    let removed = opens(&house, &phone, &by_new("t6", at(760)), at(760)).await;
    assert_eq!(removed.map(drop), Err(Refused::TokenKeyUnknown));
}

#[tokio::test]
async fn the_round_goes_on_without_the_provider_and_is_verified_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::new(folder.path(), "");
    let phone = Phone::new();
    let token = house.token("t1", at(0));
    let opened = opens(&house, &phone, &token, at(0)).await.unwrap();
    house.provider.go_away();
    // The keys are fresh: nobody knows of the outage yet.
    assert_eq!(comes(&house, &phone, &opened, at(599)).await.unwrap().mode, SessionMode::Online);
    let away = comes(&house, &phone, &opened, at(7200)).await.unwrap();
    assert_eq!(away.mode, SessionMode::Offline { identity_age_s: 7200 });
    for act in May::ALL {
        let goes_on = matches!(act, May::See | May::Associate | May::Confirm | May::Enter);
        match away.may(act) {
            Ok(_) => assert!(goes_on, "{act:?}"),
            Err(why) => assert!(!goes_on && matches!(why, Refused::Offline(_) | Refused::Role(_))),
        }
    }
    // A restart in the outage: keys and sessions are on the disk.
    house = house.restarted(folder.path(), at(20_000));
    let away = comes(&house, &phone, &opened, at(20_001)).await.unwrap();
    assert_eq!(away.mode, SessionMode::Offline { identity_age_s: 20_001 });
    // Somebody who comes now with a token that is still good by the kept keys.
    let late = Phone::new();
    let token = house.token_with("t2", at(20_010), json!({ "sub": "nurse-2" }));
    assert!(opens(&house, &late, &token, at(20_010)).await.is_ok());
    // It is back: the phone has a quarter of an hour to have itself vouched for.
    house.provider.publish(&[house.pair.published("k1")]);
    let back = comes(&house, &phone, &opened, at(30_000)).await.unwrap();
    assert_eq!(back.mode, SessionMode::Offline { identity_age_s: 30_000 });
    // A token from before the outage vouches for nothing.
    let request = phone.asks("/v1/session/verify", &opened.secret, at(30_001));
    let old = house.gatekeeper.verify_session(&request.headers(), &token, at(30_001)).await;
    assert!(old.is_err());
    let fresh = house.token("t3", at(30_010));
    let request = phone.asks("/v1/session/verify", &opened.secret, at(30_010));
    let verified = house.gatekeeper.verify_session(&request.headers(), &fresh, at(30_010)).await;
    assert_eq!(verified.unwrap().unverified_since_s, Some(START_S + 7200));
    let person = comes(&house, &phone, &opened, at(30_020)).await.unwrap();
    assert_eq!(person.mode, SessionMode::Online);
    let mut last = None;
    while let Ok(notice) = house.told.try_recv() {
        last = Some(notice);
    }
    assert_eq!(last.unwrap().unverified_since_s, Some(START_S + 7200));
}

#[tokio::test]
async fn who_is_not_vouched_for_in_time_signs_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    let opened = opens(&house, &phone, &house.token("t1", at(0)), at(0)).await.unwrap();
    let mode = |person: Result<Person, Refused>| person.map(|person| person.mode);
    let hour = 3600;
    assert_eq!(mode(comes(&house, &phone, &opened, at(hour)).await), Ok(SessionMode::Online));
    let due = comes(&house, &phone, &opened, at(hour + 1)).await;
    assert_eq!(mode(due), Ok(SessionMode::Offline { identity_age_s: 3601 }));
    let last = comes(&house, &phone, &opened, at(hour + 900)).await;
    assert!(last.is_ok());
    let over = comes(&house, &phone, &opened, at(hour + 901)).await;
    assert_eq!(over.map(drop), Err(Refused::SessionUnverified));
}

#[tokio::test]
async fn an_outage_has_a_bound_and_its_answer_is_not_the_persons_fault() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "outage_hours = 4");
    let (phone, other) = (Phone::new(), Phone::new());
    let opened = opens(&house, &phone, &house.token("t1", at(0)), at(0)).await.unwrap();
    house.provider.go_away();
    let bound = 4 * 3600;
    assert!(comes(&house, &phone, &opened, at(bound - 1)).await.is_ok());
    let beyond = comes(&house, &phone, &opened, at(bound)).await.unwrap_err();
    assert_eq!(beyond, Refused::IdentityUnavailable);
    assert_eq!((beyond.status(), beyond.code()), (503, "identity-unavailable"));
    let token = house.token("t2", at(bound));
    let refused = opens(&house, &other, &token, at(bound)).await;
    assert_eq!(refused.map(drop), Err(Refused::IdentityUnavailable));
    house.provider.publish(&[house.pair.published("k1")]);
    let token = house.token("t3", at(bound + 60));
    assert!(opens(&house, &other, &token, at(bound + 60)).await.is_ok());
    assert!(comes(&house, &phone, &opened, at(bound + 61)).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_set_back_extends_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "session_hours = 1");
    let phone = Phone::new();
    let opened = opens(&house, &phone, &house.token("t1", at(0)), at(0)).await.unwrap();
    // An hour by the boot clock, ten seconds by the other.
    let set_back = Moment::new(at(3600).monotonic_us(), at(10).utc_us(), Certainty::Unproven);
    let request = phone.asks("/v1/x", &opened.secret, at(3600));
    let person = house.gatekeeper.person(&request.headers(), set_back).await;
    assert_eq!(person.map(drop), Err(Refused::SessionEnded));
}

#[tokio::test]
async fn a_box_that_never_saw_its_provider_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    house.provider.go_away();
    let phone = Phone::new();
    let refused = opens(&house, &phone, &house.token("t1", at(0)), at(0)).await;
    assert_eq!(refused.map(drop), Err(Refused::IdentityUnavailable));
    let again = opens(&house, &phone, &house.token("t1", at(1)), at(1)).await;
    assert_eq!(again.map(drop), Err(Refused::IdentityUnavailable));
    assert_eq!(house.provider.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_background_reads_at_half_of_the_keys_life() {
    static NOW_S: AtomicU64 = AtomicU64::new(0);
    fn clock() -> Moment {
        at(NOW_S.load(Ordering::SeqCst) as i64)
    }
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let gatekeeper = Arc::clone(&house.gatekeeper);
    let running = tokio::spawn(async move { gatekeeper.run(stopped, clock).await });
    for second in 0..=600 {
        NOW_S.store(second, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(house.provider.asked(), 3);
}
