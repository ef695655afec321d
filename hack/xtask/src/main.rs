//! `cargo xtask`: checks and generators of this repository that need more than a shell line.

mod new_case;
mod purity;

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask <task>

  purity               prove from the dependency graph that the core without features is offline
  bless                write the expected output of every golden case; then read the diff
  gen                  write the manifests that are made of the code
  check-gen            fail where the committed ones differ
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
        ["gen"] => generated(Generated::Written),
        ["check-gen"] => generated(Generated::Compared),
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
            "--test",
            "manifests",
            "--test",
            "workload_identity",
            "--test",
            "capz",
            "--test",
            "tutorials",
        ])
        .env("HCP_IDENTITY_BLESS", "1")
        .status()?;
    if !status.success() {
        bail!("the golden tests failed for another reason than their expected output");
    }
    Ok(())
}

/// What becomes of what the code makes.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Generated {
    Written,
    Compared,
}

/// Runs the test that makes the roles of `manifests/`.
fn generated(generated: Generated) -> Result<()> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--quiet", "--test", "manifests", "the_roles_are_made_of_the_table_of_accesses"]);
    match generated {
        Generated::Written => test.env("HCP_IDENTITY_BLESS", "1"),
        Generated::Compared => test.env_remove("HCP_IDENTITY_BLESS"),
    };
    if !test.status()?.success() {
        bail!("manifests/ is not what the code makes; run `cargo xtask gen` and read the diff");
    }
    Ok(())
}
