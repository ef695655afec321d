//! An AzureClusterIdentity by itself.

use super::{
    Spot,
    allowed::{self, Allowed},
};
use crate::{
    capz::cluster_identity::{
        ALLOWED_NAMESPACES, CREDENTIAL_FILE, CREDENTIALS_CLOUD, CREDENTIALS_PATH, WORKLOAD_IDENTITY, field_of,
        foreign_fields, is_client, is_tenant, no_id, wrong_type,
    },
    finding::{FieldPath, Problem, Reason},
    input::Located,
    manifest::{Content, Node},
};

/// What is kept of it.
pub(super) struct KnownIdentity {
    pub(super) allowed_namespaces: Spot,
    pub(super) client: Spot,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) allowed: Allowed,
}

pub(super) enum Kind {
    /// Signs in with the token of CAPZ's service account, as this client.
    WorkloadIdentity(String),
    /// Signs in with a UserAssignedIdentityCredentials file.
    CredentialFile(CredentialFile),
    Other,
}

pub(super) struct CredentialFile {
    pub(super) spot: Spot,
    pub(super) client: String,
    pub(super) path: String,
    /// Of which CAPZ takes everything unknown for the public one.
    pub(super) cloud: &'static str,
}

impl KnownIdentity {
    pub(super) fn signs_in_with_tokens(&self) -> bool {
        matches!(self.kind, Kind::WorkloadIdentity(_))
    }
}

/// The secret that a type needs one of.
const SECRETS: [(&str, &[&str]); 3] = [
    ("ServicePrincipal", &["clientSecret"]),
    ("ManualServicePrincipal", &["clientSecret"]),
    ("ServicePrincipalCertificate", &["certPath", "clientSecret"]),
];

pub(super) fn look(object: &Located) -> (Option<KnownIdentity>, Vec<Problem>) {
    let Some(spec) = object.node().get("spec").filter(|spec| matches!(spec.content, Content::Mapping(_))) else {
        let problem =
            Problem::error(Reason::Required, FieldPath::of("spec"), "is missing, or is no object", "write it");
        return (None, vec![problem]);
    };
    let identity_type = spec.text("type").unwrap_or_default();
    let mut problems = of_type(spec, identity_type);
    problems.extend(ids(spec, identity_type));
    let (allowed, of_namespaces) = allowed::read(spec.get(ALLOWED_NAMESPACES));
    problems.extend(of_namespaces);
    let reference = object.reference();
    let kind = match identity_type {
        WORKLOAD_IDENTITY => Kind::WorkloadIdentity(spec.text("clientID").unwrap_or_default().to_owned()),
        CREDENTIAL_FILE => Kind::CredentialFile(CredentialFile {
            spot: Spot::of(object, &field_of(CREDENTIALS_PATH)),
            client: spec.text("clientID").unwrap_or_default().to_owned(),
            path: spec.text(CREDENTIALS_PATH).unwrap_or_default().to_owned(),
            cloud: cloud(spec).unwrap_or("public"),
        }),
        _ => Kind::Other,
    };
    let allowed_namespaces = Spot::of(object, &field_of(ALLOWED_NAMESPACES));
    let client = Spot::of(object, &field_of("clientID"));
    let (namespace, name) = (reference.namespace, reference.name);
    (Some(KnownIdentity { allowed_namespaces, client, namespace, name, kind, allowed }), problems)
}

fn of_type(spec: &Node, identity_type: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    match spec.get("type").map(|node| &node.content) {
        Some(Content::String(found)) if is_type(found) => problems.extend(foreign_fields(spec, identity_type)),
        Some(Content::String(found)) => {
            let (message, remedy) =
                ("is no type of identity that CAPZ knows", "write WorkloadIdentity, or another one");
            problems
                .push(Problem::error(Reason::UnsupportedValue, field_of("type"), message, remedy).with_value(&**found));
            return problems;
        }
        None | Some(Content::Null) => {
            problems.push(Problem::error(Reason::Required, field_of("type"), "is missing", "write WorkloadIdentity"));
            return problems;
        }
        Some(_) => return vec![wrong_type(field_of("type"), "is no string")],
    }
    let there = |field: &str| spec.get(field).is_some_and(|value| !value.is_null() && value.to_value() != "");
    let secrets = SECRETS.iter().find(|(of, _)| *of == identity_type).map_or(&[][..], |(_, secrets)| secrets);
    for secret in ["certPath", "clientSecret"].into_iter().filter(|secret| there(secret) && !secrets.contains(secret)) {
        let message = format!("is a secret that {identity_type} does not use");
        let remedy = "remove it, and delete the secret if nothing else uses it";
        problems.push(Problem::warning(Reason::UnusedSecret, field_of(secret), message, remedy));
    }
    if let Some(wanted) = secrets.last().filter(|_| !secrets.iter().any(|secret| there(secret))) {
        let message = format!("is missing, and {identity_type} signs in with it");
        let remedy = "name the Secret, or make the type WorkloadIdentity, which needs none";
        problems.push(Problem::error(Reason::Required, field_of(wanted), message, remedy));
    }
    if identity_type == CREDENTIAL_FILE {
        problems.extend(credential_file(spec, there(CREDENTIALS_PATH)));
    }
    problems
}

fn is_type(text: &str) -> bool {
    [WORKLOAD_IDENTITY, CREDENTIAL_FILE, "UserAssignedMSI"].contains(&text) || SECRETS.iter().any(|(of, _)| *of == text)
}

fn credential_file(spec: &Node, has_path: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !has_path {
        let message = "is missing: CAPZ's webhook takes that, and its manager has no file to read";
        let remedy = "write the path at which the file is mounted";
        problems.push(Problem::error(Reason::Required, field_of(CREDENTIALS_PATH), message, remedy));
    }
    if let Some(found) = spec.text(CREDENTIALS_CLOUD).filter(|found| !found.is_empty())
        && cloud(spec).is_none()
    {
        let message = "is no cloud that CAPZ knows, and it takes that for the public one without a word";
        let remedy = "write public, usgovernment or china";
        let problem = Problem::warning(Reason::UnsupportedValue, field_of(CREDENTIALS_CLOUD), message, remedy);
        problems.push(problem.with_value(found));
    }
    problems
}

fn cloud(spec: &Node) -> Option<&'static str> {
    let found = spec.text(CREDENTIALS_CLOUD)?;
    ["public", "usgovernment", "china"].into_iter().find(|cloud| cloud.eq_ignore_ascii_case(found))
}

fn ids(spec: &Node, identity_type: &str) -> Vec<Problem> {
    let remedy = "write the one of the identity or application";
    let mut problems = Vec::new();
    for (field, is_one) in [("clientID", is_client as fn(&str) -> bool), ("tenantID", is_tenant)] {
        match spec.get(field).map(|node| &node.content) {
            // The file has them.
            None | Some(Content::Null) if identity_type == CREDENTIAL_FILE => {}
            Some(Content::String(found)) if is_one(found) => {}
            Some(Content::String(found)) if found.is_empty() && identity_type == CREDENTIAL_FILE => {}
            Some(Content::String(found)) => problems.push(no_id(field, found, remedy)),
            None | Some(Content::Null) => problems.push(no_id(field, "", remedy)),
            Some(_) => problems.push(wrong_type(field_of(field), "is no string")),
        }
    }
    problems
}
