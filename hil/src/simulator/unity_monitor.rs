//! A GE Dash on the Unity network (facts/monitors.md 5): it sends numerics to whoever has asked in
//! the last 10 s, and broadcasts alarms and itself. Written from the sheet's tables.
//!
//! What a gateway must not send ends it with an error: anything but the request of the capture, and
//! that one sooner than 5 s after another.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::UdpSocket;

use super::log::Reading;
use super::random::{Random, Walk};
use super::{Bench, Common, clock};

/// Who has not asked for so long gets no numerics.
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// Requests come every 5 s, measured here with the slack of two clocks.
const APART: Duration = Duration::from_millis(4_900);
/// One reading in so many is a mark; one datagram in so many is cut short, if noise is wanted.
const MARKED: u64 = 30;
const NOISE: u64 = 15;
const MARKS: [i16; 4] = [-32768, -32767, -32763, -32761];
/// A cuff pressure is taken once in so many datagrams; an alarm changes once in so many.
const CUFF_EVERY: u64 = 9;
const ALARM_EVERY: u64 = 7;

/// A monitor that is asked over UDP.
#[derive(Args, Clone, Debug)]
pub struct DashOptions {
    #[command(flatten)]
    pub common: Common,
    /// Where it is asked, IP:PORT (port 2000 on a real one).
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where it broadcasts its alarms and itself, IP:PORT.
    #[arg(long)]
    pub announce: Option<SocketAddr>,
    /// Cut datagrams short now and then.
    #[arg(long)]
    pub noise: bool,
}

pub async fn run(options: DashOptions) -> io::Result<()> {
    let asked = UdpSocket::bind(options.listen).await?;
    let numerics = UdpSocket::bind(SocketAddr::new(options.listen.ip(), 0)).await?;
    let mut bench = Bench::set_up(options.common)?;
    if !bench.go().await {
        return Ok(());
    }
    let mut dash = Dash::default();
    let mut client: Option<(SocketAddr, Instant)> = None;
    let mut next = Instant::now();
    let mut buffer = [0; 256];
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        let heard = tokio::time::timeout(wait, asked.recv_from(&mut buffer));
        match bench.stop.or(heard).await {
            None => return Ok(()),
            Some(Ok(heard)) => {
                let (count, from) = heard?;
                let datagram = buffer.get(..count).unwrap_or_default();
                let now = Instant::now();
                let early = client.is_some_and(|(_, at)| now.duration_since(at) < APART);
                if datagram != request() || early {
                    let what = format!("{count} bytes that are not the request, or come too early");
                    return Err(io::Error::other(format!("a gateway must not do this: {what}")));
                }
                client = Some((from, now));
            }
            Some(Err(_)) => {
                next += bench.every;
                let client = client.filter(|(_, at)| at.elapsed() < ASKED_WITHIN);
                if let Some((to, _)) = client {
                    dash.numerics(&numerics, to, options.noise, &mut bench).await?;
                }
                if let (Some(to), Some(_)) = (options.announce, client) {
                    dash.announce(&asked, to, &mut bench).await?;
                }
            }
        }
    }
}

/// As captured: stray bytes where addresses stand, function 00CA, sub-function 0060, version 6,
/// processor 29, and the name of the asking bed.
fn request() -> Vec<u8> {
    let mut request = vec![0x00, 0x25, 0x15, 0xfc, 0, 0, 0, 0, 0x00, 0x25, 0x15, 0xe4];
    request.extend([0x00, 0xca, 0x00, 0x60, 0x00, 0x06, 0, 0, 0, 0, 0x00, 0x29]);
    request.extend(b"HOME|B-02");
    request.resize(62, 0);
    request
}

