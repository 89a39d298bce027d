//! One task per UDP port. Each sender has a driver of its own, so that nobody's datagrams end up in
//! another one's message.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::connection::{Conversation, STOPPED, sleep_until};
use super::device::Device;
use super::gaps::GapCause;
use crate::link::back_off::BackOff;
use crate::link::clock;
use crate::protocol::{LinkChange, MessageId, Peer, Settled};
use crate::vocabulary::Moment;

/// How many senders are told apart on one port. A sender that takes a new port for each datagram
/// makes the one that was quiet longest give way.
const PEERS_MAX: usize = 64;

/// The largest UDP datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// The senders that are known.
struct Senders {
    known: BTreeMap<SocketAddr, (Conversation, Moment)>,
    fate: mpsc::UnboundedSender<(MessageId, Settled)>,
    next_peer: u32,
}

impl Device {
    pub(super) async fn serve_udp(
        self: Arc<Self>,
        listen: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut back_off = BackOff::default();
        while !*stop.borrow() {
            match UdpSocket::bind(listen).await {
                Ok(socket) => {
                    let task = tokio::spawn(Arc::clone(&self).take_datagrams(socket, stop.clone()));
                    self.ended(task.await);
                }
                Err(error) => {
                    self.identity.status.set_trouble(format!("udp on {listen}: {error}"));
                    tracing::error!(device = %self.setup.name, %listen, %error, "cannot listen");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(back_off.next_wait()) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn take_datagrams(self: Arc<Self>, socket: UdpSocket, mut stop: watch::Receiver<bool>) {
        if let Ok(address) = socket.local_addr() {
            self.identity.status.set_listening(address.to_string());
        }
        let (fate, mut fates) = mpsc::unbounded_channel();
        let mut senders = Senders { known: BTreeMap::new(), fate, next_peer: 0 };
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut open = self.open();
        let mut silent = false;
        let silent_after_ms = self.setup.profile.file().link.silent_after_ms;
        loop {
            let needs = self.needs_of_fullest(&senders);
            let (full, needs) = (needs.is_some(), needs.unwrap_or(1));
            self.note_busy(full);
            let wake = senders.known.values().filter_map(|(one, _)| one.driver.next_wake()).min();
            let quiet = (!silent).then(|| open.last_byte.plus_ms(silent_after_ms));
            tokio::select! {
                _ = stop.changed() => break,
                Some((id, how)) = fates.recv() => {
                    senders.known.values_mut().for_each(|(one, _)| one.settle(id, how));
                }
                () = sleep_until(wake), if wake.is_some() => {
                    let now = clock::now();
                    senders.known.values_mut().for_each(|(one, _)| one.driver.wake(now));
                }
                () = sleep_until(quiet), if quiet.is_some() => {
                    silent = true;
                    self.gap_began(GapCause::DeviceSilent, open.last_byte);
                }
                received = socket.recv_from(&mut buffer), if !full => match received {
                    Ok((count, from)) => {
                        open.last_byte = clock::now();
                        if std::mem::take(&mut silent) {
                            self.gap_ended(GapCause::DeviceSilent, open.last_byte);
                        }
                        let bytes = buffer.get(..count).unwrap_or_default();
                        let one = self.sender(&mut senders, from, open.last_byte);
                        one.driver.receive(bytes, one.peer, open.last_byte);
                    }
                    Err(error) => tracing::warn!(device = %self.setup.name, %error, "udp"),
                },
                permit = self.share.acquire_many(needs), if full => drop(permit),
            }
            self.drain_senders(&mut senders, &socket).await;
        }
        for (one, _) in senders.known.values_mut() {
            one.driver.link(LinkChange::Closed, clock::now());
            self.drain(one);
        }
        open.why = STOPPED.to_owned();
    }

    /// What the share must have room for before more is read; `None` if nobody waits.
    fn needs_of_fullest(&self, senders: &Senders) -> Option<u32> {
        let waiting = senders.known.values().map(|(one, _)| one).filter(|one| one.is_full());
        waiting.map(|one| self.needs(one)).max()
    }

    fn sender<'a>(
        &self,
        senders: &'a mut Senders,
        from: SocketAddr,
        now: Moment,
    ) -> &'a mut Conversation {
        if !senders.known.contains_key(&from) {
            if senders.known.len() >= PEERS_MAX {
                let quietest = senders.known.iter().min_by_key(|(_, (_, last))| *last);
                if let Some((mut one, _)) =
                    quietest.map(|(from, _)| *from).and_then(|from| senders.known.remove(&from))
                {
                    one.driver.link(LinkChange::Closed, now);
                    self.drain(&mut one);
                }
            }
            senders.next_peer = senders.next_peer.wrapping_add(1);
            let one = self.conversation(senders.fate.clone(), Peer(senders.next_peer));
            senders.known.insert(from, (one, now));
        }
        let (one, last) = senders.known.get_mut(&from).expect("it was there or put there above");
        *last = now;
        one
    }

    async fn drain_senders(&self, senders: &mut Senders, socket: &UdpSocket) {
        let mut done: Vec<SocketAddr> = Vec::new();
        for (address, (one, _)) in &mut senders.known {
            let (replies, close) = self.drain(one);
            for (bytes, _) in replies {
                if let Err(error) = socket.send_to(&bytes, address).await {
                    tracing::warn!(device = %self.setup.name, %error, "udp reply");
                }
            }
            // The next datagram of this sender gets a driver made anew.
            if close.is_some() && !one.is_full() {
                one.driver.link(LinkChange::Closed, clock::now());
                self.drain(one);
                done.push(*address);
            }
        }
        senders.known.retain(|address, _| !done.contains(address));
    }
}
