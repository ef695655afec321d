//! The door `render`: from manifests to provider classes and wired workloads.
//!
//! Reading keeps what is needed of each HostedCluster, a few hundred bytes, and of each workload that a row of the table
//! may be about; writing comes after. So the same set of documents gives the same bytes in any order, a workload may
//! stand before its HostedCluster, and of two HostedClusters that share a namespace neither is half-written.

use std::{
    io::{self, BufRead},
    sync::Arc,
};

use hcp_identity_api::{azure_cluster_identity::AzureClusterIdentity, secret_provider_class::SecretProviderClass};
use serde::Serialize;
use serde_json::Value;

use crate::{
    component::Component,
    finding::{FieldPath, Finding, FindingsOfDocument, ObjectRef, Problem, Reason, Severity},
    input::{self, Located, Role, Rules, Visitor},
    manifest::{Limits, Node, Object},
    namespaces::{Cluster, Namespaces},
    plan::{self, Gated, Identities, Identity, Plan, Template, Wired},
    policies::guard_binding,
    settings::Settings,
};

/// An object to print.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Rendered {
    ProviderClass(SecretProviderClass),
    AzureClusterIdentity(AzureClusterIdentity),
    Policy(Value),
    Workload(Value),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub settings: Arc<Settings>,
    /// Whether the AzureClusterIdentity of each HostedCluster is rendered.
    pub azure_cluster_identity: bool,
    /// Whether each HostedCluster is bound to the policy that guards its secrets.
    pub guard_secrets: bool,
    pub limits: Limits,
    /// Bytes of workloads that may be held until their HostedClusters are known.
    pub held_bytes: usize,
}

impl Options {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            azure_cluster_identity: false,
            guard_secrets: false,
            limits: Limits::default(),
            held_bytes: 64 << 20,
        }
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
    clusters: Namespaces<Kept>,
    workloads: Vec<Workload>,
    held: usize,
    summary: Summary,
}

/// What is kept of a HostedCluster until its workloads are known.
#[derive(Debug)]
enum Kept {
    /// Its identities, packed.
    Identities(Box<[u8]>),
    /// It has none for us.
    NotOurs,
    /// Something is wrong with it.
    Refused,
}

/// What is gathered from one document.
#[derive(Default)]
pub struct Gathered {
    clusters: Namespaces<Kept>,
    workloads: Vec<Workload>,
    held: usize,
    hosted_clusters: usize,
    other: usize,
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
        let (clusters, workloads, held, summary) = Default::default();
        let apps = plan::consumer_apps(&options.settings).into_iter().map(str::to_owned).collect();
        Self { options, apps, findings, clusters, workloads, held, summary }
    }

    /// Reads one source; findings about its documents come as they are read.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        self.summary.documents += input::read(source, reader, self.options.limits, self)?;
        Ok(())
    }

    /// Renders what has been read: the provider classes of each HostedCluster in the order of their control plane
    /// namespaces, then the workloads by namespace, kind and name.
    ///
    /// # Errors
    /// What `emit` fails with.
    pub fn finish(self, emit: &mut dyn FnMut(&Rendered) -> io::Result<()>) -> io::Result<Summary> {
        let Self { options, findings, clusters, mut workloads, mut summary, .. } = self;
        let clusters = clusters.settle(|kept| *kept = Kept::Refused, findings);
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
            if options.guard_secrets {
                emit(&Rendered::Policy(guard_binding(plan.identities())))?;
            }
        }
        workloads.sort_by(|a, b| order(&a.object).cmp(&order(&b.object)));
        for same in workloads.chunk_by(|a, b| a.object == b.object) {
            if let [workload] = same {
                match workload.wire(&clusters, &options)? {
                    Outcome::NotOurs => summary.other += 1,
                    Outcome::Wired(value) => {
                        emit(&Rendered::Workload(value))?;
                        summary.workloads += 1;
                    }
                    Outcome::Refused(all) => all.into_iter().for_each(&mut *findings),
                }
                continue;
            }
            for workload in same {
                findings(workload.finding(twice())?);
            }
        }
        Ok(summary)
    }

    fn hosted_cluster(&self, object: &Located, gathered: &mut Gathered, findings: &mut FindingsOfDocument) {
        gathered.hosted_clusters += 1;
        let Gated { identities, mut problems, .. } = input::inspect(object.node(), Rules::All);
        if self.options.azure_cluster_identity {
            // What is only odd otherwise is in the way of what has been asked for.
            let reasons = [Reason::CloudWithoutCapzType, Reason::EmptyTenantID];
            let in_the_way = |problem: &&mut Problem| reasons.contains(&problem.reason);
            problems.iter_mut().filter(in_the_way).for_each(|problem| problem.severity = Severity::Error);
        }
        let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
        let shown = problems.into_iter().filter(input::concerns_rendering);
        findings.extend(shown.map(|problem| object.finding(problem)));
        let kept = match identities.map(pack).transpose() {
            Ok(Some(packed)) => Kept::Identities(packed),
            Ok(None) if refused => Kept::Refused,
            Ok(None) => Kept::NotOurs,
            Err(error) => {
                findings.push(object.finding(unpackable(&error)));
                Kept::Refused
            }
        };
        gathered.clusters.add(object, kept);
    }

    fn workload(&self, mut object: Located, gathered: &mut Gathered, findings: &mut FindingsOfDocument) {
        let app =
            pod_template(&object.object.node).and_then(|template| template.get("metadata")?.get("labels")?.text("app"));
        if !app.is_some_and(|app| self.apps.iter().any(|known| known == app)) {
            gathered.other += 1;
            return;
        }
        strip_server_fields(&mut object.object.node);
        let node = match postcard::to_allocvec(object.node()) {
            Ok(node) => node.into_boxed_slice(),
            Err(error) => return findings.push(object.finding(unpackable(&error))),
        };
        if self.held + gathered.held + node.len() > self.options.held_bytes {
            let message = format!("is one workload too many: more than {} MiB of them", self.options.held_bytes >> 20);
            let remedy = "render the control planes in several runs";
            let problem = Problem::error(Reason::HeldWorkloadsTooLarge, FieldPath::root(), message, remedy);
            return findings.push(object.finding(problem));
        }
        gathered.held += node.len();
        let reference = object.reference();
        let Located { source, document, object } = object;
        gathered.workloads.push(Workload { object: reference, source, document, path: object.path, node });
    }
}

