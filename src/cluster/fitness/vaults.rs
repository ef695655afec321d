//! The vaults that HostedClusters name. Whether they tell is for others to find out: this is no client of theirs.

use std::collections::BTreeSet;

use hcp_identity_api::hosted_cluster::HostedCluster;
use kube::{Api, Client, core::DeserializeGuard};

use super::{Check, Reason, look};
use crate::plan;

/// All vaults that are named, each with its cloud, or why nobody knows.
///
/// # Errors
/// What keeps the HostedClusters from being read, as a check.
pub async fn named(client: &Client) -> Result<BTreeSet<(String, String)>, Box<Check>> {
    let api: Api<DeserializeGuard<HostedCluster>> = Api::all(client.clone());
    let clusters = look::list("HostedClusters", &api, "").await.map_err(|unseen| Check::unseen("vaults", &unseen))?;
    let readable = clusters.iter().filter_map(|cluster| cluster.0.as_ref().ok());
    let identities = readable.filter_map(|cluster| plan::gate(cluster).identities);
    Ok(identities.map(|identities| (identities.vault.to_string(), identities.cloud.to_string())).collect())
}

impl Check {
    #[must_use]
    pub fn no_vaults() -> Self {
        Self::skipped("vaults", Reason::NothingToLookAt, "no HostedCluster names one")
    }

    /// What came of listing a vault: how many secrets it has, or what it says instead.
    #[must_use]
    pub fn vault(name: &str, listed: Result<usize, String>) -> Self {
        let check = format!("vault {name}");
        match listed {
            Ok(secrets) => Self::ok(check, format!("lists {secrets} secrets")),
            Err(why) => Self::error(check, Reason::VaultDoesNotTell, why),
        }
    }
}
