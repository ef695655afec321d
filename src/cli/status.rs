//! `hcp-identity status`.

use std::{
    io::{self, Write},
    pin::pin,
};

use anyhow::{anyhow, bail};
use futures::TryStreamExt as _;
use hcp_identity_api::control_plane_identity::{
    ComponentStatus, ControlPlaneIdentity, ControlPlaneIdentityStatus, FederatedCredentialStatus,
};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};

use super::{CommandResult, Outcome, cluster_command::with_client, report, target::TargetArgs};
use crate::{
    cluster::client::chain,
    manifest::{Format, Writer},
};

/// Show how the identities of HostedClusters are, as the daemon tells it.
///
/// One line per HostedCluster; with a name, also what is known of each of its components and what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity status -A
  hcp-identity status -n clusters prod
  hcp-identity status -A -w
  hcp-identity status -A -o json | jq -r '.items[].status.components[] | select(.wired | not) | .id'")]
pub(super) struct Args {
    /// Only this HostedCluster.
    name: Option<String>,

    /// Namespace of the HostedClusters; otherwise that of the context.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Go on, with a line whenever something changes.
    #[arg(short, long, conflicts_with_all = ["output"])]
    watch: bool,

    /// Output format: a table, one with messages, or the objects.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Table)]
    output: OutputFormat,

    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum OutputFormat {
    Table,
    Wide,
    Json,
    Yaml,
}

pub(super) fn run(args: &Args) -> CommandResult {
    with_client(&args.target, async |client| {
        let api: Api<ControlPlaneIdentity> = match &args.namespace {
            _ if args.all_namespaces => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::namespaced(client.clone(), client.default_namespace()),
        };
        if args.watch { watch(args, api).await } else { show(args, &api).await }
    })
}

async fn show(args: &Args, api: &Api<ControlPlaneIdentity>) -> CommandResult {
    let list = api.list(&selected(args)).await.map_err(|error| unreadable(&error))?;
    let identities = list.items;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match args.output {
        OutputFormat::Json | OutputFormat::Yaml => objects(args.output, &identities, &mut out),
        OutputFormat::Table | OutputFormat::Wide if identities.is_empty() => {
            match &args.name {
                Some(name) => bail!(
                    "there is no ControlPlaneIdentity {name}: is there a HostedCluster of this name, and does the daemon run?"
                ),
                None => report::note(
                    "no ControlPlaneIdentities found; does the daemon run, and is there a HostedCluster on Azure?",
                ),
            }
            Ok(())
        }
        OutputFormat::Table | OutputFormat::Wide => table(args, &identities, &mut out),
    };
    written.and_then(|()| out.flush()).or_else(report::unless_reader_left)?;
    Ok(Outcome::Done)
}

fn selected(args: &Args) -> ListParams {
    let fields = args.name.as_ref().map(|name| format!("metadata.name={name}"));
    fields.map_or_else(ListParams::default, |fields| ListParams::default().fields(&fields))
}

fn unreadable(error: &kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            anyhow!(
                "the CRD ControlPlaneIdentity is not installed: `hcp-identity crds | kubectl apply --server-side -f -`"
            )
        }
        error => anyhow!("cannot list ControlPlaneIdentities: {}", chain(error)),
    }
}

fn objects(form: OutputFormat, identities: &[ControlPlaneIdentity], out: &mut dyn Write) -> io::Result<()> {
    let format = if form == OutputFormat::Json { Format::Json } else { Format::Yaml };
    let mut writer = Writer::new(out, format);
    identities.iter().cloned().try_for_each(|mut identity| {
        identity.metadata.managed_fields = None;
        writer.write(&identity)
    })?;
    writer.finish()
}

fn table(args: &Args, identities: &[ControlPlaneIdentity], out: &mut dyn Write) -> io::Result<()> {
    let wide = args.output == OutputFormat::Wide;
    let mut rows = vec![heading(args, wide)];
    rows.extend(identities.iter().map(|identity| row(args, wide, identity)));
    columns(&rows, out)?;
    if let ([identity], Some(_)) = (identities, &args.name) {
        components(identity.status.as_ref(), out)?;
    }
    Ok(())
}

fn heading(args: &Args, wide: bool) -> Vec<String> {
    let namespace = args.all_namespaces.then_some("NAMESPACE");
    let message = wide.then_some("MESSAGE");
    let fixed = ["NAME", "READY", "WIRED", "MOUNTED", "EXPIRES", "REASON", "AGE"];
    namespace.into_iter().chain(fixed).chain(message).map(str::to_owned).collect()
}

fn row(args: &Args, wide: bool, identity: &ControlPlaneIdentity) -> Vec<String> {
    let status = identity.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let of_ready = |field: fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition) -> &String| {
        ready.map(|condition| report::visible(field(condition))).unwrap_or_default()
    };
    let namespace = args.all_namespaces.then(|| identity.namespace().unwrap_or_default());
    let expires = if status.expires.is_empty() { "-".to_owned() } else { status.expires };
    let fixed = [
        identity.name_any(),
        of_ready(|condition| &condition.status),
        status.wired,
        status.mounted,
        expires,
        of_ready(|condition| &condition.reason),
        identity.creation_timestamp().map_or_else(|| "-".to_owned(), |created| age(created.0)),
    ];
    let message = wide.then(|| of_ready(|condition| &condition.message));
    namespace.into_iter().chain(fixed).chain(message).collect()
}

