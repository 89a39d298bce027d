//! Laborin BG-7 (made up): a blood gas analyser that connects to its host and sends each specimen's
//! results as LIS02-A2 records over LIS01-A2.
//!
//! A specimen number is never used twice, so that each result can be found again in the core.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use super::lis01::{self, Cut, Sent};
use super::log::Reading;
use super::random::{Random, Walk, decimal};
use super::{AnalyserOptions, Bench, Packing, clock};

/// How long to wait before connecting again.
const RECONNECT: Duration = Duration::from_millis(500);
/// How long a message that was not acknowledged is still tried after the word to stop: one whole
/// round of reply timers.
const LAST_TRIES: Duration = Duration::from_secs(16);

pub async fn run(options: AnalyserOptions) -> io::Result<()> {
    let address = options.network.connect;
    let mut bench = Bench::set_up(options.network.common)?;
    let mut line = Line { address, stream: None };
    if bench.stop.clone().or(line.connected()).await.is_none() || !bench.go().await {
        return Ok(());
    }
    let mut sample = Sample::new();
    let first = clock::now_us();
    let mut message = 0;
    loop {
        message += 1;
        let results = sample.next(&mut bench.random);
        let specimen = specimen(first, message);
        let serial = bench.common.serial.clone();
        let now = clock::now_us();
        let records = records(&results, &specimen, message, &serial, &clock::astm(now));
        let frames = match options.packing {
            Packing::Record => lis01::record_per_frame(&records),
            Packing::Packed => lis01::packed(&records),
            Packing::Alternating if message % 2 == 1 => lis01::record_per_frame(&records),
            Packing::Alternating => lis01::packed(&records),
        };
        let readings: Vec<(usize, Reading)> = results
            .iter()
            .zip(3..)
            .filter_map(|(result, record)| {
                let in_frame = frame_with(&frames, end_of(&records, record))?;
                Some((in_frame, Reading::new(&specimen, result.code, result.value.as_str())))
            })
            .collect();
        if !deliver(&mut bench, &mut line, message, &frames, &readings).await? {
            return Ok(());
        }
        if !bench.next().await {
            return Ok(());
        }
    }
}

/// Sends the message until it is acknowledged; `false` if it was told to stop and the tries are
/// over.
async fn deliver(
    bench: &mut Bench,
    line: &mut Line,
    message: u64,
    frames: &[Cut],
    readings: &[(usize, Reading)],
) -> io::Result<bool> {
    let mut logged = 0;
    let log = &mut bench.log;
    let tries = async {
        loop {
            let stream = line.connected().await;
            let written = |frame: usize, sent_us: i64| {
                while let Some((_, reading)) = readings.get(logged).filter(|(at, _)| *at <= frame) {
                    log.sent(message, reading, sent_us)?;
                    logged += 1;
                }
                log.flush()
            };
            match lis01::send(stream, frames, written).await? {
                Sent::Acknowledged(acked_us) => return Ok(acked_us),
                // Half a conversation is worth nothing: a new one on a new connection.
                Sent::Again => line.stream = None,
            }
        }
    };
    let mut stop = bench.stop.clone();
    let limit = async move {
        stop.or(std::future::pending::<()>()).await;
        tokio::time::sleep(LAST_TRIES).await;
    };
    let delivered: Option<io::Result<i64>> = tokio::select! {
        biased;
        delivered = tries => Some(delivered),
        () = limit => None,
    };
    match delivered {
        Some(acked_us) => bench.log.acknowledged(message, acked_us?).map(|()| true),
        None => Ok(false),
    }
}

/// The connection to the host, made anew whenever it is needed.
struct Line {
    address: String,
    stream: Option<TcpStream>,
}

