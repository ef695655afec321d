//! The clients that the daemon is compared with, on the library and the TLS that it has.

use std::{sync::Arc, time::Duration};

use futures::{TryStreamExt as _, stream};
use http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Client,
    api::Api,
    runtime::watcher::{Config, watcher},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet, time::interval};

use crate::{
    Result,
    golden::{Golden, items},
    world::{classes, deployments, fillers, merge, names, namespace, object, statuses},
};

/// What the daemon reads of the answer to a write.
#[derive(Deserialize)]
struct Written {
    metadata: WrittenMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMeta {
    uid: String,
    resource_version: String,
}

/// The daemon's writes with their bodies known beforehand: those of one HostedCluster one after the other, of `clients`
/// HostedClusters at once.
pub async fn write(client: &Client, scale: usize, clients: usize) -> Result<()> {
    let golden = Golden::read()?;
    let all = names(scale).map(|name| writes(&golden.of(&name)?, &name)).collect::<Result<Vec<_>>>()?;
    let one_after_the_other = async |writes: Vec<Request<Vec<u8>>>| {
        for write in writes {
            let written: Written = client.request(write).await?;
            assert!(!written.metadata.uid.is_empty() && !written.metadata.resource_version.is_empty());
        }
        Ok(())
    };
    stream::iter(all.into_iter().map(Ok)).try_for_each_concurrent(clients, one_after_the_other).await
}

fn writes(golden: &Golden, name: &str) -> Result<Vec<Request<Vec<u8>>>> {
    let namespace = namespace(name);
    let status = status(golden, name, &namespace);
    let own = json!({
        "apiVersion": "hcpidentity.dev/v1alpha1", "kind": "ControlPlaneIdentity", "metadata": {"name": name},
        "spec": {"hostedClusterName": name},
    });
    let mut writes = Vec::new();
    for class in &golden.classes {
        writes.push(apply(&object(&classes(&namespace), class), class)?);
    }
    for wiring in &golden.wirings {
        writes.push(apply(&object(&deployments(&namespace), wiring), wiring)?);
    }
    writes.push(apply(&object(&statuses(), &own), &own)?);
    writes.push(apply(&format!("{}/status", object(&statuses(), &own)), &status)?);
    Ok(writes)
}

/// As large as the daemon's.
fn status(golden: &Golden, name: &str, namespace: &str) -> Value {
    let kinds = ["Ready", "Wired", "Verified", "Mounted", "Fresh", "Reconciling", "Stalled"];
    let conditions = kinds.map(|kind| {
        json!({
            "type": kind, "status": if kind == "Wired" { "True" } else { "Unknown" }, "reason": "NotChecked",
            "message": "what the daemon says here is about as long as this is", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    });
    let ids = ["cloud-provider", "cpo", "nodepool", "ingress", "network", "disk", "file", "registry", "kms"];
    let components = ids.iter().zip(&golden.classes).map(|(id, class)| {
        json!({
            "id": id, "providerClass": class["metadata"]["name"], "secretName": format!("{name}-{id}"),
            "clientID": "00000001-aaaa-4bbb-8ccc-000000000001", "reason": "NotMounted",
            "message": "no pod of it has mounted the credential yet", "wired": true, "pods": 0, "mountedPods": 0,
        })
    });
    json!({
        "apiVersion": "hcpidentity.dev/v1alpha1", "kind": "ControlPlaneIdentity", "metadata": {"name": name},
        "status": {
            "hostedClusterGeneration": 1, "controlPlaneNamespace": namespace, "wired": "9/9", "mounted": "0/9",
            "conditions": conditions, "components": components.collect::<Vec<_>>(),
        },
    })
}

fn apply(path: &str, body: &Value) -> Result<Request<Vec<u8>>> {
    debug_assert!(items(&body["metadata"]["managedFields"]).is_empty());
    let request = Request::patch(format!("{path}?fieldManager=bench-loop"));
    Ok(request.header("content-type", "application/apply-patch+yaml").body(body.to_string().into_bytes())?)
}

/// A client that has a connection and waits: what the daemon's memory is compared with.
pub async fn idle(client: Client) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let nothing = Config::default().fields("metadata.name=there-is-none").streaming_lists();
    Ok(watcher(api, nothing).try_for_each(async |_| Ok(())).await?)
}

/// Changes an annotation of one Deployment after the other; the daemon watches all of them and none is of interest.
pub async fn busy(client: &Client, scale: usize, rate: usize) -> Result<()> {
    let golden = Golden::read()?;
    let fillers: Vec<String> = fillers(&golden).collect();
    let paths: Vec<String> = names(scale)
        .flat_map(|name| fillers.iter().map(move |filler| format!("{}/{filler}", deployments(&namespace(&name)))))
        .collect();
    let at_once = Arc::new(Semaphore::new(16));
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let mut sent = JoinSet::new();
    let ended = tokio::signal::ctrl_c();
    tokio::pin!(ended);
    for number in 0_usize.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut ended => break,
        }
        let permit = Arc::clone(&at_once).acquire_owned().await?;
        let (client, path) = (client.clone(), paths[number % paths.len()].clone());
        sent.spawn(async move {
            let patch = json!({"metadata": {"annotations": {"example.com/number": number.to_string()}}});
            let result = merge(&client, &path, &patch).await.map_err(|error| error.to_string());
            drop(permit);
            result
        });
        while let Some(result) = sent.try_join_next() {
            result??;
        }
    }
    Ok(())
}
