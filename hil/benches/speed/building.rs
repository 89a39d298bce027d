//! The gateway is no part of this package: cargo is asked for it, with the profile of the bench.

/// Builds the gateway beside what is running.
///
/// # Errors
/// Cargo does not start, or the gateway does not build.
pub fn build_gateway() -> Result<(), String> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let mut build = std::process::Command::new(cargo);
    // What cargo says about this package must not reach the build of another.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|one| text.starts_with(one)) {
            build.env_remove(&name);
        }
    }
    build.args(["build", "--quiet", "--workspace", "--bins"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    build.arg("--manifest-path");
    build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let built = build.status().map_err(|error| error.to_string())?;
    if built.success() { Ok(()) } else { Err("the gateway could not be built".to_owned()) }
}
