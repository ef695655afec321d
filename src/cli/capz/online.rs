//! What `capz check` looks at on a cluster, and at its issuer.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use kube::Client;

use crate::{
    capz::{ACCOUNTS, Checker, Claims, KINDS, Kind, Signing, pair_secret_name, tokens},
    cli::{cluster_command::with_client, internet::Internet, target::TargetArgs},
    cluster::capz::{NotSeen, ask, has_secret, look as look_at, token},
    finding::{FieldPath, Finding, ObjectRef, Place, Problem, Reason},
    names::{Namespace, ObjectName},
};

/// What is asked beside what is there.
pub(super) struct Questions {
    /// That of the federated credentials.
    pub(super) issuer: Option<String>,
    /// The id of the key pair that the cluster is to sign with.
    pub(super) pair: Option<String>,
    /// The cluster whose Secret of the pair has to be there.
    pub(super) pair_secret: Option<(Namespace, ObjectName)>,
}

/// Hands everything on a cluster to the checker, and what is wrong with its tokens.
pub(super) fn look(
    target: &TargetArgs,
    cluster: &Arc<str>,
    questions: Questions,
    checker: &mut Checker<'_>,
) -> Result<()> {
    with_client(target, async |client| {
        for kind in &KINDS {
            match look_at(&client, kind).await {
                Ok(Some(objects)) => checker.look(cluster, kind, &objects)?,
                Ok(None) => checker.add([not_served(cluster, kind)]),
                Err(NotSeen::Refused(why)) => checker.add([refused(cluster, kind, &why)]),
                Err(NotSeen::Failed(why)) => bail!("cannot ask the API server for {}: {why}", name(kind)),
            }
        }
        let Questions { issuer, pair, pair_secret } = questions;
        if let Some((namespace, name)) = pair_secret {
            checker.add(look_for_pair(&client, cluster, &namespace, &name).await?);
        }
        if issuer.is_some() || pair.is_some() || checker.signs_in_with_tokens() {
            look_at_tokens(&client, cluster, issuer.as_deref(), pair, checker).await?;
        }
        Ok(())
    })
}

/// What Cluster API would otherwise fill with a pair of its own.
async fn look_for_pair(
    client: &Client,
    cluster: &Arc<str>,
    namespace: &Namespace,
    name: &ObjectName,
) -> Result<Option<Finding>> {
    let name = pair_secret_name(name);
    let problem = match has_secret(client, namespace, &name).await {
        Ok(true) => return Ok(None),
        Ok(false) => {
            let message = "is not there: Cluster API would make a key pair of its own for the cluster";
            let remedy =
                "apply it before the cluster is made: hcp-identity capz apply --private-key FILE --public-key FILE";
            Problem::error(Reason::SigningKeyMissing, FieldPath::root(), message, remedy)
        }
        Err(NotSeen::Failed(why)) => bail!("cannot ask the API server for the Secret {namespace}/{name}: {why}"),
        Err(NotSeen::Refused(why)) => {
            let remedy = "ask as somebody who may get it; nothing but its metadata is asked for";
            Problem::warning(Reason::NotLookedAt, FieldPath::root(), format!("is not looked at: {why}"), remedy)
        }
    };
    let object = ObjectRef { kind: "Secret".to_owned(), namespace: namespace.to_string(), name };
    Ok(Some(Finding { place: Place::within(cluster), object: Some(object), problem }))
}

/// A token of each manager, as the kubelet gives it to them.
async fn tokens_of_managers(client: &Client, cluster: &Arc<str>, checker: &mut Checker<'_>) -> Result<Vec<Claims>> {
    let mut read = Vec::new();
    for (namespace, account, audience) in ACCOUNTS {
        let claims = match token(client, namespace, account, audience).await {
            Ok(token) => Claims::read(namespace, account, &token).ok_or("what the API server gives is none".to_owned()),
            Err(NotSeen::Refused(why)) => Err(why),
            Err(NotSeen::Failed(why)) => {
                bail!("cannot ask the API server for a token of {namespace}/{account}: {why}")
            }
        };
        match claims {
            Ok(claims) => read.push(claims),
            Err(why) => {
                let remedy = "ask as somebody who may create serviceaccounts/token in the namespace";
                let message = format!("a token of it is not looked at: {why}");
                let object =
                    ObjectRef { kind: "ServiceAccount".to_owned(), namespace: namespace.into(), name: account.into() };
                let problem = Problem::note(Reason::NotLookedAt, FieldPath::root(), message, remedy);
                checker.add([Finding { place: Place::within(cluster), object: Some(object), problem }]);
            }
        }
    }
    Ok(read)
}

async fn look_at_tokens(
    client: &Client,
    cluster: &Arc<str>,
    issuer: Option<&str>,
    pair: Option<String>,
    checker: &mut Checker<'_>,
) -> Result<()> {
    let signing = Signing { pair, tokens: tokens_of_managers(client, cluster, checker).await? };
    let internet = Internet::new()?;
    let published = async |url: &str| internet.ask(url).await;
    let own = async |path: &str| {
        ask(client, path).await.map_err(|why| anyhow!("cannot ask the API server for /{path}: {why}"))
    };
    let (of_cluster, findings) = tokens(cluster, issuer, &signing, own, published).await?;
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
