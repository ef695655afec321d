//! The only writes to other people's objects, and the gate that all writes go through.
//!
//! One request is under way at a time, started only while the Lease is ours and given up before it could be another's.
//! Each write of an object that is there names the version it was planned from: one that comes late gets 409.

use std::{sync::Arc, time::Duration};

use http::Request;
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    access::{Access, CAPZ_IDENTITIES, EVICTIONS, Verb, WIRE_DEPLOYMENTS, WRITE_CLASSES},
    client::chain,
    failpoint,
    lease::Fence,
    metrics::Metrics,
};
use crate::{
    diff::Change,
    observed::{MANAGER, Version},
};

/// The longest that one write may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Why something was not written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WriteError {
    #[error("this replica does not hold the Lease")]
    NotLeading,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The object has changed since it was planned from, or somebody else owns a field of it.
    #[error("{0}")]
    Conflict(String),
    /// Before trying again the API server wants to be left alone.
    #[error("{message}")]
    Busy { message: String, retry_after: Option<Duration> },
    /// Trying again is no use before somebody acts.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
}

/// Who may write, one request at a time.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    one: Arc<Semaphore>,
    /// Absent: there is no Lease, and a person has started this.
    fence: Option<Fence>,
    metrics: Arc<Metrics>,
}

/// What is read of the answer to a write.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Written {
    pub metadata: WrittenMeta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenMeta {
    pub uid: String,
    pub resource_version: String,
}

impl Writer {
    #[must_use]
    pub fn new(client: Client, fence: Option<Fence>, metrics: Arc<Metrics>) -> Self {
        Self { client, one: Arc::new(Semaphore::new(1)), fence, metrics }
    }

    /// Server-side apply without force.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn apply(
        &self,
        access: &'static Access,
        path: &Path<'_>,
        object: &impl Serialize,
    ) -> Result<Written, WriteError> {
        debug_assert!(access.verbs.contains(&Verb::Patch), "{access:?}");
        let request =
            core::Request::new(path.url(access)).patch(path.name, &PatchParams::apply(MANAGER), &Patch::Apply(object));
        self.send("apply", access, request).await
    }

    /// Replaces an object's status, as of the version that the object names.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn replace_status(
        &self,
        access: &'static Access,
        path: &Path<'_>,
        object: &impl Serialize,
    ) -> Result<Written, WriteError> {
        debug_assert!(access.verbs.contains(&Verb::Update), "{access:?}");
        let body = serde_json::to_vec(object).map_err(|error| WriteError::Failed(error.to_string()))?;
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let request = core::Request::new(path.url(access)).replace_subresource("status", path.name, &parameters, body);
        self.send("update", access, request).await
    }

    /// Fails with a conflict where the object is there already.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn create(
        &self,
        access: &'static Access,
        path: &Path<'_>,
        object: &impl Serialize,
    ) -> Result<Written, WriteError> {
        debug_assert!(access.verbs.contains(&Verb::Create), "{access:?}");
        let body = serde_json::to_vec(object).map_err(|error| WriteError::Failed(error.to_string()))?;
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let request = core::Request::new(path.url(access)).create(&parameters, body);
        self.send("create", access, request).await
    }

    /// Deletes this very object in this very state.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn delete(
        &self,
        access: &'static Access,
        path: &Path<'_>,
        version: &Version,
    ) -> Result<Written, WriteError> {
        debug_assert!(access.verbs.contains(&Verb::Delete), "{access:?}");
        let preconditions = Preconditions {
            uid: Some(version.uid.to_string()),
            resource_version: Some(version.resource_version.to_string()),
        };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.send("delete", access, core::Request::new(path.url(access)).delete(path.name, &parameters)).await
    }

    /// Evicts this very pod, if its disruption budgets let it go: Busy where they do not.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn evict(&self, path: &Path<'_>, uid: &str) -> Result<Written, WriteError> {
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": path.name, "namespace": path.namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        let body = serde_json::to_vec(&eviction).map_err(|error| WriteError::Failed(error.to_string()))?;
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let collection = core::Request::new(path.url(&EVICTIONS));
        let request = collection.create_subresource("eviction", path.name, &parameters, body);
        self.send("evict", &EVICTIONS, request).await
    }

    /// A patch that says itself what it may change: a JSON patch that tests, or a merge patch that names a version.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn patch(
        &self,
        access: &'static Access,
        path: &Path<'_>,
        form: PatchForm,
        patch: &Value,
    ) -> Result<Written, WriteError> {
        debug_assert!(access.verbs.contains(&Verb::Patch), "{access:?}");
        let request = Request::patch(format!("{}/{}?fieldManager={MANAGER}", path.url(access), path.name))
            .header(http::header::CONTENT_TYPE, form.content_type())
            .body(patch.to_string().into_bytes());
        self.send("patch", access, request.map_err(core::request::Error::BuildRequest)).await
    }

    async fn send(
        &self,
        verb: &'static str,
        access: &'static Access,
        request: Result<Request<Vec<u8>>, core::request::Error>,
    ) -> Result<Written, WriteError> {
        let request = request.map_err(|error| WriteError::Failed(chain(&error)))?;
        let Ok(_one) = self.one.acquire().await else { return Err(WriteError::NotLeading) };
        let now = Instant::now();
        let limit = match &self.fence {
            Some(fence) if !fence.holds(now) => return Err(WriteError::NotLeading),
            Some(fence) => LONGEST.min(fence.allows(now)),
            None => LONGEST,
        };
        failpoint::before(verb, access.resource);
        let answer = timeout(limit, self.client.request::<Written>(request)).await;
        failpoint::after(verb, access.resource);
        let result = match answer {
            Err(_) => Err(WriteError::TimedOut(limit)),
            Ok(answer) => answer.map_err(|error| classify(&error)),
        };
        self.metrics.write(verb, access.resource, outcome(&result));
        result
    }
}

