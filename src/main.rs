//! The command line; see `wardgate --help`.

/// A message is a few hundred small texts, made in a device's task and freed in the committer's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    wardgate::cli::main()
}
