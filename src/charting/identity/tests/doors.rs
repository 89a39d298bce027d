//! Sessions: opened, stolen, replayed, ended, and a box that restarts.

use super::*;
use crate::charting::identity::audit::Happened;
use crate::charting::identity::{Opened, PersonId, Refused, Revoke, Role, SessionMode};

async fn opens(house: &House, phone: &Phone, jti: &str, now: Moment) -> Result<Opened, Refused> {
    let token = house.token(jti, now);
    opens_with(house, phone, &token, now).await
}

async fn opens_with(
    house: &House,
    phone: &Phone,
    token: &str,
    now: Moment,
) -> Result<Opened, Refused> {
    let request = phone.asks("/v1/session", token, now);
    house.gatekeeper.open_session(&request.headers(), now).await
}

async fn comes(house: &House, request: &Request, now: Moment) -> Result<Role, Refused> {
    house.gatekeeper.person(&request.headers(), now).await.map(|person| person.role)
}

const NURSE: Result<Role, Refused> = Ok(Role::RegisteredNurse);

#[tokio::test]
async fn a_session_is_of_one_phone_and_each_proof_of_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::new(folder.path(), "");
    let (phone, thief) = (Phone::new(), Phone::new());
    let opened = opens(&house, &phone, "t1", at(0)).await.unwrap();
    assert_eq!((opened.person.mode, opened.ends_s), (SessionMode::Online, START_S + 12 * 3600));
    // 256 random bits.
    assert_eq!(bytes(&opened.secret).unwrap().len(), 32);
    let request = phone.asks("/v1/scan", &opened.secret, at(1));
    assert_eq!(comes(&house, &request, at(1)).await, NURSE);
    assert_eq!(comes(&house, &request, at(2)).await, Err(Refused::ProofReplayed));
    // The secret without the key.
    let stolen = thief.asks("/v1/scan", &opened.secret, at(3));
    assert_eq!(comes(&house, &stolen, at(3)).await, Err(Refused::ProofWrong));
    let bare = Request { proof: None, ..stolen.clone() };
    assert_eq!(comes(&house, &bare, at(3)).await, Err(Refused::ProofMissing));
    let bearer = Request { authorization: format!("Bearer {}", opened.secret), ..bare };
    assert_eq!(comes(&house, &bearer, at(3)).await, Err(Refused::ProofMissing));
    // The key without the secret, and a proof of another request.
    let guessed = phone.asks("/v1/scan", "guessed", at(3));
    assert_eq!(comes(&house, &guessed, at(3)).await, Err(Refused::SessionUnknown));
    let elsewhere = phone.asks("/v1/associations", &opened.secret, at(3));
    let elsewhere = Request { path: "/v1/confirmations", ..elsewhere };
    assert_eq!(comes(&house, &elsewhere, at(3)).await, Err(Refused::ProofWrong));
    let late = phone.asks("/v1/scan", &opened.secret, at(3));
    assert_eq!(comes(&house, &late, at(64)).await, Err(Refused::ProofTime));
    // The provider's token itself opens nothing but a session.
    let token = house.token("t2", at(70));
    let direct = phone.asks("/v1/scan", &token, at(70));
    assert_eq!(comes(&house, &direct, at(70)).await, Err(Refused::TokenNoSession));
    let nothing = Request { authorization: "Basic eA==".to_owned(), ..direct };
    assert_eq!(comes(&house, &nothing, at(70)).await, Err(Refused::TokenMissing));
    assert_eq!(comes(&house, &phone.asks("/v1/x", &opened.secret, at(71)), at(71)).await, NURSE);
    let mut told = Vec::new();
    while let Ok(notice) = house.told.try_recv() {
        told.push((notice.happened, notice.why));
    }
    assert_eq!(told[0], (Happened::SessionOpened, None));
    assert_eq!(told[1], (Happened::Refused, Some(Refused::ProofReplayed)));
    assert_eq!(told.len(), 10);
    assert_eq!(house.gatekeeper.counts().refused["token-proof"], 2);
}

