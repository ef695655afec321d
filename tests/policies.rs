//! The admission policies on a real kube-apiserver: they wire a pod as `wire` does, or leave it alone.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{collections::BTreeSet, sync::Arc};

use hcp_identity::{
    plan::{self, Plan, Template, Wired},
    policies::policies,
    settings::{Settings, SettingsFile},
};
use hcp_identity_api::hosted_cluster::HostedCluster;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{
    KEY_VAULT_USER,
    cluster::{create_namespace, kubectl, label_namespace, succeeds, wait_until},
    hcp_identity,
    stage::{CLASS, DEPLOYMENT, POD, Stage},
};
use tokio::sync::OnceCell;

/// A control plane namespace with its provider classes, and one that no policy is about.
struct World {
    stage: Stage,
    plan: Plan,
    plane: String,
    elsewhere: String,
}

fn settings(yaml: &str) -> Arc<Settings> {
    let file = SettingsFile::parse(yaml).expect("settings");
    Arc::new(Settings::new(Some(KEY_VAULT_USER), file).expect("settings"))
}

/// Installs the policies under another name, so that those of several settings stand beside each other, for namespaces with a
/// label of their own.
fn install(settings: &Settings, name: &str, label: &str) {
    let text = json!({"apiVersion": "v1", "kind": "List", "items": policies(settings)}).to_string();
    let text = text.replace("hcp-identity-", &format!("{name}-"));
    let text = text.replace("\"hypershift.openshift.io/hosted-control-plane\":\"true\"", &format!("{label}:\"true\""));
    succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), &text);
}

impl World {
    async fn new(name: &'static str, yaml: &str) -> Self {
        let (stage, settings) = (Stage::with_roles(name, &[]).await, settings(yaml));
        let cluster = serde_json::from_value(stage.hosted_cluster("prod", |_| {})).expect("a HostedCluster");
        let plan = plan::plan(&cluster, &settings).plan.expect("a plan");
        let (plane, elsewhere) = (stage.plane("prod"), format!("{}-elsewhere", stage.namespace));
        create_namespace(&stage.client, &plane).await;
        create_namespace(&stage.client, &elsewhere).await;
        let label = format!("{name}.example/plane");
        label_namespace(&stage.client, &plane, &label).await;
        install(&settings, name, &format!("{label:?}"));
        let world = Self { stage, plan, plane, elsewhere };
        for class in world.plan.provider_classes() {
            world.apply_class(&serde_json::to_value(class).expect("JSON")).await;
        }
        // Policies and parameters come to the API server's admission when they come.
        for pod in world.pods() {
            let what = format!("the policies wire {}", pod["metadata"]["labels"]["app"]);
            wait_until(&what, async || (world.created(&pod).await == world.wired(&pod).await).then_some(())).await;
        }
        world
    }

    async fn apply_class(&self, class: &Value) {
        let name = class["metadata"]["name"].as_str().expect("a name");
        let api = self.stage.api(&self.plane, CLASS);
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(class)).await.expect("a class");
    }

    /// A pod of each Deployment of a control plane, unwired.
    fn pods(&self) -> Vec<Value> {
        let workloads = self.stage.workloads(&self.plane);
        assert_eq!(workloads.len(), 11);
        workloads.iter().map(|workload| pod(&workload["spec"]["template"])).collect()
    }

    fn pod_of(&self, app: &str) -> Value {
        let of_app = |pod: &Value| pod["metadata"]["labels"]["app"] == app;
        self.pods().into_iter().find(of_app).unwrap_or_else(|| panic!("no pod of {app}"))
    }

    /// The spec of a pod as the API server would create it in a namespace.
    async fn dry_run(&self, namespace: &str, pod: &Value) -> Value {
        let pod: DynamicObject = serde_json::from_value(pod.clone()).expect("a pod");
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        let api = self.stage.api(namespace, POD);
        // The service account of a new namespace comes a moment later.
        let created = wait_until("a pod may be created", async || match api.create(&parameters, &pod).await {
            Err(kube::Error::Api(status)) if status.message.contains("serviceaccount") => None,
            result => Some(result),
        });
        created.await.expect("a valid pod").data["spec"].clone()
    }

    async fn created(&self, pod: &Value) -> Value {
        let created = self.dry_run(&self.plane, pod).await;
        ordered(created, &self.left_alone(pod).await)
    }

    /// The same pod without policies.
    async fn left_alone(&self, pod: &Value) -> Value {
        self.dry_run(&self.elsewhere, pod).await
    }

    /// The same, wired by us.
    async fn wired(&self, pod: &Value) -> Value {
        let mut spec = self.left_alone(pod).await;
        let template = json!({"metadata": pod["metadata"], "spec": spec});
        match self.plan.wire_created(&Template::new(&template)).expect("nothing is in the way") {
            Wired::NotOurs => {}
            Wired::Missing(additions) => additions.iter().for_each(|addition| addition.apply(&mut spec)),
        }
        spec
    }
}

