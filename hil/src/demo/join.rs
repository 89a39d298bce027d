//! Puts what was sent beside what the core has: each reading once, with the same value.
//!
//! A device with specimen numbers or times of its own is joined by them. From a device without, two
//! equal readings cannot be told apart: they are joined by order, per parameter, so that the fewest
//! readings are called lost or doubled.

use std::collections::BTreeMap;

use super::stored::Value;
use super::ward::Join;
use crate::simulator::log::Line;

/// More differences than this are not looked for: then nearly everything is wrong anyway, and the
/// search takes memory by the square.
const DIFFERENCES_MAX: usize = 2000;

/// What came of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Values sent.
    pub readings: u64,
    /// Sent values that the core has, and whose acknowledgement was heard.
    pub acknowledged: u64,
    /// Sent values that the core does not have as they were sent.
    pub lost: u64,
    /// Of these, values that the core has with another text.
    pub changed: u64,
    /// Values in the core beyond the ones sent.
    pub duplicates: u64,
    /// Values that the device marked as demo data: kept by the gateway, and none of those sent.
    pub demo: u64,
    /// From the device's last byte to the core's acknowledgement, in microseconds, sorted.
    pub latencies_us: Vec<i64>,
}

/// One reading of a send log.
struct Sent<'a> {
    key: &'a str,
    parameter: &'a str,
    value: &'a str,
    /// Whether the core must have no value there; `None` where the log does not say.
    absent: Option<bool>,
    sent_us: i64,
}

impl Sent<'_> {
    /// Whether the core has it as it was sent.
    fn is(&self, value: &Value) -> bool {
        self.value == value.value && self.absent.is_none_or(|absent| absent == value.is_absent)
    }
}

/// Joins one link.
pub fn join(lines: &[&Line], values: &[&Value], how: Join) -> Joined {
    let sent: Vec<Sent<'_>> = lines.iter().filter_map(|line| reading(line)).collect();
    let demo = lines.iter().filter(|line| line.demo).count() as u64;
    let mut joined = Joined { readings: sent.len() as u64, demo, ..Joined::default() };
    match how {
        Join::Key => by_key(&sent, values, &mut joined),
        Join::Order => by_order(&sent, values, &mut joined),
    }
    joined.latencies_us.sort_unstable();
    joined
}

fn reading(line: &Line) -> Option<Sent<'_>> {
    Some(Sent {
        key: line.key.as_deref()?,
        parameter: line.parameter.as_deref()?,
        value: line.value.as_deref()?,
        absent: line.absent,
        sent_us: line.sent_us?,
    })
}

impl Joined {
    fn found(&mut self, sent: &Sent<'_>, value: &Value) {
        self.acknowledged += u64::from(value.is_acknowledged);
        self.latencies_us.push(value.safe_us - sent.sent_us);
    }
}

