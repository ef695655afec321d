//! Reads of a person's, which may be forbidden.

use kube::{Api, api::ListParams};
use serde::de::DeserializeOwned;

use crate::cluster::client::chain;

/// What could not be looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Unseen {
    /// What it was that is not allowed.
    Forbidden(String),
    Failed(String),
}

/// What came of a request; absent where there is no such thing.
pub(super) fn seen<T>(what: &str, answer: Result<T, kube::Error>) -> Result<Option<T>, Unseen> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(Unseen::Forbidden(what.to_owned())),
        Err(error) => Err(Unseen::Failed(format!("cannot {what}: {}", chain(&error)))),
    }
}

/// All objects of a kind, a page at a time.
pub(super) async fn list<K>(what: &str, api: &Api<K>, labels: &str) -> Result<Vec<K>, Unseen>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    const PAGE: u32 = 250;
    let mut page = ListParams::default().limit(PAGE).labels(labels);
    let mut found = Vec::new();
    loop {
        let Some(list) = seen(&format!("list {what}"), api.list(&page).await)? else { return Ok(found) };
        found.extend(list.items);
        match list.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => page = page.continue_token(&more),
            None => return Ok(found),
        }
    }
}
