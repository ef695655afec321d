//! `hcp-identity diff`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Result, anyhow, bail};
use hcp_identity_api::hosted_cluster::HostedCluster;

use super::{
    CommandResult, Outcome,
    cluster_command::with_client,
    input::{self, Sources},
    report,
    run::load,
    settings_flags::SettingsFlags,
    target::TargetArgs,
};
use crate::{
    cluster::preview::{Preview, preview},
    diff::{Change, ComponentState},
    input::Role,
    manifest::{Documents, Limits},
    status,
};

/// Show what `run` would write on the cluster now.
///
/// Reads the cluster once and writes nothing. With -f, the HostedClusters of the files are looked at as if they were on the
/// cluster. What waits for something else to be written first, such as the pods of a class that is missing, is shown with
/// its reason; another diff shows it once that is there. Exit code 1 if there is anything to write or to mend.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity diff --settings settings.yaml
  hcp-identity diff -f hostedcluster.yaml --key-vault-user-client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11")]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Settings file (YAML), as for run.
    #[arg(long, value_name = "FILE", env = "HCP_IDENTITY_SETTINGS")]
    settings: Option<PathBuf>,

    #[command(flatten)]
    flags: SettingsFlags,

    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let text = args.settings.as_deref().map(input::read_small).transpose()?.unwrap_or_default();
    let settings = load(&args.flags.layer()?, &text).map_err(|why| anyhow!(why))?;
    let instead = if args.sources.are_named() { Some(hosted_clusters(&args.sources)?) } else { None };
    let previews = with_client(&args.target, async |client| {
        preview(&client, settings, instead).await.map_err(|why| anyhow!(why))
    })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let lines: Vec<String> = previews.iter().flat_map(lines).collect();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    written.or_else(report::unless_reader_left)?;
    report::note(&format!(
        "{}: {}",
        report::counted(previews.len(), "HostedCluster", "HostedClusters"),
        report::counted(previews.iter().map(|preview| preview.changes.len()).sum(), "write", "writes"),
    ));
    Ok(if lines.is_empty() { Outcome::Done } else { Outcome::Findings })
}

fn lines(preview: &Preview) -> Vec<String> {
    let namespace = preview.key.control_plane_namespace();
    let mut lines: Vec<String> = preview.changes.iter().map(|change| line(&namespace, change)).collect();
    match &preview.outcome {
        status::Outcome::NoPlan(reason, message) => {
            lines.push(format!("! HostedCluster {} {reason}: {message}", preview.key));
        }
        status::Outcome::Planned { difference, .. } => lines.extend(waiting(preview, &difference.components)),
        status::Outcome::Federated { components, .. } => lines.extend(waiting(preview, components)),
    }
    lines
}

fn waiting(preview: &Preview, components: &[ComponentState]) -> impl Iterator<Item = String> {
    let waiting = components.iter().filter(|state| !state.wired);
    waiting.map(|state| format!("! {} {} {}: {}", preview.key, state.id, state.reason, state.message))
}

fn line(namespace: &str, change: &Change) -> String {
    let key = change.key();
    let object = format!("{} {namespace}/{}", key.kind, key.name);
    match change {
        Change::ApplyClass { planned_from: None, .. } | Change::ApplyCapzIdentity { planned_from: None, .. } => {
            format!("+ {object}")
        }
        Change::ApplyClass { .. } | Change::ApplyCapzIdentity { .. } => format!("~ {object}"),
        Change::DeleteClass { .. } => format!("- {object}"),
        Change::ApplyWorkload { template, .. } => format!("~ {object}: {template}"),
    }
}

/// The HostedClusters of the sources. What cannot be read is an error: this is no place to judge them one by one.
fn hosted_clusters(sources: &Sources) -> Result<Vec<HostedCluster>> {
    let mut clusters = Vec::new();
    let mut errors = Vec::new();
    let limits = Limits::default();
    sources.each(|source, reader| {
        let mut documents = Documents::new(reader, limits);
        while let Some(document) = documents.next_document()? {
            let number = document.number;
            let read = document.objects(&limits, &mut |object| {
                let located = crate::input::Located { source: source.clone(), document: number, object };
                if located.role() == Role::HostedCluster {
                    match serde_json::from_value(located.node().to_value_without_nulls()) {
                        Ok(cluster) => clusters.push(cluster),
                        Err(error) => {
                            errors.push(format!("{source}: document {number}: {}: {error}", located.reference()));
                        }
                    }
                }
            });
            if let Err(problem) = read {
                errors.push(format!("{source}:{}: {}; {}", problem.at.line, problem.message, problem.remedy));
            }
        }
        Ok(())
    })?;
    if !errors.is_empty() {
        bail!(errors.join("\n"));
    }
    if clusters.is_empty() {
        bail!("there is no HostedCluster (hypershift.openshift.io/v1beta1) in the input");
    }
    Ok(clusters)
}