impl Line {
    async fn connected(&mut self) -> &mut TcpStream {
        loop {
            let made = match self.stream.take() {
                Some(stream) => Some(stream),
                None => TcpStream::connect(&self.address).await.ok(),
            };
            if let Some(stream) = made {
                return self.stream.insert(stream);
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

/// One result of a specimen.
struct TestResult {
    code: &'static str,
    value: String,
    unit: &'static str,
}

struct Sample {
    tests: [(&'static str, Walk, usize, &'static str); 6],
}

impl Sample {
    const fn new() -> Self {
        Self {
            tests: [
                ("pH", Walk::new(740, 690, 770, 3), 2, ""),
                ("pCO2", Walk::new(53, 30, 90, 3), 1, "kPa"),
                ("pO2", Walk::new(121, 60, 250, 8), 1, "kPa"),
                ("Na", Walk::new(140, 125, 155, 2), 0, "mmol/L"),
                ("K", Walk::new(41, 25, 65, 2), 1, "mmol/L"),
                ("GLU", Walk::new(60, 25, 180, 6), 1, "mmol/L"),
            ],
        }
    }

    fn next(&mut self, random: &mut Random) -> Vec<TestResult> {
        let tests = self.tests.iter_mut();
        tests
            .map(|(code, walk, places, unit)| TestResult {
                code,
                value: decimal(walk.next(random), *places),
                unit,
            })
            .collect()
    }
}

/// Different on every run and in every message, so that it finds its result in the core.
fn specimen(first_us: i64, message: u64) -> String {
    format!("S{:08}-{message:05}", (first_us / 1_000_000).rem_euclid(100_000_000))
}

/// H, P, O, the results, L.
fn records(
    results: &[TestResult],
    specimen: &str,
    message: u64,
    serial: &str,
    time: &str,
) -> Vec<String> {
    let mut records = vec![
        format!(r"H|\^&|||BG-7^1.8.2^{serial}|||||||P|LIS2-A2|{time}"),
        "P|1".to_owned(),
        format!("O|1|{specimen}|{message}|^^^BG|R||||||||||Arterial"),
    ];
    for (result, number) in results.iter().zip(1..) {
        let TestResult { code, value, unit } = result;
        records.push(format!("R|{number}|^^^{code}|{value}|{unit}||N||F||||{time}|{serial}"));
    }
    records.push("L|1|N".to_owned());
    records
}

/// How many bytes of the message's text have gone by when record `index` is complete.
fn end_of(records: &[String], index: usize) -> usize {
    records.iter().take(index + 1).map(|record| record.len() + 1).sum()
}

/// The frame that carries the message's byte number `end`.
fn frame_with(frames: &[Cut], end: usize) -> Option<usize> {
    let mut sum = 0;
    frames.iter().position(|cut| {
        sum += cut.text.len();
        sum >= end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<String> {
        let result = |code, value: &str, unit| TestResult { code, value: value.to_owned(), unit };
        let results = [result("pH", "7.40", ""), result("GLU", "5.6", "mmol/L")];
        records(&results, "S000123", 123, "700123", "20261123104500")
    }

    /// Fields counted as LIS02 does: the type letter is field 1 (facts/lab.md 2.1, 2.2).
    #[test]
    fn facts_stand_in_the_fields_of_the_standard() {
        let records = example();
        let field = |record: usize, number: usize| {
            records[record].split('|').nth(number - 1).unwrap_or_default().to_owned()
        };
        assert_eq!(field(0, 5), "BG-7^1.8.2^700123");
        assert_eq!((field(0, 12), field(0, 14)), ("P".into(), "20261123104500".into()));
        assert_eq!(
            (field(2, 3), field(2, 6), field(2, 16)),
            ("S000123".into(), "R".into(), "Arterial".into())
        );
        assert_eq!((field(3, 3), field(3, 4)), ("^^^pH".into(), "7.40".into()));
        assert_eq!((field(4, 4), field(4, 5)), ("5.6".into(), "mmol/L".into()));
        assert_eq!((field(4, 9), field(4, 13)), ("F".into(), "20261123104500".into()));
        assert_eq!(records.last().unwrap(), "L|1|N");
    }

    #[test]
    fn a_result_belongs_to_the_frame_that_ends_it() {
        let records = example();
        let single = lis01::record_per_frame(&records);
        assert_eq!(frame_with(&single, end_of(&records, 3)), Some(3));
        let packed = lis01::packed(&records);
        let text: usize = packed.iter().map(|cut| cut.text.len()).sum();
        assert_eq!(end_of(&records, records.len() - 1), text);
        let first = end_of(&records, 3);
        assert_eq!(frame_with(&packed, first), Some((first - 1) / 240));
        assert_eq!(frame_with(&packed, text + 1), None);
    }
}
