//! `cargo xtask`: checks and generators of this repository that need more than a shell line.

mod new_case;
mod purity;

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask <task>

  purity               prove from the dependency graph that the core without features is offline
  bless                write the expected output of every golden case; then read the diff
  new-case AREA NAME   start a golden case in testdata/AREA/NAME from the valid HostedCluster";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command line")]
            {
                eprintln!("xtask: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["purity"] => purity::check(),
        ["bless"] => bless(),
        ["new-case", area, name] => new_case::create(area, name),
        _ => bail!("unknown task\n{USAGE}"),
    }
}

/// Runs the golden tests in the mode that writes what they would compare.
fn bless() -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args([
            "test",
            "--quiet",
            "--test",
            "render",
            "--test",
            "validate",
            "--test",
            "components",
            "--test",
            "readme",
            "--test",
            "explain",
        ])
        .env("HCP_IDENTITY_BLESS", "1")
        .status()?;
    if !status.success() {
        bail!("the golden tests failed for another reason than their expected output");
    }
    Ok(())
}
