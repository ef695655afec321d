//! One object, its operator and us: takes the steps of a table and says in a word or two what came of each.

use std::time::{Duration, Instant};

use hypershift_sim::{ControlPlane, Operator, Stamp, Verb, Write, Writer, resource};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    contents,
    policy::{Policy, VOLUME},
};
use crate::support::cluster::{delete_namespace, fresh_name, wait_until};

const US: &str = "daemon";
/// Long enough for the seconds of a timestamp to move.
const A_SECOND: Duration = Duration::from_millis(1100);

pub(crate) struct Bench {
    client: Client,
    namespace: String,
    api: Api<DynamicObject>,
    operator: Operator,
    /// The other writer of the kms class.
    other: Operator,
    first: Value,
    /// An object of ours, to own others.
    our_uid: String,
}

impl Bench {
    /// A namespace with nothing of the operator's in it yet.
    pub(crate) async fn new(client: &Client, writer: &str, target: &str, replicas: u32) -> Self {
        let mut plane = control_plane(&fresh_name("replay"));
        plane.replicas = replicas;
        let (writer, name) = match (writer, target) {
            ("cpo-head", "class") => (Writer::CpoHead, "managed-azure-kms"),
            ("cpo-4.19", "class") => (Writer::Cpo419, "managed-azure-kms"),
            ("ho", "class") => (Writer::Ho, "managed-azure-kms"),
            ("cpo-head", _) => (Writer::CpoHead, "ingress-operator"),
            ("cpo-4.19", _) => (Writer::Cpo419, "ingress-operator"),
            ("libgo", _) => (Writer::LibraryGo, "azure-disk-csi-driver-controller"),
            ("cno", _) => (Writer::Cno, "cloud-network-config-controller"),
            (writer, target) => panic!("{writer} writes no {target}"),
        };
        if writer != Writer::Ho {
            plane.cpo = if writer == Writer::Cpo419 { writer } else { Writer::CpoHead };
        }
        plane.create(client).await.expect("a control plane namespace");
        let namespace = plane.namespace();
        let written = |by: Writer| {
            let all = plane.classes().into_iter().chain(plane.deployments());
            all.into_iter().find(|(writer, object)| *writer == by && object["metadata"]["name"] == name)
        };
        let (_, first) = written(writer).expect("the writer writes it");
        let other = written(Writer::Ho).map_or_else(|| first.clone(), |(_, object)| object);
        let api = Api::namespaced_with(client.clone(), &namespace, &resource(&first));
        Self {
            client: client.clone(),
            our_uid: our_config_map(client, &namespace).await,
            namespace,
            api,
            operator: Operator::new(client.clone(), writer, first.clone()),
            other: Operator::new(client.clone(), Writer::Ho, other),
            first,
        }
    }

    pub(crate) async fn end(self) {
        Policy { client: &self.client, namespace: &self.namespace }.remove().await;
        delete_namespace(&self.client, &self.namespace).await;
    }

    pub(crate) async fn take(&mut self, step: &str) -> String {
        self.settle().await;
        match step.split_once(' ').unwrap_or((step, "")) {
            ("operator", "") => self.reconcile().await,
            ("operator,", change) => {
                let mut desired = self.operator.desired().clone();
                contents::change(change, &mut desired);
                self.operator.set_desired(desired);
                self.reconcile().await
            }
            ("hypershift-operator", "") => told(self.other.reconcile().await.expect("no conflict")),
            ("we", action) => self.act(action).await,
            ("policy", what) => self.policy(what).await,
            ("see", what) => self.see(what).await,
            ("a", "second passes") => {
                tokio::time::sleep(A_SECOND).await;
                String::new()
            }
            _ => panic!("`{step}` is no step"),
        }
    }

