//! The world: HostedClusters, and in the namespace of each as many Deployments as HyperShift has there.

use futures::{TryStreamExt as _, stream};
use http::Request;
use kube::{
    Client,
    api::{Api, DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    Result,
    golden::{Golden, is_wired},
    grown::grown,
};

/// Deployments of a control plane; those of the golden files are among them.
const DEPLOYMENTS: usize = 60;

/// Requests that are under way at once while nothing is measured.
const AT_ONCE: usize = 16;

/// Where the HostedClusters are.
pub const CLUSTERS: &str = "clusters";

/// Where the Leases of the programs are.
const LEASES: [&str; 2] = ["hcp-identity", "default"];

pub fn names(scale: usize) -> impl Iterator<Item = String> {
    (0..scale).map(|number| format!("c{number:04}"))
}

pub fn namespace(name: &str) -> String {
    format!("{CLUSTERS}-{name}")
}

pub fn fillers(golden: &Golden) -> impl Iterator<Item = String> {
    (golden.deployments.len()..DEPLOYMENTS).map(|number| format!("other-{number}"))
}

pub async fn create(client: &Client, scale: usize) -> Result<()> {
    let golden = Golden::read()?;
    for name in [CLUSTERS, LEASES[0]] {
        post(client, "/api/v1/namespaces", &namespace_object(name)).await?;
    }
    stream::iter(names(scale).map(Ok)).try_for_each_concurrent(AT_ONCE, |name| create_one(client, &golden, name)).await
}

async fn create_one(client: &Client, golden: &Golden, name: String) -> Result<()> {
    let golden = golden.of(&name)?;
    let namespace = namespace(&name);
    post(client, "/api/v1/namespaces", &namespace_object(&namespace)).await?;
    for (number, deployment) in golden.deployments.iter().enumerate() {
        post(client, &deployments(&namespace), &grown(deployment, number)).await?;
    }
    for filler in fillers(&golden) {
        post(client, &deployments(&namespace), &filler_object(&filler)).await?;
    }
    post(client, &hosted_clusters(), &golden.hosted_cluster).await
}

pub async fn reset(client: &Client, scale: usize) -> Result<()> {
    let golden = Golden::read()?;
    for namespace in LEASES {
        delete(client, &format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")).await?;
    }
    delete(client, &format!("/apis/events.k8s.io/v1/namespaces/{CLUSTERS}/events")).await?;
    delete(client, &statuses()).await?;
    stream::iter(names(scale).map(Ok)).try_for_each_concurrent(AT_ONCE, |name| reset_one(client, &golden, name)).await
}

/// Deployments are made anew: taking the wiring out would leave a trace of who wrote it.
async fn reset_one(client: &Client, golden: &Golden, name: String) -> Result<()> {
    let golden = golden.of(&name)?;
    let namespace = namespace(&name);
    delete(client, &classes(&namespace)).await?;
    for (number, deployment) in golden.deployments.iter().enumerate() {
        let deployment = grown(deployment, number);
        delete(client, &object(&deployments(&namespace), &deployment)).await?;
        post(client, &deployments(&namespace), &deployment).await?;
    }
    let spec = json!({"spec": golden.hosted_cluster["spec"]});
    merge(client, &object(&hosted_clusters(), &golden.hosted_cluster), &spec).await
}

pub async fn verify(client: &Client, scale: usize) -> Result<()> {
    let golden = Golden::read()?;
    let statuses = list(client, "hcpidentity.dev", "v1alpha1", "ControlPlaneIdentity", CLUSTERS).await?;
    let told = statuses.iter().filter(|status| status["status"]["wired"] == "9/9").count();
    if told != scale {
        return Err(format!("{told} of {scale} statuses say 9/9").into());
    }
    stream::iter(names(scale).map(Ok)).try_for_each_concurrent(4, |name| verify_one(client, &golden, name)).await
}

async fn verify_one(client: &Client, golden: &Golden, name: String) -> Result<()> {
    let golden = golden.of(&name)?;
    let namespace = namespace(&name);
    let classes = list(client, "secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass", &namespace).await?;
    for wanted in &golden.classes {
        let have = classes.iter().find(|have| have["metadata"]["name"] == wanted["metadata"]["name"]);
        let same = |have: &Value| {
            ["labels", "annotations"].iter().all(|field| have["metadata"][field] == wanted["metadata"][field])
                && have["spec"] == wanted["spec"]
        };
        if !have.is_some_and(same) {
            return Err(format!("{namespace}: {} is not as it should be: {have:?}", wanted["metadata"]["name"]).into());
        }
    }
    let deployments = list(client, "apps", "v1", "Deployment", &namespace).await?;
    for wiring in &golden.wirings {
        let have = deployments.iter().find(|have| have["metadata"]["name"] == wiring["metadata"]["name"]);
        if !have.is_some_and(|have| is_wired(have, wiring)) {
            return Err(format!("{namespace}: {} is not wired", wiring["metadata"]["name"]).into());
        }
    }
    Ok(())
}

fn namespace_object(name: &str) -> Value {
    let labels = json!({"hypershift.openshift.io/hosted-control-plane": "true"});
    let labels = if name.starts_with("clusters-") { labels } else { json!({}) };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn filler_object(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": format!("registry.example.com/{name}:4.20")}]},
            },
        },
    })
}

pub fn deployments(namespace: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/deployments")
}

pub fn classes(namespace: &str) -> String {
    format!("/apis/secrets-store.csi.x-k8s.io/v1/namespaces/{namespace}/secretproviderclasses")
}

pub fn statuses() -> String {
    format!("/apis/hcpidentity.dev/v1alpha1/namespaces/{CLUSTERS}/controlplaneidentities")
}

fn hosted_clusters() -> String {
    format!("/apis/hypershift.openshift.io/v1beta1/namespaces/{CLUSTERS}/hostedclusters")
}

/// The path of an object in its collection.
pub fn object(collection: &str, object: &Value) -> String {
    format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default())
}

async fn list(client: &Client, group: &str, version: &str, kind: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    resource.plural = resource.plural.to_lowercase();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let list = api.list(&ListParams::default()).await?;
    Ok(list.items.iter().map(serde_json::to_value).collect::<std::result::Result<_, _>>()?)
}

/// Makes an object; one that is there is left as it is.
async fn post(client: &Client, collection: &str, object: &Value) -> Result<()> {
    let request =
        Request::post(collection).header("content-type", "application/json").body(object.to_string().into_bytes())?;
    unless(409, client.request_text(request).await)
}

async fn delete(client: &Client, path: &str) -> Result<()> {
    unless(404, client.request_text(Request::delete(path).body(Vec::new())?).await)
}

pub async fn merge(client: &Client, path: &str, patch: &Value) -> Result<()> {
    let request = Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(patch.to_string().into_bytes())?;
    client.request_text(request).await?;
    Ok(())
}

fn unless(code: u16, answer: kube::Result<String>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == code => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}
