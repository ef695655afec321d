//! `hcp-identity`: parse, dispatch, exit code. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hcp_identity::cli::main()
}
