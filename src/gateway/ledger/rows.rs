//! Rows of the register: what the patient administration says of persons, and what other systems
//! claim. They come with the entries that follow from them, in one batch, and never leave the box.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{LedgerDesk, NewEntry, NotAdded};
use crate::association::{Ledger, Register, Row, Taken, Utc};
use crate::gateway::committer::{Begin, Committer};
use crate::journal::{self, Kind, NewRecord};
use crate::vocabulary::Moment;

impl Committer {
    /// Takes rows, and the entries that follow from them; all of it or nothing.
    pub(in crate::gateway) async fn take_rows(
        &mut self,
        rows: Vec<Row>,
        entries: Vec<NewEntry>,
        done: oneshot::Sender<Result<(), NotAdded>>,
        now: Moment,
    ) {
        let staged = self.stage(entries, now);
        let (register, rows) = match stage(&self.memory.register, rows, &self.memory.ledger) {
            Ok(staged) => staged,
            // Whoever asked may have gone.
            Err(why) => return drop(done.send(Err(why))),
        };
        let staged = match staged {
            Ok(staged) => staged,
            Err(why) => return drop(done.send(Err(why))),
        };
        if rows.is_empty() && staged.new.is_empty() {
            return self.answer_known(done, ());
        }
        let row_records = |now: Moment| {
            let payloads = rows.iter().map(|row| serde_json::to_vec(row).unwrap_or_default());
            let record =
                |payload| NewRecord { kind: Kind::Register, time_us: now.utc_us(), payload };
            payloads.map(record).collect::<Vec<NewRecord>>()
        };
        let drafts = [self.entry_records(&staged.new, now).0, row_records(now)].concat();
        if journal::Appender::bytes_of(&drafts) > self.appender.batch_bytes_max() {
            return drop(done.send(Err(NotAdded::TooLarge)));
        }
        self.make_way(&drafts, 0).await;
        let (records, routed) = self.entry_records(&staged.new, now);
        let records = [records, row_records(now)].concat();
        let first = self.appender.next().number();
        let (of_entries, all) = (staged.new.len() as u64, records.len() as u64);
        let last = first + all - 1;
        let desk = self.ledger.desk.clone();
        let after = (Arc::clone(&staged.ledger), Arc::clone(&register));
        let settle = move |kept: Result<(), journal::NotKept>| {
            let answer = if kept.is_ok() {
                desk.publish(after.0);
                desk.publish_register(after.1);
                desk.durable(last);
                Ok(())
            } else {
                desk.lost(first);
                Err(NotAdded::NotKept)
            };
            // Whoever asked may have gone.
            let _ = done.send(answer);
        };
        if self.hand_over(records, Box::new(settle), Begin::Wherever).await.is_ok() {
            self.memory.register = register;
            self.memory.ledger = staged.ledger;
            self.ledger.last = last;
            if of_entries > 0 {
                self.memory.ledger_record = first + of_entries - 1;
            }
            let numbered = staged.new.into_iter().zip(first..);
            self.memory.unexamined.extend(numbered.map(|(entry, at)| (at, entry.id)));
            self.memory.last_routed.extend(routed.routed);
        }
    }

    /// Lets go of persons and claims that nobody needs any more; it holds from the next checkpoint.
    pub(in crate::gateway) fn forget_rows(&mut self, before: Utc) {
        let register = Arc::make_mut(&mut self.memory.register);
        register.forget(before, &self.memory.ledger);
        self.ledger.desk.forget_shown(before, &self.memory.ledger);
    }
}

/// The register with these rows, and those that are news.
fn stage(
    register: &Arc<Register>,
    rows: Vec<Row>,
    ledger: &Ledger,
) -> Result<(Arc<Register>, Vec<Row>), NotAdded> {
    let mut after = Arc::clone(register);
    let mut news = Vec::new();
    for row in rows {
        match Arc::make_mut(&mut after).take(row.clone(), ledger) {
            Ok(Taken::New) => news.push(row),
            Ok(Taken::Known) => {}
            Err(why) => return Err(NotAdded::Claim(why.text())),
        }
    }
    Ok((after, news))
}

impl LedgerDesk {
    /// What is shown is what is durable: rows on their way to the disk are not in it.
    fn forget_shown(&self, before: Utc, ledger: &Ledger) {
        self.inner.register.send_modify(|shown| Arc::make_mut(shown).forget(before, ledger));
    }

    fn publish_register(&self, register: Arc<Register>) {
        self.inner.register.send_replace(register);
    }
}