fn pod(template: &Value) -> Value {
    let mut spec = template["spec"].clone();
    // Otherwise the API server adds a volume with a name by chance.
    spec["automountServiceAccountToken"] = json!(false);
    let labels = &template["metadata"]["labels"];
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": {"generateName": "pod-", "labels": labels},
    })
}

/// Of two policies on one pod it is not said which comes first: what they add is put in the order of the table.
fn ordered(mut spec: Value, alone: &Value) -> Value {
    fn count(list: Option<&Value>) -> usize {
        list.and_then(Value::as_array).map_or(0, Vec::len)
    }
    let mut order = |pointer: &str| {
        let own = count(alone.pointer(pointer));
        if let Some(list) = spec.pointer_mut(pointer).and_then(Value::as_array_mut) {
            list[own..].sort_by_key(|element| element["name"] == "kms-cert");
        }
    };
    order("/volumes");
    (0..count(alone.get("containers"))).for_each(|index| order(&format!("/containers/{index}/volumeMounts")));
    spec
}

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD.get_or_init(|| World::new("policies", "{}")).await
}

/// One runtime for all tests of the world that they share: its connections live there.
fn run<T>(test: impl Future<Output = T>) -> T {
    use std::sync::OnceLock;
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().expect("a runtime")).block_on(test)
}

#[test]
fn policies_wire_every_pod_of_the_table_as_we_do() {
    run(async {
        let world = world().await;
        let mut mounting = BTreeSet::new();
        for pod in world.pods() {
            let (created, alone) = (world.created(&pod).await, world.left_alone(&pod).await);
            assert_eq!(created, world.wired(&pod).await, "{}", pod["metadata"]["labels"]["app"]);
            if created != alone {
                mounting.insert(pod["metadata"]["labels"]["app"].to_string());
            }
            // Wired already, as by HyperShift: nothing is added.
            let mut again = pod.clone();
            again["spec"] = created.clone();
            assert_eq!(world.created(&again).await, created);
        }
        assert_eq!(mounting.len(), 9, "the two operators that only hand it on are left alone: {mounting:?}");
    });
}

/// What is there already stays where it is, and what is missing comes at the end.
#[test]
fn policies_add_what_is_missing_and_nothing_else() {
    run(async {
        let world = world().await;
        let pod = world.pod_of("ingress-operator");
        let wired = world.created(&pod).await;
        let parts = [("/volumes", 1), ("/containers/0/volumeMounts", 1), ("/containers/0/env", 1)];
        for present in 0..1 << parts.len() {
            let mut partly = pod.clone();
            partly["spec"] = wired.clone();
            for (number, (list, count)) in parts.iter().enumerate() {
                if present & (1 << number) == 0 {
                    let list = partly["spec"].pointer_mut(list).and_then(Value::as_array_mut).expect("a list");
                    list.truncate(list.len() - count);
                }
            }
            // A mount without its volume is no valid pod.
            if present & 0b011 != 0b010 {
                assert_eq!(world.created(&partly).await, world.wired(&partly).await, "{present:03b}");
            }
        }
        let mut spelt_otherwise = pod.clone();
        spelt_otherwise["spec"] = wired;
        for mount in spelt_otherwise["spec"]["containers"][0]["volumeMounts"].as_array_mut().expect("mounts") {
            if mount["mountPath"] == "/mnt/certs" {
                mount["mountPath"] = json!("/mnt//./certs/");
            }
        }
        assert_eq!(world.created(&spelt_otherwise).await, world.left_alone(&spelt_otherwise).await);
    });
}

