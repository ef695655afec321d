//! The key pair of a management cluster: that it is one, and the Secret in which Cluster API awaits it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::plan::{Request, pair_secret_name};
use crate::{
    credential::{Secret, rsa},
    manifest::on_lines,
    provision::SigningKey,
};

/// Why two files are no pair that tokens can be signed with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoPair {
    #[error("the public key {0}")]
    Public(String),
    #[error("the private key {0}")]
    Private(String),
    #[error("public and private key do not belong together")]
    Apart,
}

/// The public key of the pair.
///
/// # Errors
/// Why the files are none.
pub fn pair(private: &Secret, public: &[u8]) -> Result<SigningKey, NoPair> {
    let key = SigningKey::read(public).map_err(|unusable| NoPair::Public(unusable.to_string()))?;
    let of_public = rsa::public(public).map_err(|unusable| NoPair::Public(unusable.to_string()))?;
    let of_private = rsa::private(private.expose()).map_err(|unusable| NoPair::Private(unusable.to_string()))?;
    if of_private == of_public { Ok(key) } else { Err(NoPair::Apart) }
}

/// The Secret of the pair, as YAML. The private key is written into the text once, and wiped with it.
///
/// # Errors
/// Never of a request.
pub fn pair_secret(request: &Request, private: &Secret, public: &[u8]) -> std::io::Result<Secret> {
    let head = on_lines(&json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": pair_secret_name(&request.cluster),
            "namespace": request.namespace,
            "labels": {"cluster.x-k8s.io/cluster-name": request.cluster},
        },
        "type": "cluster.x-k8s.io/secret",
        "data": {"tls.crt": BASE64_STANDARD.encode(public)},
    }))?;
    let head = format!("{}\n  tls.key: ", head.trim_end());
    let private = private.expose();
    // Room for everything at once: a buffer that grows is copied and given back.
    let mut text = vec![0; head.len() + private.len().div_ceil(3) * 4 + 1];
    text[..head.len()].copy_from_slice(head.as_bytes());
    let end = text.len() - 1;
    let encoded = BASE64_STANDARD.encode_slice(private, &mut text[head.len()..end]);
    text[end] = b'\n';
    let text = Secret::new(text);
    encoded.map_err(std::io::Error::other)?;
    Ok(text)
}