impl Visitor for Renderer<'_> {
    type Gathered = Gathered;

    fn object(&self, object: Located, gathered: &mut Gathered, findings: &mut FindingsOfDocument) {
        match object.role() {
            Role::HostedCluster => self.hosted_cluster(&object, gathered, findings),
            Role::Workload => self.workload(object, gathered, findings),
            Role::Other => gathered.other += 1,
            Role::OtherHostedCluster | Role::List | Role::Nothing => findings.extend(object.refusal()),
        }
    }

    fn keep(&mut self, mut gathered: Gathered) {
        self.clusters.append(&mut gathered.clusters);
        self.workloads.append(&mut gathered.workloads);
        self.held += gathered.held;
        self.summary.hosted_clusters += gathered.hosted_clusters;
        self.summary.other += gathered.other;
    }

    fn report(&mut self, finding: Finding) {
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
    fn wire(&self, clusters: &[Cluster<Kept>], options: &Options) -> io::Result<Outcome> {
        let found = clusters.binary_search_by(|cluster| (*cluster.namespace).cmp(&self.object.namespace));
        let left_out = |message: &str, remedy: &str| {
            let field = FieldPath::of("metadata.namespace");
            let problem = Problem::note(Reason::WorkloadLeftOut, field, message, remedy);
            Ok(Outcome::Refused(vec![self.finding(problem)?]))
        };
        let Ok(index) = found else {
            if self.object.namespace.is_empty() {
                return left_out("is missing, so that no control plane can be told", "add it");
            }
            return Ok(Outcome::NotOurs);
        };
        if let Kept::Refused = clusters[index].kept {
            return left_out("is that of a HostedCluster that is refused", "correct the HostedCluster");
        }
        let Some(plan) = unpack_plan(&clusters[index], options)? else { return Ok(Outcome::NotOurs) };
        let mut value = self.node()?.to_value();
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
                let finding =
                    |problem: Problem| self.finding(Problem { field: prefix.join(&problem.field), ..problem });
                Ok(Outcome::Refused(problems.into_iter().map(finding).collect::<io::Result<_>>()?))
            }
        }
    }

    fn node(&self) -> io::Result<Node> {
        postcard::from_bytes(&self.node).map_err(io::Error::other)
    }

    /// Puts a problem of this workload in its place.
    fn finding(&self, problem: Problem) -> io::Result<Finding> {
        let object = Object { node: self.node()?, path: self.path.clone() };
        let located = Located { source: Arc::clone(&self.source), document: self.document, object };
        Ok(located.finding(problem))
    }
}

/// What is held of a HostedCluster. Of its client ids only the one of an AzureClusterIdentity is ever printed; the others
/// would be a third of it.
fn pack(mut identities: Identities) -> Result<Box<[u8]>, postcard::Error> {
    let unprinted = |identity: &&mut Identity| !Component::of(identity.component).azure_cluster_identity;
    identities.named.iter_mut().filter(unprinted).for_each(|identity| identity.client_id = None);
    postcard::to_allocvec(&identities).map(Vec::into_boxed_slice)
}

fn unpack_plan(cluster: &Cluster<Kept>, options: &Options) -> io::Result<Option<Plan>> {
    let Kept::Identities(packed) = &cluster.kept else { return Ok(None) };
    let identities: Identities = postcard::from_bytes(packed).map_err(io::Error::other)?;
    Ok(Some(Plan::new(identities, Arc::clone(&options.settings))))
}

/// By namespace, kind and name.
fn order(object: &ObjectRef) -> (&str, &str, &str) {
    (&object.namespace, &object.kind, &object.name)
}

fn twice() -> Problem {
    let message = "stands in the input more than once, and kubectl would apply one of them by chance";
    Problem::error(Reason::DuplicateWorkload, FieldPath::of("metadata.name"), message, "remove all but one")
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
