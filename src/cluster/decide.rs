//! What is to become of one HostedCluster, from all that has been seen of it: pure.

use std::{sync::Arc, time::Duration};

use super::{
    daemon::Applied,
    reconcile::{Memory, Seen},
    store::ClusterKey,
};
use crate::{
    condition::Reason,
    diff::{Change, Circumstances, Permission, Sight, diff, federated},
    observed::{Cluster, Observed},
    pause::permission,
    plan::{Plan, WorkloadIdentities},
    settings::daemon::{AzureClusterIdentityWriting, ConfigurationCheck},
    status::{self, Outcome},
};

/// Whether there is a plan, and how it differs from what is there.
pub(super) fn decide(seen: &Seen, memory: &mut Memory, uptime: Duration) -> (Outcome, Vec<Change>) {
    if let Some(identities) = &seen.cluster.workload_identities {
        return (federated_outcome(seen, identities), Vec::new());
    }
    match plan(seen) {
        Err((reason, message)) => (Outcome::NoPlan(reason, message), Vec::new()),
        Ok(plan) => {
            let settings = &seen.applied.settings;
            let circumstances = Circumstances {
                permission: permission(&seen.cluster, settings, seen.now).permission,
                pod_patch: settings.pod_patch,
                fallback: settings.policy_fallback,
                capz: settings.azure_cluster_identity,
                check: settings.credentials.check,
                may_delete: seen.is_settled,
                now: uptime,
            };
            let mut difference = diff(&plan, &seen.observed, circumstances, &mut memory.ledger);
            let changes = std::mem::take(&mut difference.changes);
            (Outcome::Planned { difference, failures: Vec::new() }, changes)
        }
    }
}

/// Of a control plane that signs in with tokens of its own. Without exception, nothing is written to it.
fn federated_outcome(seen: &Seen, identities: &WorkloadIdentities) -> Outcome {
    let Seen { cluster, observed, neighbours, applied, key, .. } = seen;
    let unfit = unfit(key, cluster, neighbours).or_else(|| missing_namespace(key, observed));
    if let Some((reason, message)) = unfit {
        return Outcome::NoPlan(reason, message);
    }
    let settings = &applied.settings;
    if permission(cluster, settings, seen.now).permission == Permission::Not(Reason::Deleting) {
        return Outcome::NoPlan(Reason::Deleting, "the HostedCluster is being deleted".to_owned());
    }
    let capz = settings.azure_cluster_identity == AzureClusterIdentityWriting::Apply;
    let configuration = settings.configuration_check == ConfigurationCheck::Metadata;
    let sight = Sight { settings: settings.wiring.as_deref(), capz, configuration };
    // A replica that has just begun to lead says nothing before it has looked.
    let waiting = configuration && observed.configuration.is_none();
    Outcome::Federated { components: federated(identities, observed, sight), waiting }
}

/// What a HostedCluster asks for, whatever there is of it on the cluster.
pub(super) fn planned(
    key: &ClusterKey,
    cluster: &Cluster,
    neighbours: &[ClusterKey],
    applied: &Applied,
) -> Result<Plan, (Reason, String)> {
    if let Some(unfit) = unfit(key, cluster, neighbours) {
        return Err(unfit);
    }
    let Some(identities) = &cluster.identities else { return Err(status::no_plan(&cluster.problems)) };
    let Some(settings) = &applied.settings.wiring else {
        let message = "nobody has said which identity reads the Key Vault: set keyVaultUserClientID in the settings, or \
                       HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID, to the client id of the identity of the Secrets Store CSI driver";
        return Err((Reason::NoKeyVaultUser, message.to_owned()));
    };
    Ok(Plan::new(identities.clone(), Arc::clone(settings)))
}

/// Why nothing is looked at, whatever a HostedCluster asks for.
fn unfit(key: &ClusterKey, cluster: &Cluster, neighbours: &[ClusterKey]) -> Option<(Reason, String)> {
    if cluster.mode.as_deref() == Some("off") {
        return Some((Reason::Off, "the annotation hcpidentity.dev/mode is off".to_owned()));
    }
    if !neighbours.is_empty() {
        let names: Vec<_> = neighbours.iter().map(ToString::to_string).collect();
        let message = format!(
            "the control plane namespace {} is also that of {}; rename one of the HostedClusters, nothing is written for any \
             of them",
            key.control_plane_namespace(),
            names.join(", ")
        );
        return Some((Reason::NamespaceCollision, message));
    }
    None
}

fn missing_namespace(key: &ClusterKey, observed: &Observed) -> Option<(Reason, String)> {
    let namespace = key.control_plane_namespace();
    let message = format!("the control plane namespace {namespace} is not there; HyperShift makes it");
    (!observed.namespace_exists).then_some((Reason::NamespaceMissing, message))
}

fn plan(seen: &Seen) -> Result<Plan, (Reason, String)> {
    let Seen { cluster, observed, neighbours, applied, key, .. } = seen;
    let plan = planned(key, cluster, neighbours, applied)?;
    if !observed.driver_installed {
        let message = "the CRD SecretProviderClass (secrets-store.csi.x-k8s.io) is not installed; install the Secrets Store CSI \
                       driver and its Azure provider, hcp-identity goes on by itself then";
        return Err((Reason::DriverNotInstalled, message.to_owned()));
    }
    missing_namespace(key, observed).map_or(Ok(plan), Err)
}