    /// Lets the operator run until a step has this outcome: how long that took.
    pub(crate) async fn run_until(&mut self, step: &str, outcome: &str) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "this measures")]
        let start = Instant::now();
        let (api, Some(what)) = (self.api.clone(), step.strip_prefix("see ")) else {
            panic!("`{step}` looks at nothing")
        };
        let name = self.operator.name().to_owned();
        let looking = wait_until(step, async || {
            let live = api.get(&name).await.expect("it is there");
            (looks(&live, what) == outcome).then_some(())
        });
        self.operator.run_until(Duration::from_secs(60), looking).await;
        start.elapsed()
    }

    /// Lets the operator run for a time: how many writes it made.
    pub(crate) async fn run_for(&mut self, time: Duration) -> usize {
        let before = self.operator.writes().len();
        self.operator.run_until(Duration::from_secs(60), tokio::time::sleep(time)).await;
        self.operator.writes().len() - before
    }

    async fn reconcile(&mut self) -> String {
        told(self.operator.reconcile().await.expect("nobody else writes meanwhile"))
    }

    async fn act(&self, action: &str) -> String {
        let before = self.live().await;
        let name = self.operator.name();
        let apply =
            |content: &str| contents::configuration(content, &self.first, self.operator.desired(), &self.our_uid);
        let result = match action.split_once(' ').unwrap_or((action, "")) {
            ("apply", content) => self.api.patch(name, &PatchParams::apply(US), &Patch::Apply(apply(content))).await,
            ("force", content) => {
                self.api.patch(name, &PatchParams::apply(US).force(), &Patch::Apply(apply(content))).await
            }
            ("patch", content) => {
                let patch =
                    serde_json::from_value(contents::patch(content, self.operator.desired())).expect("a JSON patch");
                self.api.patch(name, &PatchParams::default(), &Patch::Json::<()>(patch)).await
            }
            ("delete", "") => {
                self.api.delete(name, &DeleteParams::default()).await.expect("it is there");
                return "deleted".to_owned();
            }
            _ => panic!("`we {action}` is no step"),
        };
        match (result, before) {
            (Ok(_), None) => "created".to_owned(),
            (Ok(after), Some(before)) => moved(&Stamp::of(&before), &Stamp::of(&after)).to_owned(),
            (Err(kube::Error::Api(status)), _) => status.code.to_string(),
            (Err(error), _) => panic!("{action}: {error}"),
        }
    }

    async fn policy(&self, what: &str) -> String {
        let policy = Policy { client: &self.client, namespace: &self.namespace };
        match what {
            "appends" => policy.on_deployments("-").await,
            "inserts first" => policy.on_deployments("0").await,
            "appends to pods" => policy.on_pods().await,
            "stops binding" => policy.off().await,
            other => panic!("no policy {other}"),
        }
        String::new()
    }

    async fn see(&self, what: &str) -> String {
        match what {
            "replica sets" => self.list("apps", "ReplicaSet").await.len().to_string(),
            "the pod's policy volume" => {
                let pods = wait_until("a pod", async || {
                    let pods = self.list("", "Pod").await;
                    (!pods.is_empty()).then_some(pods)
                })
                .await;
                place(&pods[0].data["spec"]["volumes"], VOLUME).to_owned()
            }
            what => looks(&self.live().await.expect("it is there"), what),
        }
    }

    async fn list(&self, group: &str, kind: &str) -> Vec<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        api.list(&ListParams::default()).await.expect("a list").items
    }

    async fn live(&self) -> Option<DynamicObject> {
        self.api.get_opt(self.operator.name()).await.expect("the API server answers")
    }

    /// Waits until the Deployment controller has nothing to write any more, so that what moves is moved by the step.
    async fn settle(&self) {
        let name = self.operator.name();
        wait_until(&format!("{name} settles"), async || {
            let Some(live) = self.live().await else { return Some(()) };
            (live.data.get("status").is_none_or(|_| self.operator.kind() != "Deployment") || settled(&live))
                .then_some(())
        })
        .await;
    }
}

fn settled(deployment: &DynamicObject) -> bool {
    let status = &deployment.data["status"];
    let observed = status["observedGeneration"].as_i64() == deployment.metadata.generation;
    let conditions = status["conditions"].as_array();
    let progressed = conditions.into_iter().flatten().any(|condition| condition["reason"] == "NewReplicaSetAvailable");
    observed && (progressed || deployment.data["spec"]["replicas"] != 0)
}

