//! The committed list of devices is the one that the device files give.

use std::path::Path;
use std::process::Command;

#[test]
fn the_committed_list_of_devices_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = std::fs::read_to_string(root.join("docs/devices.md")).unwrap_or_default();
    let output = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .args(["profile", "devices"])
        .arg(root.join("device-profiles"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let generated = String::from_utf8(output.stdout).unwrap();
    assert!(
        committed.trim_end() == generated.trim_end(),
        "docs/devices.md is stale: run `cargo run -- profile devices > docs/devices.md`"
    );
}
