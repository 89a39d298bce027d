//! What the house hears from outside: signals; and what its supervisor hears meanwhile.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::RunError;
use crate::gateway::committer::Request;
use crate::operate;

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub fn take() -> Result<Self, RunError> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for a signal; meanwhile tells systemd that the daemon lives, as long as the committer
    /// answers.
    pub async fn wait(&mut self, requests: &mpsc::UnboundedSender<Request>) {
        let period = operate::watchdog_period();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = tokio::time::sleep(period.unwrap_or(Duration::MAX)), if period.is_some() => {
                    let (answer, answered) = oneshot::channel();
                    let asked = requests.send(Request::Ping(answer)).is_ok();
                    let limit = period.unwrap_or_default();
                    match tokio::time::timeout(limit, answered).await {
                        Ok(Ok(())) if asked => operate::tell_alive(),
                        Ok(_) | Err(_) => tracing::error!("the committer does not answer"),
                    }
                }
            }
        }
    }
}
