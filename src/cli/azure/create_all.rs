//! `hcp-identity azure create-all`.

use anyhow::Result;

use super::{
    create_key_pair,
    create_managed_identities::{self, IdentityFlags},
    create_oidc_issuer::{self, IssuerFlags},
    flags::{How, Where, block_on},
    journal::Journal,
};
use crate::{
    arm::Arm,
    cli::{CommandResult, Outcome, output::Folder},
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

/// What the issuer of a website is until Azure has said its host: never written, never sent.
const UNKNOWN: &str = "https://issuer.invalid";

pub(super) fn run(args: &Args) -> CommandResult {
    let issuer = args.issuer.plan()?;
    let names = &issuer.names;
    let given =
        Given { name: &names.name, region: &names.region, oidc_group: Some(&names.oidc_group), ..Given::default() };
    let known = issuer.issuer(&args.place.cloud)?;
    let placeholder = known.map_or_else(|| Issuer::new(UNKNOWN), Ok)?;
    // Nothing is made where a request is refused.
    let identities = args.identities.plan(&given, &placeholder, &args.issuer.naming.user_tags, args.how.output)?;
    let Some(mut identities) = identities else { return Ok(Outcome::Findings) };

    let folder = Folder::take(&args.how.output_dir, &["manifests", "tls"])?;
    let mut journal = Journal::new(args.how.output);
    let Some(key) = keys(args, &folder, &mut journal)? else { return Ok(Outcome::Findings) };
    let done = if args.how.dry_run {
        create_oidc_issuer::show(&issuer, &key, &args.place, &folder, &mut journal)
            .and_then(|()| create_managed_identities::show(&identities, &args.place, &folder, &mut journal))
    } else {
        let mut all = async |arm: &Arm, journal: &mut Journal| {
            let issuer = create_oidc_issuer::publish(&issuer, &key, arm, &args.place, &folder, journal).await?;
            identities.identities.set_issuer(&issuer);
            create_managed_identities::make(&identities, arm, &args.place, &folder, journal).await
        };
        args.place.reach().and_then(|arm| block_on(all(&arm, &mut journal))?)
    };
    journal.finish(done)?;
    Ok(Outcome::Done)
}

/// The public key, of a pair that is made if it is not there; none where what is there is no pair, which is told then.
fn keys(args: &Args, folder: &Folder, journal: &mut Journal) -> Result<Option<SigningKey>> {
    if args.issuer.public_key_file.is_none() {
        let pair = create_key_pair::create(folder, false)?;
        if !pair.is_pair() {
            pair.tell_problems(&args.how.output_dir);
            return Ok(None);
        }
        for file in pair.files {
            journal.file(file.change, &file.path)?;
        }
    }
    args.issuer.key(folder).map(Some)
}
