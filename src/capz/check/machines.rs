//! Machines, whose nodes need an identity of their own once their cluster has no secret to give them.

use super::{Gathered, Spot, at, items};
use crate::{
    capz::machine::{self, IdentityId},
    finding::{FieldPath, Finding, Problem, Reason},
    input::Located,
    manifest::Node,
};

pub(super) struct Machine {
    namespace: String,
    /// As Cluster API names it, where the object tells.
    cluster: Option<String>,
    /// What is wrong with it where its nodes get no secret.
    problems: Vec<Finding>,
    /// Those that its nodes sign in as.
    pub(super) identities: Vec<(Spot, IdentityId)>,
}

pub(super) fn look(object: &Located, kind: &str) -> Option<Machine> {
    let (_, path) = machine::KINDS.iter().find(|(machine, _)| *machine == kind)?;
    let spec = at(object.node(), path)?;
    let path = FieldPath::of(path);
    let identities = machine::identity_ids(spec, &path).map(|(field, id)| (Spot::of(object, &field), id)).collect();
    Some(Machine {
        namespace: object.reference().namespace,
        cluster: cluster_name(object.node()).map(str::to_owned),
        problems: problems(spec, &path).into_iter().map(|problem| object.finding(problem)).collect(),
        identities,
    })
}

fn problems(spec: &Node, path: &FieldPath) -> Vec<Problem> {
    match machine::changes(spec, path, None) {
        Ok(changes) if changes.is_empty() => Vec::new(),
        Ok(_) => {
            let message = "is not UserAssigned, and there are user-assigned identities: CAPZ refuses that";
            vec![Problem::error(Reason::UnionMismatch, path.key("identity"), message, "write identity: UserAssigned")]
        }
        Err(problems) => problems,
    }
}

/// The Cluster that an object belongs to: by its label, or by whom it is owned by, as Cluster API does it with templates.
pub(super) fn cluster_name(node: &Node) -> Option<&str> {
    let metadata = node.get("metadata")?;
    let label = metadata.get("labels").and_then(|labels| labels.text("cluster.x-k8s.io/cluster-name"));
    let owner = || {
        let is_cluster = |owner: &&Node| {
            owner.text("kind") == Some("Cluster")
                && owner.text("apiVersion").is_some_and(|version| version.starts_with("cluster.x-k8s.io/"))
        };
        items(metadata.get("ownerReferences")).find(is_cluster)?.text("name")
    };
    label.or_else(owner)
}

/// What is wrong with machines of clusters that sign in with tokens. Of one that names no cluster that can be told only while
/// there is no other kind of cluster.
pub(super) fn findings(all: &Gathered) -> impl Iterator<Item = Finding> {
    let others_have_secrets = all.identities_of_capz().any(|identity| !identity.signs_in_with_tokens());
    let gets_no_secret = move |machine: &&Machine| {
        !all.is_of_hypershift(&machine.namespace) && signs_in_with_tokens(all, machine).unwrap_or(!others_have_secrets)
    };
    all.machines.iter().filter(gets_no_secret).flat_map(|machine| machine.problems.iter().cloned())
}

/// Whether its cluster does, where that can be told.
fn signs_in_with_tokens(all: &Gathered, machine: &Machine) -> Option<bool> {
    let is_its = |cluster: &&super::Cluster| cluster.name == machine.cluster && cluster.namespace == machine.namespace;
    machine.cluster.as_ref()?;
    let (namespace, name) = &all.clusters.iter().find(is_its)?.identity;
    let identity = all.identities.iter().find(|identity| (&identity.namespace, &identity.name) == (namespace, name))?;
    Some(identity.signs_in_with_tokens())
}
