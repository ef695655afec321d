//! The issuer and the keys of a cluster's tokens: in the configuration of kind, and in a KubeadmControlPlane.

use super::{Spot, items};
use crate::{
    finding::{FieldPath, Problem, Reason},
    input::Located,
    manifest::{Content, Documents, Limits, Node},
};

/// The issuer that a cluster signs tokens as.
pub(super) struct KnownIssuer {
    pub(super) spot: Spot,
    pub(super) of: Of,
    /// None where kubeadm's own is used, which nobody outside can reach.
    pub(super) issuer: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Of {
    /// The management cluster, as kind makes it.
    Kind,
    /// A cluster that CAPZ makes.
    ControlPlane,
}

/// The arguments of the API server that name files of the pair, and the one of the controller manager.
const KEY_FILES: [(&str, &str); 3] = [
    ("apiServer", "service-account-key-file"),
    ("apiServer", "service-account-signing-key-file"),
    ("controllerManager", "service-account-private-key-file"),
];
const ISSUER: &str = "service-account-issuer";

/// Bounds on a patch, which is a few lines.
const LIMITS: Limits = Limits { document_bytes: 1 << 20, object_bytes: 8 << 20, alias_bytes: 1 << 20, nesting: 100 };

/// That of kind, if one was read.
pub(super) fn of_any_kind(known: &[KnownIssuer]) -> Option<&str> {
    known.iter().find(|known| known.of == Of::Kind)?.issuer.as_deref()
}

pub(super) fn of_control_plane(object: &Located) -> Option<KnownIssuer> {
    let path = FieldPath::of("spec.kubeadmConfigSpec.clusterConfiguration");
    let configuration = super::at(object.node(), "spec.kubeadmConfigSpec.clusterConfiguration")?;
    let issuer = argument(configuration, "apiServer", ISSUER);
    let spot = Spot::of(object, &path.key("apiServer").key("extraArgs").key(ISSUER));
    Some(KnownIssuer { spot, of: Of::ControlPlane, issuer })
}

/// Reads the configuration of a kind cluster. One without patches is some other cluster's.
pub(super) fn of_kind(object: &Located) -> (Option<KnownIssuer>, Vec<Problem>) {
    let node = object.node();
    let nodes = items(node.get("nodes"));
    let patched = std::iter::once((FieldPath::root(), node))
        .chain(nodes.enumerate().map(|(index, node)| (FieldPath::of("nodes").index(index), node)));
    let mut problems = Vec::new();
    for (path, owner) in patched {
        let patches = items(owner.get("kubeadmConfigPatches"));
        let path = path.key("kubeadmConfigPatches");
        for (index, patch) in patches.enumerate() {
            let field = path.index(index);
            let Content::String(text) = &patch.content else { continue };
            let Some(configuration) = cluster_configuration(text, &field, &mut problems) else { continue };
            problems.extend(key_files(&configuration, &field, &mounts(node)));
            let issuer = argument(&configuration, "apiServer", ISSUER);
            return (Some(KnownIssuer { spot: Spot::of(object, &field), of: Of::Kind, issuer }), problems);
        }
    }
    let spot = Spot::of(object, &FieldPath::of("nodes"));
    (Some(KnownIssuer { spot, of: Of::Kind, issuer: None }), problems)
}

fn cluster_configuration(text: &str, field: &FieldPath, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut found = None;
    let mut documents = Documents::new(text.as_bytes(), LIMITS);
    while let Ok(Some(document)) = documents.next_document() {
        let read = document.objects(&LIMITS, &mut |object| {
            if object.node.text("kind") == Some("ClusterConfiguration") {
                found.get_or_insert(object.node);
            }
        });
        if let Err(unreadable) = read {
            let message = format!("line {} of the patch {}", unreadable.at.line, unreadable.message);
            problems.push(Problem::error(unreadable.reason, field.clone(), message, unreadable.remedy));
        }
    }
    found
}

/// Whether the files of the pair are named, and mounted where kubeadm looks for them.
fn key_files(configuration: &Node, field: &FieldPath, mounts: &[&str]) -> Vec<Problem> {
    let problem = |message: String| {
        let remedy = "name sa.pub and sa.key of the pair whose public key is published, and mount them (extraMounts)";
        Problem::error(Reason::SigningKeyMissing, field.clone(), message, remedy)
    };
    let missing = |(component, name): &(&str, &str)| match argument(configuration, component, name) {
        None => Some(problem(format!(
            "has no {name} for {component}: tokens would be signed with a key that kubeadm makes"
        ))),
        Some(file) if !mounts.iter().any(|mount| covers(mount, &file)) => {
            Some(problem(format!("names the file {file:?} for {component}, and no node mounts it")))
        }
        Some(_) => None,
    };
    KEY_FILES.iter().filter_map(missing).collect()
}

/// Whether a file is what is mounted, or below it.
fn covers(mount: &str, file: &str) -> bool {
    file.strip_prefix(mount.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn mounts(node: &Node) -> Vec<&str> {
    items(node.get("nodes"))
        .flat_map(|node| items(node.get("extraMounts")))
        .filter_map(|mount| mount.text("containerPath"))
        .collect()
}

/// An argument of a component of the control plane: a field until kubeadm's v1beta3, an item of a list since.
fn argument(configuration: &Node, component: &str, name: &str) -> Option<String> {
    let arguments = configuration.get(component)?.get("extraArgs")?;
    let of_list = || items(Some(arguments)).find(|argument| argument.text("name") == Some(name))?.text("value");
    arguments.text(name).or_else(of_list).filter(|value| !value.is_empty()).map(str::to_owned)
}
