//! What the daemon would write now, without writing it.

use std::{sync::Arc, time::Duration};

use hcp_identity_api::hosted_cluster::HostedCluster;
use kube::Client;
use tokio::task::JoinSet;

use super::{
    client::{Heard, chain},
    daemon::{self, Applied, Shared},
    decide::decide,
    metrics::Metrics,
    project,
    reconcile::{Memory, observe},
    store::ClusterKey,
};
use crate::{diff::Change, settings::daemon::DaemonSettings, status::Outcome};

/// What would become of one HostedCluster.
pub struct Preview {
    pub key: ClusterKey,
    pub outcome: Outcome,
    pub changes: Vec<Change>,
}

/// Reads the cluster once, and decides for every HostedCluster that the settings select; or for these instead, as if they
/// were there.
///
/// # Errors
/// What could not be read in time.
pub async fn preview(
    client: &Client,
    settings: DaemonSettings,
    instead: Option<Vec<HostedCluster>>,
) -> Result<Vec<Preview>, String> {
    const LIMIT: Duration = Duration::from_secs(60);
    let (_sender, applied) = tokio::sync::watch::channel(Arc::new(Applied { settings, epoch: 0 }));
    let (_knows, known) = tokio::sync::watch::channel(Arc::default());
    let shared = Arc::new(Shared::new(applied, known, Heard::default(), Arc::new(Metrics::default())));
    let mut watches = JoinSet::new();
    daemon::watch_all(&shared, client, &mut watches);
    let listed = tokio::time::timeout(LIMIT, daemon::until_listed(&shared)).await;
    watches.abort_all();
    if listed.is_err() {
        return Err(format!("the cluster could not be read within {LIMIT:?}: {}", shared.unready().join(", ")));
    }
    let keys = match instead {
        None => shared.store().cluster_keys(),
        Some(clusters) => clusters.iter().map(|cluster| put(&shared, cluster)).collect(),
    };
    let previews = keys.into_iter().map(|key| of(&shared, key)).collect::<Result<Vec<_>, _>>()?;
    Ok(previews.into_iter().flatten().collect())
}

fn put(shared: &Shared, cluster: &HostedCluster) -> ClusterKey {
    let cluster = project::cluster(cluster);
    let key = ClusterKey::new(&cluster.namespace, &cluster.name);
    shared.store().put_cluster(key.clone(), Some(cluster));
    key
}

fn of(shared: &Shared, key: ClusterKey) -> Result<Option<Preview>, String> {
    let mut memory = Memory::default();
    let Some(seen) = observe(shared, &key, &mut memory).map_err(|error| chain(&error))? else { return Ok(None) };
    memory.settle(&seen);
    let (outcome, changes) = decide(&seen, &mut memory, Duration::ZERO);
    Ok(Some(Preview { key, outcome, changes }))
}