#[test]
fn policies_leave_alone_what_somebody_else_has_put_there() {
    run(async {
        let world = world().await;
        let ours = |change: fn(&mut Value)| {
            let mut volume = json!({"name": "ingress-cert", "csi": {
                "driver": "secrets-store.csi.k8s.io", "readOnly": true,
                "volumeAttributes": {"secretProviderClass": "managed-azure-ingress"},
            }});
            change(&mut volume);
            volume
        };
        let other = json!({"name": "other", "emptyDir": {}});
        let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": true});
        let mut writable = mount("ingress-cert", "/mnt/certs");
        writable["readOnly"] = json!(false);
        let mut partial = mount("ingress-cert", "/mnt/certs");
        partial["subPath"] = json!("x");
        let env = |entry: Value| (Value::Null, Value::Null, entry);
        let path = "MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH";
        for (volume, mount, env) in [
            (json!({"name": "ingress-cert", "emptyDir": {}}), Value::Null, Value::Null),
            (
                ours(|volume| volume["csi"]["volumeAttributes"]["secretProviderClass"] = json!("other")),
                Value::Null,
                Value::Null,
            ),
            (ours(|volume| volume["csi"]["volumeAttributes"]["more"] = json!("x")), Value::Null, Value::Null),
            (ours(|volume| volume["csi"]["driver"] = json!("other.csi.k8s.io")), Value::Null, Value::Null),
            (ours(|volume| volume["csi"]["readOnly"] = json!(false)), Value::Null, Value::Null),
            (ours(|volume| volume["csi"]["fsType"] = json!("ext4")), Value::Null, Value::Null),
            (other.clone(), mount("other", "/mnt/certs"), Value::Null),
            (other, mount("other", "/mnt/certs/"), Value::Null),
            (ours(|_| ()), writable, Value::Null),
            (ours(|_| ()), partial, Value::Null),
            env(json!({"name": path, "value": "/elsewhere"})),
            env(json!({"name": path})),
            env(json!({"name": path, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})),
        ] {
            let mut pod = world.pod_of("ingress-operator");
            let mut push = |owner: &str, list: &str, element: Value| {
                if element.is_null() {
                    return;
                }
                let owner = pod.pointer_mut(owner).and_then(Value::as_object_mut).expect("an object");
                owner.entry(list).or_insert(json!([])).as_array_mut().expect("a list").push(element);
            };
            push("/spec", "volumes", volume.clone());
            push("/spec/containers/0", "volumeMounts", mount.clone());
            push("/spec/containers/0", "env", env.clone());
            let alone = world.left_alone(&pod).await;
            let template = json!({"metadata": pod["metadata"], "spec": alone});
            assert!(world.plan.wire_created(&Template::new(&template)).is_err(), "{volume} {mount} {env}");
            assert_eq!(world.created(&pod).await, alone, "{volume} {mount} {env}");
        }
    });
}

