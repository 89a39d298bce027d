//! A monitor that numbers its messages: each has a time of its own, and the heart rate with it says
//! which one it is.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use super::House;
use super::mllp::{Mllp, Vital, vital};

/// A sender that remembers what was acknowledged.
#[derive(Default)]
pub struct Monitor {
    serial: u64,
    client: Option<Mllp>,
    /// Device time and heart rate of every acknowledged message.
    pub acknowledged: Vec<(String, String)>,
}

impl Monitor {
    /// Sends the next message, or the one that was not acknowledged, over the connection that is
    /// open or a new one. Gives the answer's code.
    pub fn send(&mut self, at: SocketAddr) -> io::Result<String> {
        let (serial, day) = (self.serial, 1 + self.serial / 86_400);
        let (hour, minute, second) = (serial / 3600 % 24, serial / 60 % 60, serial % 60);
        let time = format!("202611{day:02}{hour:02}{minute:02}{second:02}");
        let (control_id, heart_rate) = (format!("M{serial}"), (40 + serial % 160).to_string());
        let message = vital(Vital {
            sent: &time,
            control_id: &control_id,
            time: &time,
            patient: "P-1",
            heart_rate: &heart_rate,
        });
        if self.client.is_none() {
            self.client = Some(Mllp::connect(at)?);
        }
        let asked = self.client.as_mut().map(|client| client.ask(&message));
        let answer = match asked {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                self.client = None;
                return Err(error);
            }
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        assert_eq!(answer.control_id, control_id, "an answer to what was asked");
        if answer.code == "AA" {
            self.serial += 1;
            self.acknowledged.push((time, heart_rate));
        }
        Ok(answer.code)
    }

    /// The next connection is a new one.
    pub fn hang_up(&mut self) {
        self.client = None;
    }

    /// Sends until a message is acknowledged, wherever the gateway listens by now.
    pub fn send_until_acknowledged(&mut self, house: &mut House, device: &str) {
        house.wait("a message is acknowledged", |house| {
            let Ok(at) = house.device(device).listening.parse() else { return false };
            self.send(at).is_ok_and(|code| code == "AA")
        });
    }

    /// Everything acknowledged is in the core, once.
    pub fn is_all_in_the_core(&self, house: &House, device: &str) {
        let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
        for record in house.stored_of("observation", device) {
            let time = record["data"]["times"]["device"]["as_written"].as_str().expect("a time");
            let value = super::value(&record, "heart-rate");
            *found.entry((time.to_owned(), value)).or_default() += 1;
        }
        for key in &self.acknowledged {
            assert_eq!(found.get(key), Some(&1), "{key:?}: lost, or there twice");
        }
    }
}

/// Cause and phase of every gap of a device that the core has.
pub fn gaps(house: &House, device: &str) -> Vec<String> {
    let text = |record: &serde_json::Value| {
        let part = |key: &str| record["data"][key].as_str().unwrap_or("-").to_owned();
        format!("{} {}", part("cause"), part("phase"))
    };
    house.stored_of("gap", device).iter().map(text).collect()
}
