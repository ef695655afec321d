//! The kinds that are looked at on a cluster.

use super::super::plan::{ASO_ACCOUNT, CAPZ_ACCOUNT};

/// One of them, in the versions that are known, the preferred one first.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub group: &'static str,
    pub versions: &'static [&'static str],
    pub kind: &'static str,
    pub plural: &'static str,
    /// The only names that are looked at; none of them: all.
    pub names: &'static [&'static str],
}

const fn capz(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: super::super::GROUP, versions: &["v1beta1"], kind, plural, names: &[] }
}

pub const KINDS: [Kind; 12] = [
    capz("AzureClusterIdentity", "azureclusteridentities"),
    capz("AzureCluster", "azureclusters"),
    capz("AzureClusterTemplate", "azureclustertemplates"),
    capz("AzureManagedControlPlane", "azuremanagedcontrolplanes"),
    capz("AzureManagedControlPlaneTemplate", "azuremanagedcontrolplanetemplates"),
    capz("AzureMachineTemplate", "azuremachinetemplates"),
    capz("AzureMachinePool", "azuremachinepools"),
    capz("AzureMachine", "azuremachines"),
    Kind {
        group: "controlplane.cluster.x-k8s.io",
        versions: &["v1beta2", "v1beta1"],
        kind: "KubeadmControlPlane",
        plural: "kubeadmcontrolplanes",
        names: &[],
    },
    Kind { group: "apps", versions: &["v1"], kind: "Deployment", plural: "deployments", names: &super::manager::NAMES },
    Kind {
        group: "",
        versions: &["v1"],
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        names: &[CAPZ_ACCOUNT, ASO_ACCOUNT],
    },
    Kind { group: "", versions: &["v1"], kind: "Namespace", plural: "namespaces", names: &[] },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What is looked at in manifests is looked at on clusters, but for kind's own configuration.
    #[test]
    fn nothing_is_left_out() {
        let of_clusters = super::super::CLUSTERS.iter().map(|(kind, _)| *kind);
        let of_machines = crate::capz::machine::KINDS.iter().map(|(kind, _)| *kind);
        for kind in of_clusters.chain(of_machines) {
            assert!(KINDS.iter().any(|known| known.kind == kind), "{kind}");
        }
    }
}