fn outcome(result: &Result<Written, WriteError>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(WriteError::Conflict(_)) => "conflict",
        Err(WriteError::Refused(_)) => "refused",
        Err(_) => "failed",
    }
}

fn classify(error: &kube::Error) -> WriteError {
    let kube::Error::Api(status) = error else { return WriteError::Failed(chain(error)) };
    let message = status.message.clone();
    match status.code {
        409 => WriteError::Conflict(message),
        429 | 503 | 504 => {
            let seconds =
                status.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
            WriteError::Busy { message, retry_after: seconds.map(|seconds| Duration::from_secs(u64::from(seconds))) }
        }
        401 | 403 | 400 | 404 | 405 | 422 => WriteError::Refused(message),
        _ => WriteError::Failed(message),
    }
}

/// Where an object is.
#[derive(Clone, Copy, Debug)]
pub struct Path<'p> {
    pub version: &'p str,
    pub namespace: &'p str,
    pub name: &'p str,
}

impl Path<'_> {
    /// The collection's URL.
    fn url(&self, access: &Access) -> String {
        let resource = access.resource.split('/').next().unwrap_or_default();
        let group = if access.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", access.group) };
        format!("{group}/{}/namespaces/{}/{resource}", self.version, self.namespace)
    }
}

/// How a patch is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PatchForm {
    Json,
    Merge,
}

impl PatchForm {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
        }
    }
}

/// A merge patch of this very object in this very state.
fn merge(version: &Version, spec: &Value) -> Value {
    json!({"metadata": {"uid": version.uid, "resourceVersion": version.resource_version}, "spec": spec})
}

/// Carries out one change.
///
/// # Errors
/// [`WriteError`]; nothing was changed then, as far as can be known.
pub async fn apply(writer: &Writer, namespace: &str, change: &Change) -> Result<Written, WriteError> {
    let key = change.key();
    let path = |version| Path { version, namespace, name: &key.name };
    match change {
        Change::ApplyClass { class, planned_from: None, .. } => writer.create(&WRITE_CLASSES, &path("v1"), class).await,
        Change::ApplyClass { class, planned_from: Some(version), removes } => {
            let removed = removes.iter().map(|name| (name.as_str(), Value::Null));
            let kept = class.spec.parameters.iter().map(|(name, value)| (name.as_str(), json!(value)));
            let parameters: Value = kept.chain(removed).map(|(name, value)| (name.to_owned(), value)).collect();
            let spec = json!({"provider": class.spec.provider, "parameters": parameters});
            writer.patch(&WRITE_CLASSES, &path("v1"), PatchForm::Merge, &merge(version, &spec)).await
        }
        Change::DeleteClass { planned_from, .. } => writer.delete(&WRITE_CLASSES, &path("v1"), planned_from).await,
        Change::ApplyCapzIdentity { identity, planned_from: None } => {
            writer.create(&CAPZ_IDENTITIES, &path("v1beta1"), identity).await
        }
        Change::ApplyCapzIdentity { identity, planned_from: Some(version) } => {
            let patch = merge(version, &json!(identity.spec));
            writer.patch(&CAPZ_IDENTITIES, &path("v1beta1"), PatchForm::Merge, &patch).await
        }
        Change::ApplyWorkload { name, planned_from, template, .. } => {
            let object = json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "uid": planned_from.uid,
                    "resourceVersion": planned_from.resource_version,
                },
                "spec": {"template": {"spec": template}},
            });
            writer.apply(&WIRE_DEPLOYMENTS, &path("v1"), &object).await
        }
    }
}
