//! The command line: one file a subcommand. Reads files, environment and terminal so that nothing else has to.

mod answer;
#[cfg(feature = "provision")]
mod azure;
#[cfg(feature = "provision")]
mod capz;
mod check;
#[cfg(feature = "cluster")]
mod cluster_command;
mod completions;
mod crds;
#[cfg(feature = "cluster")]
mod diff;
mod environment;
mod explain;
mod input;
#[cfg(feature = "provision")]
mod internet;
#[cfg(feature = "provision")]
mod output;
#[cfg(feature = "cluster")]
mod release;
mod render;
mod report;
#[cfg(feature = "cluster")]
mod run;
#[cfg(feature = "cluster")]
mod settings_flags;
#[cfg(feature = "cluster")]
mod status;
#[cfg(feature = "cluster")]
mod target;
mod validate;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Wires the Azure identities of HyperShift hosted control planes.
#[derive(Debug, Parser)]
#[command(name = "hcp-identity", version, propagate_version = true, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Render(render::Args),
    Validate(validate::Args),
    #[cfg(feature = "cluster")]
    Diff(Box<diff::Args>),
    #[cfg(feature = "cluster")]
    Run(Box<run::Args>),
    #[cfg(feature = "cluster")]
    Status(status::Args),
    #[cfg(feature = "cluster")]
    Release(release::Args),
    Crds(crds::Args),
    Check(check::Args),
    Explain(explain::Args),
    #[cfg(feature = "provision")]
    Azure(azure::Args),
    #[cfg(feature = "provision")]
    Capz(capz::Args),
    Completions(completions::Args),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  findings: something in the input is refused, or an error text that nothing here explains
  2  usage, a vault that does not answer, or a file that cannot be read or written";

/// What a command came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Done,
    Findings,
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = match command {
        Command::Render(args) => render::run(&args),
        Command::Validate(args) => validate::run(&args),
        #[cfg(feature = "cluster")]
        Command::Diff(args) => diff::run(&args),
        #[cfg(feature = "cluster")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "cluster")]
        Command::Status(args) => status::run(&args),
        #[cfg(feature = "cluster")]
        Command::Release(args) => release::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        #[cfg(feature = "provision")]
        Command::Azure(args) => azure::run(&args),
        #[cfg(feature = "provision")]
        Command::Capz(args) => capz::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(error) => {
            report::fatal(&error);
            ExitCode::from(2)
        }
    }
}

/// The outcome of a command that found this.
fn outcome(count: report::Count) -> Outcome {
    if count.errors == 0 { Outcome::Done } else { Outcome::Findings }
}

/// The command line as data, for completions and tests.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

type CommandResult = Result<Outcome>;

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
