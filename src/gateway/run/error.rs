//! Why a house cannot run.

use std::path::PathBuf;

use crate::forward::cursor::CursorError;
use crate::journal;

/// Why the house cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the data folder {folder}: {error}")]
    Data { folder: PathBuf, error: std::io::Error },
    #[error("the journal in {folder}: {error}")]
    Journal { folder: PathBuf, error: journal::Error },
    #[error(transparent)]
    JournalKey(#[from] crate::gateway::configuration::KeyFileError),
    #[error("the cursor files in {folder}: {error}")]
    Cursors { folder: PathBuf, error: CursorError },
    #[error("the status socket {socket}: {error}")]
    Socket { socket: PathBuf, error: std::io::Error },
    #[error("destination {name}: {what}")]
    Destination { name: String, what: String },
    #[error("the bedside cannot be opened: {0}")]
    Bedside(String),
    #[error("signals cannot be taken: {0}")]
    Signals(std::io::Error),
    #[error("the journal had to be closed: nothing more was taken")]
    TookNothing,
    #[error("the committer has failed")]
    Committer,
}
