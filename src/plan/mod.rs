//! What should be: the one decision that every door asks for.
//!
//! `plan` is pure. It walks the table of components and nothing else; what it returns cannot fail any more, except where
//! a pod that somebody else wrote is in the way.

mod azure_cluster_identity;
mod identities;
mod provider_class;
#[cfg(test)]
mod tests;
mod wiring;
mod workload_identities;

use std::sync::Arc;

use hcp_identity_api::{
    azure_cluster_identity::AzureClusterIdentity, hosted_cluster::HostedCluster,
    secret_provider_class::SecretProviderClass,
};

pub use identities::{ClusterName, Gated, Identities, Identity};
pub use provider_class::MANAGED_BY;
pub use wiring::{Addition, CSI_DRIVER, Element, Template, Wired, consumer_apps, same_path};
pub use workload_identities::{AUDIENCE, FederatedCredential, WorkloadIdentities, WorkloadIdentity};

use crate::{
    component::{Component, Id},
    finding::Problem,
    settings::Settings,
};

/// What the cluster should contain for one HostedCluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    identities: Identities,
    settings: Arc<Settings>,
}

/// A plan, or why there is none; and what is odd in either case.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Absent where a problem is an error, or says that this HostedCluster needs none.
    pub plan: Option<Plan>,
    pub problems: Vec<Problem>,
}

/// What the cluster should contain for this HostedCluster. Pure: same inputs, same plan.
///
/// # Guarantees
/// There is no plan if any problem is an error, and all problems of the HostedCluster are in the answer.
#[must_use]
pub fn plan(cluster: &HostedCluster, settings: &Arc<Settings>) -> Planned {
    let gated = identities::gate(cluster);
    let plan = gated.identities.map(|identities| Plan::new(identities, Arc::clone(settings)));
    Planned { plan, problems: gated.problems }
}

/// The identities of a HostedCluster, and what is wrong or odd about it, for who has no settings.
#[must_use]
pub fn gate(cluster: &HostedCluster) -> Gated {
    identities::gate(cluster)
}

impl Plan {
    #[must_use]
    pub fn new(identities: Identities, settings: Arc<Settings>) -> Self {
        Self { identities, settings }
    }

    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One class per identity, in the order of the table.
    pub fn provider_classes(&self) -> impl Iterator<Item = SecretProviderClass> {
        self.identities.named.iter().map(|identity| provider_class::provider_class(self, identity))
    }

    /// The AzureClusterIdentity, if this HostedCluster's node pools are managed, in a cloud that Cluster API knows and with a
    /// tenant.
    #[must_use]
    pub fn azure_cluster_identity(&self) -> Option<AzureClusterIdentity> {
        let signs_in = |identity: &&Identity| Component::of(identity.component).azure_cluster_identity;
        let identity = self.identities.named.iter().find(signs_in)?;
        let cloud = self.identities.capz_cloud.filter(|_| !self.identities.azure_tenant.is_empty())?;
        Some(azure_cluster_identity::azure_cluster_identity(self, identity, cloud))
    }

    /// Where the pod of a component finds its credential; empty for a component that the HostedCluster does not name.
    #[must_use]
    pub fn credential_path(&self, id: Id) -> String {
        let Some(identity) = self.identities.named.iter().find(|identity| identity.component == id) else {
            return String::new();
        };
        let pods = self.settings.pods(Component::of(id));
        let mount_path = pods.into_iter().find_map(|pod| pod.mount).map(|mount| mount.path).unwrap_or_default();
        format!("{mount_path}/{}", identity.secret)
    }

    /// Wires a pod template of the control plane namespace.
    ///
    /// # Guarantees
    /// Idempotent; adds at the end of lists only; changes nothing that is there. The template's own problems, if any,
    /// come instead of a wired one, all of them.
    ///
    /// # Errors
    /// What stands where ours should, with the name of both.
    pub fn wire(&self, template: &Template<'_>) -> Result<Wired, Vec<Problem>> {
        wiring::wire(self, template, wiring::Pods::All)
    }

    /// Wires a pod of the control plane namespace as it is created.
    ///
    /// # Guarantees
    /// Those of [`Self::wire`], but for pods that only tell another operator what to write: told at their creation, it would
    /// write Deployments that HyperShift has written.
    ///
    /// # Errors
    /// Those of [`Self::wire`].
    pub fn wire_created(&self, pod: &Template<'_>) -> Result<Wired, Vec<Problem>> {
        wiring::wire(self, pod, wiring::Pods::Mounting)
    }
}
