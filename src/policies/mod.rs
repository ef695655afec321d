//! The wiring as admission policies: kube-apiserver itself wires each pod as it is created, and nothing of ours is on the path.
//!
//! One MutatingAdmissionPolicy and one binding for each pod of the table that mounts a credential. The provider class is the
//! parameter of its policy: pods are wired where the class is, with the secret's name that stands in it, so that the policies
//! are the same for every control plane. What only makes another operator write Deployments is not set here.
//!
//! The expressions decide as `wire` does; tests/policies.rs holds one to the other on a real kube-apiserver.

mod guard;

pub use guard::{guard, guard_binding};
use serde_json::{Value, json};

use crate::{
    component::{COMPONENTS, Component, Env, EnvValue, Presence},
    plan::{CSI_DRIVER, MANAGED_BY},
    settings::{Mount, Pod, Settings},
};

/// On the namespaces of control planes, by HyperShift.
const CONTROL_PLANE: (&str, &str) = ("hypershift.openshift.io/hosted-control-plane", "true");

/// The policies and their bindings.
#[must_use]
pub fn policies(settings: &Settings) -> Vec<Value> {
    let mut objects = Vec::new();
    for component in &COMPONENTS {
        for (index, pod) in settings.pods(component).iter().enumerate() {
            let Some(mount) = &pod.mount else { continue };
            let name = name(component, index);
            objects.push(policy(&name, &Wiring { component, pod, mount }));
            objects.push(binding(&name, component));
        }
    }
    objects
}

/// The names of the policies, which are those of their bindings, whatever the settings.
#[must_use]
pub fn names() -> Vec<String> {
    let of = |component: &'static Component| {
        let mounting = component.pods.iter().enumerate().filter(|(_, pod)| pod.mount.is_some());
        mounting.map(|(index, _)| name(component, index))
    };
    COMPONENTS.iter().flat_map(of).collect()
}

fn name(component: &Component, pod: usize) -> String {
    match pod {
        0 => format!("hcp-identity-{}", component.id),
        _ => format!("hcp-identity-{}-{}", component.id, component.pods[pod].app),
    }
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "labels": {"app.kubernetes.io/name": "hcp-identity", MANAGED_BY.0: MANAGED_BY.1}})
}

fn policy(name: &str, wiring: &Wiring<'_>) -> Value {
    let (label, value) = CONTROL_PLANE;
    let conditions =
        wiring.conditions().into_iter().map(|(name, expression)| json!({"name": name, "expression": expression}));
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata(name),
        "spec": {
            "paramKind": {"apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass"},
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {label: value}},
                "objectSelector": {"matchLabels": {"app": wiring.pod.app}},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},
                ],
            },
            "matchConditions": conditions.collect::<Vec<_>>(),
            // A policy that cannot be evaluated must not keep a control plane's pod away.
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
            "variables": [{"name": "secret", "expression": SECRET}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": wiring.patch()}}],
        },
    })
}

fn binding(name: &str, component: &Component) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata(name),
        // Without a namespace it is the class of the pod's own.
        "spec": {"policyName": name, "paramRef": {"name": component.class, "parameterNotFoundAction": "Allow"}},
    })
}

/// The parameter of a class, as HyperShift and we write it: of anything else the secret's name is not told.
const OBJECTS: &str = "^\narray:\n  - \\|\n    objectName: [a-zA-Z0-9-]{1,127}\n    objectEncoding: (utf-8|hex|base64)\n    \
                       objectType: secret\n$";
const SECRET: &str = "params.spec.parameters['objects'].split('objectName: ')[1].split('\\n')[0]";

/// What one kind of pod gets for a component.
struct Wiring<'s> {
    component: &'static Component,
    pod: &'s Pod<'s>,
    mount: &'s Mount<'s>,
}

