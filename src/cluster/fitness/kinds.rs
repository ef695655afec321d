//! The kinds that hcp-identity reads and writes, in the versions that it knows.

use hcp_identity_api::{
    azure_cluster_identity::AzureClusterIdentity, control_plane_identity::ControlPlaneIdentity,
    hosted_cluster::HostedCluster, pod_status::SecretProviderClassPodStatus,
    secret_provider_class::SecretProviderClass,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::{Client, Resource};

use super::{
    Check, Reason,
    look::{Unseen, seen},
};
use crate::settings::daemon::{AzureClusterIdentityWriting, DaemonSettings};

const HYPERSHIFT: &str = "install HyperShift: `hypershift install --install-scope=crds`";
const DRIVER: &str = "install the CRDs of the Secrets Store CSI driver with the driver, or its add-on";
const OURS: &str = "`hcp-identity crds | kubectl apply --server-side -f -`";
const CAPZ: &str = "install Cluster API Provider Azure, or set azureClusterIdentity: none";

struct Kind {
    kind: String,
    group: String,
    version: String,
    plural: String,
    remedy: &'static str,
    used: bool,
}

fn kinds(settings: &DaemonSettings) -> [Kind; 5] {
    let capz = settings.azure_cluster_identity == AzureClusterIdentityWriting::Apply;
    [
        kind::<HostedCluster>(HYPERSHIFT, true),
        kind::<SecretProviderClass>(DRIVER, true),
        kind::<SecretProviderClassPodStatus>(DRIVER, true),
        kind::<ControlPlaneIdentity>(OURS, true),
        kind::<AzureClusterIdentity>(CAPZ, capz),
    ]
}

fn kind<K: Resource<DynamicType = ()>>(remedy: &'static str, used: bool) -> Kind {
    let [kind, group, version, plural] = [K::kind(&()), K::group(&()), K::version(&()), K::plural(&())].map(Into::into);
    Kind { kind, group, version, plural, remedy, used }
}

pub(super) async fn checks(client: &Client, settings: &DaemonSettings) -> Vec<Check> {
    let groups = seen("look at the API groups", client.list_api_groups().await);
    let groups = groups.map(|list| list.map(|list| list.groups).unwrap_or_default());
    let mut checks = Vec::new();
    for kind in kinds(settings) {
        let name = format!("kind {}", kind.kind);
        checks.push(match &groups {
            _ if !kind.used => Check::skipped(name, Reason::NotUsed, "the settings do not use it"),
            Err(unseen) => Check::unseen(name, unseen),
            Ok(groups) => match served(client, groups, &kind).await {
                Err(unseen) => Check::unseen(name, &unseen),
                Ok(versions) => judge(name, &kind, &versions),
            },
        });
    }
    checks
}

/// The versions in which a kind is served.
async fn served(client: &Client, groups: &[APIGroup], kind: &Kind) -> Result<Vec<String>, Unseen> {
    let of_group = groups.iter().filter(|group| group.name == kind.group).flat_map(|group| &group.versions);
    let mut served = Vec::new();
    for version in of_group {
        let resources = client.list_api_group_resources(&version.group_version).await;
        let resources = seen(&format!("look at {}", version.group_version), resources)?;
        if resources.is_some_and(|list| list.resources.iter().any(|resource| resource.name == kind.plural)) {
            served.push(version.version.clone());
        }
    }
    Ok(served)
}

fn judge(name: String, kind: &Kind, served: &[String]) -> Check {
    let whole = format!("{}.{}", kind.plural, kind.group);
    if served.contains(&kind.version) {
        Check::ok(name, format!("{whole} is served as {}", kind.version))
    } else if served.is_empty() {
        Check::error(name, Reason::KindMissing, format!("{whole} is not served")).remedy(kind.remedy)
    } else {
        let message = format!("{whole} is served as {} and not as {}", served.join(", "), kind.version);
        let remedy = format!("install a release of it that serves {}: {}", kind.version, kind.remedy);
        Check::error(name, Reason::VersionMissing, message).remedy(remedy)
    }
}
