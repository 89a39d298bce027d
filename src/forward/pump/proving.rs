//! Manifests of a destination whose acknowledgement proves too little: they are sent until they are
//! answered, and what the core lacks is sent again.

use std::sync::PoisonError;

use super::{Outbound, Pump};
use crate::forward::ProofShown;
use crate::forward::acknowledgement::ManifestAnswer;
use crate::forward::proof::{Judged, Proof, Stated};
use crate::forward::stored::{EventKind, Stored};
use crate::vocabulary::Sequence;

impl<M: Send + Sync + 'static> Pump<M> {
    /// Whether only an answered manifest proves that the core has a record.
    #[must_use]
    pub fn proving(mut self, by_manifest: bool) -> Self {
        let (saved, low_water) = (self.saved.proven.as_deref().cloned(), self.saved.low_water);
        self.proof = by_manifest.then(|| Proof::new(saved, low_water));
        self
    }

    /// A manifest that goes out waits for its answer.
    pub(super) fn note_manifest(&mut self, outbound: &Outbound<'_>) {
        let Some(proof) = &mut self.proof else { return };
        if outbound.written.kind != EventKind::Manifest {
            return;
        }
        if let Some(stated) = outbound.written.stored().as_ref().and_then(stated) {
            proof.went_out(outbound.sequence.number(), stated.last, outbound.time_us);
        }
    }

    /// There is a new connection: an answer that was on its way on the old one is lost.
    pub(super) fn ask_again(&mut self) {
        for manifest in self.waiting_manifests() {
            self.window.reopen(manifest..=manifest);
        }
    }

    /// Whether only an answered manifest proves that the core has a record.
    pub(in crate::forward) const fn is_proven_by_manifests(&self) -> bool {
        self.proof.is_some()
    }

    /// The manifests that wait for an answer.
    pub(in crate::forward) fn waiting_manifests(&self) -> Vec<u64> {
        self.proof.as_ref().map(Proof::waiting).unwrap_or_default()
    }

    /// Sends manifests again whose answers came before the records that they speak of.
    pub(super) fn send_due_manifests(&mut self) {
        let low_water = self.window.low_water();
        let due = self.proof.as_mut().map(|proof| proof.due_again(low_water)).unwrap_or_default();
        due.into_iter().for_each(|manifest| self.window.reopen(manifest..=manifest));
    }

    /// Applies the answer to a manifest, in JSON.
    pub(in crate::forward) fn hear_manifest_answer(&mut self, json: &[u8]) {
        let disbelieved = match ManifestAnswer::parse(json) {
            Ok(answer) => self.manifest_answered(&answer).err(),
            Err(error) => Some(error.to_string()),
        };
        self.disbelieve(disbelieved.into_iter().collect());
    }

    fn manifest_answered(&mut self, answer: &ManifestAnswer) -> Result<(), String> {
        self.window.may_say(answer).map_err(|why| format!("{why:?}"))?;
        let (low_water, now_ms) = (self.window.low_water(), self.now_ms());
        let Some(proof) = &mut self.proof else {
            return Err("nothing waits for the answer to a manifest here".to_owned());
        };
        let record = self.reader.read(answer.manifest).map_err(|error| error.to_string())?;
        let routed = record.and_then(|record| Stored::from_bytes(&record.payload));
        let routed = routed.filter(|one| one.routes.contains_key(&self.settings.name));
        let stated = routed.as_ref().and_then(stated).ok_or("it names no manifest of ours")?;
        let aside = self.window.set_aside();
        let is_aside = |sequence: u64| aside.iter().any(|one| one.sequence == sequence);
        let manifest = answer.manifest.number();
        let destination = &self.settings.name;
        match proof.judge(answer, &stated, (low_water, now_ms), is_aside) {
            Judged::Proven => {
                let last = stated.last;
                tracing::info!(destination, manifest, last, "a manifest is proven");
                // Whoever answers now may answer what was asked before, too.
                let earlier = self.waiting_manifests().into_iter().filter(|one| *one < manifest);
                earlier
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|one| self.window.reopen(one..=one));
            }
            Judged::Lacks(ranges) => {
                tracing::warn!(destination, manifest, ?ranges, "the core lacks these: sent again");
                ranges.into_iter().for_each(|range| self.window.reopen(range));
                self.window.reopen(manifest..=manifest);
            }
            Judged::TooEarly | Judged::Again => {}
            Judged::Refused(why) => return Err(why.to_owned()),
        }
        Ok(())
    }

    /// Brings what `status` says of the proof up to date.
    pub(super) fn count_proof(&self) {
        let shown = self.proof.as_ref().map(|proof| {
            let proven = proof.saved();
            ProofShown {
                through: proven.through,
                waiting: proven.unanswered.len(),
                since_us: proven.unanswered.first().map(|(_, time_us)| *time_us),
                lacked: proof.lacked(),
            }
        });
        *self.counters.proof.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

/// What a manifest's record says; `None` for any other record.
fn stated(stored: &Stored) -> Option<Stated> {
    let number = |key: &str| stored.data.get(key).and_then(serde_json::Value::as_u64);
    let sha256 = stored.data.get("sha256")?.as_str()?.to_owned();
    let (first, last) = (number("first")?, number("last")?);
    let sound = stored.kind == EventKind::Manifest && Sequence::new(last).is_some();
    sound.then_some(Stated { first, last, sha256 })
}
