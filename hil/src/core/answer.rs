//! The acknowledgement object, right or wrong as the faults say.

use serde_json::{Value as Json, json};
use wardgate::vocabulary::moment::utc_text;

use super::faults::{Fault, Faults};
use super::now_us;
use super::store::Outcome;

/// What a faulty core says instead of itself.
pub const SOMEBODY_ELSE: &str = "somebody-else";

/// One answer to all of these, which are of one stream.
pub fn answer(outcomes: &[&Outcome], receiver: &str, faults: &Faults) -> Json {
    let stream = outcomes.first().map_or("", |first| first.stream.as_str());
    let accepted = outcomes.iter().filter(|outcome| outcome.refused.is_none());
    let accepted: Vec<u64> = accepted.map(|outcome| outcome.sequence).collect();
    let rejected: Vec<Json> = outcomes.iter().filter_map(|outcome| rejection(outcome)).collect();
    let receiver = if faults.has(&Fault::WrongId) { SOMEBODY_ELSE } else { receiver };
    let zeros = "0".repeat(32);
    json!({
        "stream": if faults.has(&Fault::WrongStream) { &zeros } else { stream },
        "accepted": accepted_ranges(accepted, faults),
        "rejected": rejected,
        "receiver_time": utc_text(now_us()),
        "receiver_id": receiver,
    })
}

fn rejection(outcome: &Outcome) -> Option<Json> {
    let refused = outcome.refused.as_ref()?;
    Some(json!({
        "sequence": outcome.sequence,
        "code": refused.code,
        "text": "",
        "permanent": refused.permanent,
    }))
}

fn accepted_ranges(sequences: Vec<u64>, faults: &Faults) -> Vec<[u64; 2]> {
    let mut ranges = if faults.has(&Fault::OutOfOrder) {
        sequences.iter().rev().map(|sequence| [*sequence, *sequence]).collect()
    } else {
        ranges(sequences)
    };
    if faults.has(&Fault::Beyond) {
        ranges.iter_mut().for_each(|range| range[1] += 1000);
    }
    if faults.has(&Fault::Twice) {
        ranges.extend(ranges.clone());
    }
    ranges
}

/// The shortest ranges that hold exactly these.
pub fn ranges(mut sequences: Vec<u64>) -> Vec<[u64; 2]> {
    sequences.sort_unstable();
    sequences.dedup();
    let mut ranges: Vec<[u64; 2]> = Vec::new();
    for sequence in sequences {
        match ranges.last_mut() {
            Some(last) if last[1] + 1 == sequence => last[1] = sequence,
            Some(_) | None => ranges.push([sequence, sequence]),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_become_ranges() {
        assert_eq!(ranges(vec![5, 1, 2, 2, 3, 9]), [[1, 3], [5, 5], [9, 9]]);
        assert!(ranges(Vec::new()).is_empty());
    }

    #[test]
    fn faults_change_the_answer_as_they_say() {
        let one = |sequence| Outcome {
            response: None,
            stream: "1f".repeat(16),
            sequence,
            is_manifest: false,
            refused: None,
        };
        let outcomes = [one(1), one(2), one(3)];
        let outcomes: Vec<&Outcome> = outcomes.iter().collect();
        let with = |words: &str| {
            let faults = Faults::of(vec![words.parse().unwrap()]);
            answer(&outcomes, "core", &faults)
        };
        assert_eq!(with("none")["accepted"], json!([[1, 3]]));
        assert_eq!(with("twice")["accepted"], json!([[1, 3], [1, 3]]));
        assert_eq!(with("out-of-order")["accepted"], json!([[3, 3], [2, 2], [1, 1]]));
        assert_eq!(with("beyond")["accepted"], json!([[1, 1003]]));
        assert_eq!(with("wrong-id")["receiver_id"], SOMEBODY_ELSE);
        assert_eq!(with("wrong-stream")["stream"], "0".repeat(32));
    }
}