struct Dash {
    message: u64,
    sequence: u16,
    walks: [Walk; 4],
    cuff_walks: [Walk; 3],
    cuff: Option<[i16; 3]>,
    alarms: u64,
    alarm: (u8, &'static str),
    is_alarm_told: bool,
}

impl Default for Dash {
    fn default() -> Self {
        Self {
            message: 0,
            sequence: 0x50,
            walks: [
                Walk::new(72, 40, 150, 2),
                Walk::new(97, 85, 100, 1),
                Walk::new(71, 40, 150, 2),
                Walk::new(15, 6, 40, 1),
            ],
            // Mean first.
            cuff_walks: [
                Walk::new(90, 60, 140, 6),
                Walk::new(120, 80, 200, 6),
                Walk::new(70, 40, 110, 6),
            ],
            cuff: None,
            alarms: 0,
            alarm: (0x3a, "LEADS FAIL"),
            is_alarm_told: false,
        }
    }
}

/// A code, its three values, and what they are called in the core.
type Parameter = (u8, [i16; 3], [&'static str; 3]);

impl Dash {
    fn measured(&mut self, random: &mut Random) -> (Vec<Parameter>, bool) {
        let mut next = |index: usize| -> i16 {
            let number = self.walks.get_mut(index).map_or(0, |walk| walk.next(random));
            let mark = MARKS.get(usize::try_from(random.below(4)).unwrap_or(0)).copied();
            match random.once_in(MARKED) {
                true => mark.unwrap_or(-32768),
                false => i16::try_from(number).unwrap_or(0),
            }
        };
        const OFF: i16 = -32768;
        let heart = (0x3a, [next(0), OFF, OFF], ["heart-rate", "3A.1", "3A.2"]);
        let oximeter = (0x2d, [next(1), next(2), -32767], ["spo2", "pulse-rate-pleth", "2D.2"]);
        let breath = (0x22, [next(3), OFF, OFF], ["respiration-rate", "22.1", "22.2"]);
        let is_new = self.message % CUFF_EVERY == 4;
        if is_new {
            let values = self.cuff_walks.each_mut().map(|walk| walk.next(random));
            let before = self.cuff;
            let mut values = values.map(|number| i16::try_from(number).unwrap_or(0));
            if before == Some(values) {
                // Nobody could tell the same figures from the measurement before.
                values[1] += 1;
            }
            self.cuff = Some(values);
        }
        let names = ["nibp-mean", "nibp-systolic", "nibp-diastolic"];
        let cuff = (0x18, self.cuff.unwrap_or([OFF; 3]), names);
        let temperature = (0x23, [371, OFF, OFF], ["23.0", "23.1", "23.2"]);
        (vec![heart, oximeter, breath, cuff, temperature], is_new)
    }

    async fn numerics(
        &mut self,
        socket: &UdpSocket,
        to: SocketAddr,
        noise: bool,
        bench: &mut Bench,
    ) -> io::Result<()> {
        self.message += 1;
        self.sequence = self.sequence.wrapping_add(1);
        if noise && bench.random.once_in(NOISE) {
            let (parameters, _) = self.measured_without_cuff(&mut bench.random);
            let mut datagram = datagram(self.sequence, &parameters);
            datagram.pop();
            socket.send_to(&datagram, to).await?;
            return bench.log.refused(self.message, "cut short", clock::now_us());
        }
        let (parameters, is_new) = self.measured(&mut bench.random);
        socket.send_to(&datagram(self.sequence, &parameters), to).await?;
        let sent_us = clock::now_us();
        for (code, values, names) in &parameters {
            if *code == 0x18 && !is_new {
                continue;
            }
            for (value, name) in values.iter().zip(names) {
                let reading = Reading::new(&self.message.to_string(), name, value.to_string());
                bench.log.sent(self.message, &reading, sent_us)?;
            }
        }
        bench.log.flush()
    }

    /// For a datagram that nobody can read: a cuff pressure in it would never be seen.
    fn measured_without_cuff(&mut self, random: &mut Random) -> (Vec<Parameter>, bool) {
        let before = self.cuff;
        let measured = self.measured(random);
        self.cuff = before;
        measured
    }

    /// The alarm, which stays the same for a while, and who the monitor is, with a name in clear
    /// text that must not be seen again.
    async fn announce(
        &mut self,
        socket: &UdpSocket,
        to: SocketAddr,
        bench: &mut Bench,
    ) -> io::Result<()> {
        self.alarms += 1;
        if self.alarms.is_multiple_of(ALARM_EVERY) {
            self.alarm =
                if self.alarm.0 == 0x3a { (0x2d, "SPO2 LOW") } else { (0x3a, "LEADS FAIL") };
            self.is_alarm_told = false;
        }
        let (code, text) = self.alarm;
        let mut alarm = vec![192, 168, 0, 255, 0, 0, 192, 168, 0, 195, 0, 0, 0, 0xc9, 0, 4];
        alarm.extend([0, 0, 0, 0, 0, 1, 0, 0]);
        alarm.extend(b"ICU|B-01");
        alarm.resize(63, 0);
        alarm.extend([code, 1, 1]);
        alarm.extend(text.as_bytes());
        alarm.resize(80, 0);
        alarm.extend(u32::try_from(self.alarms).unwrap_or(0).to_be_bytes());
        socket.send_to(&alarm, to).await?;
        if !self.is_alarm_told {
            self.is_alarm_told = true;
            self.message += 1;
            let sent_us = clock::now_us();
            let parts = [("alarm.code", format!("{code:02X}")), ("alarm.text", text.to_owned())];
            for (name, value) in parts {
                let reading = Reading::new(&self.message.to_string(), name, value);
                bench.log.sent(self.message, &reading, sent_us)?;
            }
            bench.log.flush()?;
        }
        let mut discovery = vec![1, 4, 0, 0, 192, 168, 0, 195];
        discovery.extend(u32::try_from(self.alarms).unwrap_or(0).to_be_bytes());
        discovery.extend(b"ICU|B-01");
        discovery.resize(28, 0);
        discovery.extend(b"TESTI,T");
        discovery.resize(88, 0);
        socket.send_to(&discovery, to).await?;
        Ok(())
    }
}

/// The header twice, six bytes, and 70 for each parameter.
fn datagram(sequence: u16, parameters: &[Parameter]) -> Vec<u8> {
    let body = 6 + 70 * parameters.len();
    let mut datagram = Vec::new();
    for (sequence, count) in [(0, 60 + body), (sequence, body)] {
        let start = datagram.len();
        datagram.extend([192, 168, 0, 195, 0, 0, 192, 168, 0, 195, 0, 0]);
        datagram.extend([0x00, 0xc9, 0x00, 0x14, 0x00, 0x01]);
        datagram.extend(sequence.to_be_bytes());
        datagram.resize(start + 58, 0);
        datagram.extend(u16::try_from(count).unwrap_or(0).to_be_bytes());
    }
    datagram.extend([0, 3, 3, 1, u8::try_from(parameters.len()).unwrap_or(0), 0]);
    for (code, values, _) in parameters {
        let start = datagram.len();
        datagram.extend([1, *code, 0xc0, 0xe0]);
        values.iter().for_each(|value| datagram.extend(value.to_be_bytes()));
        datagram.resize(start + 24, 0);
        datagram.extend([3, *code]);
        datagram.resize(start + 64, 0);
        datagram.extend([1, *code, 0, 0]);
        datagram.extend(sequence.to_le_bytes().into_iter().take(1));
        datagram.push(0);
    }
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_datagram_is_as_long_as_the_captured_one() {
        let one = (0x3a, [1, 2, 3], ["", "", ""]);
        let sent = datagram(0x51, &[one; 7]);
        assert_eq!(sent.len(), 616);
        assert_eq!((&sent[58..60], &sent[118..120]), (&[0x02, 0x2c][..], &[0x01, 0xf0][..]));
        assert_eq!(sent[126 + 64..126 + 70], [1, 0x3a, 0, 0, 0x51, 0]);
        assert_eq!(request().len(), 62);
    }

    #[test]
    fn a_cuff_pressure_is_new_once_in_nine() {
        let (mut dash, mut random) = (Dash::default(), Random::new(2));
        let new = (1..=90u64)
            .filter(|message| {
                dash.message = *message;
                dash.measured(&mut random).1
            })
            .count();
        assert_eq!(new, 10);
    }
}
