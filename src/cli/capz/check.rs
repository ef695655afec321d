//! `hcp-identity capz check`.

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

/// Check the manifests of a management cluster and its clusters.
///
/// Looks at AzureClusterIdentities, the clusters and machines that use them, the Deployments of CAPZ and the Azure Service
/// Operator, Namespaces, KubeadmControlPlanes and the configuration of kind, each by itself and all of them together. Nothing is
/// read from a cluster or from Azure.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity capz check -f kind.yaml -f prod.yaml --issuer https://oidc.example.com/prod/

  kubectl get azureclusteridentities,azureclusters,azuremachinetemplates,deployments,namespaces -A -o yaml |
    hcp-identity capz check")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// The issuer of the federated credentials, as it is written there. Otherwise that of the configuration of kind.
    #[arg(long, value_name = "URL", value_parser = Issuer::new)]
    issuer: Option<Issuer>,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let form = match args.output {
        OutputFormat::Text => Form::Text,
        OutputFormat::Json => Form::Json,
    };
    let mut report = Report::new(form, To::Stdout);
    let mut add = |finding| report.add(&finding);
    let issuer = args.issuer.as_ref().map(ToString::to_string);
    let mut checker = Checker::new(issuer, Limits::default(), &mut add);
    let read = args.sources.each(|source, reader| checker.read(source, reader));
    let summary = checker.finish();
    // Whole also where reading has failed: what was found until then is true.
    let count = report.finish()?;
    read?;
    if summary.objects == 0 {
        report::note("there is nothing in the input that this command looks at");
    }
    if form == Form::Text {
        report::note(&format!(
            "{}: {}, {}, {}, {}",
            report::counted(summary.documents, "document", "documents"),
            report::counted(summary.identities, "AzureClusterIdentity", "AzureClusterIdentities"),
            report::counted(summary.clusters, "cluster", "clusters"),
            report::counted(count.errors, "error", "errors"),
            report::counted(count.warnings, "warning", "warnings"),
        ));
    }
    Ok(outcome(count))
}
