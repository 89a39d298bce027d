//! Row 7: a core that answers one message a second, or after 30 s, costs neither the devices nor
//! another destination anything.

mod house;

use std::time::{Duration, Instant};

use house::core::Core;
use house::mllp::{Mllp, Vital, vital};
use house::receiver::{Answers, Receiver};
use house::{House, Plan, TCP_SERVER, device};

/// Messages of one run; the slow core is behind after the first.
const MESSAGES: usize = 120;
const RUNS: usize = 5;
/// The target: the median of the runs' ratios.
const RATIO_MAX: f64 = 1.5;
/// And however quick the reference is: a device waits no longer than this.
const FIXED_MAX: Duration = Duration::from_secs(2);

/// A house with a quick core and another one beside it.
struct Ward {
    house: House,
    client: Mllp,
    sent: usize,
}

impl Ward {
    fn open(more: String) -> Self {
        let monitor = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
        let mut house = House::open(Plan { destination: more, ..Plan::of(monitor) });
        let client = Mllp::connect(house.listening("monitor")).unwrap();
        Self { house, client, sent: 0 }
    }

    /// Sends a run; gives the slowest ACK but one (p99 of so few), and how long the quick core
    /// then needs to have all.
    fn run(&mut self) -> (Duration, Duration) {
        let mut times = Vec::new();
        for _ in 0..MESSAGES {
            let number = self.sent;
            self.sent += 1;
            let control_id = number.to_string();
            let (hour, rest) = (10 + number / 3600, number % 3600);
            let time = format!("20261120{hour:02}{:02}{:02}", rest / 60, rest % 60);
            let (sent, patient, heart_rate) = (time.as_str(), "P-1", "61");
            let message =
                vital(Vital { sent, control_id: &control_id, time: &time, patient, heart_rate });
            let begun = Instant::now();
            assert_eq!(self.client.ask(&message).unwrap().code, "AA");
            times.push(begun.elapsed());
        }
        times.sort();
        let begun = Instant::now();
        self.house.observations("monitor", self.sent);
        (times[MESSAGES - 2], begun.elapsed())
    }
}

/// The other core. It has a broker of its own; the stand-in behind that answers with a name that
/// does not count.
struct Beside {
    core: Core,
    _receiver: Receiver,
    _folder: tempfile::TempDir,
}

impl Beside {
    fn start(answers: Answers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start_with(&folder.path().join("beside"), 0, &["--receiver", "nobody"]);
        let receiver = Receiver::start(core.port, "slow", answers);
        Self { core, _receiver: receiver, _folder: folder }
    }

    fn table(&self) -> String {
        format!(
            "\n[[destination]]\nname = \"slow\"\nfiles = \"trial\"\nrequired = \"required\"\n\
             mqtt = {{ host = \"127.0.0.1\", port = {}, receivers = [\"slow\"] }}\n",
            self.core.port
        )
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn a_slow_core_costs_nothing(answers: Answers) {
    // The same house twice: a second destination has its own cost, and only its slowness counts.
    let quick = Beside::start(Answers::After(Duration::ZERO));
    let slow = Beside::start(answers);
    let mut alone = Ward::open(quick.table());
    let mut beside = Ward::open(slow.table());
    let (mut of_acks, mut of_delays) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        // In turns, so that a busy machine is busy for both.
        let (first, second) =
            if run % 2 == 0 { (&mut alone, &mut beside) } else { (&mut beside, &mut alone) };
        let (one, other) = (first.run(), second.run());
        let (without, with) = if run % 2 == 0 { (one, other) } else { (other, one) };
        println!(
            "run {run}: ACK p99 and delay {without:?} beside a quick core, {with:?} beside a slow one"
        );
        assert!(with.0 < FIXED_MAX && with.1 < FIXED_MAX, "{with:?}");
        of_acks.push(with.0.as_secs_f64() / without.0.as_secs_f64());
        // What is left to deliver is often nothing: below 10 ms there is nothing to compare.
        let delay = |time: Duration| time.as_secs_f64().max(0.010);
        of_delays.push(delay(with.1) / delay(without.1));
    }
    let (acks, delays) = (median(of_acks), median(of_delays));
    println!("median ratios: ACK p99 {acks:.2}, delay {delays:.2}");
    assert!(acks <= RATIO_MAX, "the devices wait {acks:.2} times as long");
    assert!(delays <= RATIO_MAX, "the quick core waits {delays:.2} times as long");
    let status = beside.house.status();
    let slow = status.destinations.iter().find(|one| one.name == "slow").unwrap();
    assert!(slow.connected && slow.backlog > 0, "it was slow indeed: {slow:?}");
}

#[test]
fn f07_a_core_that_answers_one_message_a_second_costs_nobody_anything() {
    a_slow_core_costs_nothing(Answers::OneEvery(Duration::from_secs(1)));
}

#[test]
fn f07_a_core_that_answers_after_30_s_costs_nobody_anything() {
    a_slow_core_costs_nothing(Answers::After(Duration::from_secs(30)));
}