/// The sidecar that is only there at times, twenty containers, 64 volumes, and an init container of the same name.
#[test]
fn policies_find_their_containers_in_any_pod() {
    run(async {
        let world = world().await;
        let mut pod = world.pod_of("kube-apiserver");
        let containers = pod["spec"]["containers"].as_array().expect("containers").clone();
        let is_backup = |container: &Value| container["name"] == "azure-kms-provider-backup";
        assert!(containers.iter().any(is_backup));
        let without: Vec<_> = containers.iter().filter(|container| !is_backup(container)).cloned().collect();
        pod["spec"]["containers"] = json!(without);
        assert_eq!(world.created(&pod).await, world.wired(&pod).await, "without the backup sidecar");
        let is_active = |container: &Value| container["name"] == "azure-kms-provider-active";
        pod["spec"]["containers"] = containers.iter().filter(|container| !is_active(container)).cloned().collect();
        assert_eq!(world.created(&pod).await, world.left_alone(&pod).await, "without the one that it takes");

        let filler = |number: usize| json!({"name": format!("filler-{number}"), "image": "x"});
        let many: Vec<_> = (0..18).map(filler).chain(containers.iter().cloned()).collect();
        pod["spec"]["containers"] = json!(many);
        let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        volumes.extend((0..64).map(|number| json!({"name": format!("filler-{number}"), "emptyDir": {}})));
        pod["spec"]["volumes"] = json!(volumes);
        let active = pod["spec"]["containers"].as_array_mut().expect("containers").iter_mut();
        for container in active.filter(|container| container["name"] == "azure-kms-provider-active") {
            let mounts = (0..64).map(|n| json!({"name": format!("filler-{n}"), "mountPath": format!("/filler/{n}")}));
            container["volumeMounts"] = mounts.collect();
        }
        let created = world.created(&pod).await;
        assert_eq!(created, world.wired(&pod).await, "twenty containers, 64 volumes");
        assert_ne!(created, world.left_alone(&pod).await);

        let mut pod = world.pod_of("ingress-operator");
        let operator = pod["spec"]["containers"][0].clone();
        pod["spec"]["initContainers"] = json!([operator]);
        pod["spec"]["containers"] = json!([filler(0)]);
        assert_eq!(world.created(&pod).await, world.left_alone(&pod).await, "an init container is not ours");
    });
}

