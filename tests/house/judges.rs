//! The corpus and the judges in Python: where they are, and what happens when they are missing.

use std::path::PathBuf;
use std::process::Command;

use super::repository;

/// Skipping is an error where everything has to be there.
fn missing(name: &str, what: &str) {
    assert!(std::env::var_os("WARDGATE_NO_SKIP").is_none_or(|set| set != "1"), "{name}: {what}");
    println!("SKIPPED {name}: {what}");
}

/// The captured files, or `None` after saying that the test is skipped.
pub fn corpus(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("WARDGATE_CORPUS").map(PathBuf::from);
    let path = repository().join(given.unwrap_or_else(|| PathBuf::from("../shared/corpus")));
    if path.is_dir() {
        return Some(path);
    }
    missing(name, "corpus not found");
    None
}

/// A Python with the judges' packages, or `None` after saying that the test is skipped.
pub fn python(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("WARDGATE_PYTHON").map(PathBuf::from);
    let path = repository().join(given.unwrap_or_else(|| PathBuf::from("target/venv/bin/python")));
    if path.exists() {
        return Some(path);
    }
    missing(name, "no Python with the judges' packages");
    None
}

/// The folder of the judges in node, or `None` after saying that the test is skipped.
pub fn node_modules(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("WARDGATE_NODE_MODULES").map(PathBuf::from);
    let path = given.unwrap_or_else(|| PathBuf::from("target/node/node_modules"));
    let path = repository().join(path);
    if path.is_dir() && Command::new("node").arg("--version").output().is_ok() {
        return Some(path);
    }
    missing(name, "no node with the judges' packages");
    None
}

/// The Mosquitto broker, or `None` after saying that the test is skipped.
pub fn mosquitto(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("WARDGATE_MOSQUITTO").map(PathBuf::from);
    let path = given.unwrap_or_else(|| PathBuf::from("/usr/sbin/mosquitto"));
    if path.exists() {
        return Some(path);
    }
    missing(name, "no mosquitto");
    None
}

/// A judge, ready to get its arguments.
pub fn judge(python: &PathBuf, script: &str) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(repository().join("tests/judges").join(script));
    command
}
