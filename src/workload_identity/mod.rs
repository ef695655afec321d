//! What the webhook of Azure/azure-workload-identity makes of a pod, from memory alone: a federated token in a volume, and
//! the environment in which Azure's SDKs find it.
//!
//! Pods, denials and their words are those of version 1.6.0; tests/workload_identity_upstream.rs holds one to the other. Two
//! things are not done: no proxy sidecar is injected (the pod is admitted without, and a warning says so), and custom token
//! endpoints ("identity bindings") are not known. One is done better: fields that Kubernetes has since learnt stay in a pod,
//! where the original drops them.

mod expiration;
mod patch;
mod pod;
mod service_account;
mod settings;
#[cfg(test)]
mod tests;

pub use patch::Operation;
use serde_json::Value;
pub use service_account::{Lookup, ServiceAccount};
pub use settings::{Paths, Settings, SettingsError};

use self::{expiration::expiration, pod::Pod};

const SKIP_CONTAINERS: &str = "azure.workload.identity/skip-containers";
const INJECT_PROXY_SIDECAR: &str = "azure.workload.identity/inject-proxy-sidecar";

/// What becomes of a pod that is admitted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mutation {
    /// In the order in which they apply; none where nothing is missing.
    pub patch: Vec<Operation>,
    /// For whoever creates the pod.
    pub warnings: Vec<String>,
}

/// Why a pod is not admitted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// Of HTTP.
    pub code: u16,
    pub message: String,
}

impl Denial {
    fn bad_request(message: String) -> Self {
        Self { code: 400, message }
    }
}

/// The name of the ServiceAccount that a pod runs as: the one to look up.
#[must_use]
pub fn service_account_name(pod: &Value) -> &str {
    pod["spec"]["serviceAccountName"].as_str().filter(|name| !name.is_empty()).unwrap_or("default")
}

/// Gives a pod its token.
///
/// # Guarantees
/// The patch applies to `pod`, and what it makes of it needs no patch.
///
/// # Assumptions
/// The pod has the label `azure.workload.identity/use: "true"`: the webhook's registration selects by it.
///
/// # Errors
/// A pod that cannot be given one is denied: its ServiceAccount is missing, the expiration of its token is none that is
/// allowed, or it is no pod.
pub fn mutate(pod: &Value, namespace: &str, account: &Lookup, settings: &Settings) -> Result<Mutation, Denial> {
    let name = service_account_name(pod);
    let pod = Pod::read(pod)?;
    let account = account.of(name)?;
    let expiration = expiration(&pod, account)?;
    let token = settings.token(&pod, account, expiration);
    let skipped = pod.annotation(SKIP_CONTAINERS).map(containers).unwrap_or_default();
    let mut patch = Vec::new();
    patch.extend(pod.in_namespace(namespace));
    for container in pod.containers().filter(|container| !skipped.contains(&container.name)) {
        patch.extend(container.environment(&token));
        patch.extend(container.mount(&token));
    }
    patch.extend(pod.volume(&token));
    Ok(Mutation { patch, warnings: warnings(&pod) })
}

fn containers(names: &str) -> Vec<&str> {
    if names.is_empty() { Vec::new() } else { names.split(';').map(str::trim).collect() }
}

fn warnings(pod: &Pod<'_>) -> Vec<String> {
    let asked = pod.annotation(INJECT_PROXY_SIDECAR).is_some();
    let warning = || {
        format!(
            "hcp-identity injects no proxy sidecar, which {INJECT_PROXY_SIDECAR} asks for: let the program read its token from AZURE_FEDERATED_TOKEN_FILE"
        )
    };
    asked.then(warning).into_iter().collect()
}
