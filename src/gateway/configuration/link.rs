//! `link = { ... }`: where a device hangs.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::link::{Endpoint, Parity, SerialParameters};
use crate::profile::Profile;

/// Where a device hangs; exactly one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTable {
    /// A local port by a path that stays the same: /dev/serial/by-id/... or by-path.
    pub serial: Option<PathBuf>,
    /// `host:port` of a serial server that passes raw TCP.
    pub serial_server: Option<String>,
    /// `host:port` of a device that listens.
    pub tcp_client: Option<String>,
    /// `address:port` on which the box listens for the device.
    pub tcp_server: Option<SocketAddr>,
    /// `address:port` on which the box takes the device's datagrams.
    pub udp: Option<SocketAddr>,
    /// A device that is asked over UDP.
    pub udp_device: Option<UdpDeviceTable>,
    /// A capture to be played.
    pub replay: Option<PathBuf>,
}

/// A device that is asked over UDP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpDeviceTable {
    /// `host:port` of the device.
    pub address: String,
    /// `address:port` from which the box asks; any port of any address unless said.
    #[serde(default = "anywhere")]
    pub listen: SocketAddr,
    /// `address:port` on which devices announce themselves by broadcast or multicast.
    pub announcements: Option<SocketAddr>,
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}

impl LinkTable {
    /// The one endpoint that is given.
    ///
    /// # Errors
    /// What would be accepted.
    pub(super) fn endpoint(&self, profile: &Profile) -> Result<Endpoint, &'static str> {
        let mut found: Vec<Endpoint> = Vec::new();
        if let Some(port) = &self.serial {
            let serial = profile.file().link.transport.serial.as_ref();
            let what = "the device file states no serial parameters for a local port";
            let serial = serial.ok_or(what)?;
            found.push(Endpoint::Serial {
                path: port.clone(),
                parameters: SerialParameters {
                    baud: serial.baud,
                    data_bits: serial.data_bits,
                    parity: match serial.parity {
                        crate::profile::Parity::None => Parity::None,
                        crate::profile::Parity::Even => Parity::Even,
                        crate::profile::Parity::Odd => Parity::Odd,
                    },
                    stop_bits: serial.stop_bits,
                    rts_cts: serial.handshake == crate::profile::Handshake::RtsCts,
                },
            });
        }
        let servers = [&self.serial_server, &self.tcp_client].into_iter().flatten();
        found.extend(servers.map(|address| Endpoint::TcpClient { address: address.clone() }));
        found.extend(self.tcp_server.map(|listen| Endpoint::TcpServer { listen }));
        found.extend(self.udp.map(|listen| Endpoint::Udp { listen }));
        found.extend(self.udp_device.as_ref().map(|device| Endpoint::UdpDevice {
            address: device.address.clone(),
            listen: device.listen,
            announcements: device.announcements,
        }));
        found.extend(self.replay.iter().map(|file| Endpoint::Replay { file: file.clone() }));
        let one = found.len() == 1;
        let what = "expected exactly one of serial, serial_server, tcp_client, tcp_server, udp, \
                    udp_device, replay";
        found.pop().filter(|_| one).ok_or(what)
    }
}
