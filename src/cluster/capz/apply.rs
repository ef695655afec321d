//! Server-side apply of a person's: as kubectl does it, in our name.

use http::{
    Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use kube::{Client, core::Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{cluster::client::words, credential::Secret, finding::ObjectRef, observed::MANAGER};

/// An object, and the text of it. The text may hold a private key, so nothing here reads it, or has it sent back.
#[derive(Debug)]
pub struct Manifest {
    pub object: ObjectRef,
    /// The path of its kind before the namespace: `api/v1` or `apis/GROUP/VERSION`.
    pub version: &'static str,
    pub plural: &'static str,
    pub text: Secret,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Write {
    Really,
    /// The API server does all but that.
    Rehearsed,
}

/// What becomes of fields that somebody else has set otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conflicts {
    Refused,
    Taken,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Change {
    Created,
    Updated,
    Unchanged,
}

/// A field that somebody else has set otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// As the API server names it: `.spec.clientID`.
    pub field: String,
    pub manager: String,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotApplied {
    #[error("other managers have set fields otherwise")]
    Conflicts(Vec<Conflict>),
    /// In the API server's words.
    #[error("{0}")]
    Refused(String),
    /// It has not been asked, or has not answered.
    #[error("{0}")]
    Failed(String),
}

/// Applies it.
///
/// # Errors
/// Why not; nothing was changed then, as far as can be known.
pub async fn apply(
    client: &Client,
    manifest: &Manifest,
    write: Write,
    conflicts: Conflicts,
) -> Result<Change, NotApplied> {
    let path = manifest.path();
    let before = match metadata(client, Request::get(&path), Vec::new()).await {
        Ok(before) => Some(before),
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => return Err(NotApplied::of(&error)),
    };
    let force = conflicts == Conflicts::Taken;
    let dry_run = if write == Write::Rehearsed { "&dryRun=All" } else { "" };
    let url = format!("{path}?fieldManager={MANAGER}&force={force}&fieldValidation=Strict{dry_run}");
    let patch = Request::patch(url).header(CONTENT_TYPE, "application/apply-patch+yaml");
    let after =
        metadata(client, patch, manifest.text.expose().to_vec()).await.map_err(|error| NotApplied::of(&error))?;
    Ok(match before {
        None => Change::Created,
        Some(before) if before == after => Change::Unchanged,
        Some(_) => Change::Updated,
    })
}

pub(super) const ONLY_METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Sends a request, and has nothing answered but the object's metadata. They differ once anything of it does: an apply that
/// changes something has another time in managedFields, rehearsed or not.
async fn metadata(client: &Client, request: http::request::Builder, body: Vec<u8>) -> kube::Result<Value> {
    #[derive(Deserialize)]
    struct Partial {
        metadata: Value,
    }
    let request = request.header(ACCEPT, ONLY_METADATA).body(body).map_err(kube::Error::HttpError)?;
    Ok(client.request::<Partial>(request).await?.metadata)
}

impl Manifest {
    fn path(&self) -> String {
        let Self { object: ObjectRef { namespace, name, .. }, version, plural, .. } = self;
        format!("/{version}/namespaces/{namespace}/{plural}/{name}")
    }
}

impl NotApplied {
    fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let conflicts = conflicts(status);
                if conflicts.is_empty() { Self::Refused(words(error)) } else { Self::Conflicts(conflicts) }
            }
            other => Self::Failed(words(other)),
        }
    }
}

fn conflicts(status: &Status) -> Vec<Conflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let of_managers = causes.filter(|cause| cause.reason == "FieldManagerConflict");
    let conflict = |cause: &kube::core::response::StatusCause| Conflict {
        field: cause.field.clone(),
        // conflict with "MANAGER" using VERSION
        manager: cause.message.split('"').nth(1).unwrap_or(&cause.message).to_owned(),
    };
    of_managers.map(conflict).collect()
}
