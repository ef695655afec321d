//! `hcp-identity capz check`.

use std::{path::PathBuf, sync::Arc};

#[cfg(feature = "cluster")]
use anyhow::Context as _;
use anyhow::Result;
#[cfg(feature = "cluster")]
use anyhow::bail;

use super::request::read_pair;
#[cfg(feature = "cluster")]
use super::{in_azure, online};
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
#[cfg(feature = "cluster")]
use crate::{
    capz::Subscription,
    cli::{azure::Where, target::TargetArgs},
    clouds,
    names::{Namespace, ObjectName},
};

/// Check a management cluster and its clusters, or manifests of them.
///
/// Looks at AzureClusterIdentities, the clusters and machines that use them, the Deployments and ServiceAccounts of CAPZ and the
/// Azure Service Operator, Namespaces, KubeadmControlPlanes and the configuration of kind, each by itself and all of them
/// together. Without -f they are read from a cluster; its issuer, its keys and a token of each of both managers are then held
/// against what is published, which is asked for as Entra does. With -f they are read from manifests, and from a cluster as well
/// where one is named. With --subscription-id Azure is asked for identities, federated credentials and roles. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity capz check --issuer https://oidc.example.com/prod/

  # Everything: the key pair, the cluster, what is published, and Azure
  hcp-identity capz check --issuer https://oidc.example.com/prod/ \\
    --private-key sa.key --public-key sa.pub --cluster-name prod \\
    --subscription-id 11111111-2222-4333-8444-555555555555

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

    /// Private key that the cluster is to sign tokens with: that it belongs to --public-key, is the one that signs, and is
    /// published.
    #[arg(long, value_name = "FILE", requires = "public_key")]
    private_key: Option<PathBuf>,

    /// Its public half.
    #[arg(long, value_name = "FILE", requires = "private_key")]
    public_key: Option<PathBuf>,

    /// A cluster that is to take over with the same key pair: that its Secret, NAME-sa, is there.
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "NAME", value_parser = |name: &str| ObjectName::new(name))]
    cluster_name: Option<ObjectName>,

    /// Namespace of that cluster.
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "NAMESPACE", default_value = "default", value_parser = |name: &str| Namespace::new(name))]
    namespace: Namespace,

    /// Ask Azure for the identities of this subscription. The caller signs in as for `azure create-oidc-issuer`.
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "ID", value_parser = Subscription::new)]
    subscription_id: Option<Subscription>,

    /// The cloud of the subscription.
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "CLOUD", value_parser = clouds::NAMES, default_value = clouds::NAMES[0], requires = "subscription_id")]
    cloud: String,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let form = Form::from(args.output);
    let pair = match (&args.private_key, &args.public_key) {
        (Some(private), Some(public)) => Some(read_pair(private, public)?.0.id()),
        _ => None,
    };
    let mut report = Report::new(form, To::Stdout);
    let mut add = |finding| report.add(&finding);
    let issuer = args.issuer.as_ref().map(ToString::to_string);
    let mut checker = Checker::new(issuer, Limits::default(), &mut add);
    let read = read(args, pair, &mut checker);
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

/// Manifests first: their objects are those that are to be there, whatever the cluster has in their place.
#[cfg(feature = "cluster")]
fn read(args: &Args, pair: Option<String>, checker: &mut Checker<'_>) -> Result<()> {
    let is_online = !args.sources.are_named() || args.target.is_given();
    if !is_online && args.cluster_name.is_some() {
        bail!("--cluster-name is for a cluster to look at: name one (--kubeconfig or --context)");
    }
    if args.sources.are_named() {
        args.sources.each(|source: &Arc<str>, reader| checker.read(source, reader))?;
    }
    if is_online {
        let questions = online::Questions {
            issuer: args.issuer.as_ref().map(ToString::to_string),
            pair,
            pair_secret: args.cluster_name.as_ref().map(|name| (args.namespace.clone(), name.clone())),
        };
        online::look(&args.target, &Arc::from("cluster"), questions, checker)
            .context("cannot look at the cluster; manifests are given with -f, standard input with -f -")?;
    }
    let Some(subscription) = &args.subscription_id else { return Ok(()) };
    let place = Where { subscription_id: subscription.to_string(), cloud: args.cloud.clone() };
    in_azure::look(&place, subscription, checker)
}

#[cfg(not(feature = "cluster"))]
fn read(args: &Args, _pair: Option<String>, checker: &mut Checker<'_>) -> Result<()> {
    args.sources.each(|source: &Arc<str>, reader| checker.read(source, reader))
}
