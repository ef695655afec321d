//! `hcp-identity azure plan`.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use crate::{
    cli::{
        CommandResult,
        answer::{OutputFormat, print},
        input::Sources,
        outcome,
        report::{self, Count, Form, Report, To},
    },
    finding::Finding,
    provision::{FederatedIdentity, Federation, Summary},
};

/// List the federated credentials that HostedClusters with workload identities need.
///
/// Each component of such a HostedCluster exchanges tokens of its service accounts for those of a managed identity, which Entra
/// does where the identity has a federated credential with exactly that issuer, subject and audience. Nothing is asked, and
/// nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure plan -f hostedcluster.yaml
  kubectl get hostedclusters -A -o yaml | hcp-identity azure plan -o json |
    jq -r '.identities[] | .clientID as $id | .federatedCredentials[] |
      [$id, .name, .issuer, .subject] | @tsv'")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Serialize)]
struct Answer {
    identities: Vec<FederatedIdentity>,
    /// Why it ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let read = read(&args.sources, args.output, drop);
    if let Err(error) = &read {
        let answer = Answer { identities: Vec::new(), error: Some(format!("{error:#}")) };
        print(&answer, args.output, |_, _| Ok(()))?;
    }
    let (identities, summary, count) = read?;
    let credentials: usize = identities.iter().map(|identity| identity.federated_credentials.len()).sum();
    let planned = identities.len();
    print(&Answer { identities, error: None }, args.output, text)?;
    if args.output == OutputFormat::Text {
        report::note(&format!(
            "{}: {}, {} with workload identities: {}, {}",
            report::counted(summary.documents, "document", "documents"),
            report::counted(summary.hosted_clusters, "HostedCluster", "HostedClusters"),
            summary.federated,
            report::counted(planned, "identity", "identities"),
            report::counted(credentials, "federated credential", "federated credentials"),
        ));
    }
    Ok(outcome(count))
}

/// What is needed, and what is found on the way, which is told.
pub(super) fn read(
    sources: &Sources,
    output: OutputFormat,
    mut found: impl FnMut(Finding),
) -> Result<(Vec<FederatedIdentity>, Summary, Count)> {
    let form = Form::from(output);
    let mut report = Report::new(form, To::Stderr);
    let mut add = |finding| {
        report.add(&finding);
        found(finding);
    };
    let mut federation = Federation::new(&mut add);
    let read = sources.each(|source, reader| federation.read(source, reader));
    let (identities, summary) = federation.finish();
    let count = report.finish()?;
    read?;
    Ok((identities, summary, count))
}

fn text(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for (index, identity) in answer.identities.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let name = identity.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        writeln!(out, "identity {}{name}, tenant {}", identity.client_id, identity.tenant_id.escape_debug())?;
        for used in &identity.used_by {
            writeln!(out, "  {} of {}", used.component, used.hosted_cluster)?;
        }
        for credential in &identity.federated_credentials {
            writeln!(out, "  federated credential {}", credential.name)?;
            writeln!(out, "    issuer    {}", credential.issuer)?;
            writeln!(out, "    subject   {}", credential.subject)?;
            writeln!(out, "    audience  {}", credential.audiences.concat())?;
        }
    }
    Ok(())
}
