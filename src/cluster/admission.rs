//! What admission has to know of control planes, out of this replica's own store: any of them can answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    credentials,
    daemon::{Applied, Shared},
    decide::planned,
    report::StatusSeen,
    store::{ClusterKey, Store, Unreadable},
};
use crate::{
    admission::{ControlPlane, ControlPlanes, Held},
    condition::Reason,
    diff::held,
    pause::is_observed,
    settings::daemon::CredentialCheck,
    verification::Known,
};

/// What has been decided about control plane namespaces, until there is news of them.
#[derive(Debug, Default)]
pub(super) struct Decisions(Mutex<HashMap<Box<str>, Decision>>);

#[derive(Debug)]
struct Decision {
    applied: Arc<Applied>,
    known: Arc<Known>,
    control_plane: ControlPlane,
}

impl Decisions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Decision>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, namespace: &str, applied: &Arc<Applied>, known: &Arc<Known>) -> Option<ControlPlane> {
        let decisions = self.lock();
        let decision = decisions.get(namespace)?;
        let is_current = Arc::ptr_eq(&decision.applied, applied) && Arc::ptr_eq(&decision.known, known);
        is_current.then(|| decision.control_plane.clone())
    }

    /// There is news of these HostedClusters.
    pub(super) fn forget(&self, keys: &[ClusterKey]) {
        let mut decisions = self.lock();
        for key in keys {
            decisions.remove(key.control_plane_namespace().as_str());
        }
    }
}

impl ControlPlanes for Shared {
    fn control_plane(&self, namespace: &str) -> ControlPlane {
        let (applied, known) = (self.settings(), self.known());
        if !applied.settings.serves_webhook() {
            return left_alone(Reason::PatchedByNobody, "podPatch is not webhook");
        }
        if !self.all_listed() {
            return left_alone(Reason::Applying, "it has just started, and has not seen everything yet");
        }
        if let Some(control_plane) = self.decisions.get(namespace, &applied, &known) {
            return control_plane;
        }
        // Kept until the decision is: news is told after it is in the store, and forgets what was decided before.
        let store = self.store();
        let control_plane = match decide(&store, namespace, &applied, &known) {
            Ok(Some(control_plane)) => control_plane,
            Ok(None) => return ControlPlane::Unknown,
            Err(error) => {
                tracing::error!(namespace, %error, "this is a defect of hcp-identity; please report it");
                return left_alone(Reason::Applying, &error.to_string());
            }
        };
        let decision = Decision { applied, known, control_plane: control_plane.clone() };
        self.decisions.lock().insert(namespace.into(), decision);
        drop(store);
        control_plane
    }
}

/// None where the namespace is none of a HostedCluster of ours.
fn decide(
    store: &Store,
    namespace: &str,
    applied: &Applied,
    known: &Known,
) -> Result<Option<ControlPlane>, Unreadable> {
    let settings = &applied.settings;
    let keys = store.of_namespace(namespace);
    let is_ours = |key: &&ClusterKey| {
        store.cluster(key).is_some_and(|cluster| {
            cluster.azure && settings.selection.selects(&cluster.namespace, &cluster.labels, cluster.scope.as_deref())
        })
    };
    let Some(key) = keys.iter().find(is_ours) else { return Ok(None) };
    let Some(cluster) = store.cluster(key) else { return Ok(None) };
    let neighbours: Vec<_> = keys.iter().filter(|other| *other != key).cloned().collect();
    let plan = match planned(key, &cluster, &neighbours, applied) {
        Ok(plan) => plan,
        Err((reason, message)) => return Ok(Some(ControlPlane::LeftAlone { reason, message })),
    };
    // Not where it is paused or deleted: a pod that comes back in the meantime needs its credential as before.
    if is_observed(&cluster, settings) {
        return Ok(Some(left_alone(Reason::Observing, "mode is observe")));
    }
    let verified = if settings.credentials.check == CredentialCheck::None {
        Default::default()
    } else {
        let status = store.status(key).map(StatusSeen::status).transpose()?.flatten();
        credentials::verified(known, plan.identities(), status.as_ref())
    };
    let held = held(&plan, &store.classes(namespace)?, &verified);
    let held = held.into_iter().map(|(id, (reason, message))| (id, Held { reason, message })).collect();
    Ok(Some(ControlPlane::Wired { plan: Arc::new(plan), held }))
}

