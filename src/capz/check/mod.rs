//! What is wrong with the manifests of a management cluster and of its clusters, as far as manifests tell.
//!
//! Each object is looked at as it comes; what several of them tell together is said at the end.

mod account;
mod allowed;
mod azure;
mod claims;
mod identity;
mod issuer;
mod kinds;
mod machines;
mod manager;
mod published;
mod together;
mod token;

use std::{
    collections::HashSet,
    io::{self, BufRead},
    sync::Arc,
};

use account::KnownAccount;
use allowed::Labels;
use identity::KnownIdentity;
use issuer::KnownIssuer;
use machines::Machine;
use manager::{Manager, Who};
use serde_json::Value;

pub use azure::{Held, InAzure, Trusted, in_azure};
pub use claims::{ACCOUNTS, Claims};
pub use kinds::{KINDS, Kind};
pub use published::{Answer, Asked, Signing, of_published, tokens};

use super::{API_VERSION, cluster_identity};
use crate::{
    finding::{FieldPath, Finding, FindingsOfDocument, ObjectRef, Place, Problem},
    input::{self, Located, Visitor, place},
    manifest::{Content, Limits, Node},
};

/// Holds the manifests of any number of sources against what CAPZ needs of them.
pub struct Checker<'f> {
    issuer: Option<String>,
    limits: Limits,
    findings: &'f mut dyn FnMut(Finding),
    gathered: Gathered,
    documents: usize,
    /// The source that is a cluster.
    cluster: Option<Arc<str>>,
    /// Objects of manifests: they stand for those of the cluster.
    replaced: HashSet<ObjectRef>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub documents: usize,
    pub identities: usize,
    pub clusters: usize,
    /// Objects of any kind that is looked at.
    pub objects: usize,
}

/// What is kept of a document until the end.
#[derive(Default)]
pub struct Gathered {
    identities: Vec<KnownIdentity>,
    clusters: Vec<Cluster>,
    namespaces: Vec<(Box<str>, Labels)>,
    managers: Vec<Manager>,
    accounts: Vec<KnownAccount>,
    issuers: Vec<KnownIssuer>,
    machines: Vec<Machine>,
    /// Whether an identity that is not among these is nowhere.
    has_all_identities: bool,
    objects: usize,
    /// Those of them that a manifest has.
    of_manifests: Vec<ObjectRef>,
}

/// A cluster, and the identity that it names.
struct Cluster {
    spot: Spot,
    /// As Cluster API names it; None: a template of clusters.
    name: Option<String>,
    namespace: String,
    identity: (String, String),
    /// Where CAPZ says that the identity does not allow its namespace.
    refused: Option<Spot>,
}

/// A field of an object that something may have to be said of.
#[derive(Clone)]
struct Spot {
    place: Place,
    object: ObjectRef,
    field: FieldPath,
}

impl Spot {
    fn of(located: &Located, field: &FieldPath) -> Self {
        let place = place(&located.source, located.document, located.node().locate(field));
        Self { place, object: located.reference(), field: located.object.path.join(field) }
    }

    /// Puts a problem there.
    fn finding(&self, problem: Problem) -> Finding {
        let problem = Problem { field: self.field.clone(), ..problem };
        Finding { place: self.place.clone(), object: Some(self.object.clone()), problem }
    }
}

/// Kinds that name an identity, and where.
const CLUSTERS: [(&str, &str); 4] = [
    ("AzureCluster", "spec.identityRef"),
    ("AzureManagedControlPlane", "spec.identityRef"),
    ("AzureClusterTemplate", "spec.template.spec.identityRef"),
    ("AzureManagedControlPlaneTemplate", "spec.template.spec.identityRef"),
];

impl<'f> Checker<'f> {
    /// `issuer` is the one of the federated credentials, where it is known.
    pub fn new(issuer: Option<String>, limits: Limits, findings: &'f mut dyn FnMut(Finding)) -> Self {
        Self {
            issuer,
            limits,
            findings,
            gathered: Gathered::default(),
            documents: 0,
            cluster: None,
            replaced: HashSet::new(),
        }
    }

    /// Reads one source of manifests; what is wrong with single objects is reported as they come.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        self.documents += input::read(source, reader, self.limits, self)?;
        Ok(())
    }

    /// Reads all objects of a kind that a cluster has, but those that manifests, which are read before, have as well: what is
    /// there is what they will replace.
    ///
    /// # Errors
    /// Never of objects.
    pub fn look(&mut self, cluster: &Arc<str>, kind: &Kind, objects: &[Value]) -> io::Result<()> {
        self.cluster = Some(Arc::clone(cluster));
        self.gathered.has_all_identities |= kind.kind == cluster_identity::KIND;
        let mut documents = Vec::new();
        for object in objects {
            documents.extend_from_slice(b"---\n");
            serde_json::to_writer(&mut documents, object)?;
            documents.push(b'\n');
        }
        self.read(cluster, &*documents)
    }

    fn is_cluster(&self, source: &Arc<str>) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| Arc::ptr_eq(cluster, source))
    }

    /// Takes this issuer for that of the federated credentials, if none is known.
    pub fn expect_issuer(&mut self, issuer: String) {
        self.issuer.get_or_insert(issuer);
    }

    /// The issuer that everything is held against, as far as it is known.
    fn expected_issuer(&self) -> Option<&str> {
        self.issuer.as_deref().or_else(|| issuer::of_any_kind(&self.gathered.issuers))
    }

    /// Whether what was read until now signs in with tokens of its cluster.
    #[must_use]
    pub fn signs_in_with_tokens(&self) -> bool {
        self.gathered.signs_in_with_tokens()
    }

    /// Reports what was found by other means.
    pub fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(&mut *self.findings);
    }

    /// Reports what only all objects together tell.
    pub fn finish(mut self) -> Summary {
        for finding in together::findings(&self.gathered, self.expected_issuer()) {
            self.report(finding);
        }
        let Self { gathered: Gathered { identities, clusters, objects, .. }, documents, .. } = self;
        Summary { documents, identities: identities.len(), clusters: clusters.len(), objects }
    }
}

