//! Single things of it: a token of a service account, and whether a Secret is there.

use http::{
    Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::look::NotSeen;
use crate::credential::Secret;

/// As long as the kubelet asks for it for CAPZ.
const SECONDS: u32 = 3600;

/// A token of a service account, as the kubelet asks for it. Whoever has it can sign in: it is to be read and dropped.
///
/// # Errors
/// Why there is none.
pub async fn token(client: &Client, namespace: &str, account: &str, audience: &str) -> Result<Secret, NotSeen> {
    #[derive(Deserialize)]
    struct Answer {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        token: String,
    }
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": SECONDS},
    });
    let url = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let request = Request::post(url).header(CONTENT_TYPE, "application/json").body(body.to_string().into_bytes());
    let request = request.map_err(|error| NotSeen::Failed(error.to_string()))?;
    let answer = client.request::<Answer>(request).await.map_err(|error| NotSeen::of(&error))?;
    Ok(Secret::new(answer.status.token.into_bytes()))
}

/// Whether a Secret is there. None of what it holds comes back.
///
/// # Errors
/// Why nobody knows.
pub async fn has_secret(client: &Client, namespace: &str, name: &str) -> Result<bool, NotSeen> {
    let url = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
    let request = Request::get(url).header(ACCEPT, super::apply::ONLY_METADATA).body(Vec::new());
    match client.request::<Value>(request.map_err(|error| NotSeen::Failed(error.to_string()))?).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(NotSeen::of(&error)),
    }
}
