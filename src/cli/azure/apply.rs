//! `hcp-identity azure apply`.

use anyhow::Result;

use super::{
    flags::{DryRun, Where, block_on, id},
    journal::{Journal, tell},
    plan,
};
use crate::{
    arm::{Arm, See},
    cli::{CommandResult, Outcome, answer::OutputFormat, input::Sources, report},
    clouds,
    provision::{Clouds, FederatedIdentity},
};

/// Create the federated credentials that HostedClusters with workload identities need.
///
/// They are those that `plan` lists, on the identities that the HostedClusters name, which must be there: `hypershift create iam azure` makes
/// them. What is there already is kept, under whatever name; nothing is changed or deleted. Where a HostedCluster is refused, or is of another
/// cloud than the others, nothing is done for any.
/// Signs in as create-oidc-issuer does; the caller needs the role "Managed Identity Contributor".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure apply -f hostedcluster.yaml --subscription-id ID --dry-run=server
  kubectl get hostedclusters -A -o yaml | hcp-identity azure apply --subscription-id ID")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// The subscription, by its id.
    #[arg(long, value_name = "ID", value_parser = id)]
    subscription_id: String,

    /// The cloud of the subscription; that of the HostedClusters without it.
    #[arg(long, value_name = "CLOUD", value_parser = clouds::NAMES)]
    cloud: Option<String>,

    /// Show what would be made: with `client`, or no value, all that must exist, without asking Azure for anything; with `server`
    /// what would become of it, beside what is there.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = DryRun::None, default_missing_value = "client", num_args = 0..=1, require_equals = true)]
    dry_run: DryRun,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

pub(super) fn run(args: &Args) -> CommandResult {
    tell(args.output, |journal| create(args, journal))
}

fn create(args: &Args, journal: &mut Journal) -> CommandResult {
    let clouds = Clouds::One(args.cloud.clone());
    let found = |finding| journal.found(finding);
    let (identities, summary, count) = plan::read(&args.sources, clouds, plan::Issuers::Unasked, args.output, found)?;
    if count.errors > 0 {
        return Ok(Outcome::Findings);
    }
    if identities.is_empty() && args.output == OutputFormat::Text {
        report::note(&plan::told(&summary, &identities));
    }
    journal.rehearsing(args.dry_run);
    if args.dry_run == DryRun::Client || identities.is_empty() {
        show(&identities, journal)?;
    } else {
        let arm = args.place(&identities).reach_for(args.dry_run)?;
        block_on(apply(&identities, &arm, journal))??;
    }
    Ok(Outcome::Done)
}

impl Args {
    fn place(&self, identities: &[FederatedIdentity]) -> Where {
        let cloud = identities.first().map(|identity| identity.cloud.to_string()).unwrap_or_default();
        Where { subscription_id: self.subscription_id.clone(), cloud }
    }
}

fn show(identities: &[FederatedIdentity], journal: &mut Journal) -> Result<()> {
    for identity in identities {
        let name = identity.name.as_deref().unwrap_or(&identity.client_id);
        for credential in &identity.federated_credentials {
            journal.step("planned", format!("federated credential {} of {name}", credential.name))?;
        }
    }
    Ok(())
}

async fn apply(identities: &[FederatedIdentity], arm: &Arm, journal: &mut Journal) -> Result<()> {
    journal.follow(async |see: See<'_>| arm.apply_credentials(identities, see).await).await
}
