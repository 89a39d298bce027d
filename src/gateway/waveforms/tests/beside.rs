//! Numbers beside waveforms: an acknowledgement may not take longer because of them.

use super::*;
use crate::gateway::tests::committer;
use crate::gateway::waveforms::WaveformHouse;

/// One good line of the PO-100 as its manual prints it.
const LINE: &[u8] = b"$PO,10:11:12,097,072,04.5,00*25\r\n";

/// Monitors that send their waveforms four times a second each.
const MONITORS: u64 = 32;
/// How long numbers are measured without waveforms, and then with them: one sync of the waveforms'
/// journal lies in each.
const ROUND: Duration = Duration::from_millis(1_100);
/// Rounds of each kind.
const ROUNDS: usize = 3;
/// A machine that does something else for a while is measured again.
const ATTEMPTS: usize = 3;

/// The median time from the bytes to the fate of their message, one message after the other.
async fn median(device: &Arc<Device>) -> Duration {
    let (fate, mut fates) = mpsc::unbounded_channel();
    let mut one = device.conversation(fate, Peer::STREAM);
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < ROUND {
        let at = Instant::now();
        one.driver.receive(LINE, Peer::STREAM, clock::now());
        device.drain(&mut one);
        let (id, how) = fates.recv().await.unwrap();
        assert_eq!(how, Settled::Durable);
        one.settle(id, how);
        times.push(at.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// 32 monitors with four waveforms of 500 samples a second, while it is not told to stop.
async fn feed(inlet: Arc<Inlet>, device: Arc<DeviceIdentity>) {
    let mut tick = tokio::time::interval(Duration::from_micros(250_000 / MONITORS));
    loop {
        tick.tick().await;
        inlet.offer(four(&device));
    }
}

/// As in the daemon: delivery, and waveforms with it, have a thread of their own.
#[test]
fn numbers_are_acknowledged_as_quickly_beside_waveforms() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all().build().unwrap()
    };
    let delivery = runtime();
    runtime().block_on(measured(delivery.handle().clone()));
}

async fn measured(delivery: tokio::runtime::Handle) {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(folder.path());
    let (requests, received) = mpsc::unbounded_channel();
    let (device, _) = device_with(requests.clone(), None);
    let house = WaveformHouse::start_alone(
        &configuration,
        &[Arc::clone(&device.identity)],
        delivery.clone(),
    );
    let (inlet, shown) = (house.inlet().unwrap(), house.shown().unwrap());
    let numbers = tokio::spawn(committer(&folder.path().join("data/journal")).run(received));
    wait("it is open", || shown.snapshot().door == "open").await;
    let mut last = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ATTEMPTS {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(median(&device).await);
            let feeding = feed(Arc::clone(&inlet), Arc::clone(&device.identity));
            let feeding = delivery.spawn(feeding);
            with.push(median(&device).await);
            feeding.abort();
        }
        without.sort_unstable();
        with.sort_unstable();
        last = (without[ROUNDS / 2], with[ROUNDS / 2]);
        println!("median acknowledgement without and with waveforms: {last:?}");
        if 2 * last.1 <= 3 * last.0 {
            break;
        }
    }
    let (without, with) = last;
    assert!(2 * with <= 3 * without, "with waveforms {with:?}, without {without:?}");
    let shown = shown.snapshot();
    assert!(shown.samples > 100_000 && shown.samples_dropped == 0, "{shown:?}");
    house.stop().await;
    let (done, stopped) = tokio::sync::oneshot::channel();
    requests.send(Request::Stop { now: clock::now(), done }).ok().unwrap();
    stopped.await.unwrap();
    numbers.await.unwrap();
}