#[tokio::test]
async fn what_is_kept_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    let token = house.token("t1", at(0));
    let opened = opens_with(&house, &phone, &token, at(0)).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path().join("identity")).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&opened.secret) && !text.contains(&token));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 2);
    assert!(!format!("{:?}", opened.person.id).contains("nurse-1"));
}

#[tokio::test]
async fn a_token_opens_sessions_of_one_phone_only() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let (phone, thief) = (Phone::new(), Phone::new());
    let token = house.token("t1", at(0));
    let first = opens_with(&house, &phone, &token, at(0)).await.unwrap();
    let stolen = opens_with(&house, &thief, &token, at(1)).await;
    assert_eq!(stolen.map(drop), Err(Refused::TokenUsed));
    // The phone did not hear the answer and asks again.
    let second = opens_with(&house, &phone, &token, at(2)).await.unwrap();
    let by = |secret: &str, now| phone.asks("/v1/x", secret, now);
    assert_eq!(comes(&house, &by(&first.secret, at(3)), at(3)).await, Err(Refused::SessionEnded));
    assert_eq!(comes(&house, &by(&second.secret, at(3)), at(3)).await, NURSE);
    // A token that the provider has bound to a key.
    let bound = json!({ "cnf": { "jkt": phone.pair.thumbprint() } });
    let bound = house.token_with("t2", at(4), bound);
    let stolen = opens_with(&house, &thief, &bound, at(4)).await;
    assert_eq!(stolen.map(drop), Err(Refused::TokenBinding));
    assert!(opens_with(&house, &phone, &bound, at(4)).await.is_ok());
}

#[tokio::test]
async fn a_session_has_an_end_that_nothing_moves() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "session_hours = 1\nverify_minutes = 60");
    let phone = Phone::new();
    let opened = opens(&house, &phone, "t1", at(0)).await.unwrap();
    let request = phone.asks("/v1/session/verify", &opened.secret, at(3000));
    let token = house.token("t2", at(3000));
    let verified = house.gatekeeper.verify_session(&request.headers(), &token, at(3000)).await;
    assert_eq!(verified.unwrap().unverified_since_s, None);
    assert_eq!(
        comes(&house, &phone.asks("/v1/x", &opened.secret, at(3599)), at(3599)).await,
        NURSE
    );
    let over = phone.asks("/v1/x", &opened.secret, at(3600));
    assert_eq!(comes(&house, &over, at(3600)).await, Err(Refused::SessionEnded));
}

#[tokio::test]
async fn sessions_are_few_signed_out_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::new(folder.path(), "");
    let phones = [Phone::new(), Phone::new(), Phone::new()];
    let mut secrets = Vec::new();
    for (second, phone) in phones.iter().enumerate() {
        let now = at(second as i64);
        secrets.push(opens(&house, phone, &format!("t{second}"), now).await.unwrap().secret);
    }
    let asks = |index: usize, now| phones[index].asks("/v1/x", &secrets[index], now);
    // Two per person: the oldest went.
    assert_eq!(comes(&house, &asks(0, at(5)), at(5)).await, Err(Refused::SessionEnded));
    assert_eq!(comes(&house, &asks(1, at(5)), at(5)).await, NURSE);
    let out = asks(1, at(6));
    assert_eq!(house.gatekeeper.sign_out(&out.headers(), at(6)).await, Ok(()));
    assert_eq!(comes(&house, &asks(1, at(7)), at(7)).await, Err(Refused::SessionEnded));
    let nurse = PersonId::parse("nurse-1").unwrap();
    assert_eq!(house.gatekeeper.revoke(Revoke::Person(&nurse), at(8)).await, Ok(1));
    assert_eq!(comes(&house, &asks(2, at(9)), at(9)).await, Err(Refused::SessionRevoked));
    assert_eq!(house.gatekeeper.revoke(Revoke::Everything, at(9)).await, Ok(0));
    let told: Vec<Happened> =
        std::iter::from_fn(|| house.told.try_recv().ok()).map(|one| one.happened).collect();
    for happened in
        [Happened::SessionReplaced, Happened::SessionSignedOut, Happened::SessionRevoked]
    {
        assert_eq!(told.iter().filter(|one| **one == happened).count(), 1, "{happened:?}");
    }
}

