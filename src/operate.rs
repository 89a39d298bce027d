//! Running under a supervisor: the log, and what systemd is told.

use std::io::IsTerminal as _;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends the log to the systemd journal where there is one, else to standard error.
/// `WARDGATE_LOG` filters as in `tracing` (`info` by default). No patient data is ever logged.
pub fn start_log() {
    let filter = EnvFilter::try_from_env("WARDGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    match tracing_journald::layer() {
        Ok(journald) if under_systemd => {
            tracing_subscriber::registry().with(filter).with(journald).init();
        }
        Ok(_) | Err(_) => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal());
            tracing_subscriber::registry().with(filter).with(lines).init();
        }
    }
}

/// Tells systemd that the daemon is ready to be used.
pub fn tell_ready(what: &str) {
    tell(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(what)]);
}

/// Tells systemd that the daemon has begun to stop.
pub fn tell_stopping() {
    tell(&[sd_notify::NotifyState::Stopping]);
}

/// Tells systemd that the daemon lives.
pub fn tell_alive() {
    tell(&[sd_notify::NotifyState::Watchdog]);
}

/// How often systemd wants to hear that the daemon lives, halved so that one late message is no
/// death.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
