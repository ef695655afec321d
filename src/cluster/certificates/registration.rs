//! The registrations of the webhook, of which the daemon keeps one field: whom API servers trust.
//!
//! They are installed by people, and a ValidatingAdmissionPolicy beside them has the API server refuse anything else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::{
    Client,
    api::{GetParams, Patch, PatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cluster::{
        access::{Access, REGISTRATIONS as ACCESS, Verb},
        client::{chain, words},
    },
    observed::MANAGER,
};

/// Their names. Either may be missing.
pub const REGISTRATIONS: [&str; 2] = ["hcp-identity", "hcp-identity-workload-identity"];

/// What is read of one.
#[derive(Debug, Deserialize)]
struct Registration {
    metadata: Meta,
    #[serde(default)]
    webhooks: Vec<Webhook>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    uid: String,
    resource_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    name: String,
    client_config: ClientConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    ca_bundle: Option<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// Every registration that is there has the bundle.
    Whole,
    /// No registration is there.
    NobodyAsks,
}

/// Has every registration that is there trust this bundle. Of one that did not, `lacked` hears, whatever comes of it then.
pub(super) async fn have_trusted(client: &Client, bundle: &[u8], lacked: &mut bool) -> Result<Trust, String> {
    let bundle = BASE64_STANDARD.encode(bundle);
    let mut there = 0;
    for name in REGISTRATIONS {
        there += usize::from(have_one_trust(client, name, &bundle, lacked).await?);
    }
    Ok(if there == 0 { Trust::NobodyAsks } else { Trust::Whole })
}

/// Of several replicas that write, each but one reads again; more than these are a quarrel with somebody else.
const TRIES: usize = 5;

/// Whether it is there.
async fn have_one_trust(client: &Client, name: &str, bundle: &String, lacked: &mut bool) -> Result<bool, String> {
    for _ in 0..TRIES {
        let Some(found) = get(client, name).await? else { return Ok(false) };
        let trusts = |webhook: &Webhook| webhook.client_config.ca_bundle.as_ref() == Some(bundle);
        if found.webhooks.iter().all(trusts) {
            return Ok(true);
        }
        *lacked = true;
        if apply(client, name, &found, bundle).await? {
            tracing::info!(name, "the registration of the webhook has another caBundle");
            return Ok(true);
        }
    }
    Err(format!("MutatingWebhookConfiguration {name}: others write it as often as it is read"))
}

async fn get(client: &Client, name: &str) -> Result<Option<Registration>, String> {
    let access = may(Verb::Get);
    let request = requests(access).get(name, &GetParams::default()).map_err(|error| chain(&error))?;
    match client.request(request).await {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(format!("cannot read MutatingWebhookConfiguration {name}: {}", remedy(&error))),
    }
}

/// Of the object as it was read: an apply would make one that is gone anew, and of nothing but this. Whether it was taken:
/// not, if the object is another by now.
async fn apply(client: &Client, name: &str, found: &Registration, bundle: &str) -> Result<bool, String> {
    let access = may(Verb::Patch);
    let patch = patch(name, found, bundle);
    let request = requests(access).patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(&patch));
    let request = request.map_err(|error| chain(&error))?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 && !is_owned(&status.message) => Ok(false),
        Err(error) => Err(format!("cannot set caBundle of MutatingWebhookConfiguration {name}: {}", remedy(&error))),
    }
}

/// Whether somebody else has written the field, and not only the object.
fn is_owned(message: &str) -> bool {
    message.contains("conflict with")
}

fn patch(name: &str, found: &Registration, bundle: &str) -> Value {
    let webhooks = found.webhooks.iter();
    let webhooks = webhooks.map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}));
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name, "uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version},
        "webhooks": webhooks.collect::<Vec<_>>(),
    })
}

fn remedy(error: &kube::Error) -> String {
    let what = words(error);
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{what}; grant what manifests/components/webhook-self-signed has")
        }
        kube::Error::Api(status) if status.code == 409 && is_owned(&status.message) => {
            format!("{what}; let nobody else write it, or set webhook.certificates to who does")
        }
        _ => what,
    }
}

fn may(verb: Verb) -> &'static Access {
    debug_assert!(ACCESS.verbs.contains(&verb), "{ACCESS:?}");
    &ACCESS
}

fn requests(access: &'static Access) -> Request {
    Request::new(format!("/apis/{}/v1/{}", access.group, access.resource))
}