#[tokio::test]
async fn a_session_survives_a_restart_and_a_proof_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    let opened = opens(&house, &phone, "t1", at(0)).await.unwrap();
    let before = phone.asks("/v1/x", &opened.secret, at(5));
    assert_eq!(comes(&house, &before, at(5)).await, NURSE);
    let house = house.restarted(folder.path(), at(10));
    // The box does not remember what was used before it stopped.
    assert_eq!(comes(&house, &before, at(11)).await, Err(Refused::ProofTime));
    assert_eq!(comes(&house, &phone.asks("/v1/x", &opened.secret, at(12)), at(12)).await, NURSE);
    let nurse = PersonId::parse("nurse-1").unwrap();
    house.gatekeeper.revoke(Revoke::Person(&nurse), at(13)).await.unwrap();
    let house = house.restarted(folder.path(), at(20));
    let after = phone.asks("/v1/x", &opened.secret, at(21));
    assert_eq!(comes(&house, &after, at(21)).await, Err(Refused::SessionRevoked));
}

#[tokio::test]
async fn a_damaged_file_ends_sessions_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    let opened = opens(&house, &phone, "t1", at(0)).await.unwrap();
    let file = folder.path().join("identity/sessions.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("registered-nurse", "doctor")).unwrap();
    let house = house.restarted(folder.path(), at(10));
    let request = phone.asks("/v1/x", &opened.secret, at(11));
    assert_eq!(comes(&house, &request, at(11)).await, Err(Refused::SessionUnknown));
    assert!(folder.path().join("identity/sessions.json.damaged").exists());
    assert!(opens(&house, &phone, "t2", at(12)).await.is_ok());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_opens_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    // A folder stands where the file would be written.
    std::fs::create_dir(folder.path().join("identity/sessions.json.new")).unwrap();
    let phone = Phone::new();
    let opened = opens(&house, &phone, "t1", at(0)).await;
    assert_eq!(opened.map(drop), Err(Refused::NotKept));
}

#[tokio::test]
async fn somebody_elses_token_does_not_vouch() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    let opened = opens(&house, &phone, "t1", at(0)).await.unwrap();
    let other = house.token_with("t2", at(100), json!({ "sub": "nurse-2" }));
    let request = phone.asks("/v1/session/verify", &opened.secret, at(100));
    let verified = house.gatekeeper.verify_session(&request.headers(), &other, at(100)).await;
    assert_eq!(verified.map(drop), Err(Refused::TokenPerson));
    // The role of now counts from now on.
    let lower = house.token_with("t3", at(101), json!({ "ward": { "roles": ["lh"] } }));
    let request = phone.asks("/v1/session/verify", &opened.secret, at(101));
    let verified = house.gatekeeper.verify_session(&request.headers(), &lower, at(101)).await;
    assert_eq!(verified.unwrap().person.role, Role::PracticalNurse);
    let request = phone.asks("/v1/x", &opened.secret, at(102));
    assert_eq!(comes(&house, &request, at(102)).await, Ok(Role::PracticalNurse));
}

