//! The demo's processes: each in a process group of its own, each killed when the demo ends,
//! however it ends. Standard output and error of each go to files in the demo's folder.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid};

use super::watch::Watch;
use super::{Error, LOOK_EVERY};

/// How much of a child's last words is shown.
const LAST_WORDS_LINES: usize = 12;

/// `wardgate-hil leashed`: becomes another program that is killed as soon as its parent ends.
#[derive(Args, Clone, Debug)]
pub struct Leash {
    /// The process that must live.
    #[arg(long)]
    parent: i32,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// Does not return unless it failed.
pub fn leashed(leash: &Leash) -> std::io::Error {
    if let Err(error) = set_pdeathsig(Signal::SIGKILL) {
        return error.into();
    }
    // The parent may have ended before the line above.
    if getppid() != Pid::from_raw(leash.parent) {
        return std::io::Error::other("the parent has ended");
    }
    let Some((program, arguments)) = leash.command.split_first() else {
        return std::io::ErrorKind::InvalidInput.into();
    };
    Command::new(program).args(arguments).exec()
}

/// The children by name.
pub struct Children {
    folder: PathBuf,
    running: Vec<Running>,
}

struct Running {
    name: String,
    child: Child,
    /// Held open: several children end when it is closed.
    input: Option<ChildStdin>,
}

impl Children {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, running: Vec::new() }
    }

    /// Starts a program under the given name.
    pub fn start(
        &mut self,
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<(), Error> {
        let failed = |error| Error::Io(format!("cannot start {name}"), error);
        let file = |end: &str| File::create(self.folder.join(format!("{name}.{end}")));
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["leashed", "--parent", &std::process::id().to_string(), "--"])
            .arg(program)
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file("out").map_err(failed)?)
            .stderr(file("err").map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let input = child.stdin.take();
        self.running.push(Running { name: name.to_owned(), child, input });
        Ok(())
    }

    /// The process id of a child.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.running.iter().find(|one| one.name == name).map(|one| one.child.id())
    }

    /// Says `go` to every child. Those that do not wait for it do not read it.
    pub fn say_go(&mut self) -> Result<(), Error> {
        for running in &mut self.running {
            if let Some(input) = &mut running.input {
                let said = input.write_all(b"go\n").and_then(|()| input.flush());
                said.map_err(|error| {
                    Error::Io(format!("cannot tell {} to go", running.name), error)
                })?;
            }
        }
        Ok(())
    }

    /// An error with the last words of the first child that has ended.
    pub fn all_running(&mut self) -> Result<(), Error> {
        let names: Vec<String> = self.running.iter().map(|one| one.name.clone()).collect();
        self.running(names.iter().map(String::as_str))
    }

    /// Likewise for these children.
    pub fn running<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        for name in names {
            let Some(running) = self.running.iter_mut().find(|one| one.name == name) else {
                continue;
            };
            let ended = running.child.try_wait();
            let ended = ended.map_err(|error| Error::Io(name.to_owned(), error))?;
            if let Some(status) = ended {
                let words = last_words(&self.folder, name);
                return Err(Error::Child(format!("{name} has ended ({status}): {words}")));
            }
        }
        Ok(())
    }

    /// Asks these children to stop and waits until they have. One that ends badly is an error.
    pub async fn stop<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
        within: Duration,
    ) -> Result<(), Error> {
        let names: Vec<&str> = names.into_iter().collect();
        let (mut stopping, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|one| names.contains(&one.name.as_str()));
        self.running = others;
        stopping.iter().for_each(|running| running.signal(Signal::SIGTERM));
        let end = Instant::now() + within;
        let mut outcome = Ok(());
        while let Some(running) = stopping.last_mut() {
            match running.child.try_wait() {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => {
                    let words = last_words(&self.folder, &running.name);
                    let name = &running.name;
                    outcome = Err(Error::Child(format!("{name} ended badly ({status}): {words}")));
                }
                Ok(None) if Instant::now() < end => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                Ok(None) => {
                    let name = &running.name;
                    outcome = Err(Error::Late(format!("{name} did not stop within {within:?}")));
                    running.kill();
                }
                Err(error) => outcome = Err(Error::Io(running.name.clone(), error)),
            }
            stopping.pop();
        }
        outcome
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.running.iter_mut().for_each(Running::kill);
    }
}

impl Running {
    /// To the whole group. That it is gone already is no error.
    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }

    fn kill(&mut self) {
        // A child that was waited for may have given its id to another: nothing is sent to it.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn last_words(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join(format!("{name}.err"))).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LAST_WORDS_LINES)..).unwrap_or_default();
    if last.is_empty() { "it said nothing".to_owned() } else { last.join("\n") }
}

/// The gateway's binary beside this program; under cargo it is built first, with the same profile.
pub fn built_gateway(watch: &Watch) -> Result<PathBuf, Error> {
    let own = std::env::current_exe()
        .map_err(|error| Error::Io("this program's own path".to_owned(), error))?;
    let folder = own.parent().unwrap_or(Path::new("."));
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        watch.say("building the gateway");
        let mut build = Command::new(cargo);
        // What `cargo run` tells this program about itself must not reach the build: some build
        // scripts depend on it, and half the tree would be built again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
                .iter()
                .any(|one| text.starts_with(one))
            {
                build.env_remove(&name);
            }
        }
        let built = build
            .args(["build", "--quiet", "--workspace", "--bins"])
            .args(["--profile", profile])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
            // What cargo says is for people; standard output may be read by a program.
            .stdout(Stdio::null())
            .status()
            .map_err(|error| Error::Io("cargo".to_owned(), error))?;
        if !built.success() {
            return Err(Error::Child("the gateway could not be built".to_owned()));
        }
    }
    let binary = folder.join("wardgate");
    if binary.is_file() {
        return Ok(binary);
    }
    let words = format!(
        "no gateway at {}: run `cargo build --package wardgate`, or name it with --gateway",
        binary.display()
    );
    Err(Error::Child(words))
}
