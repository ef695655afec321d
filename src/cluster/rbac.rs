//! The table of accesses as RBAC manifests: what the daemon may do is what its calls name, and nothing else.

use std::io;

use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use super::{
    access::{
        ACCESSES, AUTHORITY, Access, CONFIGURATION_ACCOUNTS, CONFIGURATION_SECRETS, LEASE, POLICIES, POLICY_BINDINGS,
        REGISTRATIONS, Role, Verb,
    },
    certificates,
};
use crate::{
    component::{COMPONENTS, Place},
    manifest::{Format, Writer},
    policies,
};

const NAME: &str = "hcp-identity";

/// A role and who has it, as a file below `manifests/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    pub role: Role,
    pub path: String,
    pub yaml: String,
}

/// One for each role. Every overlay has those of the base; a component adds one of the others.
///
/// # Errors
/// What writing fails with.
pub fn manifests() -> io::Result<Vec<Manifest>> {
    Role::iter().map(manifest).collect()
}

fn manifest(role: Role) -> io::Result<Manifest> {
    let mut yaml = b"# Made of the table in src/cluster/access.rs by `cargo xtask gen`.\n".to_vec();
    let mut writer = Writer::new(&mut yaml, Format::Yaml);
    writer.write(&rules(role))?;
    writer.write(&binding(role))?;
    writer.finish()?;
    let yaml = String::from_utf8(yaml).map_err(io::Error::other)?;
    Ok(Manifest { role, path: path(role), yaml })
}

/// Where the role stands below `manifests/`.
pub(super) fn path(role: Role) -> String {
    match role {
        Role::Observe | Role::Leader => format!("base/rbac/{role}.yaml"),
        Role::Enforce
        | Role::PatchWorkloads
        | Role::Capz
        | Role::RestartPods
        | Role::Policies
        | Role::ConfigurationMetadata
        | Role::WorkloadIdentityWebhook => format!("components/{role}/rbac.yaml"),
        Role::WebhookAuthority | Role::WebhookRegistration => format!("components/webhook-self-signed/{role}.yaml"),
    }
}

fn rules(role: Role) -> Value {
    let rules: Vec<_> = ACCESSES.iter().filter(|access| access.role == role).flat_map(|access| of(access)).collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind(role),
        "metadata": metadata(role),
        "rules": rules,
    })
}

/// The names of the objects, where an access is to some only.
pub(super) fn names(access: &Access) -> Vec<String> {
    match access {
        lease if lease == &LEASE => vec![NAME.to_owned()],
        policies if [&POLICIES, &POLICY_BINDINGS].contains(&policies) => policies::names(),
        secret if secret == &AUTHORITY => vec![certificates::SECRET.to_owned()],
        secrets if secrets == &CONFIGURATION_SECRETS => places(Place::secret),
        accounts if accounts == &CONFIGURATION_ACCOUNTS => places(Place::service_account),
        of_webhooks if of_webhooks == &REGISTRATIONS => certificates::REGISTRATIONS.map(ToOwned::to_owned).to_vec(),
        _ => Vec::new(),
    }
}

fn places(name: fn(Place) -> Option<&'static str>) -> Vec<String> {
    let places = COMPONENTS.iter().flat_map(|row| row.federated.token.told_by);
    places.filter_map(|place| name(*place)).map(ToOwned::to_owned).collect()
}

/// Only the creation of an object cannot be told by name.
fn of(access: &Access) -> Vec<Value> {
    let names = names(access);
    if names.is_empty() {
        return vec![rule(access, access.verbs, &[])];
    }
    let (create, named): (Vec<_>, Vec<_>) = access.verbs.iter().partition(|verb| **verb == Verb::Create);
    let creation = (!create.is_empty()).then(|| rule(access, &create, &[]));
    creation.into_iter().chain([rule(access, &named, &names)]).collect()
}

fn rule(access: &Access, verbs: &[Verb], names: &[String]) -> Value {
    let verbs: Vec<_> = verbs.iter().map(ToString::to_string).collect();
    let mut rule = json!({"apiGroups": [access.group], "resources": [access.resource], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    rule
}

fn binding(role: Role) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{}Binding", kind(role)),
        "metadata": metadata(role),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind(role), "name": name(role)},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAME}],
    })
}

fn kind(role: Role) -> &'static str {
    if role.is_of_own_namespace() { "Role" } else { "ClusterRole" }
}

fn name(role: Role) -> String {
    format!("{NAME}-{role}")
}

fn metadata(role: Role) -> Value {
    let mut metadata = json!({"name": name(role)});
    if role.is_of_own_namespace() {
        metadata["namespace"] = json!(NAME);
    }
    metadata["labels"] = json!({"app.kubernetes.io/name": NAME});
    metadata
}
