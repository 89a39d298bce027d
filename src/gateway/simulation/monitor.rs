//! A bedside monitor that sends IHE PCD-01 over MLLP, waits for the accept acknowledgement of each
//! message, sends the same bytes again when none comes, and gives up at last.

use super::devices::{Line, Shared};
use super::ports::Sockets;

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// How long an acknowledgement may take before the message goes again.
const ACK_WITHIN_MS: u64 = 10_000;
/// How long to wait before a refused message goes again.
const AGAIN_AFTER_MS: u64 = 500;
/// So often a message goes, and no oftener.
const TRIES: u64 = 40;

/// A person's identity code as the authority publishes it for examples, and a name: both stand in
/// every message and must stand in no log line.
pub(super) const CANARIES: [&str; 2] = ["131052-308T", "CANARY^SIMULATED"];

/// The time in message `number`: its identity at the core.
pub(super) fn time(number: u64) -> String {
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    format!("20261123{hour:02}{minute:02}{second:02}+0000")
}

/// The number of the message with this time.
pub(super) fn number(time: &str) -> Option<u64> {
    let part = |at: usize| time.get(at..at + 2)?.parse::<u64>().ok();
    Some(part(8)? * 3600 + part(10)? * 60 + part(12)?)
}

/// Heart rate and saturation in message `number`.
pub(super) fn values(number: u64) -> [String; 2] {
    [format!("{}", 40 + number % 140), format!("{}", 80 + number % 21)]
}

fn text(number: u64) -> String {
    let (time, [heart_rate, saturation]) = (time(number), values(number));
    let [identity, name] = CANARIES;
    let sender = "SIMMON^0009FBFFFE9B42B3^EUI-64";
    let segments = [
        format!(
            "MSH|^~\\&|{sender}|BENCH|||{time}||ORU^R01^ORU_R01|C{number}|P|2.6|||AL|NE||UNICODE \
             UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO"
        ),
        format!("PID|||{identity}^^^SITE^PI||{name}"),
        "PV1||I|ICU^^1".to_owned(),
        format!("OBR|1||C{number}^{sender}|182777000^monitoring of patient^SCT|||{time}"),
        "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||M1^^0009FBFFF\
         E9B42B3^EUI-64"
            .to_owned(),
        format!(
            "OBX|2|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|{heart_rate}|264864^MDC_DIM_BEAT_PER_\
             MIN^MDC|||||R"
        ),
        format!(
            "OBX|3|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.1|{saturation}|262688^MDC_DIM_PERCEN\
             T^MDC|||||R"
        ),
    ];
    segments.map(|segment| format!("{segment}\r")).concat()
}

/// The whole block.
pub(super) fn block(number: u64) -> Vec<u8> {
    [&[START], text(number).as_bytes(), &END].concat()
}

/// What the house said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    NotNow,
    Never,
}

/// Sends until its last message is settled.
pub(super) async fn run(shared: Shared, sockets: Sockets, address: String) {
    let mut line = Line::new(&address, &sockets);
    while let Some(number) = shared.next().await {
        for tries in 1.. {
            line.connected().await;
            if send(&shared, &mut line, number).await {
                match answer(&mut line, number).await {
                    Some(Answer::Accepted) => {
                        shared.note_acknowledged(number);
                        if shared.trouble().is_some() {
                            // A device that is not sure sends what it has sent, once more.
                            line.send(&block(number.saturating_sub(1).max(1)));
                            line.send(&block(number));
                        }
                        break;
                    }
                    Some(Answer::Never) => {
                        shared.give_up();
                        break;
                    }
                    Some(Answer::NotNow) => pause(AGAIN_AFTER_MS).await,
                    None => {}
                }
            }
            if tries >= TRIES {
                shared.give_up();
                break;
            }
        }
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
}

/// Puts the message on the wire, whole or not; `true`: it may be answered.
async fn send(shared: &Shared, line: &mut Line, number: u64) -> bool {
    let bytes = block(number);
    shared.note_sent(number);
    let trouble = shared.trouble();
    let middle = shared.between(1, bytes.len() as u64 - 1) as usize;
    match trouble {
        None => line.send(&bytes),
        // In the middle of it the connection ends.
        Some(0 | 1) => {
            line.send(&bytes[..middle]);
            line.cut();
            false
        }
        Some(2) => {
            line.send(&bytes[..middle]);
            pause(shared.between(1, 3_000)).await;
            line.send(&bytes[middle..])
        }
        // It is out of the house before the answer comes.
        Some(3) => {
            line.send(&bytes);
            pause(shared.between(0, 60)).await;
            line.cut();
            false
        }
        Some(4) => {
            line.send(&bytes);
            line.fail();
            false
        }
        Some(5) => {
            let seconds = shared.between(1, 12);
            line.unplug(seconds).await;
            false
        }
        // Noise before the block, and the block twice.
        Some(6) => line.send(b"noise\r\n") && line.send(&bytes) && line.send(&bytes),
        Some(_) => {
            line.fail();
            false
        }
    }
}

/// Hears until the answer to this message comes; what answers another is a late one.
async fn answer(line: &mut Line, number: u64) -> Option<Answer> {
    loop {
        while let Some(end) = line.heard.windows(2).position(|pair| pair == END) {
            let block: Vec<u8> = line.heard.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&block).into_owned();
            let msa = text.split('\r').find_map(|one| one.strip_prefix("MSA|"));
            let mut fields = msa.unwrap_or_default().split('|');
            let (code, id) = (fields.next(), fields.next());
            if id != Some(&format!("C{number}")) {
                continue;
            }
            return match code {
                Some("CA" | "AA") => Some(Answer::Accepted),
                Some("CE" | "AE") => Some(Answer::NotNow),
                Some(_) | None => Some(Answer::Never),
            };
        }
        if !line.hear(ACK_WITHIN_MS).await {
            return None;
        }
    }
}
