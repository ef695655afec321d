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

/// The objects of a kind.
#[derive(Debug)]
pub enum Looked {
    Found(Vec<Value>),
    /// No version that is known is served.
    NotServed,
    /// Why they cannot be listed.
    Refused(String),
}

/// Lists the objects of a kind in the first version of it that is served.
pub async fn look(client: &Client, kind: &Kind) -> Looked {
    for version in kind.versions {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(kind.group, version, kind.kind), kind.plural);
        match all(client, &resource, kind.names).await {
            Ok(objects) => return Looked::Found(objects),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Looked::Refused(words(&error)),
        }
    }
    Looked::NotServed
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

/// What the API server answers to a GET of one of its own documents.
pub async fn ask(client: &Client, path: &str) -> Asked {
    let request = Request::builder().method(Method::GET).uri(format!("/{path}")).body(Body::empty());
    let request = request.map_err(|error| chain(&error))?;
    let answer: Response<Body> = client.send(request).await.map_err(|error| words(&error))?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await.map_err(|error| chain(&error))?;
    Ok(Answer { status, body: body.to_vec() })
}
