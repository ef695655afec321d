//! The door `render`: from manifests to provider classes and wired workloads.
//!
//! Reading keeps what is needed of each HostedCluster, a few hundred bytes, and of each workload that a row of the table
//! may be about; writing comes after. So the same set of documents gives the same bytes in any order, a workload may
//! stand before its HostedCluster, and of two HostedClusters that share a namespace neither is half-written.

use std::{
    cmp::Ordering,
    io::{self, BufRead},
    sync::Arc,
};

use hcp_identity_api::{azure_cluster_identity::AzureClusterIdentity, secret_provider_class::SecretProviderClass};
use serde::Serialize;
use serde_json::Value;

use crate::{
    component::Component,
    finding::{FieldPath, Finding, ObjectRef, Problem, Reason, Severity},
    input::{self, Located, Role, Rules, Visitor},
    manifest::{Limits, Node},
    namespaces::{Cluster, Namespaces},
    plan::{self, Identities, Identity, Plan, Template, Wired},
    settings::Settings,
};

/// An object to print.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Rendered {
    ProviderClass(SecretProviderClass),
    AzureClusterIdentity(AzureClusterIdentity),
    Workload(Value),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub settings: Arc<Settings>,
    /// Whether the AzureClusterIdentity of each HostedCluster is rendered.
    pub azure_cluster_identity: bool,
    pub limits: Limits,
    /// Bytes of workloads that may be held until their HostedClusters are known.
    pub held_bytes: usize,
}

impl Options {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, azure_cluster_identity: false, limits: Limits::default(), held_bytes: 64 << 20 }
    }
}

/// How much was read and rendered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub documents: usize,
    pub hosted_clusters: usize,
    pub provider_classes: usize,
    pub azure_cluster_identities: usize,
    pub workloads: usize,
    /// Documents and items that are nothing of the above.
    pub other: usize,
}

/// Reads sources, then renders.
pub struct Renderer<'f> {
    options: Options,
    /// Values of the label `app` that make a workload worth holding.
    apps: Vec<String>,
    findings: &'f mut dyn FnMut(Finding),
    clusters: Namespaces<Packed>,
    workloads: Vec<Workload>,
    held: usize,
    summary: Summary,
    pending: Pending,
}

/// The identities of a HostedCluster, packed; none if something is wrong with it, or it has none for us.
type Packed = Option<Box<[u8]>>;

/// What came of the document that is being read.
#[derive(Default)]
struct Pending {
    clusters: Namespaces<Packed>,
    workloads: Vec<Workload>,
    held: usize,
    findings: Vec<Finding>,
    summary: Summary,
}

/// A workload that waits for its HostedCluster: its node packed, because most of a tree is pointers.
#[derive(Debug)]
struct Workload {
    object: ObjectRef,
    source: Arc<str>,
    document: usize,
    path: FieldPath,
    node: Box<[u8]>,
}

impl<'f> Renderer<'f> {
    pub fn new(options: Options, findings: &'f mut dyn FnMut(Finding)) -> Self {
        let (clusters, workloads, held, summary, pending) = Default::default();
        let apps = plan::consumer_apps(&options.settings).into_iter().map(str::to_owned).collect();
        Self { options, apps, findings, clusters, workloads, held, summary, pending }
    }

