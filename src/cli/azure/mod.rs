//! `hcp-identity azure`: what `ccoctl azure` does, one file a subcommand.

mod apply;
mod create_all;
mod create_key_pair;
mod create_managed_identities;
mod create_oidc_issuer;
mod delete;
mod flags;
mod journal;
mod plan;

#[cfg(feature = "cluster")]
pub(super) use flags::{Where, block_on};

use super::CommandResult;

/// Prepare Azure for a cluster that signs its own tokens.
///
/// For an OpenShift cluster: create-all, or create-key-pair, create-oidc-issuer and create-managed-identities one after another, and delete, with the
/// flags, defaults and files of `ccoctl azure`. For a HostedCluster with workload identities: plan and apply. What changes Azure has --dry-run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure create-all --name prod --region westeurope \\
    --subscription-id ID --tenant-id ID --credentials-requests-dir requests --output-dir out \\
    --dry-run
  hcp-identity azure plan -f hostedcluster.yaml
  hcp-identity azure create-oidc-issuer --help")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    CreateKeyPair(create_key_pair::Args),
    #[command(visible_alias = "create-identity-provider")]
    CreateOidcIssuer(Box<create_oidc_issuer::Args>),
    CreateManagedIdentities(Box<create_managed_identities::Args>),
    CreateAll(Box<create_all::Args>),
    Delete(delete::Args),
    Plan(plan::Args),
    Apply(apply::Args),
}

pub(super) fn run(args: &Args) -> CommandResult {
    match &args.what {
        What::Apply(args) => apply::run(args),
        What::CreateKeyPair(args) => create_key_pair::run(args),
        What::CreateOidcIssuer(args) => create_oidc_issuer::run(args),
        What::CreateManagedIdentities(args) => create_managed_identities::run(args),
        What::CreateAll(args) => create_all::run(args),
        What::Delete(args) => delete::run(args),
        What::Plan(args) => plan::run(args),
    }
}
