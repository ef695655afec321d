//! `hcp-identity capz`: management clusters of Cluster API on Azure, one file a subcommand.

mod check;
mod wire;

use super::CommandResult;

/// Run Cluster API on Azure (CAPZ) without secrets.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Wire(wire::Args),
    Check(check::Args),
}

pub(super) fn run(args: &Args) -> CommandResult {
    match &args.what {
        What::Wire(args) => wire::run(args),
        What::Check(args) => check::run(args),
    }
}