/// Without its class a pod could not mount it, and of a class of another form nobody knows what its file is called.
#[test]
fn policies_wire_only_what_can_mount() {
    run(async {
        let world = World::new("no-class", "{}").await;
        let classes = world.stage.api(&world.plane, CLASS);
        let pod = world.pod_of("ingress-operator");
        let alone = world.left_alone(&pod).await;
        let class = classes.get("managed-azure-ingress").await.expect("a class");
        let objects = class.data["spec"]["parameters"]["objects"].as_str().expect("objects").to_owned();
        for odd in [
            objects.replace("    objectType: secret\n", ""),
            objects.replace("objectName: ", "objectName: \"").replace("\n    objectEncoding", "\"\n    objectEncoding"),
            format!("{objects}  - |\n    objectName: another\n"),
            String::new(),
        ] {
            let patch = json!({"spec": {"parameters": {"objects": odd}}});
            classes
                .patch("managed-azure-ingress", &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .expect("patched");
            let is_alone = async || (world.created(&pod).await == alone).then_some(());
            wait_until(&format!("a pod is left alone for {odd:?}"), is_alone).await;
        }
        let patch = json!({"spec": {"parameters": {"objects": objects}}});
        classes.patch("managed-azure-ingress", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
        let wired = world.wired(&pod).await;
        wait_until("it is wired again", async || (world.created(&pod).await == wired).then_some(())).await;
        classes.delete("managed-azure-ingress", &Default::default()).await.expect("deleted");
        wait_until("without a class", async || (world.created(&pod).await == alone).then_some(())).await;
        let other = world.pod_of("cluster-image-registry-operator");
        assert_eq!(world.created(&other).await, world.wired(&other).await, "the others are");
    });
}

/// Whatever the settings call things, an expression takes it for what it is.
#[test]
fn names_of_the_settings_stay_names_in_expressions() {
    run(async {
        let path = r#"/mnt/it's-"odd"\n-${x}-\u0041-'+'/{{y}}"#;
        let components = json!({"ingress": {"app": "in.gress_1", "container": "if", "mountPath": path}});
        let world = World::new("odd-names", &json!({"components": components}).to_string()).await;
        let mut pod = world.pod_of("ingress-operator");
        pod["metadata"]["labels"]["app"] = json!("in.gress_1");
        pod["spec"]["containers"][0]["name"] = json!("if");
        let wired = world.wired(&pod).await;
        wait_until("the odd one is wired", async || (world.created(&pod).await == wired).then_some(())).await;
        let mounts = wired["containers"][0]["volumeMounts"].as_array().expect("mounts");
        assert_eq!(mounts.last().expect("a mount")["mountPath"], path);
    });
}

/// On Deployments nothing happens: no generation moves, whatever is installed.
#[test]
fn policies_touch_no_deployment() {
    run(async {
        let world = world().await;
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        for deployment in world.stage.workloads(&world.plane) {
            let create = async |namespace: &str| {
                let mut deployment: DynamicObject = serde_json::from_value(deployment.clone()).expect("a Deployment");
                deployment.metadata.namespace = None;
                let created = world.stage.api(namespace, DEPLOYMENT).create(&parameters, &deployment).await;
                created.expect("a Deployment").data["spec"].clone()
            };
            assert_eq!(create(&world.plane).await, create(&world.elsewhere).await);
        }
    });
}

/// A class may name what its HostedCluster names, and what that names later.
#[test]
fn the_guard_refuses_classes_with_anothers_secret() {
    run(async {
        let stage = Stage::with_roles("guard", &[]).await;
        let plane = stage.plane("prod");
        create_namespace(&stage.client, &plane).await;
        label_namespace(&stage.client, &plane, "hypershift.openshift.io/hosted-control-plane").await;
        stage.apply_cluster("prod", |_| {}).await;
        let cluster = stage.hosted_cluster("prod", |_| {});
        let rendered = succeeds(hcp_identity().args(["render", "--guard-secrets", "-f", "-"]), &cluster.to_string());
        let documents: Vec<_> = rendered.split("---\n").collect();
        let guard: Vec<_> = documents.iter().filter(|text| text.contains("kind: ValidatingAdmissionPolicy")).collect();
        assert_eq!(guard.len(), 2, "{rendered}");
        for document in guard {
            succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), document);
        }
        let cluster: HostedCluster = serde_json::from_value(cluster).expect("a HostedCluster");
        let plan = plan::plan(&cluster, &settings("{}")).plan.expect("a plan");
        let classes: Vec<_> = plan.provider_classes().map(|class| serde_json::to_value(class).expect("JSON")).collect();
        let parameters = PatchParams { dry_run: true, ..PatchParams::apply("test").force() };
        let api = stage.api(&plane, CLASS);
        let apply = async |class: &Value| {
            let name = class["metadata"]["name"].as_str().expect("a name").to_owned();
            match api.patch(&name, &parameters, &Patch::Apply(class)).await {
                Ok(_) => String::new(),
                Err(kube::Error::Api(status)) => status.message,
                Err(error) => panic!("{error}"),
            }
        };
        let change = |class: &Value, parameter: &str, change: &dyn Fn(&str) -> String| {
            let mut class = class.clone();
            let value = &mut class["spec"]["parameters"][parameter];
            *value = json!(change(value.as_str().expect("text")));
            class
        };
        let renamed = |text: &str| text.replace("objectName: ", "objectName: other-");
        wait_until("the guard works", async || {
            apply(&change(&classes[0], "objects", &renamed)).await.contains("must name the secret").then_some(())
        })
        .await;
        assert_eq!(classes.len(), 9);
        for class in &classes {
            assert_eq!(apply(class).await, "", "{class}");
            for (parameter, changed, says) in [
                ("objects", &renamed as &dyn Fn(&str) -> String, "must name the secret that its HostedCluster names, "),
                ("objects", &|text| format!("{text}  - |\n    objectName: other\n"), "is not one secret in the form"),
                ("objects", &|_| String::new(), "is not one secret in the form"),
                ("keyvaultName", &|_| "kv-other".to_owned(), "must name the vault that its HostedCluster names, "),
            ] {
                let message = apply(&change(class, parameter, changed)).await;
                assert!(message.contains(says), "{parameter}: {message}");
            }
        }
        let mut foreign = change(&classes[0], "objects", &renamed);
        foreign["metadata"]["name"] = json!("somebody-elses");
        assert_eq!(apply(&foreign).await, "");

        let pointer = "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane/cloudProvider";
        stage
            .apply_cluster("prod", |cluster| {
                let identity = cluster.pointer_mut(pointer).expect("an identity");
                identity["credentialsSecretName"] = json!("prod-new");
            })
            .await;
        let new = change(&classes[0], "objects", &|text| text.replace("prod-cloud-provider", "prod-new"));
        assert_ne!(new, classes[0]);
        wait_until("the new secret may be named", async || apply(&new).await.is_empty().then_some(())).await;
        assert!(apply(&classes[0]).await.contains("prod-new"));
    });
}
