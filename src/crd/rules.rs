//! The CEL rules of the CRD about identities, each a function that says what it refuses.
//!
//! Source: the `x-kubernetes-validations` of the CRD, which come from the `XValidation` markers in
//! `api/hypershift/v1beta1/azure.go` of openshift/hypershift. A rule that needs a field which is not there, or is no
//! string, says nothing: that has been reported where the field belongs.

use serde_json::{Map, Value};

use super::present;
use crate::finding::{FieldPath, Problem, Reason};

type Fields = Map<String, Value>;

pub(super) const RESOURCE_GROUP: &str =
    "2 to 90 letters, digits, underscores, hyphens, parentheses and periods, not ending with a period";

/// `^[a-zA-Z0-9_()\-\.]{1,89}[a-zA-Z0-9_()\-]$`, as written: one character alone does not match.
pub(super) fn is_resource_group(value: &str) -> bool {
    (2..=90).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_()-.".contains(&b))
        && !value.ends_with('.')
}

pub(super) fn managed_identities_union(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    member_follows_type(fields, path, "azureAuthenticationConfigType", "ManagedIdentities", "managedIdentities")
}

pub(super) fn workload_identities_union(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    member_follows_type(fields, path, "azureAuthenticationConfigType", "WorkloadIdentities", "workloadIdentities")
}

pub(super) fn private_link_union(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    member_follows_type(fields, path, "type", "PrivateLink", "privateLink")
}

pub(super) fn swift_union(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    member_follows_type(fields, path, "type", "Swift", "swift")
}

pub(super) fn registry_credentials_union(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    member_follows_type(fields, path, "type", "ManagedIdentity", "managedIdentity")
}

pub(super) const IDENTITY_RESOURCE_ID: &str = "/subscriptions/{subscription}/resourceGroups/{group}/providers/\
     Microsoft.ManagedIdentity/userAssignedIdentities/{name}";

/// `^/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.managedidentity/userassignedidentities/[^/]+$` over
/// the value in lower case.
pub(super) fn is_identity_resource_id(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let parts: Vec<&str> = value.split('/').collect();
    matches!(
        parts[..],
        ["", "subscriptions", subscription, "resourcegroups", group, "providers", "microsoft.managedidentity",
         "userassignedidentities", name]
            if [subscription, group, name].iter().all(|part| !part.is_empty())
    )
}

/// The two enums whose other values are none of ours: a value that is one of ours but for its case is refused by the
/// CRD, and would silently mean another platform or capability here.
pub(super) fn is_platform(value: &str) -> bool {
    value == "Azure" || !value.eq_ignore_ascii_case("Azure")
}

pub(super) fn is_capability(value: &str) -> bool {
    ["Ingress", "ImageRegistry"].iter().all(|known| value == *known || !value.eq_ignore_ascii_case(known))
}

pub(super) fn private_follows_topology(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    let topology = text(fields, "topology")?;
    let (wanted, there) = (topology != "Public", present(fields, "private").is_some());
    let (message, remedy) = match (wanted, there) {
        (true, false) => ("is missing, although the topology is private", "add it, or set topology to Public"),
        (false, true) => ("is there, although the topology is Public", "remove it, or set another topology"),
        _ => return None,
    };
    Some(Problem::error(Reason::UnionMismatch, path.key("private"), message, remedy))
}

pub(super) fn private_link_needs_an_identity(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    let private = object(fields, "private")?;
    let authentication = object(fields, "azureAuthenticationConfig")?;
    let identities = object(authentication, "workloadIdentities")?;
    let applies = text(private, "type")? == "PrivateLink"
        && text(authentication, "azureAuthenticationConfigType")? == "WorkloadIdentities"
        && present(identities, "controlPlaneOperator").is_none();
    let field = path.key("azureAuthenticationConfig").key("workloadIdentities").key("controlPlaneOperator");
    let message = "is missing, and Private Link with workload identities needs it";
    let remedy = "add the identity of control-plane-operator";
    applies.then(|| Problem::error(Reason::PrivateLinkIdentityRequired, field, message, remedy))
}

pub(super) fn backup_key_in_the_same_vault(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    let vault = |key: &str| object(fields, key).and_then(|key| text(key, "keyVaultName"));
    let (active, backup) = (vault("activeKey")?, vault("backupKey")?);
    let message = format!("is another vault than the active key's, {active}");
    let remedy = "both keys have to be in one vault";
    let field = path.key("backupKey").key("keyVaultName");
    (active != backup).then(|| Problem::error(Reason::KeyVaultMismatch, field, message, remedy).with_value(backup))
}

pub(super) fn one_kms_identity(fields: &Fields, path: &FieldPath) -> Option<Problem> {
    let (message, remedy) = match (present(fields, "kms"), present(fields, "workloadIdentity")) {
        (Some(_), Some(_)) => {
            ("has both kms and workloadIdentity", "remove the one that the control plane does not use")
        }
        (None, None) => {
            ("has neither kms nor workloadIdentity", "add kms for managed, workloadIdentity for workload identities")
        }
        _ => return None,
    };
    Some(Problem::error(Reason::IdentityConflict, path.clone(), message, remedy))
}

/// A union of the API: the member is there if, and only if, the discriminator names it.
fn member_follows_type(
    fields: &Fields,
    path: &FieldPath,
    discriminator: &str,
    value: &str,
    member: &str,
) -> Option<Problem> {
    let found = text(fields, discriminator)?;
    let (message, remedy) = match (found == value, present(fields, member).is_some()) {
        (true, false) => (format!("is missing, although {discriminator} is {value}"), "add it".to_owned()),
        (false, true) => (
            format!("is there, although {discriminator} is not {value}"),
            format!("remove it, or set {discriminator} to {value}"),
        ),
        _ => return None,
    };
    Some(Problem::error(Reason::UnionMismatch, path.key(member), message, remedy))
}

fn text<'v>(fields: &'v Fields, key: &str) -> Option<&'v str> {
    fields.get(key)?.as_str()
}

fn object<'v>(fields: &'v Fields, key: &str) -> Option<&'v Fields> {
    fields.get(key)?.as_object()
}
