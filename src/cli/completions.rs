//! `hcp-identity completions`.

use std::io;

use clap_complete::Shell;

use super::{CommandResult, Outcome, command, report};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(hcp-identity completions bash)
  hcp-identity completions zsh > \"${fpath[1]}/_hcp-identity\"")]
pub(super) struct Args {
    shell: Shell,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "hcp-identity", &mut script);
    io::Write::write_all(&mut io::stdout(), &script).or_else(report::unless_reader_left)?;
    Ok(Outcome::Done)
}
