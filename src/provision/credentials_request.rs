//! CredentialsRequests of a release: which identities a cluster needs, and the Secret in which each of them is awaited.

use std::{
    io::{self, BufRead},
    sync::Arc,
};

use serde_json::json;

use super::{
    File, Powers,
    file::manifest,
    provider_spec::{nobody, service_accounts},
};
use crate::{
    finding::{FieldPath, Finding, FindingsOfDocument, ObjectRef, Place, Problem, Reason},
    input::{self, Located, Visitor, place},
    manifest::{Content, Limits},
    names::{ClientId, Namespace, ObjectName, TenantId},
};

/// What a component of the cluster asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialsRequest {
    pub name: String,
    pub secret_namespace: Namespace,
    pub secret_name: ObjectName,
    /// Where its pods have the token of their service account.
    pub token_file: String,
    /// Those that sign in as its identity.
    pub service_accounts: Vec<String>,
    pub powers: Powers,
}

/// Whether what is in preview is asked for as well.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TechPreview {
    #[default]
    Off,
    On,
}

/// The managed identity of a component, once it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    pub client: ClientId,
    pub tenant: TenantId,
}

/// Reads the CredentialsRequests of any number of files.
pub struct CredentialsRequests<'f> {
    tech_preview: TechPreview,
    findings: &'f mut dyn FnMut(Finding),
    found: Vec<Found>,
}

/// One of them, and where it stands.
pub struct Found {
    pub(super) request: CredentialsRequest,
    pub(super) object: ObjectRef,
    pub(super) place: Place,
}

/// A CredentialsRequest has a few kilobytes.
const LIMITS: Limits = Limits { document_bytes: 1 << 20, object_bytes: 8 << 20, alias_bytes: 1 << 20, nesting: 100 };

const DELETE: &str = "release.openshift.io/delete";
const FEATURE_SET: &str = "release.openshift.io/feature-set";
const IN_PREVIEW: &str = "TechPreviewNoUpgrade";
const TOKEN_FILE: &str = "/var/run/secrets/openshift/serviceaccount/token";
const SECRET: [&str; 2] = ["spec.secretRef.namespace", "spec.secretRef.name"];

impl<'f> CredentialsRequests<'f> {
    pub fn new(tech_preview: TechPreview, findings: &'f mut dyn FnMut(Finding)) -> Self {
        Self { tech_preview, findings, found: Vec::new() }
    }

    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        input::read(source, reader, LIMITS, self).map(drop)
    }

    pub(super) fn into_parts(self) -> (Vec<Found>, &'f mut dyn FnMut(Finding)) {
        (self.found, self.findings)
    }

    /// In the order in which they were read. Whole only where no finding is an error.
    #[must_use]
    pub fn finish(self) -> Vec<CredentialsRequest> {
        self.found.into_iter().map(|found| found.request).collect()
    }
}

impl Visitor for CredentialsRequests<'_> {
    type Gathered = Vec<Found>;

    fn object(&self, object: Located, gathered: &mut Vec<Found>, findings: &mut FindingsOfDocument) {
        if let Some(refusal) = object.refusal() {
            findings.push(refusal);
            return;
        }
        if let Some(why) = left_out(&object, self.tech_preview) {
            let remedy = "nothing is to be done if that is meant";
            let problem = Problem::note(Reason::CredentialsRequestLeftOut, FieldPath::root(), why, remedy);
            findings.push(object.finding(problem));
            return;
        }
        match request(&object) {
            Ok(request) => {
                if request.service_accounts.is_empty() {
                    findings.push(object.finding(nobody()));
                }
                let at = object.node().locate(&FieldPath::of("spec.secretRef"));
                let place = place(&object.source, object.document, at);
                gathered.push(Found { request, object: object.reference(), place });
            }
            Err(problems) => findings.extend(problems.into_iter().map(|problem| object.finding(problem))),
        }
    }

    fn keep(&mut self, gathered: Vec<Found>) {
        for found in gathered {
            let file = found.request.file();
            match self.found.iter().find(|other| other.request.file() == file) {
                Some(other) => (self.findings)(shared(&found, other)),
                None => self.found.push(found),
            }
        }
    }

    fn report(&mut self, finding: Finding) {
        (self.findings)(finding);
    }
}

