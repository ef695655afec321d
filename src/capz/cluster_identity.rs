//! The AzureClusterIdentity: how CAPZ and the service operator beside it sign in for a cluster.

use serde_json::json;

use super::{Wiring, edit::Change};
use crate::{
    finding::{FieldPath, Problem, Reason},
    manifest::{Content, Node},
    names::{ClientId, is_uuid},
};

pub(super) const KIND: &str = "AzureClusterIdentity";
pub(super) const WORKLOAD_IDENTITY: &str = "WorkloadIdentity";
/// The type that reads a UserAssignedIdentityCredentials file, and its fields.
pub(super) const CREDENTIAL_FILE: &str = "UserAssignedIdentityCredential";
pub(super) const CREDENTIALS_PATH: &str = "userAssignedIdentityCredentialsPath";
pub(super) const CREDENTIALS_CLOUD: &str = "userAssignedIdentityCredentialsCloudType";
pub(super) const ALLOWED_NAMESPACES: &str = "allowedNamespaces";

/// What is to change in the spec for CAPZ to sign in with its service account's token.
pub(super) fn changes(spec: &Node, wiring: &Wiring) -> Result<Vec<Change>, Vec<Problem>> {
    let mut problems = foreign_fields(spec, WORKLOAD_IDENTITY);
    let mut changes = Vec::new();
    let mut add = |change: Result<Option<Change>, Problem>| match change {
        Ok(change) => changes.extend(change),
        Err(problem) => problems.push(problem),
    };
    add(identity_type(spec));
    add(id(spec, "clientID", wiring.client.as_deref(), is_client, "--client-id"));
    add(id(spec, "tenantID", wiring.tenant.as_deref(), is_tenant, "--tenant-id"));
    add(allowed_namespaces(spec, wiring));
    // The secret, in each of the two ways of giving one.
    for secret in ["clientSecret", "certPath"] {
        add(Ok(spec.get(secret).map(|_| Change::Remove(secret))));
    }
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

/// Fields that CAPZ's webhook takes beside one type only.
pub(super) const OF_ONE_TYPE: [(&str, &str); 3] =
    [("resourceID", "UserAssignedMSI"), (CREDENTIALS_PATH, CREDENTIAL_FILE), (CREDENTIALS_CLOUD, CREDENTIAL_FILE)];

/// Those that are there beside another one.
pub(super) fn foreign_fields(spec: &Node, identity_type: &str) -> Vec<Problem> {
    OF_ONE_TYPE
        .into_iter()
        .filter(|(field, of)| *of != identity_type && spec.get(field).is_some_and(|value| !value.is_null()))
        .map(|(field, of)| {
            let message = format!("is for the type {of} only: CAPZ refuses it beside {identity_type}");
            Problem::error(Reason::UnionMismatch, field_of(field), message, "remove it, or correct the type")
        })
        .collect()
}

fn identity_type(spec: &Node) -> Result<Option<Change>, Problem> {
    let wrong = |message: &str, found: &str| {
        let remedy = "write WorkloadIdentity, if it is to sign in with tokens; the type of an identity that exists cannot be changed";
        Problem::error(Reason::UnsupportedValue, field_of("type"), message, remedy).with_value(found)
    };
    match spec.get("type").map(|node| &node.content) {
        Some(Content::String(found)) => match &**found {
            WORKLOAD_IDENTITY => Ok(None),
            "ServicePrincipal" | "ManualServicePrincipal" | "ServicePrincipalCertificate" => {
                Ok(Some(Change::Set("type", WORKLOAD_IDENTITY.into())))
            }
            "UserAssignedMSI" | CREDENTIAL_FILE => {
                Err(wrong("is an identity that signs in without a secret already", found))
            }
            _ => Err(wrong("is no type of identity that CAPZ knows", found)),
        },
        None | Some(Content::Null) => Ok(Some(Change::Set("type", WORKLOAD_IDENTITY.into()))),
        Some(_) => Err(wrong_type(field_of("type"), "is no string")),
    }
}

/// A client or a tenant: the one that is asked for, or else the one that is there.
fn id(
    spec: &Node,
    field: &'static str,
    wanted: Option<&str>,
    is_one: fn(&str) -> bool,
    flag: &str,
) -> Result<Option<Change>, Problem> {
    let found = match spec.get(field).map(|node| &node.content) {
        None | Some(Content::Null) => "",
        Some(Content::String(found)) => found,
        Some(_) => return Err(wrong_type(field_of(field), "is no string")),
    };
    match wanted {
        Some(wanted) if wanted.eq_ignore_ascii_case(found) => Ok(None),
        Some(wanted) => Ok(Some(Change::Set(field, wanted.into()))),
        None if is_one(found) => Ok(None),
        None => Err(no_id(field, found, &format!("write it into the manifest, or name it ({flag} ID)"))),
    }
}

/// What is wrong with an id that is missing, or that Entra cannot have.
pub(super) fn no_id(field: &str, found: &str, remedy: &str) -> Problem {
    if found.is_empty() {
        return Problem::error(Reason::Required, field_of(field), "is missing", remedy);
    }
    let message = "is no id that Entra can have";
    Problem::error(Reason::InvalidFormat, field_of(field), message, remedy).with_value(found)
}

pub(super) fn is_client(text: &str) -> bool {
    ClientId::new(text).is_ok()
}

/// Whether this is the id of a tenant, or one of its domains.
#[must_use]
pub fn is_tenant(text: &str) -> bool {
    is_uuid(text)
        || text.contains('.')
            && text
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// The namespaces whose clusters may use the identity. Without the field none may, not even its own.
fn allowed_namespaces(spec: &Node, wiring: &Wiring) -> Result<Option<Change>, Problem> {
    let field = field_of(ALLOWED_NAMESPACES);
    let found = match spec.get(ALLOWED_NAMESPACES) {
        None => None,
        Some(found) if found.is_null() => None,
        Some(found) if matches!(found.content, Content::Mapping(_)) => Some(found.to_value_without_nulls()),
        Some(_) => return Err(wrong_type(field, "is no object")),
    };
    if wiring.allowed_namespaces.is_empty() {
        let message = "is missing: CAPZ takes that for nobody, the identity's own namespace included";
        let remedy = "name the namespaces of the clusters (--allowed-namespace NAMESPACE)";
        return found.map(|_| None).ok_or_else(|| Problem::error(Reason::Required, field, message, remedy));
    }
    let wanted = json!({"list": wiring.allowed_namespaces});
    Ok((found.as_ref() != Some(&wanted)).then_some(Change::Set(ALLOWED_NAMESPACES, wanted)))
}

pub(super) fn field_of(name: &str) -> FieldPath {
    FieldPath::of("spec").key(name)
}

pub(super) fn wrong_type(field: FieldPath, message: &str) -> Problem {
    Problem::error(Reason::InvalidType, field, message, "correct it")
}