impl Visitor for Checker<'_> {
    type Gathered = Gathered;

    fn object(&self, object: Located, gathered: &mut Gathered, findings: &mut FindingsOfDocument) {
        if let Some(refusal) = object.refusal() {
            findings.push(refusal);
            return;
        }
        let (reference, node) = (object.reference(), object.node());
        let (Some(kind), Some(version)) = (node.text("kind"), node.text("apiVersion")) else { return };
        let is_of_cluster = self.is_cluster(&object.source);
        if is_of_cluster && self.replaced.contains(&reference) {
            return;
        }
        let problems = match (kind, version) {
            (cluster_identity::KIND, API_VERSION) => {
                let (identity, problems) = identity::look(&object);
                gathered.identities.extend(identity);
                problems
            }
            ("Cluster", "kind.x-k8s.io/v1alpha4") => {
                let (issuer, problems) = issuer::of_kind(&object);
                gathered.issuers.extend(issuer);
                problems
            }
            ("KubeadmControlPlane", version) if version.starts_with("controlplane.cluster.x-k8s.io/") => {
                gathered.issuers.extend(issuer::of_control_plane(&object));
                Vec::new()
            }
            ("Deployment", "apps/v1") => {
                gathered.managers.extend(manager::look(&object));
                Vec::new()
            }
            ("ServiceAccount", "v1") => {
                gathered.accounts.extend(account::look(&object));
                Vec::new()
            }
            ("Namespace", "v1") => {
                gathered.namespaces.extend(allowed::labels(node));
                Vec::new()
            }
            (kind, API_VERSION) => {
                gathered.clusters.extend(cluster(&object, kind));
                gathered.machines.extend(machines::look(&object, kind));
                Vec::new()
            }
            _ => return,
        };
        gathered.objects += 1;
        gathered.of_manifests.extend(Some(reference).filter(|_| !is_of_cluster));
        findings.extend(problems.into_iter().map(|problem| object.finding(problem)));
    }

    fn keep(&mut self, mut of_document: Gathered) {
        let all = &mut self.gathered;
        all.identities.append(&mut of_document.identities);
        all.clusters.append(&mut of_document.clusters);
        all.namespaces.append(&mut of_document.namespaces);
        all.managers.append(&mut of_document.managers);
        all.accounts.append(&mut of_document.accounts);
        all.issuers.append(&mut of_document.issuers);
        all.machines.append(&mut of_document.machines);
        all.objects += of_document.objects;
        self.replaced.extend(of_document.of_manifests);
    }

    fn report(&mut self, mut finding: Finding) {
        if self.is_cluster(&finding.place.source) {
            finding.place = Place::within(&finding.place.source);
        }
        (self.findings)(finding);
    }
}

impl Gathered {
    fn signs_in_with_tokens(&self) -> bool {
        self.identities_of_capz().any(KnownIdentity::signs_in_with_tokens)
    }

    /// Those that the CAPZ of the cluster signs in as. Those of HyperShift are for its own, which get their tokens another way.
    fn identities_of_capz(&self) -> impl Iterator<Item = &KnownIdentity> {
        self.identities.iter().filter(|identity| !self.is_of_hypershift(&identity.namespace))
    }

    /// Whether it is the namespace of a hosted control plane: HyperShift runs a CAPZ in each.
    fn is_of_hypershift(&self, namespace: &str) -> bool {
        let is_its = |manager: &Manager| manager.arguments.object.namespace == namespace;
        self.managers.iter().any(|manager| manager.who == Who::CapzOfHyperShift && is_its(manager))
    }
}

fn cluster(object: &Located, kind: &str) -> Option<Cluster> {
    let (_, path) = CLUSTERS.iter().find(|(cluster, _)| *cluster == kind)?;
    let reference = at(object.node(), path)?;
    let ObjectRef { namespace, name, .. } = object.reference();
    let name = machines::cluster_name(object.node()).map_or(name, str::to_owned);
    let of = reference.text("namespace").filter(|name| !name.is_empty()).unwrap_or(&namespace);
    let identity = (of.to_owned(), reference.text("name").unwrap_or_default().to_owned());
    Some(Cluster {
        spot: Spot::of(object, &FieldPath::of(path)),
        name: Some(name).filter(|_| !kind.ends_with("Template")),
        namespace,
        identity,
        refused: refused(object),
    })
}

/// Where a condition says it, as either version of Cluster API has them.
fn refused(object: &Located) -> Option<Spot> {
    const REASON: &str = "NamespaceNotAllowedByIdentity";
    ["status.conditions", "status.v1beta2.conditions"].iter().find_map(|path| {
        let says =
            |condition: &Node| condition.text("reason") == Some(REASON) && condition.text("status") == Some("False");
        let index = items(at(object.node(), path)).position(says)?;
        Some(Spot::of(object, &FieldPath::of(path).index(index)))
    })
}

/// The value at a path of plain keys.
fn at<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(node, |node, key| node.get(key))
}

/// The items of a list, if it is one.
fn items(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    let items = match node.map(|node| &node.content) {
        Some(Content::Sequence(items)) => &items[..],
        _ => &[],
    };
    items.iter()
}