impl Wiring<'_> {
    /// All have to hold: otherwise the pod stays as it is.
    fn conditions(&self) -> Vec<(&'static str, String)> {
        let required = self.pod.containers.iter().filter(|(_, presence)| *presence == Presence::Required);
        let has = |name: &str| format!("object.spec.containers.exists(c, c.name == {})", quoted(name));
        let mut conditions = vec![
            ("containers-are-there", all(required.map(|(name, _)| has(name)))),
            (
                "class-is-as-written-by-hypershift",
                format!(
                    "params.spec.provider == 'azure' && has(params.spec.parameters) && 'objects' in params.spec.parameters \
                     && params.spec.parameters['objects'].matches({})",
                    quoted(OBJECTS)
                ),
            ),
            ("volume-is-free-or-ours", self.volume_is_free()),
            ("mount-path-is-free-or-ours", self.in_every_container("volumeMounts", &self.mount_is_free())),
        ];
        for env in self.pod.env {
            conditions.push(("env-is-free-or-ours", self.in_every_container("env", &self.env_is_free(env))));
        }
        conditions
    }

    fn volume_is_free(&self) -> String {
        let (volume, driver, class) = (quoted(self.mount.volume), quoted(CSI_DRIVER), quoted(self.component.class));
        format!(
            "!has(object.spec.volumes) || object.spec.volumes.all(v, v.name != {volume} || (has(v.csi) && v.csi.driver == \
             {driver} && has(v.csi.readOnly) && v.csi.readOnly && !has(v.csi.fsType) && !has(v.csi.nodePublishSecretRef) && \
             has(v.csi.volumeAttributes) && v.csi.volumeAttributes == {{'secretProviderClass': {class}}}))"
        )
    }

    /// Of `e`, a mount.
    fn mount_is_free(&self) -> String {
        let text = |field: &str| format!("(!has(e.{field}) || e.{field} == '')");
        format!(
            "!({}) || (e.name == {} && {} && {} && has(e.readOnly) && e.readOnly)",
            self.is_at_our_path(),
            quoted(self.mount.volume),
            text("subPath"),
            text("subPathExpr")
        )
    }

    /// Of `e`, a mount: two paths are one place to a container runtime, however many slashes they have.
    fn is_at_our_path(&self) -> String {
        let parts = self.mount.path.split('/').filter(|part| !part.is_empty() && *part != ".").map(quoted);
        let parts = parts.collect::<Vec<_>>().join(", ");
        format!("e.mountPath.split('/').filter(p, p != '' && p != '.') == [{parts}]")
    }

    /// Of `e`, an environment variable.
    fn env_is_free(&self, env: &Env) -> String {
        // Conditions know no variables.
        let value = self.value_of(env, SECRET);
        format!("e.name != {} || (has(e.value) && e.value == {value} && !has(e.valueFrom))", quoted(env.name))
    }

    fn value_of(&self, env: &Env, secret: &str) -> String {
        match env.value {
            EnvValue::ProviderClass => quoted(self.component.class),
            EnvValue::SecretName => secret.to_owned(),
            EnvValue::CredentialPath => format!("{} + {secret}", quoted(&format!("{}/", self.mount.path))),
        }
    }

    /// A condition on every element `e` of a list of the containers that are wired.
    fn in_every_container(&self, list: &str, condition: &str) -> String {
        let names = self.pod.containers.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ");
        format!(
            "object.spec.containers.all(c, !(c.name in [{names}]) || !has(c.{list}) || c.{list}.all(e, {condition}))"
        )
    }

    /// What is missing, each appended to its list, in the order in which `wire` adds it.
    fn patch(&self) -> String {
        let Mount { volume, path } = self.mount;
        let volume = format!(
            "Object.spec.volumes{{name: {}, csi: Object.spec.volumes.csi{{driver: {}, readOnly: true, volumeAttributes: \
             {{'secretProviderClass': {}}}}}}}",
            quoted(volume),
            quoted(CSI_DRIVER),
            quoted(self.component.class)
        );
        let mount = format!(
            "Object.spec.containers.volumeMounts{{name: {}, mountPath: {}, readOnly: true}}",
            quoted(self.mount.volume),
            quoted(path)
        );
        let named = format!(
            "has(object.spec.volumes) && object.spec.volumes.exists(v, v.name == {})",
            quoted(self.mount.volume)
        );
        let mut parts = vec![
            format!("(has(object.spec.volumes) ? [] : [{}])", added("'/spec/volumes'", "[]")),
            format!("({named} ? [] : [{}])", added("'/spec/volumes/-'", &volume)),
        ];
        for (container, _) in &self.pod.containers {
            parts.push(appended(container, "volumeMounts", &self.is_at_our_path(), &mount));
        }
        for env in self.pod.env {
            let value = self.value_of(env, "variables.secret");
            let element = format!("Object.spec.containers.env{{name: {}, value: {value}}}", quoted(env.name));
            for (container, _) in &self.pod.containers {
                parts.push(appended(container, "env", &format!("e.name == {}", quoted(env.name)), &element));
            }
        }
        parts.join(" + ")
    }
}

/// Appends to a list of a container, unless the list has an `e` that is it.
fn appended(container: &str, list: &str, is_it: &str, element: &str) -> String {
    let name = quoted(container);
    let each = |condition: &str, what: &str| {
        let containers = "object.spec.containers.transformList(i, c, c.name ==";
        format!("{containers} {name} && {condition}, i).map(i, {what})")
    };
    let path = |end: &str| format!("'/spec/containers/' + string(i) + '/{list}{end}'");
    let made = each(&format!("!has(c.{list})"), &added(&path(""), "[]"));
    let filled = each(&format!("(!has(c.{list}) || !c.{list}.exists(e, {is_it}))"), &added(&path("/-"), element));
    format!("{made} + {filled}")
}

/// An empty list first, and then its element: of a list with an element in it kube-apiserver (1.36) panics, and the pod is
/// not created.
fn added(path: &str, value: &str) -> String {
    format!("JSONPatch{{op: 'add', path: {path}, value: {value}}}")
}

fn all(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" && ")
}

/// A text as an expression means it, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '\n' => quoted.push_str("\\n"),
            character if character.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
            character => quoted.push(character),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    #[test]
    fn there_is_one_policy_for_every_pod_that_mounts() {
        let objects = policies(&settings());
        let names = |kind: &str| -> Vec<String> {
            let of_kind = objects.iter().filter(|object| object["kind"] == kind);
            of_kind.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
        };
        let mounting = COMPONENTS.iter().flat_map(|component| component.pods).filter(|pod| pod.mount.is_some()).count();
        assert_eq!((names("MutatingAdmissionPolicy").len(), mounting), (10, 10));
        assert_eq!(names("MutatingAdmissionPolicy"), names("MutatingAdmissionPolicyBinding"));
        assert_eq!(names("MutatingAdmissionPolicy"), super::names());
    }

    #[test]
    fn a_text_stays_one() {
        assert_eq!(quoted("plain-1.x"), "'plain-1.x'");
        assert_eq!(quoted("it's \\ \"x\"\n\t"), "'it\\'s \\\\ \"x\"\\n\\u0009'");
    }
}
