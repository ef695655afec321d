//! What only all objects together tell.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Cluster, Gathered, account,
    allowed::{Labels, Verdict},
    identity::{CredentialFile, Kind, KnownIdentity},
    issuer::{KnownIssuer, Of},
    machines,
    manager::{AsoSecrets, Manager, Who},
};
use crate::finding::{FieldPath, Finding, Problem, Reason};

pub(super) fn findings(all: &Gathered, issuer: Option<&str>) -> Vec<Finding> {
    let mut findings = of_namespaces(all);
    findings.extend(credential_files(all));
    if all.signs_in_with_tokens() {
        let theirs = || all.managers.iter().filter(|manager| manager.who != Who::CapzOfHyperShift);
        findings.extend(theirs().flat_map(|manager| manager.token.iter().cloned()));
        findings.extend(theirs().filter_map(account::of_manager));
        findings.extend(account::of_others(all));
        findings.extend(machines::findings(all));
    }
    findings.extend(issuers(&all.issuers, issuer));
    findings
}

fn error(reason: Reason, message: String, remedy: &str) -> Problem {
    Problem::error(reason, FieldPath::root(), message, remedy)
}

/// Clusters in namespaces that their identity does not allow, and identities that no namespace may use.
fn of_namespaces(all: &Gathered) -> Vec<Finding> {
    let labels: BTreeMap<&str, &Labels> = all.namespaces.iter().map(|(name, labels)| (&**name, labels)).collect();
    let identities: BTreeMap<_, _> =
        all.identities.iter().map(|identity| ((&*identity.namespace, &*identity.name), identity)).collect();
    let refused =
        all.clusters.iter().filter_map(|cluster| match identities.get(&(&*cluster.identity.0, &*cluster.identity.1)) {
            Some(identity) => refused(cluster, identity, &labels).or_else(|| said(cluster)),
            None if all.has_all_identities => missing(cluster),
            None => said(cluster),
        });
    let unused = all.identities.iter().filter_map(|identity| unused(identity, &labels));
    refused.chain(unused).collect()
}

fn refused(cluster: &Cluster, identity: &KnownIdentity, labels: &BTreeMap<&str, &Labels>) -> Option<Finding> {
    // A namespace that is not written is that of whoever applies it.
    let namespace = Some(&*cluster.namespace).filter(|namespace| !namespace.is_empty())?;
    if identity.allowed.allows(namespace, labels.get(namespace).copied()) != Verdict::No {
        return None;
    }
    let message = format!(
        "names {}, which does not allow the namespace {namespace:?}: CAPZ does nothing for it (NamespaceNotAllowedByIdentity)",
        identity.allowed_namespaces.object
    );
    let remedy = "add the namespace to spec.allowedNamespaces.list of the identity";
    Some(cluster.spot.finding(error(Reason::NamespaceNotAllowed, message, remedy)))
}

/// What CAPZ says, where it could not be told: it may be that what has changed since is not looked at yet.
fn said(cluster: &Cluster) -> Option<Finding> {
    let (namespace, name) = &cluster.identity;
    let message = format!(
        "CAPZ says that AzureClusterIdentity {namespace}/{name} does not allow the namespace {:?}, and does nothing for it",
        cluster.namespace
    );
    let remedy = "add the namespace to spec.allowedNamespaces of the identity; if it is there, see what CAPZ logs";
    Some(cluster.refused.as_ref()?.finding(error(Reason::NamespaceNotAllowed, message, remedy)))
}

fn missing(cluster: &Cluster) -> Option<Finding> {
    let (namespace, name) = &cluster.identity;
    if namespace.is_empty() {
        return None;
    }
    let message =
        format!("names AzureClusterIdentity {namespace}/{name}, which is not there: CAPZ does nothing for it");
    let remedy = "apply it (hcp-identity capz apply), or correct the name";
    Some(cluster.spot.finding(error(Reason::IdentityNotFound, message, remedy)))
}

fn unused(identity: &KnownIdentity, labels: &BTreeMap<&str, &Labels>) -> Option<Finding> {
    let is_allowed = |(name, labels): (&&str, &&Labels)| identity.allowed.allows(name, Some(labels)) == Verdict::Yes;
    if labels.is_empty() || identity.allowed.is_nobody() || labels.iter().any(is_allowed) {
        return None;
    }
    let message = "allows none of the namespaces that are in the input";
    let remedy = "correct the names or the labels; or give it all Namespaces of the cluster";
    let problem = Problem::warning(Reason::AllowedNamespacesMatchNobody, FieldPath::root(), message, remedy);
    Some(identity.allowed_namespaces.finding(problem))
}