    /// Reads one source; findings about its documents come as they are read.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        input::read(source, reader, self.options.limits, self)
    }

    /// Renders what has been read: the provider classes of each HostedCluster in the order of their control plane
    /// namespaces, then the workloads by namespace, kind and name.
    ///
    /// # Errors
    /// What `emit` fails with.
    pub fn finish(self, emit: &mut dyn FnMut(&Rendered) -> io::Result<()>) -> io::Result<Summary> {
        let Self { options, findings, clusters, mut workloads, mut summary, .. } = self;
        let clusters = clusters.settle(findings);
        for cluster in &clusters {
            let Some(plan) = unpack_plan(cluster, &options)? else { continue };
            for class in plan.provider_classes() {
                emit(&Rendered::ProviderClass(class))?;
                summary.provider_classes += 1;
            }
            let wanted = options.azure_cluster_identity;
            if let Some(identity) = plan.azure_cluster_identity().filter(|_| wanted) {
                emit(&Rendered::AzureClusterIdentity(identity))?;
                summary.azure_cluster_identities += 1;
            }
        }
        workloads.sort_by(Workload::order);
        for workload in &workloads {
            match workload.wire(&clusters, &options)? {
                Outcome::NotOurs => summary.other += 1,
                Outcome::Wired(value) => {
                    emit(&Rendered::Workload(value))?;
                    summary.workloads += 1;
                }
                Outcome::Refused(all) => all.into_iter().for_each(&mut *findings),
            }
        }
        Ok(summary)
    }

    fn hosted_cluster(&mut self, object: &Located) {
        let pending = &mut self.pending;
        pending.summary.hosted_clusters += 1;
        let (identities, mut problems) = input::inspect(object.node(), Rules::All);
        if self.options.azure_cluster_identity {
            // What is only odd otherwise is in the way of what has been asked for.
            let in_the_way = |problem: &&mut Problem| problem.reason == Reason::CloudWithoutCapzType;
            problems.iter_mut().filter(in_the_way).for_each(|problem| problem.severity = Severity::Error);
        }
        let shown = problems.into_iter().filter(input::concerns_rendering);
        pending.findings.extend(shown.map(|problem| object.finding(problem)));
        match identities.map(pack).transpose() {
            Ok(packed) => pending.clusters.add(object, packed),
            Err(error) => pending.findings.push(object.finding(unpackable(&error))),
        }
    }

    fn workload(&mut self, mut object: Located) {
        let pending = &mut self.pending;
        let app =
            pod_template(&object.object.node).and_then(|template| template.get("metadata")?.get("labels")?.text("app"));
        if !app.is_some_and(|app| self.apps.iter().any(|known| known == app)) {
            pending.summary.other += 1;
            return;
        }
        strip_server_fields(&mut object.object.node);
        let node = match postcard::to_allocvec(object.node()) {
            Ok(node) => node.into_boxed_slice(),
            Err(error) => return pending.findings.push(object.finding(unpackable(&error))),
        };
        if self.held + pending.held + node.len() > self.options.held_bytes {
            let message = format!("is one workload too many: more than {} MiB of them", self.options.held_bytes >> 20);
            let remedy = "render the control planes in several runs";
            let problem = Problem::error(Reason::HeldWorkloadsTooLarge, FieldPath::root(), message, remedy);
            return pending.findings.push(object.finding(problem));
        }
        pending.held += node.len();
        let reference = object.reference();
        let Located { source, document, object } = object;
        pending.workloads.push(Workload { object: reference, source, document, path: object.path, node });
    }
}

impl Visitor for Renderer<'_> {
    fn object(&mut self, object: Located) {
        match object.role() {
            Role::HostedCluster => self.hosted_cluster(&object),
            Role::Workload => self.workload(object),
            Role::Other => self.pending.summary.other += 1,
            Role::OtherHostedCluster | Role::Nothing => self.pending.findings.extend(object.refusal()),
        }
    }

    fn commit(&mut self) {
        let Pending { mut clusters, mut workloads, held, findings, summary } = std::mem::take(&mut self.pending);
        self.clusters.append(&mut clusters);
        self.workloads.append(&mut workloads);
        self.held += held;
        findings.into_iter().for_each(&mut *self.findings);
        self.summary.documents += 1;
        self.summary.hosted_clusters += summary.hosted_clusters;
        self.summary.other += summary.other;
    }

    fn discard(&mut self, finding: Finding) {
        self.pending = Pending::default();
        self.summary.documents += 1;
        (self.findings)(finding);
    }
}

