//! The `smlc` binary: everything is in the library's `cli`.

fn main() -> std::process::ExitCode {
    smlc::cli::main()
}