fn by_key(sent: &[Sent<'_>], values: &[&Value], joined: &mut Joined) {
    let mut by_key: BTreeMap<&str, (&Sent<'_>, Vec<&Value>)> =
        sent.iter().map(|sent| (sent.key, (sent, Vec::new()))).collect();
    for value in values {
        let keys = value.names.iter().map(|name| format!("{}/{name}", value.anchor));
        let mut known = keys.filter(|key| by_key.contains_key(key.as_str()));
        match known.next().and_then(|key| by_key.get_mut(key.as_str())) {
            Some((_, found)) => found.push(value),
            None => joined.duplicates += 1,
        }
    }
    for (sent, found) in by_key.values() {
        joined.duplicates += (found.len() as u64).saturating_sub(1);
        match found.iter().find(|value| sent.is(value)) {
            Some(value) => joined.found(sent, value),
            None => {
                joined.lost += 1;
                joined.changed += u64::from(!found.is_empty());
            }
        }
    }
    // Two readings under one key would hide each other: the device must not send such.
    joined.lost += (sent.len() - by_key.len()) as u64;
}

fn by_order(sent: &[Sent<'_>], values: &[&Value], joined: &mut Joined) {
    let mut parameters: BTreeMap<&str, (Vec<&Sent<'_>>, Vec<&Value>)> = BTreeMap::new();
    for one in sent {
        parameters.entry(one.parameter).or_default().0.push(one);
    }
    for value in values {
        let mut names = value.names.iter().map(String::as_str);
        match names.find_map(|name| parameters.get_key_value(name).map(|(name, _)| *name)) {
            Some(name) => parameters.entry(name).or_default().1.push(value),
            None => joined.duplicates += 1,
        }
    }
    for (sent, stored) in parameters.values() {
        // A log says of all values of a parameter whether they are absent, or of none.
        let says = sent.iter().all(|one| one.absent.is_some());
        let sent_as: Vec<(&str, Option<bool>)> =
            sent.iter().map(|one| (one.value, one.absent.filter(|_| says))).collect();
        let stored_as: Vec<(&str, Option<bool>)> =
            stored.iter().map(|one| (one.value.as_str(), says.then_some(one.is_absent))).collect();
        let pairs = same_in_order(&sent_as, &stored_as);
        joined.lost += (sent.len() - pairs.len()) as u64;
        joined.duplicates += (stored.len() - pairs.len()) as u64;
        for (one, other) in pairs {
            if let (Some(sent), Some(value)) = (sent.get(one), stored.get(other)) {
                joined.found(sent, value);
            }
        }
    }
}

/// The longest run of pairs that are the same in both and in order (Myers 1986, greedy).
fn same_in_order<T: PartialEq>(sent: &[T], stored: &[T]) -> Vec<(usize, usize)> {
    let alike = |(one, other): &(&T, &T)| one == other;
    let front = sent.iter().zip(stored).take_while(alike).count();
    let (sent_rest, stored_rest) = (&sent[front..], &stored[front..]);
    let back = sent_rest.iter().rev().zip(stored_rest.iter().rev()).take_while(alike).count();
    let sent_middle = &sent_rest[..sent_rest.len() - back];
    let stored_middle = &stored_rest[..stored_rest.len() - back];
    let mut pairs: Vec<(usize, usize)> = (0..front).map(|at| (at, at)).collect();
    let middle = middle(sent_middle, stored_middle);
    pairs.extend(middle.into_iter().map(|(one, other)| (one + front, other + front)));
    let ends = (sent.len() - back, stored.len() - back);
    pairs.extend((0..back).map(|at| (ends.0 + at, ends.1 + at)));
    pairs
}

/// How far each diagonal came with one more difference each time; then the way back.
fn middle<T: PartialEq>(sent: &[T], stored: &[T]) -> Vec<(usize, usize)> {
    let mut reached: BTreeMap<i64, usize> = BTreeMap::from([(1, 0)]);
    let mut history: Vec<BTreeMap<i64, usize>> = Vec::new();
    let at = |reached: &BTreeMap<i64, usize>, diagonal: i64| {
        reached.get(&diagonal).copied().unwrap_or(0)
    };
    let from_above = |reached: &BTreeMap<i64, usize>, diagonal: i64, differences: i64| {
        diagonal == -differences
            || (diagonal != differences && at(reached, diagonal - 1) < at(reached, diagonal + 1))
    };
    let y_of = |x: usize, diagonal: i64| usize::try_from(x as i64 - diagonal).unwrap_or(0);
    let most = (sent.len() + stored.len()).min(DIFFERENCES_MAX) as i64;
    for differences in 0..=most {
        history.push(reached.clone());
        for diagonal in (-differences..=differences).step_by(2) {
            let mut x = match from_above(&reached, diagonal, differences) {
                true => at(&reached, diagonal + 1),
                false => at(&reached, diagonal - 1) + 1,
            };
            let mut y = y_of(x, diagonal);
            while x < sent.len() && y < stored.len() && sent[x] == stored[y] {
                (x, y) = (x + 1, y + 1);
            }
            reached.insert(diagonal, x);
            if x >= sent.len() && y >= stored.len() {
                return way_back(&history, (sent.len(), stored.len()), from_above);
            }
        }
    }
    Vec::new()
}

fn way_back(
    history: &[BTreeMap<i64, usize>],
    end: (usize, usize),
    from_above: impl Fn(&BTreeMap<i64, usize>, i64, i64) -> bool,
) -> Vec<(usize, usize)> {
    let (mut x, mut y) = end;
    let mut pairs = Vec::new();
    for (differences, reached) in history.iter().enumerate().rev() {
        let (diagonal, differences) = (x as i64 - y as i64, differences as i64);
        let before = match from_above(reached, diagonal, differences) {
            true => diagonal + 1,
            false => diagonal - 1,
        };
        let before_x = reached.get(&before).copied().unwrap_or(0);
        let before_y = before_x as i64 - before;
        while x > before_x && y as i64 > before_y && x > 0 && y > 0 {
            (x, y) = (x - 1, y - 1);
            pairs.push((x, y));
        }
        (x, y) = (before_x, usize::try_from(before_y).unwrap_or(0));
    }
    pairs.reverse();
    pairs
}

/// The smallest latency that `percent` of all do not exceed (nearest rank), of a sorted list.
pub fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests;
