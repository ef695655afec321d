//! What is on it. Nothing is written.

use http::{Method, Request, Response};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, TypeMeta},
    client::Body,
};
use serde_json::Value;

use crate::{
    capz::{Answer, Asked, Kind},
    cluster::client::{chain, words},
};

/// Why something is not looked at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotSeen {
    /// Whoever asks may not, or it is not there: in the API server's words.
    #[error("{0}")]
    Refused(String),
    /// No API server answers, or it does not know who asks, or it fails: nothing else can be looked at either.
    #[error("{0}")]
    Failed(String),
}

impl NotSeen {
    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if matches!(status.code, 403 | 404) => Self::Refused(words(error)),
            other => Self::Failed(words(other)),
        }
    }
}

/// Lists the objects of a kind in the first version of it that is served; None: no version that is known is.
///
/// # Errors
/// Why they cannot be listed.
pub async fn look(client: &Client, kind: &Kind) -> Result<Option<Vec<Value>>, NotSeen> {
    for version in kind.versions {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(kind.group, version, kind.kind), kind.plural);
        match all(client, &resource, kind.names).await {
            Ok(objects) => return Ok(Some(objects)),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(NotSeen::of(&error)),
        }
    }
    Ok(None)
}

async fn all(client: &Client, resource: &ApiResource, names: &[&str]) -> kube::Result<Vec<Value>> {
    let api = Api::all_with(client.clone(), resource);
    if names.is_empty() {
        return pages(&api, resource, ListParams::default()).await;
    }
    let mut found = Vec::new();
    for name in names {
        found.extend(pages(&api, resource, ListParams::default().fields(&format!("metadata.name={name}"))).await?);
    }
    Ok(found)
}

async fn pages(api: &Api<DynamicObject>, resource: &ApiResource, mut page: ListParams) -> kube::Result<Vec<Value>> {
    const PAGE: u32 = 250;
    page = page.limit(PAGE);
    let mut found = Vec::new();
    loop {
        let list = api.list(&page).await?;
        for object in list.items {
            found.push(value(object, resource)?);
        }
        match list.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => page = page.continue_token(&more),
            None => return Ok(found),
        }
    }
}

/// As a document of its own has it: the items of a list do not name their kind.
fn value(mut object: DynamicObject, resource: &ApiResource) -> kube::Result<Value> {
    object.types = Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
    object.metadata.managed_fields = None;
    serde_json::to_value(object).map_err(kube::Error::SerdeError)
}

/// What the API server answers to a GET of one of its own documents: it, that it is not there, or that nobody may have it.
///
/// # Errors
/// That it answers nothing, or something else.
pub async fn ask(client: &Client, path: &str) -> Asked {
    let request = Request::builder().method(Method::GET).uri(format!("/{path}")).body(Body::empty());
    let request = request.map_err(|error| chain(&error))?;
    let answer: Response<Body> = client.send(request).await.map_err(|error| words(&error))?;
    let status = answer.status().as_u16();
    if !matches!(status, 200 | 403 | 404) {
        return Err(format!("it answered {}", answer.status()));
    }
    let body = answer.into_body().collect_bytes().await.map_err(|error| chain(&error))?;
    Ok(Answer { status, body: body.to_vec() })
}
