//! The `smlc` binary: everything is in the library's `cli`.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
