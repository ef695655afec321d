//! `hcp-identity render`.

use std::{io, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail};

use super::{
    CommandResult,
    environment::{self, HYPERSHIFT_KEY_VAULT_USER, KEY_VAULT_USER},
    input::{self, Sources},
    outcome,
    report::{self, Form, Report, To},
};
use crate::{
    manifest::{Format, Writer},
    policies::{guard, policies},
    render::{Options, Renderer, Summary},
    settings::{Settings, SettingsFile},
};

/// Print the provider classes and wired workloads of HostedClusters.
///
/// Reads any number of YAML or JSON documents, Lists included. Prints one SecretProviderClass per control plane identity
/// of each HostedCluster that uses managed identities, then every Deployment, StatefulSet, DaemonSet, ReplicaSet or Pod
/// of the input that belongs to one of their control planes and carries one of the components, with volume, mount and
/// environment as HyperShift wires them. Nothing is read from or written to a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  export HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID=2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11

  # The provider classes of a HostedCluster
  hcp-identity render -f hostedcluster.yaml

  # Those of a management cluster, compared with what is there
  kubectl get hostedclusters -A -o yaml | hcp-identity render |
    kubectl diff --server-side -f -

  # Those of a cluster that is yet to be created
  hypershift create cluster azure ... --render | hcp-identity render

  # The admission policies that wire pods, for a whole management cluster
  hcp-identity render --policies | kubectl apply --server-side -f -")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Client id of the managed identity with which the CSI driver reads the Key Vault (userAssignedIdentityID).
    ///
    /// Otherwise HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID, then keyVaultUserClientID of the settings file, then
    /// ARO_HCP_KEY_VAULT_USER_CLIENT_ID, which HyperShift reads as well.
    #[arg(long, value_name = "ID")]
    key_vault_user_client_id: Option<String>,

    /// Settings file (YAML).
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// Also print the AzureClusterIdentity of each HostedCluster.
    #[arg(long)]
    azure_cluster_identity: bool,

    /// Also print the MutatingAdmissionPolicies that wire pods as they are created, and their bindings: the same for all
    /// control planes of a cluster. Without -f, they alone.
    #[arg(long)]
    policies: bool,

    /// Also print the ValidatingAdmissionPolicy that refuses provider classes which name another secret than their
    /// HostedCluster, and a binding for each HostedCluster.
    #[arg(long)]
    guard_secrets: bool,

    /// Output format: a YAML stream, or one JSON List with the findings as JSON on stderr.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Yaml)]
    output: OutputFormat,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum OutputFormat {
    Yaml,
    Json,
}

/// A key vault user for what names none.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

impl Args {
    fn are_policies_alone(&self) -> bool {
        self.policies && !self.sources.are_named()
    }
}

pub(super) fn run(args: &Args) -> CommandResult {
    let settings = Arc::new(settings(args)?);
    let options = Options {
        azure_cluster_identity: args.azure_cluster_identity,
        guard_secrets: args.guard_secrets,
        ..Options::new(Arc::clone(&settings))
    };
    let (format, form) = match args.output {
        OutputFormat::Yaml => (Format::Yaml, Form::Text),
        OutputFormat::Json => (Format::Json, Form::Json),
    };
    let mut report = Report::new(form, To::Stderr);
    let mut add = |finding| report.add(&finding);
    let mut renderer = Renderer::new(options, &mut add);
    if !args.are_policies_alone()
        && let Err(error) = args.sources.each(|source, reader| renderer.read(source, reader))
    {
        drop(renderer);
        report.finish()?;
        return Err(error);
    }
    let mut writer = Writer::new(io::BufWriter::with_capacity(1 << 16, io::stdout().lock()), format);
    let mut policies = if args.policies { policies(&settings) } else { Vec::new() };
    policies.extend(args.guard_secrets.then(guard));
    let printed = policies.iter().try_for_each(|policy| writer.write(policy));
    let written = printed.and_then(|()| renderer.finish(&mut |object| writer.write(object))).and_then(|summary| {
        writer.finish()?;
        Ok(summary)
    });
    let count = report.finish()?;
    let summary = match written {
        Ok(summary) => summary,
        Err(error) => {
            report::unless_reader_left(error).context("cannot write standard output")?;
            return Ok(outcome(count));
        }
    };
    if form == Form::Text && summary.documents > 0 {
        report::note(&describe(&summary));
    }
    Ok(outcome(count))
}

/// Flag, then our variable, then the file, then HyperShift's variable.
fn settings(args: &Args) -> Result<Settings> {
    let file = match &args.settings {
        None => SettingsFile::default(),
        Some(path) => {
            let text = input::read_small(path)?;
            SettingsFile::parse(&text)
                .map_err(|error| anyhow!("cannot read the settings file {}: {error}", path.display()))?
        }
    };
    let user = args
        .key_vault_user_client_id
        .clone()
        .or_else(|| environment::variable(KEY_VAULT_USER))
        .or_else(|| file.key_vault_user_client_id.clone().filter(|id| !id.is_empty()))
        .or_else(|| environment::variable(HYPERSHIFT_KEY_VAULT_USER))
        .or_else(|| args.are_policies_alone().then(|| NOBODY.to_owned()));
    match Settings::new(user.as_deref(), file) {
        Ok(settings) => Ok(settings),
        Err(errors) => {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            bail!(lines.join("\n"))
        }
    }
}

fn describe(summary: &Summary) -> String {
    let count = report::counted;
    let mut parts = vec![
        count(summary.hosted_clusters, "HostedCluster", "HostedClusters"),
        count(summary.provider_classes, "provider class", "provider classes"),
    ];
    if summary.azure_cluster_identities > 0 {
        parts.push(count(summary.azure_cluster_identities, "AzureClusterIdentity", "AzureClusterIdentities"));
    }
    parts.push(count(summary.workloads, "workload wired", "workloads wired"));
    if summary.other > 0 {
        parts.push(count(summary.other, "other object not printed", "other objects not printed"));
    }
    format!("{}: {}", count(summary.documents, "document", "documents"), parts.join(", "))
}
