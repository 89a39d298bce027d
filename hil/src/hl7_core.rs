//! A stand-in HL7 v2 core: takes messages over MLLP, stores them durably, then acknowledges them.
//!
//! It knows nothing of the gateway's inside: it reads segments and fields by itself, names a
//! measurement by OBR-3, OBX-3 and OBX-4, and keeps the last status by the contract's order rule
//! (the sequence inside MSH-10). It can be told to misbehave. Without TLS it stays on loopback.
//!
//! Standard output carries one JSON line when it is ready; `--show` prints the observations of a
//! store as one JSON line each.

mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::core::Error;
use store::{Message, Observations, Store};

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Nothing.
    None,
    /// The answer comes after `--late-ms`.
    Late,
    /// Every answer comes twice.
    Twice,
    /// The answer names another message.
    WrongId,
    /// AE, and nothing is stored.
    Error,
    /// AR, and nothing is stored.
    Reject,
    /// The message is stored and nobody is told.
    Silent,
    /// The process ends before the message is stored.
    DiesBefore,
    /// The process ends after the message is stored and before it is answered.
    DiesAfter,
}

/// `wardgate-hil hl7-core`
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Address to listen on, on loopback; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where messages are stored, one JSON line each; read back at start.
    #[arg(long)]
    pub store: PathBuf,
    #[arg(long, value_enum, default_value_t = Fault::None)]
    pub fault: Fault,
    /// How many messages meet the fault; the others are answered as they should be.
    #[arg(long, default_value_t = 1)]
    pub faults: u32,
    #[arg(long, default_value_t = 3000)]
    pub late_ms: u64,
    /// Print the observations of the store and end.
    #[arg(long)]
    pub show: bool,
    /// Keep running when standard input is closed.
    #[arg(long)]
    pub detached: bool,
}

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];
/// A message is smaller than that, or the peer is none of ours.
const MESSAGE_MAX: usize = 4 << 20;

struct Shared {
    options: Options,
    store: Store,
    faults_left: u32,
}

/// Runs until SIGTERM, SIGINT or, unless detached, the end of standard input.
pub async fn run(options: Options) -> Result<(), Error> {
    let store = Store::open(&options.store).map_err(|error| Error::Io("store", error))?;
    if options.show {
        let mut observations = Observations::default();
        store.messages().iter().for_each(|message| observations.apply(message));
        observations.lines().iter().for_each(|line| println!("{line}"));
        return Ok(());
    }
    if !options.listen.ip().is_loopback() {
        return Err(Error::NotLoopback(options.listen));
    }
    let listening = TcpListener::bind(options.listen).await;
    let listener = listening.map_err(|error| Error::Io("port", error))?;
    let address = listener.local_addr().map_err(|error| Error::Io("port", error))?;
    println!("{}", json!({ "hl7-core": "ready", "port": address.port() }));
    let (detached, faults_left) = (options.detached, options.faults);
    let shared = Arc::new(Mutex::new(Shared { options, store, faults_left }));
    let mut stop = std::pin::pin!(crate::core::asked_to_stop(detached));
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped,
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(|error| Error::Io("connection", error))?;
                tokio::spawn(converse(stream, Arc::clone(&shared)));
            }
        }
    }
}

async fn converse(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut received = Vec::new();
    loop {
        while let Some(block) = take_block(&mut received) {
            let (wait, answers) = answer(&block, &shared);
            tokio::time::sleep(wait).await;
            for answer in answers {
                let block = [&[START], answer.as_bytes(), &END].concat();
                if stream.write_all(&block).await.is_err() {
                    return;
                }
            }
        }
        match stream.read_buf(&mut received).await {
            Ok(0) | Err(_) => return,
            Ok(_) if received.len() > MESSAGE_MAX => return,
            Ok(_) => {}
        }
    }
}

/// Stores a message and says what is answered, and when.
fn answer(block: &[u8], shared: &Mutex<Shared>) -> (Duration, Vec<String>) {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(message) = Message::read(block) else {
        return (Duration::ZERO, vec![acknowledgement("AR", "")]);
    };
    let fault = match shared.faults_left {
        0 => Fault::None,
        _ => shared.options.fault,
    };
    shared.faults_left = shared.faults_left.saturating_sub(1);
    let id = message.control_id.clone();
    let good = if message.asks_for_commit { "CA" } else { "AA" };
    match fault {
        Fault::Error => return (Duration::ZERO, vec![acknowledgement("AE", &id)]),
        Fault::Reject => return (Duration::ZERO, vec![acknowledgement("AR", &id)]),
        Fault::DiesBefore => std::process::exit(9),
        Fault::None
        | Fault::Late
        | Fault::Twice
        | Fault::WrongId
        | Fault::Silent
        | Fault::DiesAfter => {}
    }
    if shared.store.keep(message).is_err() {
        // What is not on disk is not acknowledged.
        return (Duration::ZERO, vec![acknowledgement("AE", &id)]);
    }
    let mut wait = Duration::ZERO;
    let answers = match fault {
        Fault::DiesAfter => std::process::exit(9),
        Fault::Silent => Vec::new(),
        Fault::Twice => vec![acknowledgement(good, &id); 2],
        Fault::WrongId => vec![acknowledgement(good, &format!("{id}0"))],
        Fault::Late => {
            wait = Duration::from_millis(shared.options.late_ms);
            vec![acknowledgement(good, &id)]
        }
        Fault::None | Fault::Error | Fault::Reject | Fault::DiesBefore => {
            vec![acknowledgement(good, &id)]
        }
    };
    (wait, answers)
}

fn acknowledgement(code: &str, id: &str) -> String {
    format!("MSH|^~\\&|CORE||WARDGATE||20260101000000+0000||ACK|{id}A|P|2.6\rMSA|{code}|{id}\r")
}

/// The first whole block, taken out of what was received.
fn take_block(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = received.windows(END.len()).position(|pair| pair == END)?;
    let behind = received.split_off(end + END.len());
    let mut block = std::mem::replace(received, behind);
    block.truncate(end);
    let start = block.iter().position(|byte| *byte == START)?;
    Some(block.split_off(start + 1))
}

#[cfg(test)]
mod tests;
