//! The Secrets and ServiceAccounts by which pods are told who they are, as far as their metadata shows: asked for by name,
//! one by one, and only where that is wanted.
//!
//! The API server is asked for metadata, and so sends no value. RBAC knows no such right: who may do this may read them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Secret, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use kube::{Api, Client, Resource, core::PartialObjectMeta};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    access::{Access, CONFIGURATION_ACCOUNTS, CONFIGURATION_SECRETS},
    client::words,
    daemon::Shared,
    store::ClusterKey,
};
use crate::{
    component::{Component, Place},
    observed::{Cluster, Configuration, Sighted},
    plan::WorkloadIdentities,
    settings::daemon::ConfigurationCheck,
};

/// Between two looks at one HostedCluster: nobody tells that something has changed.
const SETTLED: Duration = Duration::from_secs(600);
/// The same while something is missing, or cannot be seen.
const WANTING: Duration = Duration::from_secs(30);
/// How soon one is looked at that is new.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks at the HostedClusters that sign in with tokens, one after the other, while this replica leads.
pub async fn follow(shared: Arc<Shared>, client: Client) {
    let mut due: HashMap<ClusterKey, Instant> = HashMap::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let wanted = shared.settings().settings.configuration_check == ConfigurationCheck::Metadata;
        let clusters = if wanted && shared.leads_since().is_some() { federated(&shared) } else { Vec::new() };
        let looked_at: HashSet<_> = clusters.iter().map(|(key, _)| key).collect();
        let is_looked_at = |key: &ClusterKey| looked_at.contains(key);
        due.retain(|key, _| is_looked_at(key));
        let news = shared.store().configurations.keep(is_looked_at);
        shared.news(news);
        for (key, cluster) in clusters {
            if due.get(&key).is_some_and(|due| Instant::now() < *due) {
                continue;
            }
            let Some(identities) = &cluster.workload_identities else { continue };
            let configuration = look(&client, identities).await;
            let pause = if configuration.seen.is_whole() { SETTLED } else { WANTING };
            due.insert(key.clone(), Instant::now() + pause.mul_f64(0.75 + shared.jitter() / 2.0));
            let changed = shared.store().configurations.put(&key, configuration);
            shared.news(changed.then_some(key).into_iter().collect());
        }
    }
}

/// What is known by now, by HostedCluster.
#[derive(Debug, Default)]
pub(super) struct Configurations(HashMap<ClusterKey, Configuration>);

impl Configurations {
    pub(super) fn get(&self, key: &ClusterKey) -> Option<Configuration> {
        self.0.get(key).cloned()
    }

    /// Whether it is another than before. Of what was not answered, the last sight counts: that nobody answers is no news of it.
    fn put(&mut self, key: &ClusterKey, Look { mut seen, unanswered }: Look) -> bool {
        let before = self.0.get(key);
        for place in unanswered {
            if let Some(last) = before.and_then(|before| before.objects.get(&place)) {
                seen.objects.insert(place, last.clone());
            }
        }
        let changed = before != Some(&seen);
        self.0.insert(key.clone(), seen);
        changed
    }

    /// Forgets those that are not looked at any more: for them, that is news.
    fn keep(&mut self, is_looked_at: impl Fn(&ClusterKey) -> bool) -> Vec<ClusterKey> {
        let forgotten: Vec<_> = self.0.keys().filter(|key| !is_looked_at(key)).cloned().collect();
        forgotten.iter().for_each(|key| drop(self.0.remove(key)));
        forgotten
    }
}

struct Look {
    seen: Configuration,
    /// Where nobody has answered, which is something else than a refusal.
    unanswered: Vec<Place>,
}

fn federated(shared: &Shared) -> Vec<(ClusterKey, Arc<Cluster>)> {
    let (store, applied) = (shared.store(), shared.settings());
    let selection = &applied.settings.selection;
    let of = |key: ClusterKey| {
        let cluster = store.cluster(&key)?;
        let selected = selection.selects(&cluster.namespace, &cluster.labels, cluster.scope.as_deref());
        let federated = selected && !cluster.deleting && cluster.workload_identities.is_some();
        federated.then_some((key, cluster))
    };
    store.cluster_keys().into_iter().filter_map(of).collect()
}

