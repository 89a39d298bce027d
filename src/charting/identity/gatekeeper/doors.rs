//! The doors: who comes in, how a session begins, goes on and ends.

use super::*;
use crate::charting::identity::limits::address;

/// The scheme of `Authorization` and what stands behind it.
#[derive(Clone, Copy)]
enum Credential<'a> {
    /// `DPoP`: a session's secret, or a token that is bound to a key.
    Bound(&'a str),
    /// `Bearer`.
    Bearer(&'a str),
}

impl<'a> Credential<'a> {
    fn of(headers: &Headers<'a>) -> Result<Self, Refused> {
        let (scheme, rest) = headers
            .authorization
            .and_then(|text| text.split_once(' '))
            .ok_or(Refused::TokenMissing)?;
        let rest = rest.trim_matches(' ');
        if rest.is_empty() {
            return Err(Refused::TokenMissing);
        }
        if scheme.eq_ignore_ascii_case("dpop") {
            return Ok(Self::Bound(rest));
        }
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        if is_bearer { Ok(Self::Bearer(rest)) } else { Err(Refused::TokenMissing) }
    }

    fn text(self) -> &'a str {
        let (Self::Bound(text) | Self::Bearer(text)) = self;
        text
    }
}

impl Gatekeeper {
    /// Counts a request of an address; for answers that ask for nobody. Everything else here does
    /// it by itself.
    ///
    /// # Errors
    /// [`Refused::TooMany`].
    pub fn admit(&self, from: IpAddr, now: Moment) -> Result<(), Refused> {
        let taken = self.inner().addresses.take(address(from), now.monotonic_us());
        taken.map_err(|why| self.refused(why, now, None))
    }

    /// Who this is.
    ///
    /// # Errors
    /// Why this is nobody.
    pub async fn person(&self, headers: &Headers<'_>, now: Moment) -> Result<Person, Refused> {
        self.admit(headers.from, now)?;
        let told = |why| self.refused(why, now, None);
        match Credential::of(headers).map_err(told)? {
            // Only a token has parts.
            credential if credential.text().contains('.') => {
                self.system(headers, credential, now).await.map_err(told)
            }
            Credential::Bound(secret) => self.in_session(headers, secret, now).await,
            Credential::Bearer(_) => Err(told(Refused::ProofMissing)),
        }
    }

    /// Opens a shift session: the provider's token in `Authorization`, and the proof of the key
    /// that the session will be bound to. The answer is durable.
    ///
    /// # Errors
    /// Why the token is not believed or the session cannot be kept.
    pub async fn open_session(
        &self,
        headers: &Headers<'_>,
        now: Moment,
    ) -> Result<Opened, Refused> {
        self.admit(headers.from, now)?;
        let opened = self.try_open(headers, now).await;
        opened.map_err(|why| self.refused(why, now, None))
    }

    async fn try_open(&self, headers: &Headers<'_>, now: Moment) -> Result<Opened, Refused> {
        let credential = Credential::of(headers)?;
        // The cheaper check first: a proof needs nothing but itself.
        let proof = self.proof(headers, credential.text(), now)?;
        let claims = self.believed(credential.text(), now).await?;
        if claims.bound_to.as_ref().is_some_and(|key| *key != proof.thumbprint) {
            return Err(Refused::TokenBinding);
        }
        if claims.role == Role::CoreSystem {
            return Err(Refused::NoRole);
        }
        let secret = random::<32>()?;
        let id = random::<12>()?;
        let now_s = self.now(now).utc_s;
        let _changing = self.changing.lock().await;
        self.inner().replays.take(&proof, now_s)?;
        let mut sessions = self.inner().sessions.clone();
        let ended =
            sessions.open(&secret, id, &proof.thumbprint, &claims, now_s, &self.settings)?;
        let session = sessions.find(&secret, now_s)?.clone();
        self.keep(sessions, now).await?;
        for id in ended {
            self.tell_of(Happened::SessionReplaced, &session, Some(id), now);
        }
        self.tell_of(Happened::SessionOpened, &session, None, now);
        let person = person_of(&session, None);
        Ok(Opened { secret, person, ends_s: session.ends_s })
    }

