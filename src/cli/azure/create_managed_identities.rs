//! `hcp-identity azure create-managed-identities`.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use super::{
    flags::{DryRun, How, Naming, Where, block_on, refused, tags},
    journal::{Journal, tell},
};
use crate::{
    arm::{Arm, OldRoles, See},
    cli::{
        CommandResult, Outcome,
        input::Sources,
        output::{self, Folder},
        report::{Form, Report, To},
    },
    names::TenantId,
    provision::{Cluster, CredentialsRequests, Given, Identity, IdentityPlan, Issuer, Mark, TechPreview},
};

/// Make the identities that the components of a cluster sign in with.
///
/// For each CredentialsRequest of a release: a managed identity, a custom role if it asks for permissions, its roles on the resource groups of
/// the cluster, a federated credential for each of its service accounts, and the Secret that its component looks for. What is there is kept
/// or made so, and a run that was ended is completed by the next one. Signs in as create-oidc-issuer does; the caller needs the roles
/// "Contributor" and "User Access Administrator" on the subscription, or "Owner".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oc adm release extract --credentials-requests --cloud=azure --to=requests RELEASE
  hcp-identity azure create-managed-identities --name prod --region westeurope \\
    --subscription-id ID --credentials-requests-dir requests \\
    --issuer-url https://prod.blob.core.windows.net/prod --dry-run
  hcp-identity azure create-managed-identities --name prod --region westeurope \\
    --subscription-id ID --credentials-requests-dir requests \\
    --issuer-url https://prod.blob.core.windows.net/prod \\
    --dnszone-resource-group-name dns -o json | jq -r '.steps[].what'")]
pub(super) struct Args {
    #[command(flatten)]
    naming: Naming,

    /// The issuer of the cluster's tokens, exactly as they name it: a slash at its end counts.
    #[arg(long, value_name = "URL")]
    issuer_url: String,

    #[command(flatten)]
    identities: IdentityFlags,

    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    how: How,
}

/// What create-all has as well.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IdentityFlags {
    /// Folder of the release's CredentialsRequests (.yaml, .yml and .json files, not deeper).
    #[arg(long, value_name = "DIR")]
    credentials_requests_dir: PathBuf,

    /// The resource group of the cluster, which the installer wants empty; NAME without it.
    #[arg(long, value_name = "NAME")]
    installation_resource_group_name: Option<String>,

    /// The resource group of the cluster's DNS zone, if it is another one.
    #[arg(long, value_name = "NAME")]
    dnszone_resource_group_name: Option<String>,

    /// The resource group of the cluster's network, if it is another one.
    #[arg(long, value_name = "NAME")]
    network_resource_group_name: Option<String>,

    /// Take CredentialsRequests of the feature set TechPreviewNoUpgrade, too.
    #[arg(long)]
    enable_tech_preview: bool,

    /// Leave roles assigned that an earlier run has given and that are not asked for any more. Those of others are left in any case.
    #[arg(long)]
    preserve_existing_roles: bool,
}

/// What is to be made, and where it is told.
pub(super) struct Plan {
    pub(super) identities: IdentityPlan,
    mark: Mark,
    old_roles: OldRoles,
    region: String,
}

pub(super) fn run(args: &Args) -> CommandResult {
    tell(args.how.output, |journal| create(args, journal))
}

fn create(args: &Args, journal: &mut Journal) -> CommandResult {
    let issuer = Issuer::new(&args.issuer_url).map_err(|error| anyhow!("--issuer-url: {error}"))?;
    let Naming { name, region, oidc_resource_group_name: group, user_tags } = &args.naming;
    let given = Given { name, region, oidc_group: group.as_deref(), ..Given::default() };
    let Some(plan) = args.identities.plan(&given, &issuer, user_tags, journal)? else {
        return Ok(Outcome::Findings);
    };
    let folder = args.how.folder(&["manifests"])?;
    journal.rehearsing(args.how.dry_run);
    if args.how.dry_run == DryRun::Client {
        show(&plan, &args.place, &folder, journal)?;
    } else {
        let arm = args.place.reach_for(args.how.dry_run)?;
        block_on(make(&plan, None, &arm, &args.place, &folder, journal))??;
    }
    Ok(Outcome::Done)
}

impl IdentityFlags {
    /// None if something in the requests is refused, which is told then.
    pub(super) fn plan(
        &self,
        given: &Given<'_>,
        issuer: &Issuer,
        user_tags: &[(String, String)],
        journal: &mut Journal,
    ) -> Result<Option<Plan>> {
        let given = Given {
            installation_group: self.installation_resource_group_name.as_deref(),
            dns_zone_group: self.dnszone_resource_group_name.as_deref(),
            network_group: self.network_resource_group_name.as_deref(),
            ..*given
        };
        let mark = Mark::of(given.name);
        let cluster = Cluster::new(&given, issuer.clone(), tags(user_tags, &mark)?);
        let cluster = cluster.map_err(|bad| refused(&bad))?;
        let Some(identities) = self.read(&cluster, journal)? else { return Ok(None) };
        if identities.identities.is_empty() {
            bail!("{} has no CredentialsRequest of Azure", self.credentials_requests_dir.display());
        }
        let old_roles = if self.preserve_existing_roles { OldRoles::Preserve } else { OldRoles::Prune };
        Ok(Some(Plan { identities, mark, old_roles, region: given.region.to_owned() }))
    }

    fn read(&self, cluster: &Cluster, journal: &mut Journal) -> Result<Option<IdentityPlan>> {
        let form = Form::from(journal.form);
        let preview = if self.enable_tech_preview { TechPreview::On } else { TechPreview::Off };
        let mut report = Report::new(form, To::Stderr);
        let mut add = |finding| {
            report.add(&finding);
            journal.found(finding);
        };
        let mut requests = CredentialsRequests::new(preview, &mut add);
        let sources = Sources::of(&self.credentials_requests_dir);
        let read = sources.each(|source, reader| requests.read(source, reader));
        let plan = requests.plan(cluster);
        let count = report.finish()?;
        read?;
        Ok((count.errors == 0).then_some(plan))
    }
}

/// Without a call.
pub(super) fn show(plan: &Plan, place: &Where, folder: &Folder, journal: &mut Journal) -> Result<()> {
    for step in plan.identities.steps() {
        journal.step("planned", step)?;
    }
    journal.plan = Some(plan.identities.clone());
    for identity in &plan.identities.identities {
        let file = identity.request.secret(None, &plan.region, &place.subscription_id)?;
        // One that is there may have the ids that this one has not.
        let change = if folder.read(&file.path)?.is_some() { output::Change::Kept } else { folder.put(&file)? };
        journal.file(change, &folder.path(&file.path))?;
    }
    Ok(())
}

/// Of a tenant, where one is named.
pub(super) async fn make(
    plan: &Plan,
    tenant: Option<&TenantId>,
    arm: &Arm,
    place: &Where,
    folder: &Folder,
    journal: &mut Journal,
) -> Result<()> {
    let make =
        async |see: See<'_>| arm.make_identities(&plan.identities, &plan.mark, plan.old_roles, tenant, see).await;
    let made = journal.follow(make).await?;
    write(plan, &made, place, folder, journal)
}

fn write(plan: &Plan, made: &[Identity], place: &Where, folder: &Folder, journal: &mut Journal) -> Result<()> {
    for (planned, identity) in plan.identities.identities.iter().zip(made) {
        let file = planned.request.secret(Some(identity), &plan.region, &place.subscription_id)?;
        journal.file(folder.put(&file)?, &folder.path(&file.path))?;
    }
    Ok(())
}
