//! MutatingAdmissionPolicies that add a volume and a mount, to the Deployments or the pods of one namespace.

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::cluster::wait_until;

pub(crate) const VOLUME: &str = "of-a-policy";

pub(crate) struct Policy<'c> {
    pub(crate) client: &'c Client,
    pub(crate) namespace: &'c str,
}

impl Policy<'_> {
    /// Adds to Deployments, at this index or `-`, whenever one is written.
    pub(crate) async fn on_deployments(&self, index: &str) {
        let rules = json!([{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]);
        self.install(&rules, "object.spec.template.spec", "/spec/template/spec", index).await;
        wait_until("the policy binds", async || self.probe().await.then_some(())).await;
    }

    /// Appends to pods as they are created.
    pub(crate) async fn on_pods(&self) {
        let rules =
            json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
        self.install(&rules, "object.spec", "/spec", "-").await;
        let pods = self.api("", "v1", "Pod");
        wait_until("the policy binds", async || {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": pod_spec()});
            dry_run(&pods, &pod).await.contains(VOLUME).then_some(())
        })
        .await;
    }

    pub(crate) async fn off(&self) {
        self.remove().await;
        wait_until("the policy no longer binds", async || (!self.probe().await).then_some(())).await;
    }

    /// Leaves nothing behind, if there was something.
    pub(crate) async fn remove(&self) {
        for kind in ["MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"] {
            match self.cluster_api(kind).delete(self.namespace, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => drop(other.expect("it can be deleted")),
            }
        }
    }

    async fn install(&self, rules: &Value, spec: &str, path: &str, index: &str) {
        let operation = |list: &str, value: String| {
            format!("JSONPatch{{op: 'add', path: '{path}/{list}/{index}', value: dyn({value})}}")
        };
        let volume = operation("volumes", format!("{{'name': dyn('{VOLUME}'), 'emptyDir': dyn({{}})}}"));
        let mount = operation("containers/0/volumeMounts", format!("{{'name': '{VOLUME}', 'mountPath': '/{VOLUME}'}}"));
        let there = format!("{spec}.volumes.exists(v, v.name == '{VOLUME}')");
        let api_version = "admissionregistration.k8s.io/v1";
        let policy = json!({
            "apiVersion": api_version,
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": self.namespace},
            "spec": {
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                    "resourceRules": rules,
                },
                "matchConditions": [{"name": "absent", "expression": format!("has({spec}.volumes) && !{there}")}],
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": format!("[{volume}, {mount}]")}}],
            },
        });
        let binding = json!({
            "apiVersion": api_version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": self.namespace},
            "spec": {"policyName": self.namespace},
        });
        for object in [policy, binding] {
            let api = self.cluster_api(object["kind"].as_str().expect("a kind"));
            let parameters = PatchParams::apply("replay").force();
            api.patch(self.namespace, &parameters, &Patch::Apply(&object)).await.expect("the server has policies");
        }
    }

    /// Whether a Deployment that is created now would get the volume.
    async fn probe(&self) -> bool {
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "probe"},
            "spec": {
                "selector": {"matchLabels": {"app": "probe"}},
                "template": {"metadata": {"labels": {"app": "probe"}}, "spec": pod_spec()},
            },
        });
        dry_run(&self.api("apps", "v1", "Deployment"), &deployment).await.contains(VOLUME)
    }

    fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), self.namespace, &kind)
    }

    fn cluster_api(&self, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind));
        Api::all_with(self.client.clone(), &kind)
    }
}

fn pod_spec() -> Value {
    json!({
        "containers": [{"name": "probe", "image": "probe", "volumeMounts": [{"name": "a", "mountPath": "/a"}]}],
        "volumes": [{"name": "a", "emptyDir": {}}],
    })
}

async fn dry_run(api: &Api<DynamicObject>, object: &Value) -> String {
    let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    // A policy that is not compiled yet may fail the request.
    api.create(&parameters, &object).await.map_or_else(|error| error.to_string(), |made| made.data.to_string())
}
