//! Every access to the Kubernetes API that the daemon makes: the one table that its calls name and its RBAC is made of. What
//! a person asks with `check cluster` is none of the daemon's: see `fitness`.

use strum::Display;

/// One kind of access. A call that is not covered by one of these does not exist.
#[derive(Debug, Eq, PartialEq)]
pub struct Access {
    pub group: &'static str,
    /// With its subresource, if any: `controlplaneidentities/status`.
    pub resource: &'static str,
    pub verbs: &'static [Verb],
    pub role: Role,
}

#[derive(Clone, Copy, Debug, Display, Eq, PartialEq)]
#[strum(serialize_all = "lowercase")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

/// Who needs it: each is a role of its own in `manifests/`.
#[derive(Clone, Copy, Debug, Display, Eq, PartialEq, strum::EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Role {
    /// In every mode, on the whole cluster.
    Observe,
    /// `mode: enforce`.
    Enforce,
    /// `podPatch: workload`.
    PatchWorkloads,
    /// `azureClusterIdentity: apply`.
    Capz,
    /// `rotation: restart`.
    RestartPods,
    /// `podPatch: policy`.
    Policies,
    /// `configurationCheck: metadata`.
    ConfigurationMetadata,
    /// `workloadIdentityWebhook.enabled`.
    WorkloadIdentityWebhook,
    /// A webhook with certificates of our own: their authority, in the daemon's own namespace.
    WebhookAuthority,
    /// The same: what tells API servers of it.
    WebhookRegistration,
    /// In the daemon's own namespace.
    Leader,
}

impl Role {
    /// Whether it is one of the daemon's own namespace, and not of the cluster.
    #[must_use]
    pub fn is_of_own_namespace(self) -> bool {
        matches!(self, Self::Leader | Self::WebhookAuthority)
    }
}

const WATCHED: &[Verb] = &[Verb::List, Verb::Watch];

macro_rules! accesses {
    ($($(#[$doc:meta])* $name:ident = $group:literal, $resource:literal, $verbs:expr, $role:ident;)*) => {
        $($(#[$doc])* pub static $name: Access =
            Access { group: $group, resource: $resource, verbs: $verbs, role: Role::$role };)*
        /// All of them.
        pub static ACCESSES: &[&Access] = &[$(&$name),*];
    };
}

accesses! {
    /// What should be.
    HOSTED_CLUSTERS = "hypershift.openshift.io", "hostedclusters", WATCHED, Observe;
    /// What is.
    CLASSES = "secrets-store.csi.x-k8s.io", "secretproviderclasses", WATCHED, Observe;
    /// What is mounted.
    POD_STATUSES = "secrets-store.csi.x-k8s.io", "secretproviderclasspodstatuses", WATCHED, Observe;
    /// Whether mounts are renewed.
    CSI_DRIVERS = "storage.k8s.io", "csidrivers", WATCHED, Observe;
    /// Whether pods are wired.
    DEPLOYMENTS = "apps", "deployments", WATCHED, Observe;
    /// Whether a class is in use.
    PODS = "", "pods", WATCHED, Observe;
    /// Whether a control plane namespace is there.
    NAMESPACES = "", "namespaces", WATCHED, Observe;
    /// Our own status.
    STATUSES = "hcpidentity.dev", "controlplaneidentities", &[Verb::List, Verb::Watch, Verb::Create], Observe;
    STATUS = "hcpidentity.dev", "controlplaneidentities/status", &[Verb::Update], Observe;
    /// Why pods do not get their volumes: asked for with the field selector `reason=FailedMount`, which RBAC does not know.
    FAILED_MOUNTS = "", "events", WATCHED, Observe;
    /// News, for people.
    EVENTS = "events.k8s.io", "events", &[Verb::Create], Observe;
    /// Provider classes: applied, and deleted when nobody needs them any more.
    WRITE_CLASSES = "secrets-store.csi.x-k8s.io", "secretproviderclasses", &[Verb::Create, Verb::Patch, Verb::Delete], Enforce;
    /// The wiring of pod templates.
    WIRE_DEPLOYMENTS = "apps", "deployments", &[Verb::Patch], PatchWorkloads;
    CAPZ_IDENTITIES = "infrastructure.cluster.x-k8s.io", "azureclusteridentities",
        &[Verb::List, Verb::Watch, Verb::Create, Verb::Patch], Capz;
    /// Pods that would hold a credential past its end.
    EVICTIONS = "", "pods/eviction", &[Verb::Create], RestartPods;
    /// Whether the policies that wire pods are there, and are what we make: each by its name.
    POLICIES = "admissionregistration.k8s.io", "mutatingadmissionpolicies", &[Verb::Get], Policies;
    POLICY_BINDINGS = "admissionregistration.k8s.io", "mutatingadmissionpolicybindings", &[Verb::Get], Policies;
    /// Which identity pods are to be given: of a ServiceAccount its annotations.
    SERVICE_ACCOUNTS = "", "serviceaccounts", WATCHED, WorkloadIdentityWebhook;
    /// Whether what says to pods as whom they sign in is there: each by its name, and of it the metadata. RBAC does not tell
    /// these from values.
    CONFIGURATION_SECRETS = "", "secrets", &[Verb::Get], ConfigurationMetadata;
    CONFIGURATION_ACCOUNTS = "", "serviceaccounts", &[Verb::Get], ConfigurationMetadata;
    /// The one Secret that is ours: the authority of the webhook's certificates, by its name.
    AUTHORITY = "", "secrets", &[Verb::Get, Verb::Create, Verb::Update], WebhookAuthority;
    /// What the API server trusts the webhook by: each by its name, and nothing of it but that.
    REGISTRATIONS = "admissionregistration.k8s.io", "mutatingwebhookconfigurations", &[Verb::Get, Verb::Patch],
        WebhookRegistration;
    /// Which of several replicas writes.
    LEASE = "coordination.k8s.io", "leases", &[Verb::Get, Verb::Create, Verb::Update], Leader;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise of the README, in the table that everything is made of: no Secret but the one that is ours, unless somebody
    /// asks for the metadata of others.
    #[test]
    fn nothing_secret_is_read_and_hosted_clusters_are_not_written() {
        for access in ACCESSES {
            let is_secret = ["secrets", "configmaps"].contains(&access.resource);
            let is_named = [&AUTHORITY, &CONFIGURATION_SECRETS].contains(access);
            assert!(!is_secret || is_named, "{access:?}");
            let reads = access.verbs.iter().all(|verb| [Verb::Get, Verb::List, Verb::Watch].contains(verb));
            assert!(reads || access.resource != "hostedclusters");
            assert!(access.resource != "*" && access.group != "*");
        }
    }
}
