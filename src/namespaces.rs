//! Which HostedCluster has which control plane namespace, and which two have the same.

use std::sync::Arc;

use crate::{
    finding::{FieldPath, Finding, ObjectRef, Place, Problem, Reason},
    input::{Located, place},
    manifest::Position,
    names::control_plane_namespace,
};

/// The HostedClusters of a run, each with something that the caller keeps of it.
///
/// Small, because a run may have many: about 150 bytes each beside `T`.
#[derive(Debug)]
pub struct Namespaces<T> {
    clusters: Vec<Cluster<T>>,
}

#[derive(Debug)]
pub struct Cluster<T> {
    pub namespace: Box<str>,
    pub kept: T,
    source: Arc<str>,
    document: u32,
    at: Position,
    /// `namespace/name` of the HostedCluster.
    cluster: Box<str>,
}

impl<T> Default for Namespaces<T> {
    fn default() -> Self {
        Self { clusters: Vec::new() }
    }
}

impl<T> Namespaces<T> {
    /// Adds a HostedCluster, whatever it is like otherwise: its control plane has a namespace in any case. One without
    /// name or namespace has none, and is reported as such elsewhere.
    pub fn add(&mut self, object: &Located, kept: T) {
        let reference = object.reference();
        if reference.name.is_empty() || reference.namespace.is_empty() {
            return;
        }
        self.clusters.push(Cluster {
            namespace: control_plane_namespace(&reference.namespace, &reference.name).into(),
            kept,
            source: Arc::clone(&object.source),
            document: u32::try_from(object.document).unwrap_or(u32::MAX),
            at: object.node().locate(&FieldPath::of("metadata.name")),
            cluster: [&*reference.namespace, "/", &*reference.name].concat().into(),
        });
    }

    pub fn append(&mut self, other: &mut Self) {
        self.clusters.append(&mut other.clusters);
    }

    /// Sorted by control plane namespace. Those that share one are each a finding, and `refuse` is told to.
    pub fn settle(self, refuse: impl Fn(&mut T), findings: &mut dyn FnMut(Finding)) -> Vec<Cluster<T>> {
        let mut clusters = self.clusters;
        clusters.sort_by(|a, b| a.order().cmp(&b.order()));
        for group in clusters.chunk_by_mut(|a, b| a.namespace == b.namespace).filter(|group| group.len() > 1) {
            // Each names its neighbour: of many, all are named.
            for (index, cluster) in group.iter().enumerate() {
                findings(cluster.collision(&group[if index == 0 { 1 } else { index - 1 }]));
            }
            group.iter_mut().for_each(|cluster| refuse(&mut cluster.kept));
        }
        clusters
    }
}

impl<T> Cluster<T> {
    /// By namespace; those that share one by name and place, so that it does not matter which was read first.
    fn order(&self) -> (&str, &str, &str, u32, u32) {
        (&self.namespace, &self.cluster, &self.source, self.document, self.at.line)
    }

    fn place(&self) -> Place {
        place(&self.source, self.document as usize, self.at)
    }

    fn collision(&self, other: &Self) -> Finding {
        let other_place = other.place();
        let (message, remedy) = if self.cluster == other.cluster {
            (format!("stands in the input twice, also at {other_place}"), "remove one of the two")
        } else {
            let message = format!(
                "has the control plane namespace {} in common with HostedCluster {} at {other_place}",
                self.namespace, other.cluster
            );
            (message, "rename one of the two: their control planes would overwrite each other")
        };
        let field = FieldPath::of("metadata.name");
        let problem = Problem::error(Reason::ControlPlaneNamespaceCollision, field, message, remedy);
        let (namespace, name) = self.cluster.split_once('/').unwrap_or_default();
        let object = ObjectRef { kind: "HostedCluster".into(), namespace: namespace.into(), name: name.into() };
        Finding { place: self.place(), object: Some(object), problem }
    }
}