#[tokio::test]
async fn a_core_system_has_a_token_of_its_own_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), "");
    let phone = Phone::new();
    let core = json!({ "client_id": "core", "sub": "core", "ward": null });
    let bearer = |token: &str| Request {
        path: "/v1/chartings",
        authorization: format!("Bearer {token}"),
        proof: None,
        from: phone.from,
    };
    let token = house.token_with("c1", at(0), core.clone());
    assert_eq!(comes(&house, &bearer(&token), at(0)).await, Ok(Role::CoreSystem));
    assert_eq!(opens_with(&house, &phone, &token, at(0)).await.map(drop), Err(Refused::NoRole));
    // A bound one needs its key.
    let bound = with(&core, json!({ "cnf": { "jkt": phone.pair.thumbprint() } }));
    let token = house.token_with("c2", at(0), bound);
    assert_eq!(comes(&house, &bearer(&token), at(0)).await, Err(Refused::TokenBinding));
    let proven = phone.asks("/v1/chartings", &token, at(0));
    assert_eq!(comes(&house, &proven, at(0)).await, Ok(Role::CoreSystem));
    assert_eq!(comes(&house, &proven, at(1)).await, Err(Refused::ProofReplayed));
    let person = bearer(&house.token("t1", at(0)));
    assert_eq!(comes(&house, &person, at(0)).await, Err(Refused::TokenNoSession));
}

#[tokio::test]
async fn a_thousand_requests_a_second_hurt_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::new(folder.path(), "");
    let phone = Phone::new();
    let opened = opens(&house, &phone, "t1", at(0)).await.unwrap();
    let loud = Request {
        path: "/v1/x",
        authorization: "DPoP guessed".to_owned(),
        proof: None,
        from: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    };
    let mut refused = std::collections::BTreeMap::new();
    for ms in 0..1000_u64 {
        let now = at(10).plus_ms(ms);
        let why = comes(&house, &loud, now).await.unwrap_err();
        *refused.entry(why.status()).or_insert(0) += 1;
    }
    assert!(refused[&429] >= 749 && refused[&401] <= 251, "{refused:?}");
    assert_eq!(comes(&house, &phone.asks("/v1/x", &opened.secret, at(11)), at(11)).await, NURSE);
    // The audit record is not filled with it.
    let rows = std::iter::from_fn(|| house.told.try_recv().ok()).count();
    assert!(rows <= 63, "{rows}");
    assert_eq!(house.gatekeeper.counts().refused["too-many-requests"], refused[&429]);
    // One phone that asks too much is refused too, and says so.
    let mut last = NURSE;
    for _ in 0..60 {
        last = comes(&house, &phone.asks("/v1/x", &opened.secret, at(12)), at(12)).await;
    }
    assert_eq!(last, Err(Refused::TooMany { retry_after_s: 1 }));
    assert_eq!(last.unwrap_err().retry_after_s(), Some(1));
    assert_eq!(comes(&house, &phone.asks("/v1/x", &opened.secret, at(14)), at(14)).await, NURSE);
}

#[tokio::test]
async fn the_boxs_own_issuer_makes_people_up() {
    use crate::charting::identity::development::{Issuer, MadeUp, Places};
    let folder = tempfile::tempdir().unwrap();
    let made_up = MadeUp {
        id: "nurse-a".to_owned(),
        name: "Aino Esimerkki".to_owned(),
        roles: vec!["sh".to_owned()],
        wards: vec!["3a".to_owned()],
    };
    let place = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let places = Places {
        name: place(&["name"]),
        roles: place(&["ward", "roles"]),
        wards: place(&["wards"]),
    };
    let issuer = Issuer::new(ISSUER, "wardgate", "bedside", vec![made_up], places).unwrap();
    let setup = Setup {
        settings: settings_with(""),
        source: Source::Development(Arc::new(issuer)),
        origins: vec![ORIGIN.to_owned()],
        folder: folder.path().join("identity"),
    };
    let (gatekeeper, _told) = Gatekeeper::open(setup, at(0)).unwrap();
    let issuer = gatekeeper.development().unwrap();
    assert_eq!(issuer.token("nurse-b", at(0)), Err(Refused::NoRole));
    let answer = issuer.token("nurse-a", at(0)).unwrap();
    assert_eq!(answer["token_type"], "Bearer");
    let phone = Phone::new();
    let request = phone.asks("/v1/session", answer["access_token"].as_str().unwrap(), at(0));
    let opened = gatekeeper.open_session(&request.headers(), at(0)).await.unwrap();
    assert_eq!(opened.person.role, Role::RegisteredNurse);
    assert_eq!(opened.person.wards, ["3a"]);
}
