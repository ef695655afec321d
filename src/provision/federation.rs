//! The door `azure plan`: from HostedClusters with workload identities to the federated credentials that must exist.
//!
//! An identity may be that of several components and HostedClusters. What it has to have is told once, as Azure has it once.

use std::{
    collections::HashMap,
    io::{self, BufRead},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    component::{Component, Id},
    finding::{FieldPath, Finding, FindingsOfDocument, ObjectRef, Place, Problem, Reason, Severity},
    input::{self, Located, Role, Rules, Visitor},
    manifest::Limits,
    names::{ClientId, IssuerUrl, TenantId},
    namespaces::Namespaces,
    plan::{AUDIENCE, FederatedCredential, Gated, WorkloadIdentities},
};

/// An identity, and the federated credentials that it has to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FederatedIdentity {
    #[serde(rename = "clientID")]
    pub client_id: ClientId,
    #[serde(rename = "tenantID")]
    pub tenant_id: TenantId,
    /// As `spec.platform.azure.cloud` of a HostedCluster names it; empty where there is no HostedCluster.
    pub cloud: Box<str>,
    /// As `hypershift create iam azure` names it; absent where that does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub used_by: Vec<Use>,
    pub federated_credentials: Vec<Credential>,
}

/// One component of one HostedCluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// `namespace/name`.
    pub hosted_cluster: String,
    pub component: Id,
}

/// A federated credential, with the fields that Azure Resource Manager gives it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Credential {
    pub name: String,
    pub issuer: IssuerUrl,
    pub subject: String,
    pub audiences: [&'static str; 1],
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub documents: usize,
    pub hosted_clusters: usize,
    /// Those of them with workload identities, sound or not.
    pub federated: usize,
}

/// Reads HostedClusters, then plans.
pub struct Federation<'f> {
    findings: &'f mut dyn FnMut(Finding),
    clusters: Namespaces<Option<Kept>>,
    summary: Summary,
    clouds: Clouds,
}

/// Which clouds a plan may be of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Clouds {
    #[default]
    Any,
    /// This one, or that of the first HostedCluster; others are refused.
    One(Option<String>),
}

/// What is kept of a HostedCluster.
#[derive(Debug)]
struct Kept {
    identities: WorkloadIdentities,
    object: ObjectRef,
    /// Where the client id of each identity stands.
    places: Vec<Place>,
    /// Where its cloud does.
    cloud: Place,
}

/// What is gathered from one document.
#[derive(Default)]
pub struct Gathered {
    clusters: Namespaces<Option<Kept>>,
    hosted_clusters: usize,
    federated: usize,
}

impl Credential {
    /// What tokens of the cluster are for, and nobody else's.
    pub const AUDIENCES: [&'static str; 1] = [AUDIENCE];
}

impl FederatedIdentity {
    /// What Azure lets an identity have.
    pub const MOST_CREDENTIALS: usize = 20;
}

impl<'f> Federation<'f> {
    pub fn new(findings: &'f mut dyn FnMut(Finding)) -> Self {
        Self { findings, clusters: Namespaces::default(), summary: Summary::default(), clouds: Clouds::Any }
    }

    /// As a subscription has it, which is in one cloud.
    #[must_use]
    pub fn within(self, clouds: Clouds) -> Self {
        Self { clouds, ..self }
    }

    /// Reads one source; its findings come as its documents do.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        self.summary.documents += input::read(source, reader, Limits::default(), self)?;
        Ok(())
    }

    /// The identities in the order of the control plane namespaces and of the table; those that cannot have what they have to
    /// have are findings instead.
    pub fn finish(self) -> (Vec<FederatedIdentity>, Summary) {
        let Self { findings, clusters, summary, clouds } = self;
        let clusters = clusters.settle(|kept| *kept = None, findings);
        let kept = || clusters.iter().filter_map(|cluster| cluster.kept.as_ref());
        clouds.refuse_others(kept(), findings);
        let mut plan = Plan::default();
        kept().for_each(|kept| plan.add(kept, findings));
        (plan.identities.into_iter().filter(|planned| planned.fits).map(|planned| planned.identity).collect(), summary)
    }
}

impl Visitor for Federation<'_> {
    type Gathered = Gathered;

    fn object(&self, object: Located, gathered: &mut Gathered, findings: &mut FindingsOfDocument) {
        findings.extend(object.refusal());
        if object.role() != Role::HostedCluster {
            return;
        }
        let Gated { workload_identities, problems, .. } = input::inspect(object.node(), Rules::All);
        let federated = problems.iter().any(|problem| problem.reason == Reason::WorkloadIdentities);
        let shown = |problem: &Problem| match problem.reason {
            Reason::WorkloadIdentities => false,
            Reason::NotAzure => true,
            _ => federated || problem.severity == Severity::Error,
        };
        findings.extend(problems.into_iter().filter(shown).map(|problem| object.finding(problem)));
        gathered.hosted_clusters += 1;
        gathered.federated += usize::from(federated);
        let kept = workload_identities.map(|identities| Kept::new(&object, identities));
        gathered.clusters.add(&object, kept);
    }

    fn keep(&mut self, mut gathered: Gathered) {
        self.clusters.append(&mut gathered.clusters);
        self.summary.hosted_clusters += gathered.hosted_clusters;
        self.summary.federated += gathered.federated;
    }

    fn report(&mut self, finding: Finding) {
        (self.findings)(finding);
    }
}

