//! What the whole suite has asked for, by the API server's own account: nothing that its roles do not allow, nothing
//! secret, and everything that they do allow. It runs last, over the audit log of the cluster of the other tests:
//!
//!     HCP_IDENTITY_AUDIT_LOG=target/cluster/audit.log cargo test --features test-cluster --test audit

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{collections::BTreeSet, path::PathBuf};

use hcp_identity::{cluster::access::ACCESSES, component::COMPONENTS};
use support::audit::{self, Request};

/// Stages that lack a role on purpose begin with this.
const DENIED: &str = "denied-";
/// Stages with `configurationCheck: metadata` have this in their names.
const METADATA: &str = "metadata-";

fn requests() -> impl Iterator<Item = Request> {
    #[expect(clippy::disallowed_methods, reason = "which log is for the caller to say")]
    let log = std::env::var_os("HCP_IDENTITY_AUDIT_LOG").map(PathBuf::from);
    audit::of_stages(&log.expect("HCP_IDENTITY_AUDIT_LOG names the audit log of the test cluster"))
}

#[test]
fn nothing_was_denied() {
    let denied: BTreeSet<_> = requests()
        .filter(|request| request.code == 403 && !request.user.starts_with(DENIED))
        .map(|request| format!("{}: {} {}", request.user, request.verb, request.uri))
        .collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn nothing_but_what_the_table_names_was_asked_for() {
    let named = |request: &Request| {
        ACCESSES.iter().any(|access| {
            access.group == request.group
                && access.resource == request.resource
                && access.verbs.iter().any(|verb| verb.to_string() == request.verb)
        })
    };
    // The version of the API server, which everybody may ask for.
    let others: BTreeSet<_> = requests()
        .filter(|request| !request.resource.is_empty() && !named(request))
        .map(|request| format!("{}: {} {}", request.user, request.verb, request.uri))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    // Two stages have asked for the metadata of those that say to pods as whom they sign in, each by its name.
    let named: BTreeSet<_> =
        COMPONENTS.iter().flat_map(|row| row.federated.token.told_by).filter_map(|place| place.secret()).collect();
    let is_ours = |request: &Request| {
        let path = request.uri.split('?').next().unwrap_or_default();
        let name = path.rsplit_once("/secrets/").map(|(_, name)| name).unwrap_or_default();
        if named.contains(name) {
            return request.verb == "get" && request.user.contains(METADATA);
        }
        path.ends_with("/secrets/hcp-identity-webhook-ca") || request.verb == "create" && path.ends_with("/secrets")
    };
    let secret = requests().filter(|request| ["secrets", "configmaps"].contains(&request.resource.as_str()));
    let others: Vec<_> = secret.filter(|request| !is_ours(request)).map(|request| request.uri).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// Events may hold anything, and RBAC does not know field selectors.
#[test]
fn of_events_only_failed_mounts_were_read() {
    let read: Vec<_> = requests()
        .filter(|request| request.group.is_empty() && request.resource == "events")
        .map(|request| request.uri)
        .collect();
    assert!(!read.is_empty());
    assert!(read.iter().all(|uri| uri.contains("fieldSelector=reason%3DFailedMount")), "{read:#?}");
}

/// What nobody uses nobody needs. An apply of what is not there yet needs the right to create it as well.
#[test]
fn every_access_was_used() {
    let mut used = BTreeSet::new();
    for request in requests() {
        if request.verb == "patch" && request.code == 201 {
            used.insert((request.group.clone(), request.resource.clone(), "create".to_owned()));
        }
        if (200..300).contains(&request.code) {
            used.insert((request.group, request.resource, request.verb));
        }
    }
    let wanted = ACCESSES.iter().flat_map(|access| {
        access.verbs.iter().map(|verb| (access.group.to_owned(), access.resource.to_owned(), verb.to_string()))
    });
    let unused: Vec<_> = wanted.filter(|access| !used.contains(access)).collect();
    assert!(unused.is_empty(), "no test uses {unused:#?}");
}
