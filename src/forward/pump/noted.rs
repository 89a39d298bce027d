//! What does not take effect here before the journal says that it is durable: a record that is set
//! aside, and records that cannot be had any more. A crash in between only finds the same again.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{Counters, Pump};
use crate::forward::cursor::SetAside;
use crate::forward::{Aside, Command, Notice, Recorded, Unavailable, UnavailableWhy};
use crate::journal::Missing;
use crate::vocabulary::Sequence;

impl<M: Send + Sync + 'static> Pump<M> {
    /// Tells of what is needed here and cannot be had, each sequence once.
    pub(super) fn tell(&mut self, range: Missing, why: UnavailableWhy) {
        for needed in self.window.not_accepted(range) {
            for new in self.told.outside(needed) {
                self.told.add(new.clone());
                self.tell_new(*new.start(), *new.end(), why);
            }
        }
    }

    fn tell_new(&mut self, first: u64, last: u64, why: UnavailableWhy) {
        let destination = &self.settings.name;
        tracing::warn!(destination, first, last, ?why, "records cannot be had any more");
        let counter = match why {
            UnavailableWhy::Freed => &self.counters.freed,
            UnavailableWhy::Damaged => &self.counters.unreadable,
        };
        Counters::add(counter, usize::try_from(last - first + 1).unwrap_or(usize::MAX));
        let Some(sender) = &self.unavailable else { return };
        let recorded = Recorded::default();
        self.unrecorded.push((first..=last, recorded.clone()));
        let what = Unavailable { destination: destination.clone(), first, last, why, recorded };
        if sender.send(what).is_err() {
            tracing::error!(destination, first, last, "nobody makes a gap record of this");
        }
    }

    /// Tells of what was set aside since the last time.
    pub(super) fn tell_asides(&mut self) {
        for (sequence, code) in self.window.new_asides() {
            let Some(sequence) = Sequence::new(sequence) else { continue };
            let destination = self.settings.name.clone();
            let what = Aside { destination, stream: self.reader.stream(), sequence, code };
            let Some(notices) = &self.notices else {
                // Nobody keeps a journal of it: it takes effect at once.
                self.is_aside(what, 0);
                continue;
            };
            if notices.send(Notice { what, answer: self.answer.clone() }).is_err() {
                tracing::error!(destination = self.settings.name, "nobody keeps what was noted");
            }
        }
    }

    /// What the journal has made durable takes effect.
    pub(super) fn hear_answers(&mut self) {
        while let Ok((what, time_us)) = self.answers.try_recv() {
            self.is_aside(what, time_us);
        }
    }

    fn is_aside(&mut self, what: Aside, time_us: i64) {
        let Aside { sequence, code, .. } = what;
        self.window.is_set_aside(SetAside { sequence: sequence.number(), code, time_us });
    }

    /// Hears what became durable, and does what a person asks.
    pub(super) async fn obey(&mut self) {
        self.hear_answers();
        while let Some(command) = self.commands.as_mut().and_then(|one| one.try_recv().ok()) {
            let Command::Resend { ranges, done } = command;
            ranges.iter().for_each(|&(first, last)| {
                self.window.reopen(first..=last);
                // What cannot be had is said again to whoever asks again.
                self.told.remove(first..=last);
            });
            // Whoever asked may have gone.
            let _ = done.send(self.save().await);
        }
    }

    pub(super) fn count_aside(&self) {
        let aside = self.window.set_aside();
        self.counters.aside.store(aside.len() as u64, Ordering::Relaxed);
        let newest = aside.last().map(|one| (one.sequence, one.code.clone()));
        *self.counters.newest_aside.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }
}