/// What a look at the object tells.
fn looks(live: &DynamicObject, what: &str) -> String {
    let spec = &live.data["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let kept = |kept: bool| if kept { "kept" } else { "gone" }.to_owned();
    let ours = |map: &Option<std::collections::BTreeMap<String, String>>| {
        kept(map.as_ref().is_some_and(|map| map.contains_key("ours")))
    };
    match what {
        "trio" => {
            let places = [
                place(&spec["volumes"], "ours"),
                place(&container["volumeMounts"], "ours"),
                place(&container["env"], "OURS"),
            ];
            if places.iter().all(|place| *place == places[0]) { places[0].to_owned() } else { places.join(" ") }
        }
        "policy volume" => place(&spec["volumes"], VOLUME).to_owned(),
        "cpu" => container["resources"]["requests"]["cpu"].as_str().unwrap_or_default().to_owned(),
        "generation" => live.metadata.generation.unwrap_or_default().to_string(),
        "our fields" => owned(live).to_owned(),
        "fields of the policy" => owners_of(live, VOLUME).to_string(),
        "annotation" => ours(&live.metadata.annotations),
        "label" => ours(&live.metadata.labels),
        "pod annotation" => kept(live.data["spec"]["template"]["metadata"]["annotations"].get("ours").is_some()),
        "their label" => {
            let tampered = live.metadata.labels.iter().flatten().any(|(_, value)| value == "ours");
            if tampered { "ours" } else { "theirs" }.to_owned()
        }
        "value" => {
            let value = container["env"].as_array().and_then(|env| env.last()).map(|env| &env["value"]);
            if value == Some(&json!("new")) { "new" } else { "old" }.to_owned()
        }
        "owner reference" => {
            let owners = live.metadata.owner_references.iter().flatten();
            kept(owners.into_iter().any(|owner| owner.kind == "ConfigMap"))
        }
        "cloudName" => kept(live.data["spec"]["parameters"].get("cloudName").is_some()),
        "vault" => live.data["spec"]["parameters"]["keyvaultName"].as_str().unwrap_or_default().to_owned(),
        "parameters" => live.data["spec"]["parameters"].as_object().map_or(0, serde_json::Map::len).to_string(),
        other => panic!("nothing is called {other}"),
    }
}

/// Where in a list the element of this name stands.
fn place(list: &Value, name: &str) -> &'static str {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    match list.iter().position(|element| element["name"] == name) {
        None => "gone",
        Some(0) => "first",
        Some(index) if index + 1 == list.len() => "last",
        Some(_) => "between",
    }
}

/// What our entry in managedFields still names: fields, or no more than the container that they were in.
fn owned(live: &DynamicObject) -> &'static str {
    let ours = live.metadata.managed_fields.iter().flatten().find(|entry| entry.manager.as_deref() == Some(US));
    match ours.and_then(|entry| entry.fields_v1.as_ref()).map(|fields| leaves(&fields.0)) {
        None => "no entry",
        Some(0 | 1) => "shell",
        Some(_) => "fields",
    }
}

fn leaves(fields: &Value) -> usize {
    let fields = fields.as_object().into_iter().flatten();
    fields.map(|(key, value)| if value == &json!({}) { usize::from(key != ".") } else { leaves(value) }).sum()
}

/// How many managers own something whose key has this text.
fn owners_of(live: &DynamicObject, text: &str) -> usize {
    let entries = live.metadata.managed_fields.iter().flatten();
    entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.to_string().contains(text))).count()
}

fn told(write: Option<Write>) -> String {
    match write {
        None => "quiet".to_owned(),
        Some(Write { verb: Verb::Post, .. } | Write { before: None, .. }) => "created".to_owned(),
        Some(Write { verb, before: Some(before), after }) => format!("{verb} {}", moved(&before, &after)),
    }
}

/// What a write moved: the generation, the resourceVersion alone, or nothing.
fn moved(before: &Stamp, after: &Stamp) -> &'static str {
    if before.generation != after.generation {
        "gen"
    } else if before.resource_version != after.resource_version {
        "rv"
    } else {
        "same"
    }
}

fn control_plane(name: &str) -> ControlPlane {
    let input = crate::support::read(
        &crate::support::testdata("render").join("a-hosted-cluster-with-all-nine-identities/input.yaml"),
    );
    let mut hosted_cluster: Value = serde_saphyr::from_str(&input).expect("a HostedCluster");
    hosted_cluster["metadata"]["name"] = json!(name);
    ControlPlane::new(hosted_cluster, crate::support::KEY_VAULT_USER)
}

async fn our_config_map(client: &Client, namespace: &str) -> String {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ours"}});
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource(&object));
    let object = serde_json::from_value(object).expect("a ConfigMap");
    api.create(&PostParams::default(), &object).await.expect("a new one").metadata.uid.expect("a uid")
}
