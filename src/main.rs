//! The command line; see `wardgate --help`.

fn main() -> std::process::ExitCode {
    wardgate::cli::main()
}
