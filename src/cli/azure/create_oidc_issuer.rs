//! `hcp-identity azure create-oidc-issuer`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};

use super::{
    flags::{DryRun, How, Naming, Where, block_on, id, refused, tags},
    journal::{Journal, tell},
};
use crate::{
    arm::{Arm, Change, Publication, See},
    azure::Access,
    cli::{CommandResult, Outcome, environment, input::read_secret, output::Folder},
    names::TenantId,
    provision::{
        Hosting, Issuer, KeySet, Mark, Names, PUBLIC, RETIRED, Resource, SigningKey, issuer_files, retired_files,
    },
};

/// Publish what Entra verifies a cluster's tokens with.
///
/// Makes a resource group, a storage account and a container or website in it, and uploads the discovery document and the keys. What is there is
/// kept, and keys that were published stay published beside the new one. Signs in as AZURE_CLIENT_ID of
/// AZURE_TENANT_ID with AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE; with
/// AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential as the machine; else as whoever has signed in with az or azd. No key of the account is used:
/// the caller needs the roles "Contributor" and "Storage Blob Data Contributor".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure create-oidc-issuer --name prod --region westeurope \\
    --subscription-id ID --tenant-id ID --dry-run
  hcp-identity azure create-oidc-issuer --name prod --region westeurope \\
    --subscription-id ID --tenant-id ID \\
    --issuer-hosting static-website   # where policies refuse public blobs
  hcp-identity azure create-oidc-issuer --name prod --region westeurope \\
    --subscription-id ID --tenant-id ID --retire-key KID   # a day after a rotation")]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) issuer: IssuerFlags,

    #[command(flatten)]
    pub(super) place: Where,

    #[command(flatten)]
    pub(super) how: How,
}

/// What create-all has as well.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IssuerFlags {
    #[command(flatten)]
    pub(super) naming: Naming,

    /// The tenant, by its id. It is written into manifests/azure-ad-pod-identity-webhook-config.yaml, for the cluster's webhook.
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(super) tenant_id: String,

    /// The public key of the cluster; without it, serviceaccount-signer.public of the output folder.
    #[arg(long, value_name = "FILE")]
    pub(super) public_key_file: Option<PathBuf>,

    /// The storage account of the issuer; NAME without it.
    #[arg(long, value_name = "NAME")]
    pub(super) storage_account_name: Option<String>,

    /// The container of the issuer; NAME without it.
    #[arg(long, value_name = "NAME")]
    pub(super) blob_container_name: Option<String>,

    /// Where the documents are published.
    #[arg(long, value_name = "HOSTING", value_enum, default_value_t = Hosted::Blob)]
    pub(super) issuer_hosting: Hosted,

    /// Publish the key with this id (`kid`) no more, once its tokens have all ended; may be repeated.
    #[arg(long, value_name = "KID", value_parser = key_id, allow_hyphen_values = true)]
    pub(super) retire_key: Vec<String>,
}

/// One in 64 ids begins with a hyphen. A flag in the place of an id would be taken for one, and do nothing.
fn key_id(value: &str) -> Result<String, String> {
    const LENGTH: usize = 43;
    if value.starts_with('-') && value.len() != LENGTH {
        return Err("it must be the id of a key".to_owned());
    }
    Ok(value.to_owned())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Hosted {
    /// In a container whose blobs everybody may read, as ccoctl does it.
    Blob,
    /// On the website of the account, whose blobs nobody may read.
    StaticWebsite,
}

/// What is to be published, where.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) mark: Mark,
    pub(super) resources: Vec<Resource>,
    pub(super) tenant: TenantId,
    hosting: Hosting,
    retired: Vec<String>,
}

pub(super) fn run(args: &Args) -> CommandResult {
    tell(args.how.output, |journal| create(args, journal))
}

fn create(args: &Args, journal: &mut Journal) -> CommandResult {
    let plan = args.issuer.plan()?;
    let folder = args.how.folder(&["manifests"])?;
    let key = args.issuer.key(&folder)?;
    journal.rehearsing(args.how.dry_run);
    if args.how.dry_run == DryRun::Client {
        show(&plan, &key, &args.place, &folder, journal)?;
    } else {
        let arm = args.place.reach_for(args.how.dry_run)?;
        block_on(publish(&plan, &key, &arm, &args.place, &folder, journal))??;
    }
    Ok(Outcome::Done)
}

impl IssuerFlags {
    pub(super) fn plan(&self) -> Result<Plan> {
        let Naming { name, region, oidc_resource_group_name: group, user_tags } = &self.naming;
        let (account, container) = (&self.storage_account_name, &self.blob_container_name);
        let hosting = match self.issuer_hosting {
            Hosted::Blob => Hosting::Blob,
            Hosted::StaticWebsite => Hosting::StaticWebsite,
        };
        // The website has a container of its own.
        let unused = (hosting == Hosting::StaticWebsite).then_some("web");
        let container = unused.or(container.as_deref());
        let names = Names::new(name, region, group.as_deref(), account.as_deref(), container);
        let names = names.map_err(|bad| refused(&bad))?;
        let mark = names.mark();
        let tags = tags(user_tags, &mark)?;
        let tenant = TenantId::new(self.tenant_id.clone()).map_err(|unfit| anyhow!("--tenant-id: it {unfit}"))?;
        Ok(Plan {
            resources: names.issuer(hosting, &tags),
            mark,
            names,
            hosting,
            tenant,
            retired: self.retire_key.clone(),
        })
    }