async fn look(client: &Client, identities: &WorkloadIdentities) -> Look {
    let namespace = &identities.namespace;
    let places = identities.named.iter().flat_map(|identity| Component::of(identity.component).federated.token.told_by);
    let mut configuration = Configuration { objects: BTreeMap::new(), trouble: None };
    let mut unanswered = Vec::new();
    for place in places.copied() {
        let seen = match place {
            Place::Environment => continue,
            Place::Config(name, _) | Place::Keys(name, _) => {
                metadata::<Secret>(client, &CONFIGURATION_SECRETS, namespace, name).await
            }
            Place::ServiceAccount(name, _) => {
                metadata::<ServiceAccount>(client, &CONFIGURATION_ACCOUNTS, namespace, name).await
            }
        };
        match seen {
            Ok(seen) => drop(configuration.objects.insert(place, seen.as_ref().map(|seen| sighted(place, seen)))),
            Err(error) => {
                if !matches!(&error, kube::Error::Api(status) if status.is_forbidden()) {
                    unanswered.push(place);
                }
                configuration.trouble = Some(words(&error));
            }
        }
    }
    Look { seen: configuration, unanswered }
}

/// The metadata of one object, if it is there.
async fn metadata<K>(
    client: &Client,
    access: &'static Access,
    namespace: &str,
    name: &str,
) -> Result<Option<ObjectMeta>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    debug_assert_eq!(access.resource, K::plural(&()));
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let found: Option<PartialObjectMeta<K>> = api.get_metadata_opt(name).await?;
    Ok(found.map(|found| found.metadata))
}

/// Of annotations only what says who a pod is: others may hold what the Secret holds, as `kubectl apply` leaves it there.
fn sighted(place: Place, metadata: &ObjectMeta) -> Sighted {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let keys = |entry: &ManagedFieldsEntry| {
        let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data")?.as_object().cloned());
        data.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:").map(Box::from)).collect::<Vec<_>>()
    };
    let annotations =
        metadata.annotations.iter().flatten().filter(|(key, _)| place.annotations().contains(&key.as_str()));
    Sighted {
        managers: entries.iter().filter_map(|entry| entry.manager.as_deref().map(Box::from)).collect(),
        keys: entries.iter().flat_map(keys).collect(),
        annotations: annotations.map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::component::Operator;

    fn seen(place: Place) -> Sighted {
        let metadata = json!({
            "name": "azure-cloud-config",
            "annotations": {
                "azure.workload.identity/client-id": "client",
                "kubectl.kubernetes.io/last-applied-configuration": "{\"data\": {\"cloud.conf\": \"c2VjcmV0\"}}",
            },
            "managedFields": [
                {"manager": "control-plane-operator", "fieldsV1": {"f:data": {".": {}, "f:cloud.conf": {}}, "f:type": {}}},
                {"manager": "labels", "fieldsV1": {"f:metadata": {}}},
            ],
        });
        sighted(place, &serde_json::from_value(metadata).unwrap())
    }

    #[test]
    fn of_a_secret_its_keys_and_its_writers_are_kept_and_no_value() {
        let secret = seen(Place::Config("azure-cloud-config", Operator::ControlPlaneOperator));
        assert_eq!(secret.keys, ["cloud.conf".into()]);
        assert_eq!(secret.managers, ["control-plane-operator".into(), "labels".into()]);
        assert!(!format!("{secret:?}").contains("c2VjcmV0") && secret.annotations.is_empty());
    }

    #[test]
    fn what_was_missing_is_missing_still_where_nobody_answers() {
        let place = Place::Config("azure-cloud-config", Operator::ControlPlaneOperator);
        let key = ClusterKey::new("clusters", "prod");
        let look = |objects: &[(Place, Option<Sighted>)], unanswered| Look {
            seen: Configuration { objects: objects.iter().cloned().collect(), trouble: Some("timed out".to_owned()) },
            unanswered,
        };
        let mut all = Configurations::default();
        assert!(all.put(&key, look(&[(place, None)], Vec::new())));
        assert!(!all.put(&key, look(&[], vec![place])));
        assert_eq!(all.get(&key).unwrap().objects[&place], None);
        // A right that was taken away.
        assert!(all.put(&key, look(&[], Vec::new())));
        assert!(all.get(&key).unwrap().objects.is_empty());
    }

    #[test]
    fn of_a_service_account_what_says_who_its_pods_are_is_kept() {
        let account = seen(Place::ServiceAccount("azure-cloud-controller-manager", Operator::ControlPlaneOperator));
        let annotations = account.annotations.iter().map(|(key, value)| (&**key, &**value));
        assert_eq!(annotations.collect::<Vec<_>>(), [("azure.workload.identity/client-id", "client")]);
    }
}
