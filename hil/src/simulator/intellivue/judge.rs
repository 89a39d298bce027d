//! What a client may send, and how soon after its like. The sheet's section 11: read-only, but for
//! the protocol's own control.

use std::collections::BTreeMap;

use super::messages::word;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    Associate,
    Abort,
    /// It answers the monitor's release request.
    Released,
    /// It answers the MDS Create Event.
    Created,
    /// It chooses the exported waves.
    Choose,
    Poll {
        class: u16,
        group: u16,
        extended: bool,
    },
}

/// The least time between two of one kind, in milliseconds. What a client sends on its own is
/// measured as it arrives: a little less than what it keeps.
const JITTER_MS: u64 = 150;

/// Watches one client.
#[derive(Default)]
pub struct Judge {
    last: BTreeMap<Wish, u64>,
}

impl Judge {
    /// What a message asks for, or why no client may send it now.
    pub fn judge(&mut self, message: &[u8], now_ms: u64) -> Result<Wish, String> {
        let wish = wish(message)?;
        let least_ms = match wish {
            Wish::Associate | Wish::Abort | Wish::Poll { .. } | Wish::Choose => 2_000,
            Wish::Released => 1_000,
            Wish::Created => 100,
        };
        let least_ms = if is_keep_alive(wish) { 1_000 } else { least_ms };
        if let Some(before) = self.last.insert(wish, now_ms) {
            let since = now_ms.saturating_sub(before);
            if since + JITTER_MS < least_ms {
                return Err(format!("{wish:?} came {since} ms after the one before"));
            }
        }
        Ok(wish)
    }

    /// The client may be another one: its link was new.
    pub fn forget(&mut self) {
        self.last.clear();
    }
}

/// A poll of the alert monitor's static group.
pub fn is_keep_alive(wish: Wish) -> bool {
    wish == Wish::Poll { class: 0x36, group: 0x0811, extended: false }
}

fn wish(message: &[u8]) -> Result<Wish, String> {
    match message.first() {
        Some(0x0d) => association(message),
        Some(0x19) if message == super::messages::abort() => Ok(Wish::Abort),
        Some(0x0a) if message.len() == 26 => Ok(Wish::Released),
        Some(0xe1) => export(message),
        _ => Err(format!("no client sends {}", hex(message))),
    }
}

fn association(message: &[u8]) -> Result<Wish, String> {
    let starts = [0x0d, 0xec, 0x05, 0x08, 0x13, 0x01, 0x00, 0x16, 0x01, 0x02, 0x80, 0x00];
    let is_good = message.len() == 238
        && message.starts_with(&starts)
        && word(message, 16) == 0xc1dc
        && message.ends_with(&[0; 16])
        && message.get(149) == Some(&0x48)
        // Client, cold start.
        && message.get(162..170) == Some(&[0x80, 0, 0, 0, 0x20, 0, 0, 0]);
    if is_good { Ok(Wish::Associate) } else { Err(format!("a strange request {}", hex(message))) }
}

fn export(message: &[u8]) -> Result<Wish, String> {
    let strange = || format!("no client sends {}", hex(message));
    let nests = word(message, 2) == 2
        && usize::from(word(message, 6)) + 8 == message.len()
        && usize::from(word(message, 12)) + 14 == message.len();
    if !nests {
        return Err(strange());
    }
    let to_mds = word(message, 14) == 0x0021 && message.get(16..24) == Some(&[0; 8]);
    match (word(message, 4), word(message, 10), word(message, 24)) {
        (2, 1, 0x0d06) if message.len() == 28 => Ok(Wish::Created),
        (1, 5, 1) if to_mds && word(message, 30) == 0xf23a => Ok(Wish::Choose),
        (1, 7, 0x0c16) if to_mds && message.len() == 36 && word(message, 26) == 8 => {
            Ok(poll(message, false))
        }
        (1, 7, 0xf13b)
            if to_mds
                && message.len() == 48
                && word(message, 26) == 0x14
                && message.get(36..44) == Some(&[0, 1, 0, 8, 0xf1, 0x3e, 0, 4]) =>
        {
            Ok(poll(message, true))
        }
        _ => Err(strange()),
    }
}

fn poll(message: &[u8], extended: bool) -> Wish {
    Wish::Poll { class: word(message, 32), group: word(message, 34), extended }
}

fn hex(message: &[u8]) -> String {
    let shown: Vec<String> = message.iter().take(64).map(|byte| format!("{byte:02X}")).collect();
    shown.join(" ")
}
