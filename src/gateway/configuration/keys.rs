//! The journal's keys: files that the configuration names, read when the journal is opened and not
//! before. A credential of the service manager is there only while the daemon runs, so `check`
//! does not ask for it.

use std::path::PathBuf;

use super::{GatewayTable, Mode};
use crate::journal::{BoxKey, KeyProblem, Keys};

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key file {}: {problem}", file.display())]
pub struct KeyFileError {
    pub file: PathBuf,
    pub problem: KeyProblem,
}

impl GatewayTable {
    /// Reads the key files.
    ///
    /// # Errors
    /// The first file that gives no key.
    pub fn journal_keys(&self) -> Result<Keys, KeyFileError> {
        let read = |file: &PathBuf| {
            BoxKey::read(file).map_err(|problem| KeyFileError { file: file.clone(), problem })
        };
        Ok(Keys {
            current: self.journal_key.as_ref().map(read).transpose()?,
            previous: self.journal_key_previous.iter().map(read).collect::<Result<_, _>>()?,
        })
    }

    /// What is wrong with the keys as they stand in the file.
    pub(super) fn journal_key_problem(&self) -> Option<&'static str> {
        let missing = self.journal_key.is_none();
        (missing && self.mode == Mode::Production).then_some(
            "expected `journal_key`, a file that `wardgate journal new-key` writes: without it the \
             journal is not encrypted, which is accepted only in mode \"bench\"",
        )
    }
}