    /// The provider vouches again: the session as in [`Gatekeeper::person`], and a new token.
    ///
    /// # Errors
    /// Why the session is over or the token is not believed.
    pub async fn verify_session(
        &self,
        headers: &Headers<'_>,
        token: &str,
        now: Moment,
    ) -> Result<Verified, Refused> {
        self.admit(headers.from, now)?;
        let verified = self.try_verify(headers, token, now).await;
        verified.map_err(|why| self.refused(why, now, None))
    }

    async fn try_verify(
        &self,
        headers: &Headers<'_>,
        token: &str,
        now: Moment,
    ) -> Result<Verified, Refused> {
        let (secret, session) = self.session(headers, now)?;
        let claims = self.believed(token, now).await?;
        if claims.bound_to.is_some_and(|ref key| *key != session.key) {
            return Err(Refused::TokenBinding);
        }
        let claims = Claims { bound_to: None, ..claims };
        let now_s = self.now(now).utc_s;
        let _changing = self.changing.lock().await;
        let mut sessions = self.inner().sessions.clone();
        let (session, unverified_since_s) = sessions.verify(secret, &claims, now_s)?;
        self.keep(sessions, now).await?;
        let notice = Notice {
            person: Some(session.person.clone()),
            role: Some(session.role),
            session: Some(session.id.clone()),
            unverified_since_s,
            ..Notice::of(Happened::SessionVerified, now.utc_us())
        };
        self.tell(notice);
        Ok(Verified { person: person_of(&session, None), unverified_since_s })
    }

    /// Ends the session that the request comes in.
    ///
    /// # Errors
    /// Why it is none, or that the disk did not take it.
    pub async fn sign_out(&self, headers: &Headers<'_>, now: Moment) -> Result<(), Refused> {
        self.admit(headers.from, now)?;
        let found = self.session(headers, now).map_err(|why| self.refused(why, now, None))?;
        let (secret, session) = found;
        let _changing = self.changing.lock().await;
        let mut sessions = self.inner().sessions.clone();
        sessions.sign_out(secret);
        self.keep(sessions, now).await?;
        self.tell_of(Happened::SessionSignedOut, &session, None, now);
        Ok(())
    }

    /// Ends sessions for the operator; answers how many.
    ///
    /// # Errors
    /// [`Refused::NotKept`].
    pub async fn revoke(&self, whom: Revoke<'_>, now: Moment) -> Result<usize, Refused> {
        let _changing = self.changing.lock().await;
        let mut sessions = self.inner().sessions.clone();
        let ended = sessions.revoke(|session| match whom {
            Revoke::Person(person) => session.person == *person,
            Revoke::Session(id) => session.id == id,
            Revoke::Phone(key) => session.key == key,
            Revoke::Everything => true,
        });
        self.keep(sessions, now).await?;
        let many = ended.len();
        for id in ended {
            let session = Some(id);
            self.tell(Notice { session, ..Notice::of(Happened::SessionRevoked, now.utc_us()) });
        }
        Ok(many)
    }

    /// Takes a key of the provider out of belief for good, for the operator.
    ///
    /// # Errors
    /// [`Refused::NotKept`].
    pub async fn remove_key(&self, kid: &str, now: Moment) -> Result<(), Refused> {
        let _changing = self.changing.lock().await;
        let mut sessions = self.inner().sessions.clone();
        sessions.removed_keys.retain(|one| one != kid);
        sessions.removed_keys.push(kid.to_owned());
        self.keep(sessions, now).await?;
        self.inner().cache.remove(kid);
        self.tell(Notice::of(Happened::KeyRemoved, now.utc_us()));
        Ok(())
    }

