//! `hcp-identity azure plan`.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use anyhow::Result;
use serde::Serialize;

use super::flags::block_on;
use crate::{
    capz::{Signing, of_published},
    cli::{
        CommandResult,
        answer::{OutputFormat, print},
        input::Sources,
        internet::Internet,
        outcome,
        report::{self, Count, Form, Report, To},
    },
    finding::Finding,
    provision::{Clouds, FederatedIdentity, Federation, Summary},
};

/// List the federated credentials that HostedClusters with workload identities need.
///
/// Each component of such a HostedCluster exchanges tokens of its service accounts for those of a managed identity, which Entra
/// does where the identity has a federated credential with exactly that issuer, subject and audience. Nothing is changed, and
/// without --check-issuer nothing is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure plan -f hostedcluster.yaml
  hcp-identity azure plan -f hostedcluster.yaml --check-issuer
  kubectl get hostedclusters -A -o yaml | hcp-identity azure plan -o json |
    jq -r '.identities[] | .clientID as $id | .federatedCredentials[] |
      [$id, .name, .issuer, .subject] | @tsv'")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Ask for the discovery document and the keys of each issuer, as Entra does, and tell what it would refuse.
    #[arg(long)]
    check_issuer: bool,

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
    let read = read(&args.sources, Clouds::Any, args.issuers(), args.output, drop);
    if let Err(error) = &read {
        let answer = Answer { identities: Vec::new(), error: Some(format!("{error:#}")) };
        print(&answer, args.output, |_, _| Ok(()))?;
    }
    let (identities, summary, count) = read?;
    let told = told(&summary, &identities);
    print(&Answer { identities, error: None }, args.output, text)?;
    if args.output == OutputFormat::Text {
        report::note(&told);
    }
    Ok(outcome(count))
}

/// How much was read, and what it needs.
pub(super) fn told(summary: &Summary, identities: &[FederatedIdentity]) -> String {
    let credentials: usize = identities.iter().map(|identity| identity.federated_credentials.len()).sum();
    format!(
        "{}: {}, {} with workload identities: {}, {}",
        report::counted(summary.documents, "document", "documents"),
        report::counted(summary.hosted_clusters, "HostedCluster", "HostedClusters"),
        summary.federated,
        report::counted(identities.len(), "identity", "identities"),
        report::counted(credentials, "federated credential", "federated credentials"),
    )
}

/// Whether issuers are asked for their documents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Issuers {
    Asked,
    Unasked,
}

impl Args {
    fn issuers(&self) -> Issuers {
        if self.check_issuer { Issuers::Asked } else { Issuers::Unasked }
    }
}

/// What is needed, and what is found on the way, which is told.
pub(super) fn read(
    sources: &Sources,
    clouds: Clouds,
    issuers: Issuers,
    output: OutputFormat,
    mut found: impl FnMut(Finding),
) -> Result<(Vec<FederatedIdentity>, Summary, Count)> {
    let form = Form::from(output);
    let mut report = Report::new(form, To::Stderr);
    let mut add = |finding| {
        report.add(&finding);
        found(finding);
    };
    let mut federation = Federation::new(&mut add).within(clouds);
    let read = sources.each(|source, reader| federation.read(source, reader));
    let (identities, summary) = federation.finish();
    let asked = if issuers == Issuers::Asked { ask(&identities) } else { Ok(Vec::new()) };
    asked.iter().flatten().cloned().for_each(add);
    let count = report.finish()?;
    read?;
    asked?;
    Ok((identities, summary, count))
}

/// What Entra would refuse of each issuer.
fn ask(identities: &[FederatedIdentity]) -> Result<Vec<Finding>> {
    let credentials = identities.iter().flat_map(|identity| &identity.federated_credentials);
    let issuers: BTreeSet<_> = credentials.map(|credential| &*credential.issuer).collect();
    let internet = Internet::new()?;
    block_on(async {
        let mut findings = Vec::new();
        for issuer in issuers {
            findings.extend(of_published(issuer, &[], &Signing::default(), async |url| internet.ask(url).await).await);
        }
        findings
    })
}

fn text(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for (index, identity) in answer.identities.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let name = identity.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let (tenant, cloud) = (identity.tenant_id.escape_debug(), &identity.cloud);
        writeln!(out, "identity {}{name}, tenant {tenant}, {cloud}", identity.client_id)?;
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
