//! A connection is made anew when the files that it was made with are replaced: certificates are
//! renewed while a connection may live for weeks, and one that is not renewed is found out only
//! when it breaks, after the old certificate has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::tls::TlsFiles;
use crate::vocabulary::Digest;

/// How often the files are looked at. What is new must look the same twice: several files are
/// replaced one after the other.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks at the files of one connection.
pub(super) struct Renewal {
    came: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Renewal {
    /// Begins before the connection reads the files. The connection ends when what is given says
    /// so: as `stop` does, or when the files are others and make a TLS client.
    pub fn watch(files: TlsFiles, stop: &watch::Receiver<bool>) -> (Self, watch::Receiver<bool>) {
        let came = Arc::new(AtomicBool::new(false));
        if files == TlsFiles::default() {
            return (Self { came, looking: None }, stop.clone());
        }
        let (end, until) = watch::channel(*stop.borrow());
        let first = print(&files);
        let looking = look(files, first, stop.clone(), end, Arc::clone(&came));
        (Self { came, looking: Some(tokio::spawn(looking)) }, until)
    }

    /// The connection has ended; whether the files ended it.
    pub fn came(self) -> bool {
        if let Some(looking) = self.looking {
            // It holds nothing and only looks.
            looking.abort();
        }
        self.came.load(Ordering::Acquire)
    }
}

async fn look(
    files: TlsFiles,
    first: Print,
    mut stop: watch::Receiver<bool>,
    end: watch::Sender<bool>,
    came: Arc<AtomicBool>,
) {
    let mut looks = Looks { last: first.clone(), first };
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {
                end.send_replace(true);
                return;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if looks.show_others(print(&files)) && files.check().is_ok() {
            came.store(true, Ordering::Release);
            end.send_replace(true);
            return;
        }
    }
}

/// What stood in the files when the connection was made, and at the last look.
struct Looks {
    first: Print,
    last: Print,
}

impl Looks {
    /// Whether there are other files, which have stood there since the last look.
    fn show_others(&mut self, now: Print) -> bool {
        let stand = now == self.last;
        let others = now != self.first;
        self.last = now;
        stand && others
    }
}

/// What stands in the files; nothing of one that cannot be read.
type Print = Vec<Option<Digest>>;

fn print(files: &TlsFiles) -> Print {
    files.paths().map(|path| Some(Digest::of(&std::fs::read(path).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn write(folder: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join("certificate"), certificate.pem()).unwrap();
        std::fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    }

    fn files(folder: &Path) -> TlsFiles {
        write(folder, "box-1");
        std::fs::copy(folder.join("certificate"), folder.join("ca")).unwrap();
        let path = |name: &str| Some(folder.join(name));
        TlsFiles { ca: path("ca"), crl: None, certificate: path("certificate"), key: path("key") }
    }

    #[test]
    fn files_are_replaced_when_all_of_them_are() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let first = print(&files);
        let mut looks = Looks { last: first.clone(), first };
        let mut replaced = || looks.show_others(print(&files)) && files.check().is_ok();
        assert!(!replaced() && !replaced(), "nothing has changed");
        // Half of a pair is no reason: with it no connection could be made.
        let key = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(folder.path().join("key"), key).unwrap();
        assert!(!replaced() && !replaced() && !replaced());
        write(folder.path(), "box-1");
        assert!(!replaced(), "a third file may follow");
        assert!(replaced());
        std::fs::remove_file(folder.path().join("key")).unwrap();
        assert!(!replaced() && !replaced());
    }

    #[tokio::test]
    async fn who_is_told_to_stop_stops() {
        let folder = tempfile::tempdir().unwrap();
        let (end, stop) = watch::channel(false);
        let (renewal, mut until) = Renewal::watch(files(folder.path()), &stop);
        end.send_replace(true);
        until.wait_for(|until| *until).await.unwrap();
        assert!(!renewal.came());
    }
}