    /// The session and its secret, by secret and proof; neither alone opens anything.
    fn session<'a>(
        &self,
        headers: &Headers<'a>,
        now: Moment,
    ) -> Result<(&'a str, Session), Refused> {
        let Credential::Bound(secret) = Credential::of(headers)? else {
            return Err(Refused::ProofMissing);
        };
        let now_s = self.now(now).utc_s;
        let session = self.inner().sessions.find(secret, now_s)?.clone();
        self.inner().phones.take(session.id.clone(), now.monotonic_us())?;
        let proof = self.proof(headers, secret, now)?;
        if proof.thumbprint != session.key {
            return Err(Refused::ProofWrong);
        }
        self.inner().replays.take(&proof, now_s)?;
        Ok((secret, session))
    }

    async fn in_session(
        &self,
        headers: &Headers<'_>,
        secret: &str,
        now: Moment,
    ) -> Result<Person, Refused> {
        let found = self.session(headers, now).map_err(|why| self.refused(why, now, None))?;
        let (_, session) = found;
        let told = |why| self.refused(why, now, Some(&session));
        self.refresh_if_stale(now).await;
        let now_s = self.now(now).utc_s;
        let provider = {
            let inner = self.inner();
            // Beyond the bound nobody knows who still works here.
            let believed = inner.cache.keys(now, self.settings.outage_s).is_some();
            believed.then(|| inner.cache.provider(now))
        };
        let provider = provider.ok_or(Refused::IdentityUnavailable).map_err(told)?;
        let age = Sessions::age(&session, provider, now_s, &self.settings).map_err(told)?;
        if age.is_some() && session.unverified_since_s.is_none() {
            self.note_unverified(secret, now).await.map_err(told)?;
        }
        Ok(person_of(&session, age))
    }

    /// Durable before the person is answered: an act that needs verifying must be known to.
    async fn note_unverified(&self, secret: &str, now: Moment) -> Result<(), Refused> {
        let now_s = self.now(now).utc_s;
        let _changing = self.changing.lock().await;
        let mut sessions = self.inner().sessions.clone();
        if sessions.note_unverified(secret, now_s) {
            self.keep(sessions, now).await?;
        }
        Ok(())
    }

    /// A core system comes with a token of its own each time; nobody else may.
    async fn system(
        &self,
        headers: &Headers<'_>,
        credential: Credential<'_>,
        now: Moment,
    ) -> Result<Person, Refused> {
        let claims = self.believed(credential.text(), now).await?;
        if claims.role != Role::CoreSystem {
            return Err(Refused::TokenNoSession);
        }
        self.inner().phones.take(claims.client.clone(), now.monotonic_us())?;
        match (&claims.bound_to, credential) {
            (None, Credential::Bearer(_)) => {}
            (Some(key), Credential::Bound(token)) => {
                let proof = self.proof(headers, token, now)?;
                if proof.thumbprint != *key {
                    return Err(Refused::TokenBinding);
                }
                let now_s = self.now(now).utc_s;
                self.inner().replays.take(&proof, now_s)?;
            }
            (None, Credential::Bound(_)) | (Some(_), Credential::Bearer(_)) => {
                return Err(Refused::TokenBinding);
            }
        }
        Ok(Person {
            id: claims.person,
            name: claims.name,
            role: claims.role,
            wards: claims.wards,
            student: false,
            mode: SessionMode::Online,
            session: claims.client,
        })
    }

    fn proof(
        &self,
        headers: &Headers<'_>,
        credential: &str,
        now: Moment,
    ) -> Result<Proof, Refused> {
        let text = headers.proof.ok_or(Refused::ProofMissing)?;
        let asked = Asked {
            method: headers.method,
            path: headers.path,
            origins: &self.origins,
            credential,
        };
        let proof = Proof::check(text, asked, self.now(now).utc_s)?;
        // What was used before the start is not remembered.
        if proof.issued_s < self.began_s { Err(Refused::ProofTime) } else { Ok(proof) }
    }

    fn tell_of(&self, happened: Happened, session: &Session, id: Option<String>, now: Moment) {
        self.tell(Notice {
            person: Some(session.person.clone()),
            role: Some(session.role),
            session: Some(id.unwrap_or_else(|| session.id.clone())),
            ..Notice::of(happened, now.utc_us())
        });
    }
}

fn person_of(session: &Session, age_s: Option<i64>) -> Person {
    let mode = match age_s {
        None => SessionMode::Online,
        Some(age) => SessionMode::Offline { identity_age_s: age.unsigned_abs() },
    };
    Person {
        id: session.person.clone(),
        name: session.name.clone(),
        role: session.role,
        wards: session.wards.clone(),
        student: session.student,
        mode,
        session: session.id.clone(),
    }
}

/// So many random bytes as text.
fn random<const BYTES: usize>() -> Result<String, Refused> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| Refused::NotKept)?;
    Ok(base64url(&bytes))
}
