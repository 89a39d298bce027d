//! A device that is asked over UDP: monitors that answer to whoever asks, and announce themselves
//! by broadcast. Only datagrams from the device's own address are heard.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rustix::net::sockopt;
use tokio::net::{UdpSocket, lookup_host};

use super::Heard;
use crate::protocol::Peer;

/// The multicast group in which Philips monitors announce themselves (facts/monitors.md 1.1).
const ANNOUNCEMENTS_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 23, 63);

/// An open device.
pub(super) struct UdpDevice {
    address: SocketAddr,
    socket: UdpSocket,
    announcements: Option<UdpSocket>,
}

impl UdpDevice {
    /// # Errors
    /// The address has no meaning, or a port cannot be taken.
    pub async fn open(
        address: &str,
        listen: SocketAddr,
        announcements: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let of_family = |one: &SocketAddr| one.is_ipv4() == listen.is_ipv4();
        let address = lookup_host(address).await?.find(of_family).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the name has no address of this kind")
        })?;
        let announcements = match announcements {
            Some(at) => Some(shared(at)?),
            None => None,
        };
        Ok(Self { address, socket: UdpSocket::bind(listen).await?, announcements })
    }

    /// The next datagram of the device. Safe to cancel.
    ///
    /// # Errors
    /// What the system says.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        loop {
            // Both read into the same buffer, so one of them only waits.
            let socket = match &self.announcements {
                Some(announcements) => tokio::select! {
                    biased;
                    ready = self.socket.readable() => { ready?; &self.socket }
                    ready = announcements.readable() => { ready?; announcements }
                },
                None => {
                    self.socket.readable().await?;
                    &self.socket
                }
            };
            match socket.try_recv_from(buffer) {
                Ok((count, from)) if from.ip() == self.address.ip() => {
                    return Ok(Heard::Bytes { count, from: Peer(from.port().into()) });
                }
                // Somebody else's datagram is nobody's reading.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// # Errors
    /// What the system says.
    pub async fn write(&mut self, bytes: &[u8], to: Peer) -> io::Result<()> {
        let port = match to {
            Peer::STREAM => self.address.port(),
            Peer(port) => u16::try_from(port).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "no such port of the device")
            })?,
        };
        self.socket.send_to(bytes, (self.address.ip(), port)).await.map(drop)
    }
}

/// A port that several links of this box listen on: each hears every broadcast, and takes what its
/// own device sent.
fn shared(at: SocketAddr) -> io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    let socket = UdpSocket::from_std(socket.into())?;
    if let IpAddr::V4(interface) = at.ip() {
        // A box without a route for multicast still hears broadcasts.
        if let Err(error) = socket.join_multicast_v4(ANNOUNCEMENTS_GROUP, interface) {
            tracing::info!(%at, %error, "no announcements by multicast on this port");
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_device_is_heard_and_its_ports_are_told_apart() {
        let device = UdpSocket::bind("127.0.0.21:0").await.unwrap();
        let other_port = UdpSocket::bind("127.0.0.21:0").await.unwrap();
        let stranger = UdpSocket::bind("127.0.0.22:0").await.unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let address = device.local_addr().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let mut one = UdpDevice::open(&address.to_string(), any, Some(free)).await.unwrap();
        let mut two = UdpDevice::open("127.0.0.22:9", any, Some(free)).await.unwrap();

        one.write(b"who are you", Peer::STREAM).await.unwrap();
        let mut buffer = [0; 64];
        let (count, us) = device.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], b"who are you");

        stranger.send_to(b"not for you", us).await.unwrap();
        other_port.send_to(b"numbers", us).await.unwrap();
        let port = other_port.local_addr().unwrap().port();
        let heard = one.read(&mut buffer).await.unwrap();
        assert_eq!(heard, Heard::Bytes { count: 7, from: Peer(port.into()) });
        one.write(b"thanks", Peer(port.into())).await.unwrap();
        assert_eq!(other_port.recv_from(&mut buffer).await.unwrap().0, 6);

        // Unicast on a shared port reaches the newest listener alone; who is not meant drops it.
        stranger.send_to(b"I am here", free).await.unwrap();
        let heard = two.read(&mut buffer).await.unwrap();
        assert!(matches!(heard, Heard::Bytes { count: 9, .. }), "{heard:?}");
        drop(two);
        device.send_to(b"me too", free).await.unwrap();
        let heard = one.read(&mut buffer).await.unwrap();
        let port = address.port().into();
        assert_eq!(heard, Heard::Bytes { count: 6, from: Peer(port) });
    }
}