/// What is known of each component, and the messages of those that are not as they should be.
fn components(status: Option<&ControlPlaneIdentityStatus>, out: &mut dyn Write) -> io::Result<()> {
    let Some(status) = status else { return Ok(()) };
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    if let Some(ready) = ready.filter(|ready| !ready.message.is_empty()) {
        writeln!(out, "\n{}: {}", report::visible(&ready.reason), report::visible(&ready.message))?;
    }
    if status.components.is_empty() {
        return Ok(());
    }
    writeln!(out, "\ncontrol plane namespace {}", report::visible(&status.control_plane_namespace))?;
    let heading =
        ["COMPONENT", "WIRED", "PODS", "MOUNTED", "VERSION", "CHECK", "EXPIRES", "REASON"].map(str::to_owned).to_vec();
    let rows = status.components.iter().map(|component| {
        let versions = component.mounted_versions.join(",");
        vec![
            component.id.clone(),
            if component.wired { "yes" } else { "no" }.to_owned(),
            component.pods.to_string(),
            component.mounted_pods.to_string(),
            or_dash(&versions),
            or_dash(component.credential.as_ref().map(|credential| credential.check.as_str()).unwrap_or_default()),
            or_dash(&expires(component)),
            report::visible(&component.reason),
        ]
    });
    columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>(), out)?;
    federated_credentials(&status.components, out)?;
    for component in status.components.iter().filter(|component| !component.message.is_empty()) {
        writeln!(out, "\n{}: {}", component.id, report::visible(&component.message))?;
    }
    Ok(())
}

/// What Azure has to have, where components sign in with tokens.
fn federated_credentials(components: &[ComponentStatus], out: &mut dyn Write) -> io::Result<()> {
    let of = |component: &ComponentStatus| {
        let id = component.id.clone();
        let row = move |one: &FederatedCredentialStatus| {
            let texts = [&one.name, &one.issuer, &one.subject, &one.audiences.join(",")];
            std::iter::once(id.clone()).chain(texts.map(|text| or_dash(text))).collect::<Vec<_>>()
        };
        component.federated_credentials.iter().map(row).collect::<Vec<_>>()
    };
    let rows: Vec<_> = components.iter().flat_map(of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let heading = ["COMPONENT", "FEDERATED CREDENTIAL", "ISSUER", "SUBJECT", "AUDIENCE"].map(str::to_owned).to_vec();
    writeln!(out)?;
    columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>(), out)
}

fn expires(component: &ComponentStatus) -> String {
    let end = component.credential.as_ref().and_then(|credential| credential.not_after.as_ref());
    end.map(|end| end.0.to_string()).unwrap_or_default()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { report::visible(text) }
}

/// Columns as kubectl has them: as wide as the widest, three spaces between.
fn columns(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> =
        (0..rows.first().map_or(0, Vec::len)).map(|column| width(column).unwrap_or_default()).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}   "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// As kubectl: the largest unit, and the next one while the first is small.
fn age(created: Timestamp) -> String {
    #[expect(clippy::disallowed_methods, reason = "an age is that of this moment")]
    let seconds = Timestamp::now().duration_since(created).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

async fn watch(args: &Args, api: Api<ControlPlaneIdentity>) -> CommandResult {
    // Asked once before, so that a missing CRD is an error and no silence.
    api.list(&selected(args).limit(1)).await.map_err(|error| unreadable(&error))?;
    let mut config = watcher::Config::default();
    if let Some(name) = &args.name {
        config = config.fields(&format!("metadata.name={name}"));
    }
    let mut changes = pin!(watcher(api, config).default_backoff().applied_objects());
    let mut headed = false;
    loop {
        let changed = tokio::select! {
            changed = changes.try_next() => changed,
            _ = tokio::signal::ctrl_c() => return Ok(Outcome::Done),
        };
        match changed {
            Ok(Some(identity)) => {
                let mut rows = vec![heading(args, true), row(args, true, &identity)];
                if std::mem::replace(&mut headed, true) {
                    rows.remove(0);
                }
                let mut out = io::stdout().lock();
                if let Err(error) = fixed(&rows, &mut out).and_then(|()| out.flush()) {
                    report::unless_reader_left(error)?;
                    return Ok(Outcome::Done);
                }
            }
            Ok(None) => return Ok(Outcome::Done),
            Err(error) => report::note(&format!("the watch is tried again: {}", chain(&error))),
        }
    }
}

/// Columns of one width for lines that come one at a time.
fn fixed(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    const WIDTHS: [usize; 9] = [0, 24, 6, 6, 8, 21, 20, 5, 0];
    for row in rows {
        let skip = WIDTHS.len().saturating_sub(row.len());
        let mut line = String::new();
        for (cell, width) in row.iter().zip(WIDTHS.iter().skip(skip)) {
            let width = if *width == 0 { 16 } else { *width };
            line.push_str(&format!("{cell:width$} "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows = [vec!["A".to_owned(), "LONG".to_owned()], vec!["longer".to_owned(), "x".to_owned()]];
        let mut out = Vec::new();
        columns(&rows, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A        LONG\nlonger   x\n");
    }

    #[test]
    fn text_of_the_cluster_cannot_drive_the_terminal() {
        assert_eq!(report::visible("a\u{1b}[31mb\n"), "a [31mb ");
    }
}