impl Kept {
    fn new(object: &Located, identities: WorkloadIdentities) -> Self {
        let place = |field: &FieldPath| input::place(&object.source, object.document, object.node().locate(field));
        let places = identities.named.iter().map(|identity| place(&client_id(identity.component))).collect();
        Self { object: object.reference(), places, cloud: place(&FieldPath::of(CLOUD)), identities }
    }
}

const CLOUD: &str = "spec.platform.azure.cloud";

impl Clouds {
    /// Tells of each HostedCluster of another cloud.
    fn refuse_others<'k>(self, kept: impl Iterator<Item = &'k Kept>, findings: &mut dyn FnMut(Finding)) {
        let Self::One(given) = self else { return };
        let mut one = given.map(|cloud| (cloud, "--cloud".to_owned()));
        for Kept { identities, object, cloud: place, .. } in kept {
            let (cloud, whose) = one.get_or_insert_with(|| (identities.cloud.to_string(), object.to_string()));
            if **cloud != *identities.cloud {
                let message = format!("is another cloud than {cloud}, that of {whose}: a subscription is in one");
                let remedy = "give the HostedClusters of one cloud at a time, and a subscription of theirs; without --cloud, theirs is taken";
                let problem = Problem::error(Reason::OtherCloud, FieldPath::of(CLOUD), message, remedy);
                let problem = problem.with_value(identities.cloud.to_string());
                findings(Finding { place: place.clone(), object: Some(object.clone()), problem });
            }
        }
    }
}

fn client_id(component: Id) -> FieldPath {
    FieldPath::of(Component::of(component).federated.field).key("clientID")
}

/// Identities by what they are told apart by.
#[derive(Default)]
struct Plan {
    identities: Vec<Planned>,
    index: HashMap<(String, TenantId, Box<str>), usize>,
}

struct Planned {
    identity: FederatedIdentity,
    fits: bool,
}

impl Plan {
    fn add(&mut self, kept: &Kept, findings: &mut dyn FnMut(Finding)) {
        let identities = &kept.identities;
        let cluster = format!("{}/{}", identities.cluster.namespace, identities.cluster.name);
        for (named, place) in identities.named.iter().zip(&kept.places) {
            let name = identities.identity_name(named.component);
            let used_by = Use { hosted_cluster: cluster.clone(), component: named.component };
            let planned = self.identity(&named.client_id, identities, name);
            planned.identity.used_by.push(used_by);
            if let Err(problem) = planned.federate(identities.federated_credentials(named.component)) {
                let field = client_id(named.component);
                let problem = Problem { field, ..problem.with_value(named.client_id.to_string()) };
                findings(Finding { place: place.clone(), object: Some(kept.object.clone()), problem });
            }
        }
    }

    fn identity(&mut self, client_id: &ClientId, of: &WorkloadIdentities, name: Option<String>) -> &mut Planned {
        let key = (client_id.to_ascii_lowercase(), of.tenant.clone(), of.cloud.clone());
        let index = *self.index.entry(key).or_insert(self.identities.len());
        if index == self.identities.len() {
            let (used_by, federated_credentials) = (Vec::new(), Vec::new());
            let (client_id, tenant_id, cloud) = (client_id.clone(), of.tenant.clone(), of.cloud.clone());
            let identity = FederatedIdentity { client_id, tenant_id, cloud, name, used_by, federated_credentials };
            self.identities.push(Planned { identity, fits: true });
        } else {
            // Of one that several use, nobody knows whose name it has.
            self.identities[index].identity.name = None;
        }
        &mut self.identities[index]
    }
}

impl Planned {
    /// # Errors
    /// Why the identity cannot have one of them; told once.
    fn federate(&mut self, credentials: impl Iterator<Item = FederatedCredential>) -> Result<(), Problem> {
        if !self.fits {
            return Ok(());
        }
        let federated = federate(&mut self.identity.federated_credentials, credentials);
        self.fits = federated.is_ok();
        federated
    }
}

fn federate(have: &mut Vec<Credential>, credentials: impl Iterator<Item = FederatedCredential>) -> Result<(), Problem> {
    for FederatedCredential { name, issuer, subject } in credentials {
        if have.iter().any(|other| (&other.issuer, &other.subject) == (&issuer, &subject)) {
            continue;
        }
        if let Some(other) = have.iter().find(|other| other.name.eq_ignore_ascii_case(&name)) {
            return Err(conflict(other));
        }
        have.push(Credential { name, issuer, subject, audiences: Credential::AUDIENCES });
    }
    if have.len() > FederatedIdentity::MOST_CREDENTIALS { Err(too_many()) } else { Ok(()) }
}

fn conflict(other: &Credential) -> Problem {
    let message = format!(
        "is an identity that has a federated credential {} of another issuer, {}, for a HostedCluster of the same name",
        other.name, other.issuer
    );
    let remedy = "give the HostedClusters identities of their own, or one issuer";
    Problem::error(Reason::FederatedCredentialConflict, FieldPath::root(), message, remedy)
}

fn too_many() -> Problem {
    let most = FederatedIdentity::MOST_CREDENTIALS;
    let message =
        format!("is an identity that needs more than the {most} federated credentials that Azure lets it have");
    let remedy = "give the HostedClusters identities of their own, or one issuer";
    Problem::error(Reason::TooManyFederatedCredentials, FieldPath::root(), message, remedy)
}
