//! `hcp-identity validate`.

use super::{
    CommandResult,
    answer::OutputFormat,
    input::Sources,
    outcome,
    report::{self, Form, Report, To},
};
use crate::{input::Rules, manifest::Limits, validate::Validator};

/// Check the Azure identities of HostedClusters.
///
/// Refuses what HyperShift's CRD refuses about them, and what the CRD accepts but no provider class can be made of.
/// Warns of what works as written and is likely not what was meant. All findings of all documents come in one run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity validate -f hostedcluster.yaml
  kubectl get hostedclusters -A -o yaml | hcp-identity validate -o json | jq '.findings[] | select(.severity == \"error\")'")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Give exactly the verdict of HyperShift's CRD, and nothing beyond it.
    #[arg(long)]
    crd_only: bool,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let form = Form::from(args.output);
    let rules = if args.crd_only { Rules::CrdOnly } else { Rules::All };
    let mut report = Report::new(form, To::Stdout);
    let mut add = |finding| report.add(&finding);
    let mut validator = Validator::new(rules, Limits::default(), &mut add);
    let read = args.sources.each(|source, reader| validator.read(source, reader));
    let summary = validator.finish();
    // Whole also where reading has failed: what was found until then is true.
    let count = report.finish()?;
    read?;
    if summary.hosted_clusters == 0 {
        report::note("there is no HostedCluster (hypershift.openshift.io/v1beta1) in the input");
    }
    if form == Form::Text {
        report::note(&format!(
            "{}: {}, {}, {}",
            report::counted(summary.documents, "document", "documents"),
            report::counted(summary.hosted_clusters, "HostedCluster", "HostedClusters"),
            report::counted(count.errors, "error", "errors"),
            report::counted(count.warnings, "warning", "warnings"),
        ));
    }
    Ok(outcome(count))
}
