//! The committed JSON Schema is the one that the loader's types give. A schema that nobody runs
//! rots.

use std::path::Path;

#[test]
fn the_committed_schema_is_fresh() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles/schema/device-profile.v1.json");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let generated =
        serde_json::to_string_pretty(&wardgate::profile::schema::device_profile()).unwrap();
    assert!(
        committed.trim_end() == generated,
        "{} is stale: run `cargo run -- profile schema > {}`",
        path.display(),
        "device-profiles/schema/device-profile.v1.json"
    );
}