/// Why a document is none of those that are looked for.
fn left_out(object: &Located, tech_preview: TechPreview) -> Option<String> {
    let node = object.node();
    if node.text("kind") != Some("CredentialsRequest")
        || node.text("apiVersion") != Some("cloudcredential.openshift.io/v1")
    {
        return Some("is no CredentialsRequest of cloudcredential.openshift.io/v1".to_owned());
    }
    let annotations = node.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let annotation = |key| annotations.and_then(|annotations| annotations.text(key));
    if annotation(DELETE) == Some("true") {
        return Some(format!("is left out: its annotation {DELETE} says that the release has it no more"));
    }
    match annotation(FEATURE_SET) {
        Some(IN_PREVIEW) if tech_preview == TechPreview::On => {}
        Some(_) => {
            return Some(format!(
                "is left out: its annotation {FEATURE_SET} names a feature set that is not asked for"
            ));
        }
        None => {}
    }
    let provider = node.get("spec").and_then(|spec| spec.get("providerSpec"));
    match provider.and_then(|provider| provider.text("kind")) {
        None | Some("AzureProviderSpec") => None,
        Some(_) => Some("is left out: its providerSpec is not one of Azure".to_owned()),
    }
}

fn request(object: &Located) -> Result<CredentialsRequest, Vec<Problem>> {
    let mut problems = Vec::new();
    let [namespace, name] = SECRET.map(|field| match text(object, field) {
        Ok(Some(text)) => Some((field, text)),
        Ok(None) => {
            let message = "is missing: nobody can tell where the component looks for its credentials";
            problems.push(Problem::error(Reason::Required, FieldPath::of(field), message, "name the Secret"));
            None
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    });
    let namespace = namespace.and_then(|found| fit(found, Namespace::new(found.1), &mut problems));
    let name = name.and_then(|found| fit(found, ObjectName::new(found.1), &mut problems));
    let token_file = text(object, "spec.cloudTokenPath").unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let service_accounts = service_accounts(object, &mut problems);
    let powers = Powers::read(object, &mut problems);
    match (namespace, name) {
        (Some(secret_namespace), Some(secret_name)) if problems.is_empty() => Ok(CredentialsRequest {
            name: object.reference().name,
            secret_namespace,
            secret_name,
            token_file: token_file.filter(|file| !file.is_empty()).unwrap_or(TOKEN_FILE).to_owned(),
            service_accounts,
            powers,
        }),
        _ => Err(problems),
    }
}

/// The string at a path, if anything is there.
fn text<'o>(object: &'o Located, field: &str) -> Result<Option<&'o str>, Problem> {
    let found = field.split('.').try_fold(object.node(), |node, key| node.get(key));
    match found.map(|node| &node.content) {
        None | Some(Content::Null) => Ok(None),
        Some(Content::String(text)) => Ok(Some(text)),
        Some(_) => {
            let (field, message) = (FieldPath::of(field), "is no string");
            Err(Problem::error(Reason::InvalidType, field, message, "write a string, in quotes if need be"))
        }
    }
}

/// A name goes into a file's: it must not lead out of the folder.
fn fit<T>((field, text): (&str, &str), name: Result<T, crate::names::Unfit>, problems: &mut Vec<Problem>) -> Option<T> {
    name.map_err(|unfit| {
        let message = "is no name that Kubernetes takes";
        let problem = Problem::error(Reason::InvalidName, FieldPath::of(field), message, format!("it {unfit}"));
        problems.push(problem.with_value(text));
    })
    .ok()
}

fn shared(found: &Found, other: &Found) -> Finding {
    let (theirs, at) = (&other.object, &other.place);
    let message = format!(
        "has its Secret in the file {}, as has {theirs} ({}:{}): one of both would be lost",
        found.request.file(),
        at.source,
        at.line
    );
    let remedy = "leave one of both out, or give it a Secret of its own";
    let problem = Problem::error(Reason::SharedSecretRef, FieldPath::of("spec.secretRef"), message, remedy);
    Finding { place: found.place.clone(), object: Some(found.object.clone()), problem }
}

impl CredentialsRequest {
    /// The name of its file among the manifests.
    fn file(&self) -> String {
        format!("{}-{}-credentials.yaml", self.secret_namespace, self.secret_name)
    }

    /// The Secret that tells the component of its identity; of none, if it is not known yet: then its ids are empty, and a
    /// comment says so.
    ///
    /// # Errors
    /// Where it cannot be written as YAML.
    pub fn secret(&self, identity: Option<&Identity>, region: &str, subscription: &str) -> io::Result<File> {
        let (client, tenant) = identity.map_or(("", ""), |identity| (&*identity.client, &*identity.tenant));
        let secret = json!({
            "apiVersion": "v1",
            "stringData": {
                "azure_client_id": client,
                "azure_tenant_id": tenant,
                "azure_region": region,
                "azure_subscription_id": subscription,
                "azure_federated_token_file": self.token_file,
            },
            "kind": "Secret",
            "metadata": {"name": self.secret_name, "namespace": self.secret_namespace},
            "type": "Opaque",
        });
        manifest(&self.file(), if identity.is_none() { IDS_MISSING } else { "" }, &secret)
    }
}

const IDS_MISSING: &str = "\
# No identity has been made: write the client id and the tenant id of one before a cluster is installed with this.
";
