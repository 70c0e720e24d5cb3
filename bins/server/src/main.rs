//! The program `transom`.

use std::process::ExitCode;

fn main() -> ExitCode {
    transom_server::cli::main()
}
