//! `hcp-identity capz wire`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use crate::{
    capz::{IdentityId, Wired, Wiring, wire},
    cli::{
        CommandResult, Outcome,
        input::read_stream,
        outcome,
        report::{self, Form, Report, To},
    },
    names::{ClientId, Namespace, TenantId},
};

/// Make the manifests of a cluster sign in with workload identities.
///
/// Reads what `clusterctl generate cluster` prints, and prints it with the edits that are otherwise made by hand: its
/// AzureClusterIdentity becomes one of type WorkloadIdentity without a secret, and its machines get a user-assigned identity.
/// Everything else stays as it is, comments, order and quoting included. Where anything is not understood, nothing is
/// printed but all that is wrong. What is wired already stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  IDENTITY=$(az identity show --name nodes --resource-group nodes --query id --output tsv)

  clusterctl generate cluster prod --kubernetes-version v1.34.1 |
    hcp-identity capz wire --user-assigned-identity $IDENTITY --allowed-namespace default |
    kubectl apply -f -

  # What would change
  hcp-identity capz wire -f prod.yaml --user-assigned-identity $IDENTITY | diff prod.yaml -")]
pub(super) struct Args {
    /// Manifests to read; - is standard input.
    #[arg(short, long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    filename: PathBuf,

    /// Client id of the identity or application that CAPZ signs in as; otherwise the one that is there stays.
    #[arg(long, value_name = "ID", value_parser = |id: &str| ClientId::new(id))]
    client_id: Option<ClientId>,

    /// Its tenant; otherwise the one that is there stays.
    #[arg(long, value_name = "ID", value_parser = super::tenant)]
    tenant_id: Option<TenantId>,

    /// A namespace whose clusters may use the AzureClusterIdentity; may be repeated. Otherwise allowedNamespaces stays.
    #[arg(long = "allowed-namespace", value_name = "NAMESPACE", value_parser = |name: &str| Namespace::new(name))]
    allowed_namespaces: Vec<Namespace>,

    /// Resource id of the identity that nodes sign in as, with or without azure:// before it.
    #[arg(long, value_name = "ID", value_parser = IdentityId::new)]
    user_assigned_identity: Option<IdentityId>,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let wiring = Wiring {
        client: args.client_id.clone(),
        tenant: args.tenant_id.clone(),
        allowed_namespaces: args.allowed_namespaces.clone(),
        machine_identity: args.user_assigned_identity.clone(),
    };
    let (source, stream) = read_stream(&args.filename)?;
    let mut report = Report::new(Form::Text, To::Stderr);
    let wired = wire(&source, &stream, &wiring, &mut |finding| report.add(&finding))?;
    let count = report.finish()?;
    let Some(wired) = wired else { return Ok(outcome(count)) };
    tell(&wired);
    let mut out = io::stdout().lock();
    let written = out.write_all(&wired.text).and_then(|()| out.flush());
    written.or_else(report::unless_reader_left).context("cannot write standard output")?;
    Ok(Outcome::Done)
}

fn tell(wired: &Wired) {
    for edited in &wired.edits {
        report::note(&format!("wired {edited}"));
    }
    if wired.unchanged > 0 {
        report::note(&format!("{} wired already", report::counted(wired.unchanged, "object was", "objects were")));
    }
}
