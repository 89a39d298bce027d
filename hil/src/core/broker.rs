//! The embedded broker. It never leaves loopback and keeps nothing: what it forgets, the gateway
//! sends again.

use std::collections::HashMap;
use std::net::SocketAddr;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

use super::{Error, free_port};

/// The largest packet; a gateway's largest record is smaller.
pub const PACKET_BYTES_MAX: usize = 10 << 20;
/// Gateways and observers of a demo.
const CONNECTIONS_MAX: usize = 100;
/// Messages that wait for one client.
const OUTGOING_MAX: u64 = 1000;
/// The broker's own memory of a topic.
const SEGMENT_BYTES: usize = 16 << 20;

/// Starts the broker on a thread of its own, which lives as long as the process: rumqttd has no
/// way to be stopped.
pub fn start(listen: SocketAddr) -> Result<SocketAddr, Error> {
    let address = free_port(listen)?;
    let connections = ConnectionSettings {
        connection_timeout_ms: 5000,
        max_payload_size: PACKET_BYTES_MAX,
        max_inflight_count: 500,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "core".to_owned(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let router = RouterConfig {
        max_connections: CONNECTIONS_MAX,
        max_outgoing_packet_count: OUTGOING_MAX,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let config = Config {
        id: 0,
        router,
        v5: Some(HashMap::from([("core".to_owned(), server)])),
        ..Config::default()
    };
    let mut broker = Broker::new(config);
    std::thread::Builder::new()
        .name("broker".to_owned())
        .spawn(move || {
            if let Err(error) = broker.start() {
                tracing::error!(%error, "broker ended");
            }
        })
        .map_err(|error| Error::Io("broker thread", error))?;
    Ok(address)
}