fn left_alone(reason: Reason, message: &str) -> ControlPlane {
    ControlPlane::LeftAlone { reason, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::watch;

    use super::*;
    use crate::{
        cluster::{client::Heard, metrics::Metrics, project},
        component::{COMPONENTS, Id},
        observed::Class,
        settings::{SettingsFile, daemon::DaemonSettings},
        testing::{hosted_cluster, set},
        verification::{Standing, Verification, Wanted},
    };

    const NAMESPACE: &str = "clusters-prod";

    /// A replica that knows one HostedCluster, and the ends of its channels.
    struct Replica {
        shared: Shared,
        settings: watch::Sender<Arc<Applied>>,
        known: watch::Sender<Arc<Known>>,
    }

    fn applied(yaml: &str) -> Arc<Applied> {
        let yaml = format!("keyVaultUserClientID: 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11\n{yaml}");
        let settings = DaemonSettings::new(SettingsFile::parse(&yaml).unwrap()).unwrap();
        Arc::new(Applied { settings, epoch: 0 })
    }

    impl Replica {
        fn new() -> Self {
            let (settings, applied) = watch::channel(applied("podPatch: webhook"));
            let (known, knows) = watch::channel(Arc::default());
            let shared = Shared::new(applied, knows, Heard::default(), Arc::new(Metrics::default()));
            Self { shared, settings, known }
        }

        fn listed() -> Self {
            let replica = Self::new();
            replica.shared.kinds().into_iter().for_each(|kind| replica.shared.listed(kind));
            replica.put_cluster("prod", |_| {});
            replica
        }

        fn put_cluster(&self, name: &str, tweak: impl FnOnce(&mut serde_json::Value)) {
            let mut cluster = hosted_cluster();
            set(&mut cluster, "/metadata/namespace", json!("clusters"));
            set(&mut cluster, "/metadata/name", json!(name));
            tweak(&mut cluster);
            let cluster = project::cluster(&serde_json::from_value(cluster).unwrap());
            let news = self.shared.store().put_cluster(ClusterKey::new("clusters", name), Some(cluster));
            self.shared.news(news);
        }

        fn plan(&self) -> Arc<crate::plan::Plan> {
            let ControlPlane::Wired { plan, .. } = self.shared.control_plane(NAMESPACE) else { panic!("no plan") };
            plan
        }

        fn put_classes(&self) {
            for class in self.plan().provider_classes() {
                let id = COMPONENTS.iter().find(|row| class.metadata.name.as_deref() == Some(row.class)).unwrap().id;
                let parameters = class.spec.parameters.iter();
                let class = Class {
                    provider: class.spec.provider.as_str().into(),
                    parameters: parameters.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
                    ..Class::default()
                };
                let news = self.shared.store().put_class(NAMESPACE, id, Some(&class)).unwrap();
                self.shared.news(news);
            }
        }

        fn held(&self) -> Vec<(Id, Reason)> {
            match self.shared.control_plane(NAMESPACE) {
                ControlPlane::Wired { held, .. } => held.into_iter().map(|(id, held)| (id, held.reason)).collect(),
                other => panic!("{other:?}"),
            }
        }

        fn left_alone(&self) -> Option<Reason> {
            match self.shared.control_plane(NAMESPACE) {
                ControlPlane::LeftAlone { reason, .. } => Some(reason),
                ControlPlane::Wired { .. } => None,
                ControlPlane::Unknown => panic!("unknown"),
            }
        }
    }

    #[test]
    fn a_component_is_held_until_its_class_has_been_seen() {
        let replica = Replica::listed();
        assert_eq!(replica.held().len(), 9);
        replica.put_classes();
        assert_eq!(replica.held(), []);
        let news = replica.shared.store().put_class(NAMESPACE, Id::Kms, None).unwrap();
        replica.shared.news(news);
        assert_eq!(replica.held(), [(Id::Kms, Reason::Applying)]);
    }

    #[test]
    fn a_credential_that_is_known_to_be_broken_is_held_where_credentials_are_checked() {
        let replica = Replica::listed();
        replica.put_classes();
        let identities = replica.plan().identities().clone();
        let ingress = identities.named.iter().find(|identity| identity.component == Id::Ingress).unwrap();
        let failed = Standing::Failed { message: "it has ended".into() };
        let failed = Arc::new(Verification { standing: failed, ..Verification::default() });
        let mut known = Known::default();
        known.credentials.insert(Wanted::new(&identities, ingress), failed);
        replica.known.send_replace(Arc::new(known));
        assert_eq!(replica.held(), [], "credentialCheck is none");
        replica.settings.send_replace(applied("podPatch: webhook\ncredentialCheck: content"));
        assert_eq!(replica.held(), [(Id::Ingress, Reason::CredentialFailed)]);
        replica.known.send_replace(Arc::default());
        assert_eq!(replica.held(), []);
    }

    #[test]
    fn control_planes_that_are_not_to_be_wired_are_left_alone() {
        let replica = Replica::new();
        assert_eq!(replica.left_alone(), Some(Reason::Applying), "nothing has been listed yet");
        let replica = Replica::listed();
        assert!(matches!(replica.shared.control_plane("clusters-other"), ControlPlane::Unknown));
        let annotate = |mode: &'static str| {
            move |cluster: &mut serde_json::Value| {
                set(cluster, "/metadata/annotations", json!({"hcpidentity.dev/mode": mode}));
            }
        };
        replica.put_cluster("prod", annotate("observe"));
        assert_eq!(replica.left_alone(), Some(Reason::Observing));
        replica.put_cluster("prod", annotate("off"));
        assert_eq!(replica.left_alone(), Some(Reason::Off));
        replica.put_cluster("prod", |cluster| set(cluster, "/spec/pausedUntil", json!("true")));
        assert_eq!(replica.left_alone(), None, "a pod that comes back needs its credential");
        replica.settings.send_replace(applied("podPatch: policy"));
        assert_eq!(replica.left_alone(), Some(Reason::PatchedByNobody));
        replica.settings.send_replace(applied("podPatch: policy\npolicyFallback: webhook"));
        assert_eq!(replica.left_alone(), None);
        replica.settings.send_replace(applied("podPatch: webhook\nselection: {namespaces: [others]}"));
        assert!(matches!(replica.shared.control_plane(NAMESPACE), ControlPlane::Unknown));
    }

    #[test]
    fn two_hosted_clusters_of_one_namespace_are_left_alone() {
        let replica = Replica::listed();
        replica.put_cluster("a.b", |_| {});
        let of = |replica: &Replica| replica.shared.control_plane("clusters-a-b");
        assert!(matches!(of(&replica), ControlPlane::Wired { .. }));
        replica.put_cluster("a-b", |_| {});
        assert!(matches!(of(&replica), ControlPlane::LeftAlone { reason: Reason::NamespaceCollision, .. }));
    }
}
