//! CONTRIBUTING.md's walk from a capture to a forwarded value, done as it is written: its files are
//! written, its commands typed, their output compared, and the value must arrive in a core.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Block {
    /// `Some(path)` for a file, `None` for a session.
    file: Option<String>,
    lines: Vec<String>,
}

/// The fenced blocks that name a file or are a session, in order.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => block.lines.push(line.to_owned()),
            (None, Some(head)) => {
                let file = head.split_once("file=").map(|(_, file)| file.to_owned());
                if file.is_some() || head == "console" {
                    open = Some(Block { file, lines: Vec::new() });
                }
            }
            (None, None) => {}
        }
    }
    blocks
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_wardgate")).parent().unwrap().to_owned()
}

/// Types one command into a shell and gives its output.
fn typed(command: &str, folder: &Path) -> String {
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "$ {command}\n{text}{errors}");
    text
}

/// `...` stands for any lines.
fn assert_session(block: &Block, folder: &Path) {
    let mut lines = block.lines.iter().peekable();
    while let Some(line) = lines.next() {
        let command = line.strip_prefix("$ ").expect("a session begins with a command");
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected.push(line.trim_end());
        }
        let text = typed(command, folder);
        let mut got = text.lines().map(str::trim_end);
        let mut skipping = false;
        for wanted in expected {
            if wanted == "..." {
                skipping = true;
            } else if skipping {
                assert!(got.any(|line| line == wanted), "$ {command}\nno {wanted:?} in\n{text}");
                skipping = false;
            } else {
                assert_eq!(got.next(), Some(wanted), "$ {command}\n{text}");
            }
        }
        assert!(skipping || got.next().is_none(), "$ {command}\nmore than written:\n{text}");
    }
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_walk_leads_to_a_forwarded_value() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy_folder(&root.join("device-profiles"), &folder.join("device-profiles"));
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let blocks = blocks(&text);
    assert!(blocks.len() >= 8, "only {} blocks", blocks.len());

    let store = folder.join("stored.jsonl");
    let mut core = Command::new(programs().join("wardgate-hil"))
        .args(["core", "--listen", "127.0.0.1:0", "--store"])
        .arg(&store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(core.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let _core = Running(core);
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();

    for block in &blocks {
        match &block.file {
            Some(file) => {
                let path = folder.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                // The stand-in core listens on a free port instead of the one that is written.
                let port = format!("port = {}", ready["port"]);
                let content = block.lines.join("\n").replace("port = 1883", &port) + "\n";
                std::fs::write(path, content).unwrap();
            }
            None => assert_session(block, folder),
        }
    }

    typed("wardgate check --config bench.toml", folder);
    let gateway = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .args(["run", "--config", "bench.toml"])
        .current_dir(folder)
        .spawn()
        .unwrap();
    let _gateway = Running(gateway);
    let deadline = Instant::now() + Duration::from_secs(30);
    let (id, last) = loop {
        let stored = std::fs::read_to_string(&store).unwrap_or_default();
        let records: Vec<serde_json::Value> =
            stored.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let spo2 = |record: &serde_json::Value| {
            let metrics = record.pointer("/record/data/metrics")?.as_array()?.clone();
            let metric = metrics.iter().find(|one| one["parameter"] == "spo2")?;
            Some((record["record"]["id"].as_str()?.to_owned(), metric.clone()))
        };
        let found: Vec<_> = records.iter().filter_map(spo2).collect();
        if found.len() == 4 {
            break found.last().unwrap().clone();
        }
        assert!(Instant::now() < deadline, "only {} observations came: {stored}", found.len());
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((&last["value"], &last["mdc_code"]), (&"95".into(), &150456.into()));
    let explained = typed(&format!("wardgate explain {id} --config bench.toml"), folder);
    assert!(explained.contains("kuusi/ox-7") && explained.contains("#OX;95;70"), "{explained}");
}
