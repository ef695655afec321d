//! `hcp-identity release`.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use anyhow::{Result, anyhow, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};

use super::{CommandResult, Outcome, cluster_command::with_client, report, target::TargetArgs};
use crate::cluster::{apply::Writer, client::chain, metrics::Metrics, release};

/// Hand everything over, so that hcp-identity can be uninstalled.
///
/// What hcp-identity has written stays as it is and is no longer its own: its entry in managedFields goes, and the label that
/// says who made a class. Its ControlPlaneIdentities are deleted. No pod is restarted. The daemon must not run meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl -n hcp-identity scale deployment hcp-identity --replicas 0
  hcp-identity release --dry-run
  hcp-identity release
  kubectl delete -k manifests/overlays/aro-hcp")]
pub(super) struct Args {
    /// Only show what would be handed over.
    #[arg(long)]
    dry_run: bool,

    /// Only what is in this control plane namespace. May be repeated.
    #[arg(long = "control-plane-namespace", value_name = "NAMESPACE")]
    control_plane_namespaces: Vec<String>,

    /// Namespace of the daemon's Lease.
    #[arg(long, value_name = "NAMESPACE", default_value = "hcp-identity")]
    lease_namespace: String,

    /// Name of the daemon's Lease.
    #[arg(long, value_name = "NAME", default_value = "hcp-identity")]
    lease_name: String,

    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn run(args: &Args) -> CommandResult {
    with_client(&args.target, async |client| hand_over(args, &client).await)
}

async fn hand_over(args: &Args, client: &Client) -> CommandResult {
    if !args.dry_run {
        refuse_while_the_daemon_runs(args, client).await?;
    }
    let found = release::find(client, &args.control_plane_namespaces).await.map_err(|why| anyhow!(why))?;
    let writer = Writer::new(client.clone(), None, Arc::new(Metrics::default()));
    let mut failures = 0;
    for object in &found {
        let next = if object.others.is_empty() { "nobody".to_owned() } else { object.others.join(", ") };
        let done = if args.dry_run { Ok(()) } else { object.carry_out(&writer).await };
        let what = match &done {
            Ok(()) if args.dry_run => "would be handed over to",
            Ok(()) => "handed over to",
            Err(_) => "could not be handed over to",
        };
        let line = format!("{} {}/{} {what} {next}", object.kind, object.namespace, object.name);
        writeln!(io::stdout().lock(), "{line}").or_else(report::unless_reader_left)?;
        if let Err(why) = done {
            failures += 1;
            report::note(&format!("{} {}/{}: {why}", object.kind, object.namespace, object.name));
        }
    }
    let statuses = release::delete_statuses(client, &args.control_plane_namespaces, args.dry_run)
        .await
        .map_err(|why| anyhow!(why))?;
    let orphans = found.iter().filter(|object| object.others.is_empty()).count();
    report::note(&format!(
        "{}, {} of them written by nobody else: they stay as they are; {} {}",
        report::counted(found.len(), "object", "objects"),
        orphans,
        report::counted(statuses, "ControlPlaneIdentity", "ControlPlaneIdentities"),
        if args.dry_run { "would be deleted" } else { "deleted" },
    ));
    Ok(if failures == 0 { Outcome::Done } else { Outcome::Findings })
}

/// A daemon would take everything back at once.
async fn refuse_while_the_daemon_runs(args: &Args, client: &Client) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), &args.lease_namespace);
    let lease =
        leases.get_opt(&args.lease_name).await.map_err(|error| anyhow!("cannot read the Lease: {}", chain(&error)))?;
    let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
    let holder = spec.holder_identity.unwrap_or_default();
    let lasts = i64::from(spec.lease_duration_seconds.unwrap_or_default());
    #[expect(clippy::disallowed_methods, reason = "whether the Lease is still kept is a matter of this moment")]
    let age = spec.renew_time.map(|renewed| jiff::Timestamp::now().duration_since(renewed.0).as_secs());
    if !holder.is_empty() && age.is_some_and(|age| age <= lasts) {
        bail!(
            "the daemon runs: {holder} holds the Lease {}/{}; stop it first: kubectl -n {} scale deployment hcp-identity --replicas 0",
            args.lease_namespace,
            args.lease_name,
            args.lease_namespace
        );
    }
    Ok(())
}