/// What became of a workload.
enum Outcome {
    NotOurs,
    Wired(Value),
    Refused(Vec<Finding>),
}

impl Workload {
    /// By namespace, kind and name. Two of one name are ordered by what they say, never by where they stood.
    fn order(&self, other: &Self) -> Ordering {
        let content =
            |workload: &Self| postcard::from_bytes::<Node>(&workload.node).map(|node| node.to_value().to_string()).ok();
        let (a, b) = (&self.object, &other.object);
        (&a.namespace, &a.kind, &a.name)
            .cmp(&(&b.namespace, &b.kind, &b.name))
            .then_with(|| content(self).cmp(&content(other)))
    }

    fn wire(&self, clusters: &[Cluster<Packed>], options: &Options) -> io::Result<Outcome> {
        let found = clusters.binary_search_by(|cluster| (*cluster.namespace).cmp(&self.object.namespace));
        let Ok(index) = found else { return Ok(Outcome::NotOurs) };
        let Some(plan) = unpack_plan(&clusters[index], options)? else { return Ok(Outcome::NotOurs) };
        let node: Node = postcard::from_bytes(&self.node).map_err(io::Error::other)?;
        let mut value = node.to_value();
        let path = template_path(&self.object.kind);
        let Some(template) = value.pointer_mut(path) else { return Ok(Outcome::NotOurs) };
        match plan.wire(&Template::new(template)) {
            Ok(Wired::NotOurs) => Ok(Outcome::NotOurs),
            Ok(Wired::Missing(additions)) => {
                if let Some(spec) = template.get_mut("spec") {
                    additions.iter().for_each(|addition| addition.apply(spec));
                }
                Ok(Outcome::Wired(value))
            }
            Err(problems) => {
                let prefix = FieldPath::of(&path.replace('/', "."));
                let object = crate::manifest::Object { node, path: self.path.clone() };
                let located = Located { source: Arc::clone(&self.source), document: self.document, object };
                let finding =
                    |problem: Problem| located.finding(Problem { field: prefix.join(&problem.field), ..problem });
                Ok(Outcome::Refused(problems.into_iter().map(finding).collect()))
            }
        }
    }
}

/// What is held of a HostedCluster. Of its client ids only the one of an AzureClusterIdentity is ever printed; the others
/// would be a third of it.
fn pack(mut identities: Identities) -> Result<Box<[u8]>, postcard::Error> {
    let unprinted = |identity: &&mut Identity| !Component::of(identity.component).azure_cluster_identity;
    identities.named.iter_mut().filter(unprinted).for_each(|identity| identity.client_id = None);
    postcard::to_allocvec(&identities).map(Vec::into_boxed_slice)
}

fn unpack_plan(cluster: &Cluster<Packed>, options: &Options) -> io::Result<Option<Plan>> {
    let Some(packed) = &cluster.kept else { return Ok(None) };
    let identities: Identities = postcard::from_bytes(packed).map_err(io::Error::other)?;
    Ok(Some(Plan::new(identities, Arc::clone(&options.settings))))
}

fn unpackable(error: &postcard::Error) -> Problem {
    let message = format!("cannot be held: {error}");
    Problem::error(Reason::ObjectTooLarge, FieldPath::root(), message, "please report this")
}

/// Where a workload has its pod template, as a JSON pointer: a pod is its own.
fn template_path(kind: &str) -> &'static str {
    if kind == "Pod" { "" } else { "/spec/template" }
}

fn pod_template(node: &Node) -> Option<&Node> {
    match node.text("kind")? {
        "Pod" => Some(node),
        _ => node.get("spec")?.get("template"),
    }
}

/// Drops what the API server writes: a manifest with it cannot be applied, and it says nothing about what should be.
fn strip_server_fields(node: &mut Node) {
    node.remove("status");
    if let Some(metadata) = node.get_mut("metadata") {
        for key in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"] {
            metadata.remove(key);
        }
    }
}
