//! `hcp-identity capz check`.

use std::sync::Arc;

#[cfg(feature = "cluster")]
use anyhow::Context as _;
use anyhow::Result;

#[cfg(feature = "cluster")]
use super::online;
#[cfg(feature = "cluster")]
use crate::cli::target::TargetArgs;
use crate::{
    capz::Checker,
    cli::{
        CommandResult,
        answer::OutputFormat,
        input::Sources,
        outcome,
        report::{self, Form, Report, To},
    },
    manifest::Limits,
    provision::Issuer,
};

/// Check a management cluster and its clusters, or manifests of them.
///
/// Looks at AzureClusterIdentities, the clusters and machines that use them, the Deployments and ServiceAccounts of CAPZ and the
/// Azure Service Operator, Namespaces, KubeadmControlPlanes and the configuration of kind, each by itself and all of them
/// together. Without -f they are read from a cluster; its issuer and keys are then held against those that are published, which
/// are asked for as Entra does. With -f they are read from manifests, and from a cluster as well where one is named. Nothing is
/// written, and Azure is not asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity capz check --issuer https://oidc.example.com/prod/

  # Manifests by themselves, and beside what is on the cluster
  hcp-identity capz check -f kind.yaml -f prod.yaml \\
    --issuer https://oidc.example.com/prod/
  hcp-identity capz check -f prod.yaml --context mgmt")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// The issuer of the federated credentials, as it is written there. Otherwise that of the cluster or of the configuration of
    /// kind.
    #[arg(long, value_name = "URL", value_parser = Issuer::new)]
    issuer: Option<Issuer>,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let form = Form::from(args.output);
    let mut report = Report::new(form, To::Stdout);
    let mut add = |finding| report.add(&finding);
    let issuer = args.issuer.as_ref().map(ToString::to_string);
    let mut checker = Checker::new(issuer, Limits::default(), &mut add);
    let read = read(args, &mut checker);
    let summary = checker.finish();
    // Whole also where reading has failed: what was found until then is true.
    let count = report.finish()?;
    read?;
    if summary.objects == 0 {
        report::note("there is nothing in the input that this command looks at");
    }
    if form == Form::Text {
        let read = if args.sources.are_named() {
            report::counted(summary.documents, "document", "documents")
        } else {
            report::counted(summary.objects, "object", "objects")
        };
        report::note(&format!(
            "{read}: {}, {}, {}, {}",
            report::counted(summary.identities, "AzureClusterIdentity", "AzureClusterIdentities"),
            report::counted(summary.clusters, "cluster", "clusters"),
            report::counted(count.errors, "error", "errors"),
            report::counted(count.warnings, "warning", "warnings"),
        ));
    }
    Ok(outcome(count))
}

/// The cluster first: an object of the manifests is the one that is to be there.
fn read(args: &Args, checker: &mut Checker<'_>) -> Result<()> {
    #[cfg(feature = "cluster")]
    if !args.sources.are_named() || args.target.is_given() {
        let issuer = args.issuer.as_ref().map(ToString::to_string);
        online::look(&args.target, &Arc::from("cluster"), issuer.as_deref(), checker)
            .context("cannot look at the cluster; manifests are given with -f, standard input with -f -")?;
        if !args.sources.are_named() {
            return Ok(());
        }
    }
    args.sources.each(|source: &Arc<str>, reader| checker.read(source, reader))
}
