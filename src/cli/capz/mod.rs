//! `hcp-identity capz`: management clusters of Cluster API on Azure, one file a subcommand.

#[cfg(feature = "cluster")]
mod apply;
mod check;
#[cfg(feature = "cluster")]
mod in_azure;
#[cfg(feature = "cluster")]
mod online;
mod plan;
mod request;
mod wire;

use std::io;

use serde_json::Value;

use super::CommandResult;
use crate::{
    capz::is_tenant,
    manifest::{Format, Writer},
    names::TenantId,
};

/// Run Cluster API on Azure (CAPZ) without secrets.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Plan(Box<plan::Args>),
    #[cfg(feature = "cluster")]
    Apply(Box<apply::Args>),
    Wire(wire::Args),
    Check(check::Args),
}

pub(super) fn run(args: &Args) -> CommandResult {
    match &args.what {
        What::Plan(args) => plan::run(args),
        #[cfg(feature = "cluster")]
        What::Apply(args) => apply::run(args),
        What::Wire(args) => wire::run(args),
        What::Check(args) => check::run(args),
    }
}

/// The tenant of a flag.
fn tenant(id: &str) -> Result<TenantId, &'static str> {
    let known = TenantId::new(id).ok().filter(|_| is_tenant(id));
    known.ok_or("must be a UUID or a domain of the tenant")
}

fn yaml(value: &Value) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Format::Yaml);
    writer.write(value)?;
    writer.finish()?;
    Ok(bytes)
}
