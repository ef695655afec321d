//! What `capz check` looks at on a cluster, and at its issuer.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use kube::Client;

use crate::{
    azure::{Access, public_document},
    capz::{Answer, Checker, KINDS, Kind, tokens},
    cli::{cluster_command::with_client, target::TargetArgs},
    cluster::capz::{Looked, ask, look as look_at},
    finding::{FieldPath, Finding, Place, Problem, Reason},
};

/// Hands everything on a cluster to the checker, and what is wrong with its tokens.
pub(super) fn look(
    target: &TargetArgs,
    cluster: &Arc<str>,
    issuer: Option<&str>,
    checker: &mut Checker<'_>,
) -> Result<()> {
    with_client(target, async |client| {
        for kind in &KINDS {
            match look_at(&client, kind).await {
                Looked::Found(objects) => checker.look(cluster, kind, &objects)?,
                Looked::NotServed => checker.add([not_served(cluster, kind)]),
                Looked::Refused(why) => checker.add([refused(cluster, kind, &why)]),
            }
        }
        if issuer.is_some() || checker.signs_in_with_tokens() {
            look_at_tokens(&client, cluster, issuer, checker).await?;
        }
        Ok(())
    })
}

async fn look_at_tokens(
    client: &Client,
    cluster: &Arc<str>,
    issuer: Option<&str>,
    checker: &mut Checker<'_>,
) -> Result<()> {
    let internet = Access::default().http().context("cannot set up HTTPS")?;
    let published = async |url: &str| {
        let (status, body) = public_document(&internet, url).await?;
        Ok(Answer { status, body })
    };
    let (of_cluster, findings) = tokens(cluster, issuer, async |path| ask(client, path).await, published).await;
    checker.add(findings);
    if let Some(issuer) = of_cluster {
        checker.expect_issuer(issuer);
    }
    Ok(())
}

fn not_served(cluster: &Arc<str>, kind: &Kind) -> Finding {
    let message = format!("{} is not served, and not looked at", name(kind));
    let problem = Problem::note(Reason::NotLookedAt, FieldPath::root(), message, remedy(kind));
    Finding { place: Place::within(cluster), object: None, problem }
}

fn remedy(kind: &Kind) -> &'static str {
    if kind.kind == "AzureClusterIdentity" {
        "is this the management cluster? Otherwise `clusterctl init --infrastructure azure` comes first"
    } else {
        "nothing needs to be done where it is not used"
    }
}

fn refused(cluster: &Arc<str>, kind: &Kind, why: &str) -> Finding {
    let message = format!("{} cannot be listed, and is not looked at: {why}", name(kind));
    let remedy = "ask as somebody who may list it in all namespaces";
    let problem = Problem::warning(Reason::NotLookedAt, FieldPath::root(), message, remedy);
    Finding { place: Place::within(cluster), object: None, problem }
}

/// As kubectl names it.
fn name(kind: &Kind) -> String {
    let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
    format!("{}{group}/{}", kind.plural, kind.versions.join(","))
}
