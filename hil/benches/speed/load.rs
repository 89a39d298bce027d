//! The load: monitors that send ORU^R01 of about 1,411 bytes with 15 OBX over MLLP, each waiting
//! for the acknowledgement of its message before it sends the next.
//!
//! Every message has a control id and a time of its own, and other values. An answer counts only
//! if its MSA names the message and accepts it; anything else ends the run.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];
/// Longer than any limit that is measured.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Code, name, sub id, unit: numerics of an intensive-care monitor, with values of three figures.
const NUMERICS: [(u32, &str, &str, &str); 15] = [
    (147_842, "MDC_ECG_HEART_RATE", "1.1.1.1", "264864^MDC_DIM_BEAT_PER_MIN"),
    (151_562, "MDC_RESP_RATE", "1.2.1.1", "264928^MDC_DIM_RESP_PER_MIN"),
    (150_456, "MDC_PULS_OXIM_SAT_O2", "1.3.1.1", "262688^MDC_DIM_PERCENT"),
    (149_530, "MDC_PULS_OXIM_PULS_RATE", "1.3.1.2", "264864^MDC_DIM_BEAT_PER_MIN"),
    (150_033, "MDC_PRESS_BLD_ART_SYS", "1.4.1.1", "266016^MDC_DIM_MMHG"),
    (150_034, "MDC_PRESS_BLD_ART_DIA", "1.4.1.2", "266016^MDC_DIM_MMHG"),
    (150_035, "MDC_PRESS_BLD_ART_MEAN", "1.4.1.3", "266016^MDC_DIM_MMHG"),
    (150_021, "MDC_PRESS_BLD_NONINV_SYS", "1.5.1.1", "266016^MDC_DIM_MMHG"),
    (150_022, "MDC_PRESS_BLD_NONINV_DIA", "1.5.1.2", "266016^MDC_DIM_MMHG"),
    (150_023, "MDC_PRESS_BLD_NONINV_MEAN", "1.5.1.3", "266016^MDC_DIM_MMHG"),
    (150_472, "MDC_PULS_OXIM_SAT_O2_ART_LEFT", "1.3.1.3", "262688^MDC_DIM_PERCENT"),
    (150_476, "MDC_PULS_OXIM_SAT_O2_ART_RIGHT", "1.3.1.4", "262688^MDC_DIM_PERCENT"),
    (151_570, "MDC_AWAY_RESP_RATE", "1.2.1.2", "264928^MDC_DIM_RESP_PER_MIN"),
    (147_850, "MDC_ECG_CARD_BEAT_RATE_BTB", "1.1.1.2", "264864^MDC_DIM_BEAT_PER_MIN"),
    (147_626, "MDC_ECG_PACED_BEAT_RATE", "1.1.1.3", "264864^MDC_DIM_BEAT_PER_MIN"),
];

/// What one run of the load gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Messages acknowledged in the measured time.
    pub acknowledged: u64,
    pub seconds: f64,
    /// Of the measured acknowledgements, ascending, in microseconds.
    pub waits_us: Vec<u32>,
    /// When each message was sent, by its own time as written; only for runs that ask for it.
    pub sent: Vec<(String, i64)>,
}

impl Outcome {
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.seconds
    }

    /// The wait that this share of the acknowledgements did not exceed, in milliseconds.
    pub fn wait_ms(&self, share: f64) -> f64 {
        percentile(&self.waits_us, share) / 1000.0
    }
}

/// `sorted` must be ascending; 0 without any.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(0.0, |wait| f64::from(*wait))
}

/// How long and how fast.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// A warm-up that is not measured, then a time that is.
    Time { warm_up: Duration, measured: Duration },
    /// So many messages in all, all measured.
    Messages(u64),
}

/// A load on these addresses; connection `n` goes to the address `n` modulo their number.
#[derive(Clone)]
pub struct Load {
    pub addresses: Vec<SocketAddr>,
    pub connections: usize,
    pub until: Until,
    /// A pause after each acknowledgement; `None`: at once.
    pub pause: Option<Duration>,
    /// Whether the moments of sending are wanted.
    pub notes: bool,
    pub seed: u64,
}

struct Shared {
    measuring: AtomicBool,
    stop: AtomicBool,
    left: AtomicU64,
}

impl Load {
    /// Runs on one thread, so that it takes as little as it can of the machine it measures.
    pub fn run(self) -> Result<Outcome, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(self.all())
    }

    async fn all(self) -> Result<Outcome, String> {
        let left = match self.until {
            Until::Time { .. } => u64::MAX,
            Until::Messages(count) => count,
        };
        let shared = Arc::new(Shared {
            measuring: AtomicBool::new(matches!(self.until, Until::Messages(_))),
            stop: AtomicBool::new(false),
            left: AtomicU64::new(left),
        });
        let mut tasks = tokio::task::JoinSet::new();
        let mut began = Instant::now();
        for number in 0..self.connections {
            let address = self.addresses[number % self.addresses.len()];
            let monitor = Monitor::new(number, self.seed);
            let connection = Connection { monitor, pause: self.pause, notes: self.notes };
            tasks.spawn(connection.serve(address, Arc::clone(&shared)));
        }
        let mut seconds = 0.0;
        if let Until::Time { warm_up, measured } = self.until {
            tokio::time::sleep(warm_up).await;
            shared.measuring.store(true, Ordering::Relaxed);
            began = Instant::now();
            tokio::time::sleep(measured).await;
            shared.measuring.store(false, Ordering::Relaxed);
            seconds = began.elapsed().as_secs_f64();
            shared.stop.store(true, Ordering::Relaxed);
        }
        let mut outcome = Outcome::default();
        while let Some(ended) = tasks.join_next().await {
            let (waits, sent) = ended.map_err(|error| error.to_string())??;
            outcome.acknowledged += waits.len() as u64;
            outcome.waits_us.extend(waits);
            outcome.sent.extend(sent);
        }
        outcome.seconds = if seconds > 0.0 { seconds } else { began.elapsed().as_secs_f64() };
        outcome.waits_us.sort_unstable();
        Ok(outcome)
    }
}

