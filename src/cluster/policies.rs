//! Whether the admission policies that wire pods are there, and as this version and these settings make them. They are
//! installed by people: what may write them could change every pod of the cluster.

use std::{sync::Arc, time::Duration};

use http::Request;
use kube::Client;
use serde_json::Value;

use super::{
    access::{Access, POLICIES, POLICY_BINDINGS, Verb},
    client::chain,
    daemon::Shared,
};
use crate::{
    condition::Reason,
    observed::AdmissionTrouble,
    policies,
    settings::{Settings, daemon::PodPatch},
};

/// No watch tells: by their names alone they can only be asked for.
const INTERVAL: Duration = Duration::from_secs(60);
const GROUP: &str = "admissionregistration.k8s.io/v1";

/// Looks again and again, while pods are to be wired so.
pub async fn follow_policies(shared: Arc<Shared>, client: Client) {
    let mut applied = shared.applied();
    loop {
        let settings = {
            let applied = applied.borrow_and_update();
            let is_wanted = applied.settings.pod_patch == PodPatch::Policy;
            applied.settings.wiring.clone().filter(|_| is_wanted)
        };
        let looked = match &settings {
            Some(settings) => look(&client, settings).await,
            None => Ok(None),
        };
        match looked {
            Ok(trouble) => {
                let news = shared.store().put_policies(trouble);
                shared.news(news);
            }
            Err(error) => tracing::warn!(error, "the admission policies could not be looked at; it is tried again"),
        }
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// What is wrong with them; an error where nobody knows.
pub(super) async fn look(client: &Client, settings: &Settings) -> Result<Option<AdmissionTrouble>, String> {
    let served = client.list_api_group_resources(GROUP).await.map_err(|error| chain(&error))?;
    if !served.resources.iter().any(|resource| resource.name == POLICIES.resource) {
        let message = "podPatch is policy, and the API server does not serve MutatingAdmissionPolicy v1, as Kubernetes 1.36 does; \
                       upgrade it, or choose another podPatch";
        return trouble(Reason::PoliciesUnsupported, message.to_owned());
    }
    let (mut missing, mut other) = (Vec::new(), Vec::new());
    for wanted in policies::policies(settings) {
        let (kind, name) = (text(&wanted["kind"]), text(&wanted["metadata"]["name"]));
        let access = if kind == "MutatingAdmissionPolicy" { &POLICIES } else { &POLICY_BINDINGS };
        match get(client, access, name).await {
            Ok(found) if includes(&found["spec"], &wanted["spec"]) => {}
            Ok(_) => other.push(format!("{kind} {name}")),
            Err(kube::Error::Api(status)) if status.code == 404 => missing.push(format!("{kind} {name}")),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let message = format!(
                    "podPatch is policy, and the policies may not be read: grant what \
                     manifests/components/policies/rbac.yaml has; {}",
                    status.message
                );
                return trouble(Reason::PoliciesMissing, message);
            }
            Err(error) => return Err(chain(&error)),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "podPatch is policy, and these are not there: {}; install what `hcp-identity render --policies` prints",
            missing.join(", ")
        );
        return trouble(Reason::PoliciesMissing, message);
    }
    if !other.is_empty() {
        let message = format!(
            "not as this version and its settings make them: {}; apply what `hcp-identity render --policies` prints, with the \
             same settings",
            other.join(", ")
        );
        return trouble(Reason::PoliciesOutdated, message);
    }
    Ok(None)
}

fn trouble(reason: Reason, message: String) -> Result<Option<AdmissionTrouble>, String> {
    Ok(Some(AdmissionTrouble { reason, message }))
}

async fn get(client: &Client, access: &'static Access, name: &str) -> kube::Result<Value> {
    debug_assert!(access.verbs.contains(&Verb::Get), "{access:?}");
    let request = Request::get(format!("/apis/{GROUP}/{}/{name}", access.resource)).body(Vec::new());
    client.request(request.map_err(kube::Error::HttpError)?).await
}

/// Whether what is there is what is wanted, but for what the API server adds by default.
fn includes(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| there.get(key).is_some_and(|there| includes(there, wanted)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len() && there.iter().zip(wanted).all(|(there, wanted)| includes(there, wanted))
        }
        _ => there == wanted,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_adds_is_no_difference_and_what_it_lacks_is() {
        let wanted = json!({"a": [{"b": 1}], "c": "x"});
        assert!(includes(&json!({"a": [{"b": 1, "default": true}], "c": "x", "d": {}}), &wanted));
        for other in [
            json!({"a": [{"b": 1}, {"b": 2}], "c": "x"}),
            json!({"a": [{"b": 2}], "c": "x"}),
            json!({"a": [{"b": 1}]}),
            json!({"a": [], "c": "x"}),
            Value::Null,
        ] {
            assert!(!includes(&other, &wanted), "{other}");
        }
    }
}
