//! Row 10 of the fault matrix where no pseudo terminal can make it: parity and framing errors and
//! a break, put in at the port.

use std::io;
use std::sync::Mutex;

use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::link::{Opening, Parity, Port, Ports, SerialParameters};

/// A port that opens once.
struct OnePort(Mutex<Option<Port>>);

impl Ports for OnePort {
    fn open<'a>(&'a self, _endpoint: &'a Endpoint) -> Opening<'a> {
        let port = self.0.lock().unwrap().take();
        Box::pin(async move { port.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// The line with byte `at` damaged, as a terminal with `PARMRK` hands it on.
fn damaged(at: usize, byte: u8) -> Vec<u8> {
    let (before, rest) = LINE.split_at(at);
    [before, &[0xff, 0, byte], &rest[1..]].concat()
}

async fn readings(requests: &mut mpsc::UnboundedReceiver<Request>) -> (usize, usize) {
    loop {
        if let Request::Message(submission) = next(requests).await {
            let values = submission.observations.iter().map(|(one, _)| one.metrics.len()).sum();
            return (values, submission.refusals.len());
        }
    }
}

async fn trouble(status: &DeviceStatus, wanted: impl Fn(&str) -> bool) -> String {
    for _ in 0..1000 {
        let words = status.trouble.lock().unwrap().clone();
        if wanted(&words) {
            return words;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the words never came: {:?}", status.trouble);
}

async fn says(line: &mut DuplexStream, bytes: &[u8]) {
    line.write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn f10_damaged_bytes_are_named_and_give_no_value_and_the_next_line_is_read() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let (mut line, ours) = duplex(4096);
    let port = Port::of_marked_stream(ours, true);
    let (parity, rts_cts) = (Parity::Even, false);
    let parameters = SerialParameters { baud: 9600, data_bits: 8, parity, stop_bits: 1, rts_cts };
    let endpoint = Endpoint::Serial { path: "/dev/serial/by-id/one".into(), parameters };
    let (device, status) = device_at(endpoint, Arc::new(OnePort(Mutex::new(Some(port)))), sender);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(device.run(stopping, Arc::default()));

    says(&mut line, LINE).await;
    assert_eq!(readings(&mut requests).await, (3, 0), "a good line");

    // A digit of the SpO2 with a wrong parity: what was begun is refused, and so is the rest.
    says(&mut line, &damaged(14, b'9')).await;
    assert_eq!(readings(&mut requests).await, (0, 1), "the part before the damage");
    assert_eq!(readings(&mut requests).await, (0, 1), "the part behind it");
    let words = trouble(&status, |words| !words.is_empty()).await;
    assert!(words.contains("parity") && words.contains("cable"), "{words}");

    says(&mut line, LINE).await;
    assert_eq!(readings(&mut requests).await, (3, 0), "the next good line");
    trouble(&status, str::is_empty).await;
    assert_eq!(status.line_errors.load(std::sync::atomic::Ordering::Relaxed), 1);

    // A break between two lines costs nothing but the words.
    says(&mut line, &[0xff, 0, 0]).await;
    let words = trouble(&status, |words| !words.is_empty()).await;
    assert!(words.contains("break"), "{words}");
    says(&mut line, LINE).await;
    assert_eq!(readings(&mut requests).await, (3, 0));
    trouble(&status, str::is_empty).await;

    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}