struct Connection {
    monitor: Monitor,
    pause: Option<Duration>,
    notes: bool,
}

type Served = Result<(Vec<u32>, Vec<(String, i64)>), String>;

impl Connection {
    async fn serve(mut self, address: SocketAddr, shared: Arc<Shared>) -> Served {
        let failed = |error: std::io::Error| format!("the connection to {address}: {error}");
        let mut stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (mut waits, mut sent) = (Vec::new(), Vec::new());
        let mut received = Vec::with_capacity(1024);
        while !shared.stop.load(Ordering::Relaxed) && shared.take_one() {
            self.monitor.next();
            let began = Instant::now();
            if self.notes {
                sent.push((self.monitor.time.clone(), now_us()));
            }
            stream.write_all(self.monitor.block.as_bytes()).await.map_err(failed)?;
            let answered = answer(&mut stream, &mut received, self.monitor.control_id.as_bytes());
            match tokio::time::timeout(ANSWER_WITHIN, answered).await {
                Ok(answered) => answered?,
                Err(_) => return Err(format!("{address} did not answer in time")),
            }
            if shared.measuring.load(Ordering::Relaxed) {
                let wait = began.elapsed().as_micros();
                waits.push(u32::try_from(wait).unwrap_or(u32::MAX));
            }
            if let Some(pause) = self.pause {
                tokio::time::sleep(pause).await;
            }
        }
        Ok((waits, sent))
    }
}

impl Shared {
    fn take_one(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Reads one answer; an error if it does not accept this message.
async fn answer(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    control_id: &[u8],
) -> Result<(), String> {
    received.clear();
    while !received.ends_with(&END) {
        let count = stream.read_buf(received).await.map_err(|error| error.to_string())?;
        if count == 0 {
            return Err("closed instead of an answer".to_owned());
        }
    }
    let accepts = received.split(|byte| *byte == b'\r').any(|segment| {
        let mut fields = segment.split(|byte| *byte == b'|');
        fields.next() == Some(b"MSA")
            && matches!(fields.next(), Some(b"AA" | b"CA"))
            && fields.next() == Some(control_id)
    });
    let text = || format!("not accepted: {}", String::from_utf8_lossy(received));
    if accepts { Ok(()) } else { Err(text()) }
}

/// One monitor's messages.
struct Monitor {
    /// Each monitor has one patient.
    patient: usize,
    prefix: String,
    serial: u64,
    random: u64,
    /// Tenths of milliseconds since 1970, of the newest message.
    tick: i64,
    control_id: String,
    /// The time of the newest message, as written.
    time: String,
    block: String,
}

impl Monitor {
    fn new(number: usize, seed: u64) -> Self {
        let mixed = (seed ^ (number as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let run = now_us() / 1_000;
        Self {
            patient: number + 1,
            prefix: format!("{run:x}{number:02}"),
            serial: 0,
            random: mixed,
            tick: 0,
            control_id: String::new(),
            time: String::new(),
            block: String::with_capacity(2048),
        }
    }

    /// Makes the next message, in its frame.
    fn next(&mut self) {
        self.serial += 1;
        self.tick = (now_us() / 100).max(self.tick + 1);
        self.time.clear();
        write_time(&mut self.time, self.tick);
        self.control_id.clear();
        let _ = write!(self.control_id, "{}{:08}", self.prefix, self.serial);
        let (mut block, time, id) = (std::mem::take(&mut self.block), &self.time, &self.control_id);
        block.clear();
        block.push(char::from(START));
        let _ = write!(
            block,
            "MSH|^~\\&|SPEED^0009FBFFFE9B42B3^EUI-64|BENCH|||{time}||ORU^R01^ORU_R01|{id}|P|2.6\r\
             PID|||P-{}^^^WARD^MR\rPV1||I|ICU^^1\r\
             OBR|1||{id}^SPEED|182777000^monitoring of patient^SCT|||{time}\r",
            self.patient,
        );
        for (row, (code, name, sub_id, unit)) in NUMERICS.iter().enumerate() {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let value = 50 + self.random % 50;
            let row = row + 1;
            let _ =
                write!(block, "OBX|{row}|NM|{code}^{name}^MDC|{sub_id}|{value}|{unit}^MDC|||||R\r");
        }
        block.push(char::from(END[0]));
        block.push(char::from(END[1]));
        self.block = block;
    }
}

/// Microseconds since 1970 UTC.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// `YYYYMMDDHHMMSS.ffff+0000` of tenths of milliseconds since 1970: an HL7 time has at most four
/// figures after the point (HL7 v2.6, 2.A.22).
fn write_time(out: &mut String, tick: i64) {
    let (seconds, fraction) = (tick.div_euclid(10_000), tick.rem_euclid(10_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a civil date, after Howard Hinnant's `civil_from_days`.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let _ = write!(
        out,
        "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}.{fraction:04}+0000"
    );
}