    /// The public key, from the file that is named or the one of create-key-pair.
    pub(super) fn key(&self, folder: &Folder) -> Result<SigningKey> {
        let (path, pem) = match &self.public_key_file {
            Some(path) => (path.clone(), read_secret(path)?),
            None => {
                let path = folder.path(PUBLIC);
                let pem = folder.read(PUBLIC)?;
                let missing = || {
                    format!(
                        "there is no {}: make it first (hcp-identity azure create-key-pair), or name another one (--public-key-file)",
                        path.display()
                    )
                };
                let pem = pem.with_context(missing)?;
                (path, pem)
            }
        };
        SigningKey::read(pem.expose()).map_err(|unusable| anyhow!("{} {unusable}", path.display()))
    }
}

impl Plan {
    /// The issuer, where its name is known without asking.
    pub(super) fn issuer(&self, cloud: &str) -> Result<Option<Issuer>> {
        if self.hosting == Hosting::StaticWebsite {
            return Ok(None);
        }
        let access = Access::of(environment::variable);
        let blobs = access.blob_suffix_of(cloud);
        let blobs = blobs.with_context(|| {
            format!(
                "where blobs of {cloud} are is not known: set HCP_IDENTITY_BLOB_SUFFIX, such as blob.core.windows.net"
            )
        })?;
        Ok(Some(Issuer::of_container(&self.names.storage_account, &self.names.container, blobs)?))
    }

    fn check_retired(&self, key: &SigningKey) -> Result<()> {
        let id = key.id();
        if self.retired.contains(&id) {
            bail!(
                "--retire-key: {id} is the key that is published for the cluster to sign with; make another pair (azure create-key-pair --rotate), \
                 publish it, and retire this one once its tokens have ended"
            );
        }
        Ok(())
    }

    /// Those of which the folder still has the retired pair.
    fn retired_before(&self, folder: &Folder) -> Result<Vec<String>> {
        let there = folder.list(RETIRED, ".public")?;
        Ok(self.retired.iter().filter(|id| there.contains(&retired_files(id)[1])).cloned().collect())
    }
}

/// Without a call.
pub(super) fn show(plan: &Plan, key: &SigningKey, place: &Where, folder: &Folder, journal: &mut Journal) -> Result<()> {
    plan.check_retired(key)?;
    for resource in &plan.resources {
        journal.step("planned", resource.to_string())?;
    }
    let issuer = plan.issuer(&place.cloud)?;
    for document in documents(issuer.as_ref()) {
        journal.step("planned", document)?;
    }
    let keys = folder.keys("jwks", key, &plan.retired)?;
    write(plan, issuer.as_ref(), &keys, folder, journal)
}

/// As they are told.
fn documents(issuer: Option<&Issuer>) -> [String; 2] {
    [Issuer::KEYS, Issuer::DISCOVERY]
        .map(|path| issuer.map_or_else(|| format!("{path} of {UNKNOWN}"), |issuer| issuer.below(path)))
}

/// The issuer; none only in a rehearsal, where Azure has not chosen its host yet.
pub(super) async fn publish(
    plan: &Plan,
    key: &SigningKey,
    arm: &Arm,
    place: &Where,
    folder: &Folder,
    journal: &mut Journal,
) -> Result<Option<Issuer>> {
    plan.check_retired(key)?;
    let retired_before = plan.retired_before(folder)?;
    for resource in &plan.resources {
        journal.step(arm.ensure(resource, &plan.mark).await?, resource.to_string())?;
    }
    let names = &plan.names;
    let issuer = match plan.issuer(&place.cloud)? {
        Some(issuer) => Some(issuer),
        None => {
            let website = arm.website_of(&names.oidc_group, &names.storage_account).await?;
            website.map(|url| Issuer::new(&url)).transpose()?
        }
    };
    let Some(issuer) = issuer else {
        for document in documents(None) {
            journal.step(Change::Created, document)?;
        }
        write(plan, None, &KeySet::of(key), folder, journal)?;
        return Ok(None);
    };
    let publication = Publication {
        resource_group: &names.oidc_group,
        storage_account: &names.storage_account,
        container: (plan.hosting == Hosting::Blob).then_some(names.container.as_str()),
        issuer: &issuer,
        key,
        retired: &plan.retired,
        retired_before: &retired_before,
    };
    let keys = journal.follow(async |see: See<'_>| arm.publish(&publication, see).await).await?;
    arm.verify(&issuer, &keys).await?;
    write(plan, Some(&issuer), &keys, folder, journal)?;
    Ok(Some(issuer))
}

/// What names an issuer that is not known is not written.
fn write(plan: &Plan, issuer: Option<&Issuer>, keys: &KeySet, folder: &Folder, journal: &mut Journal) -> Result<()> {
    let not_known = Issuer::new(NOT_KNOWN)?;
    for file in issuer_files(issuer.unwrap_or(&not_known), &plan.tenant, keys)? {
        let path = folder.path(&file.path);
        if file.text.contains(NOT_KNOWN) && !folder.is_rehearsed() {
            journal.left_out(&path, UNKNOWN)?;
        } else {
            journal.file(folder.put(&file)?, &path)?;
        }
    }
    journal.issuer = issuer.map(ToString::to_string);
    journal.key_ids = keys.ids().into_iter().map(str::to_owned).collect();
    Ok(())
}

/// What the issuer of a website is called until Azure has said its host.
pub(super) const NOT_KNOWN: &str = "https://not-known-yet.invalid";
const UNKNOWN: &str = "the issuer, whose host Azure chooses";