/// What UserAssignedIdentityCredentials and CAPZ's processes do to each other.
fn credential_files(all: &Gathered) -> Vec<Finding> {
    let of_files: Vec<_> = all
        .identities
        .iter()
        .filter_map(|identity| match &identity.kind {
            Kind::CredentialFile(file) => Some((&*identity.namespace, file)),
            _ => None,
        })
        .collect();
    let mut findings = Vec::new();
    let managers: Vec<_> = all.managers.iter().filter(|manager| manager.who != Who::Aso).collect();
    for manager in &managers {
        let served: Vec<_> = of_files
            .iter()
            .filter(|(namespace, _)| manager.watched.as_deref().is_none_or(|watched| watched == *namespace))
            .map(|(_, file)| *file)
            .collect();
        findings.extend(aso_secrets(manager, &served));
        findings.extend(shared_cache(&served).map(|(file, first)| file.spot.finding(in_one_process(first))));
    }
    if managers.is_empty() {
        let files: Vec<_> = of_files.iter().map(|(_, file)| *file).collect();
        let perhaps = |(file, first): (&CredentialFile, &CredentialFile)| {
            let problem = in_one_process(first);
            file.spot.finding(Problem::warning(problem.reason, problem.field, problem.message, problem.remedy))
        };
        findings.extend(shared_cache(&files).map(perhaps));
    }
    findings
}

fn aso_secrets(manager: &Manager, served: &[&CredentialFile]) -> Option<Finding> {
    let first = served.first().filter(|_| manager.aso_secrets == AsoSecrets::On)?;
    let message = format!(
        "leaves the controller on that makes Secrets for the Azure Service Operator, which takes {} for one with a client secret and fails",
        first.spot.object
    );
    let remedy = "add --disable-controllers-or-webhooks=DisableASOSecretController";
    Some(manager.arguments.finding(error(Reason::AsoSecretControllerOn, message, remedy)))
}

/// Each that would get the credential of another one: CAPZ's cache knows neither client nor path.
fn shared_cache<'f>(served: &[&'f CredentialFile]) -> impl Iterator<Item = (&'f CredentialFile, &'f CredentialFile)> {
    let mut first: BTreeMap<&str, &CredentialFile> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut others = Vec::new();
    for file in served {
        let of_cloud = *first.entry(file.cloud).or_insert(file);
        let is_first = (&of_cloud.client, &of_cloud.path) == (&file.client, &file.path);
        if !is_first && seen.insert((&file.client, &file.path)) {
            others.push((*file, of_cloud));
        }
    }
    others.into_iter()
}

fn in_one_process(first: &CredentialFile) -> Problem {
    let message = format!(
        "is served by one CAPZ together with {}: its cache keeps one credential a cloud, and whichever comes first is used for both",
        first.spot.object
    );
    let remedy = "run a CAPZ for each (--namespace), or use one identity";
    error(Reason::SharedCredentialCache, message, remedy)
}

/// Issuers that are missing, or that differ from the one that Entra is told of.
fn issuers(issuers: &[KnownIssuer], expected: Option<&str>) -> Vec<Finding> {
    issuers.iter().filter_map(|known| issuer(known, expected)).collect()
}

fn issuer(known: &KnownIssuer, expected: Option<&str>) -> Option<Finding> {
    let problem = match (&known.issuer, expected) {
        (Some(issuer), Some(expected)) if issuer != expected => {
            let message = format!(
                "is another issuer than {expected:?}{}: Entra compares byte for byte (AADSTS700211)",
                difference(issuer, expected)
            );
            let remedy = "write the issuer of the federated credentials, or make federated credentials of this one";
            error(Reason::IssuerMismatch, message, remedy).with_value(issuer)
        }
        (None, _) if known.of == Of::Kind => error(
            Reason::IssuerMissing,
            "has no service-account-issuer: kubeadm's own is not to be reached from outside".to_owned(),
            "set it in a ClusterConfiguration of kubeadmConfigPatches (apiServer.extraArgs)",
        ),
        // Only a cluster that others are to be managed from needs one.
        (None, Some(expected)) => Problem::warning(
            Reason::IssuerMissing,
            FieldPath::root(),
            format!(
                "is missing: after `clusterctl move` to this cluster CAPZ could not sign in, as its tokens are not of {expected:?}"
            ),
            "set SERVICE_ACCOUNT_ISSUER for `clusterctl generate cluster`, if it is to be a management cluster",
        ),
        _ => return None,
    };
    Some(known.spot.finding(problem))
}

pub(super) fn difference(one: &str, other: &str) -> &'static str {
    if one.trim_end_matches('/') == other.trim_end_matches('/') {
        ", by a slash at its end"
    } else if one.eq_ignore_ascii_case(other) {
        ", by upper and lower case"
    } else {
        ""
    }
}
