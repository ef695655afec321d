//! `hcp-identity azure create-all`.

use anyhow::Result;

use super::{
    create_key_pair,
    create_managed_identities::{self, IdentityFlags},
    create_oidc_issuer::{self, IssuerFlags, NOT_KNOWN},
    flags::{DryRun, How, Where, block_on},
    journal::{Journal, tell},
};
use crate::{
    cli::{CommandResult, Outcome, answer::OutputFormat, output::Folder},
    provision::{Given, Issuer, SigningKey},
};

/// Make the keys of a cluster, publish its issuer, and make its identities.
///
/// What create-key-pair, create-oidc-issuer and create-managed-identities do, one after another; with --public-key-file no keys are made.
/// A run that was ended is completed by the next one. Signs in as create-oidc-issuer does; the caller needs the roles "Owner" and "Storage Blob Data Contributor".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oc adm release extract --credentials-requests --cloud=azure --to=requests RELEASE
  hcp-identity azure create-all --name prod --region westeurope \\
    --subscription-id ID --tenant-id ID --credentials-requests-dir requests --output-dir out \\
    --dry-run
  hcp-identity azure create-all --name prod --region westeurope \\
    --subscription-id ID --tenant-id ID --credentials-requests-dir requests --output-dir out \\
    --issuer-hosting static-website   # where policies refuse public blobs")]
pub(super) struct Args {
    #[command(flatten)]
    issuer: IssuerFlags,

    #[command(flatten)]
    identities: IdentityFlags,

    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    how: How,
}

pub(super) fn run(args: &Args) -> CommandResult {
    tell(args.how.output, |journal| create(args, journal))
}

fn create(args: &Args, journal: &mut Journal) -> CommandResult {
    let issuer = args.issuer.plan()?;
    let names = &issuer.names;
    let given =
        Given { name: &names.name, region: &names.region, oidc_group: Some(&names.oidc_group), ..Given::default() };
    let known = issuer.issuer(&args.place.cloud)?;
    let placeholder = known.map_or_else(|| Issuer::new(NOT_KNOWN), Ok)?;
    // Nothing is made where a request is refused.
    let identities = args.identities.plan(&given, &placeholder, &args.issuer.naming.user_tags, journal)?;
    let Some(mut identities) = identities else { return Ok(Outcome::Findings) };

    let folder = args.how.folder(&["manifests", "tls"])?;
    journal.rehearsing(args.how.dry_run);
    let Some(key) = keys(args, &folder, journal)? else { return Ok(Outcome::Findings) };
    if args.how.dry_run == DryRun::Client {
        create_oidc_issuer::show(&issuer, &key, &args.place, &folder, journal)?;
        create_managed_identities::show(&identities, &args.place, &folder, journal)?;
        return Ok(Outcome::Done);
    }
    let arm = args.place.reach_for(args.how.dry_run)?;
    block_on(async {
        let published = create_oidc_issuer::publish(&issuer, &key, &arm, &args.place, &folder, journal).await?;
        if let Some(published) = &published {
            identities.identities.set_issuer(published);
        }
        create_managed_identities::make(&identities, Some(&issuer.tenant), &arm, &args.place, &folder, journal).await
    })??;
    Ok(Outcome::Done)
}

/// The public key, of a pair that is made if it is not there; none where what is there is no pair, which is told then.
fn keys(args: &Args, folder: &Folder, journal: &mut Journal) -> Result<Option<SigningKey>> {
    if args.issuer.public_key_file.is_some() {
        return args.issuer.key(folder).map(Some);
    }
    let pair = create_key_pair::create(folder, false)?;
    if journal.form == OutputFormat::Text {
        pair.tell_problems(&args.how.output_dir);
    }
    for file in pair.files {
        journal.file(file.change, &file.path)?;
    }
    journal.problems = pair.problems;
    if pair.key_id.is_none() {
        journal.rehearsed_key = pair.public.as_ref().map(SigningKey::id);
    }
    Ok(pair.public)
}
