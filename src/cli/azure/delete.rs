//! `hcp-identity azure delete`.

use anyhow::Result;

use super::{
    flags::{Where, block_on, refused},
    journal::{Journal, tell},
};
use crate::{
    arm::Arm,
    cli::{CommandResult, Outcome, answer::OutputFormat, report},
    provision::{Names, is_storage_account},
};

/// Delete what the other commands have made for a cluster.
///
/// Custom roles, identities and role assignments, then the storage account: only what bears the mark of NAME, which is given to what is made and
/// to nothing that was there before, and whatever roles such an identity has. The resource group of the installation stays, as the installer
/// has filled it. Destroy the cluster first. Signs in as create-oidc-issuer does; the caller needs the roles "Contributor" and "User Access
/// Administrator" on the subscription, or "Owner".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure delete --name prod --subscription-id ID --dry-run
  hcp-identity azure delete --name prod --subscription-id ID --delete-oidc-resource-group")]
pub(super) struct Args {
    /// The name that was given when it was made: what is marked with it is deleted.
    #[arg(long, value_name = "NAME")]
    name: String,

    /// Taken because ccoctl requires it; nothing depends on it.
    #[arg(long, value_name = "REGION", default_value = "any", hide_default_value = true)]
    region: String,

    /// The resource group of issuer and identities; NAME-oidc without it.
    #[arg(long, value_name = "NAME")]
    oidc_resource_group_name: Option<String>,

    /// The storage account of the issuer; NAME without it, if an account can have that name.
    #[arg(long, value_name = "NAME")]
    storage_account_name: Option<String>,

    /// Delete the resource group as well, if nothing else is in it.
    #[arg(long)]
    delete_oidc_resource_group: bool,

    #[command(flatten)]
    place: Where,

    /// Show what would be deleted, and delete nothing.
    #[arg(long)]
    dry_run: bool,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

pub(super) fn run(args: &Args) -> CommandResult {
    tell(args.output, |journal| {
        let (names, account) = names(args)?;
        if account.is_none() {
            report::note(&format!(
                "no storage account is looked for: none can have the name {}; {NAME_IT}",
                names.name
            ));
        }
        let arm = args.place.reach()?;
        block_on(delete(&arm, &names, account, args, journal))??;
        Ok(Outcome::Done)
    })
}

const NAME_IT: &str = "name that of the issuer (--storage-account-name) to delete it";

/// With the account's, if there can be one. What is deleted has no need of a container's name.
fn names(args: &Args) -> Result<(Names, Option<&str>)> {
    let group = args.oidc_resource_group_name.as_deref();
    // A name that no account can have is refused only where it was given as one: NAME may be any.
    let of_name = Some(&*args.name).filter(|name| is_storage_account(name));
    let account = args.storage_account_name.as_deref().or(of_name);
    let names = Names::new(&args.name, &args.region, group, account.or(Some("any")), Some("any"));
    Ok((names.map_err(|bad| refused(&bad))?, account))
}

async fn delete(arm: &Arm, names: &Names, account: Option<&str>, args: &Args, journal: &mut Journal) -> Result<()> {
    let found = arm.belongings(names, account, args.delete_oidc_resource_group).await?;
    for kept in &found.kept {
        report::note(&format!("kept: {kept}"));
    }
    journal.left.clone_from(&found.kept);
    for doomed in &found.doomed {
        if args.dry_run {
            journal.step("planned", format!("delete {}", doomed.what))?;
        } else {
            journal.step(arm.destroy(doomed).await?, doomed.what.clone())?;
        }
    }
    if found.doomed.is_empty() && found.kept.is_empty() {
        report::note(&format!("there is nothing with the mark of {}", names.name));
    }
    Ok(())
}
