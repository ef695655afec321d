//! `hcp-identity check`: one file a thing that can be checked.

#[cfg(feature = "cluster")]
mod cluster;
mod credential;
mod expected;
#[cfg(feature = "vault")]
mod vault;

use super::CommandResult;

/// Check whether something works, and say everything that is wrong with it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Credential(credential::Args),
    #[cfg(feature = "cluster")]
    Cluster(Box<cluster::Args>),
    #[cfg(feature = "vault")]
    Vault(vault::Args),
}

pub(super) fn run(args: &Args) -> CommandResult {
    match &args.what {
        What::Credential(args) => credential::run(args),
        #[cfg(feature = "cluster")]
        What::Cluster(args) => cluster::run(args),
        #[cfg(feature = "vault")]
        What::Vault(args) => vault::run(args),
    }
}
