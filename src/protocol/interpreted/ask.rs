//! When a device that must be asked is asked: the requests of the device file, each with its own
//! occasion, and never two of them nearer to each other than the file allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::vocabulary::Moment;

/// One request, with what makes it due. At least one occasion is stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// A name for people, unique in the file.
    pub name: String,
    /// What is sent, as text; this or `bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is sent, as bytes; this or `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Template>,
    /// Whether it is sent when the link has opened.
    #[serde(default)]
    pub at_start: bool,
    /// How often it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// After how long without a good message it is sent, and again after as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_silent_ms: Option<u64>,
    /// The name of the message that it answers each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Where this is written: source id and page.
    pub source: String,
}

impl Ask {
    /// What is sent, before anything is computed. The loader has checked that one is stated.
    pub fn template(&self) -> Template {
        match (&self.bytes, &self.text) {
            (Some(bytes), _) => bytes.clone(),
            (None, text) => Template::of_text(text.as_deref().unwrap_or_default()),
        }
    }

    /// Whether anything makes it due.
    pub fn has_occasion(&self) -> bool {
        self.at_start
            || self.every_ms.is_some()
            || self.when_silent_ms.is_some()
            || self.after.is_some()
    }
}

/// A request ready to be sent, and when it is due.
struct Row {
    ask: Ask,
    bytes: Vec<u8>,
    due: Option<Moment>,
}

/// The requests of one link.
#[derive(Default)]
pub(in crate::protocol) struct Asker {
    rows: Vec<Row>,
    apart_ms: u64,
    /// Nothing is sent before this.
    free: Option<Moment>,
    /// How many requests have been sent since the last good message.
    unanswered: u32,
}

/// After so many requests without a good message the link is in trouble.
const UNANSWERED_MAX: u32 = 3;

impl Asker {
    /// `bytes` turns a request into what goes on the wire.
    pub fn new(asks: &[Ask], apart_ms: Option<u64>, bytes: impl Fn(&Ask) -> Vec<u8>) -> Self {
        let row = |ask: &Ask| Row { ask: ask.clone(), bytes: bytes(ask), due: None };
        Self {
            rows: asks.iter().map(row).collect(),
            apart_ms: apart_ms.unwrap_or_default(),
            free: None,
            unanswered: 0,
        }
    }

    /// The link has opened. Even the first request waits its time: whoever spoke over this link
    /// before may just have sent one.
    pub fn opened(&mut self, now: Moment) {
        self.free = Some(now.plus_ms(self.apart_ms));
        self.unanswered = 0;
        for row in &mut self.rows {
            let later = [row.ask.every_ms, row.ask.when_silent_ms].into_iter().flatten().min();
            row.due = if row.ask.at_start { Some(now) } else { later.map(|ms| now.plus_ms(ms)) };
        }
    }

    /// The link has closed.
    pub fn closed(&mut self) {
        self.rows.iter_mut().for_each(|row| row.due = None);
    }

    /// A good message of this name has come.
    pub fn heard(&mut self, name: &str, now: Moment) {
        self.unanswered = 0;
        for row in &mut self.rows {
            if row.ask.after.as_deref() == Some(name) {
                row.due = Some(now);
            } else if let Some(ms) = row.ask.when_silent_ms
                && row.due.is_some_and(|due| due > now)
            {
                // A start that still waits for its turn is sent whatever comes.
                row.due = Some(now.plus_ms(ms));
            }
        }
    }

    /// The request that may be sent, if one is due: the longest due first, then as in the file.
    pub fn next(&mut self, now: Moment) -> Option<Vec<u8>> {
        if self.free.is_none_or(|free| now < free) {
            return None;
        }
        let due = |row: &&mut Row| row.due.is_some_and(|due| due <= now);
        let row = self.rows.iter_mut().filter(due).min_by_key(|row| row.due)?;
        let again = [row.ask.every_ms, row.ask.when_silent_ms].into_iter().flatten().min();
        row.due = again.map(|ms| now.plus_ms(ms));
        self.free = Some(now.plus_ms(self.apart_ms));
        self.unanswered = self.unanswered.saturating_add(1);
        Some(row.bytes.clone())
    }

    /// What is wrong on the link, in words for a person.
    pub fn trouble(&self) -> Option<&'static str> {
        (self.unanswered >= UNANSWERED_MAX).then_some(
            "the device answers none of the requests: is its port set up as the device file says, \
             and is the cable the right one?",
        )
    }

    /// When the next request is due.
    pub fn next_wake(&self) -> Option<Moment> {
        let due = self.rows.iter().filter_map(|row| row.due).min()?;
        Some(self.free.map_or(due, |free| free.max(due)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Certainty;

    const START: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);

    fn asker(text: &str, apart_ms: u64) -> Asker {
        #[derive(Deserialize)]
        struct Asks {
            ask: Vec<Ask>,
        }
        let asks: Asks = toml::from_str(text).unwrap();
        let bytes = |ask: &Ask| ask.template().build(&[], |_| Vec::new());
        let mut asker = Asker::new(&asks.ask, Some(apart_ms), bytes);
        asker.opened(START);
        asker
    }

    /// What is sent until `until_ms`, with `heard` messages by their time.
    fn sent(asker: &mut Asker, until_ms: u64, heard: &[(u64, &str)]) -> Vec<(u64, String)> {
        let mut sent = Vec::new();
        let mut heard = heard.iter().peekable();
        loop {
            let wake = asker.next_wake().map(|wake| wake.since_ms(START));
            match (heard.peek(), wake) {
                (Some((at, name)), wake) if wake.is_none_or(|wake| *at <= wake) => {
                    asker.heard(name, START.plus_ms(*at));
                    heard.next();
                }
                (_, Some(wake)) if wake <= until_ms => {
                    let bytes = asker.next(START.plus_ms(wake)).expect("due when it says so");
                    sent.push((wake, String::from_utf8(bytes).unwrap()));
                }
                (_, _) => return sent,
            }
        }
    }

    #[test]
    fn two_polls_take_turns_and_keep_apart() {
        let text = r#"
            [[ask]]
            name = "a"
            text = "SNDA"
            at_start = true
            every_ms = 4000
            source = "x"
            [[ask]]
            name = "f"
            text = "SNDF"
            at_start = true
            every_ms = 4000
            source = "x"
        "#;
        let sent = sent(&mut asker(text, 2000), 9000, &[]);
        let shown: Vec<_> = sent.iter().map(|(at, what)| (*at, what.as_str())).collect();
        assert_eq!(shown, [(2000, "SNDA"), (4000, "SNDF"), (6000, "SNDA"), (8000, "SNDF")]);
    }

    #[test]
    fn a_start_is_repeated_in_silence_and_an_answer_follows_its_message() {
        let text = r#"
            [[ask]]
            name = "enable"
            text = "E"
            at_start = true
            when_silent_ms = 10000
            source = "x"
            [[ask]]
            name = "start"
            text = "S"
            after = "id"
            source = "x"
            [[ask]]
            name = "alive"
            text = "L"
            every_ms = 5000
            source = "x"
        "#;
        let heard = [(900, "id"), (2500, "numerics"), (9000, "numerics")];
        let sent = sent(&mut asker(text, 500), 20_000, &heard);
        let shown: Vec<_> = sent.iter().map(|(at, what)| (*at, what.as_str())).collect();
        let expected = [(500, "E"), (1000, "S"), (5000, "L"), (10_000, "L"), (15_000, "L")];
        assert_eq!(shown[..5], expected);
        assert_eq!(shown[5..], [(19_000, "E"), (20_000, "L")]);
    }
}
