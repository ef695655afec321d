//! `hcp-identity crds`.

use std::io::{self, Write as _};

use super::{CommandResult, Outcome, report};

const CRD: &str = include_str!("../../manifests/crds/controlplaneidentities.yaml");

/// Print the CustomResourceDefinition of this release.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity crds | kubectl apply --server-side -f -")]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> CommandResult {
    io::stdout().write_all(CRD.as_bytes()).or_else(report::unless_reader_left)?;
    Ok(Outcome::Done)
}
