//! How a pod gets at its credential: a volume of the provider class, a mount, an environment variable.
//!
//! `wire` looks at a pod template and says what is missing; the doors add it, each in its own way (in place, as a JSON
//! patch, as an apply). Nothing is ever changed or removed here, and only `containers` are looked at: an init container
//! of the same name is never wired.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Plan, identities::Identity};
use crate::{
    component::{COMPONENTS, Component, EnvValue, Id, Presence},
    finding::{FieldPath, Problem, Reason},
    settings::{Mount, Pod, Settings},
};

/// The driver of the volumes.
pub const CSI_DRIVER: &str = "secrets-store.csi.k8s.io";

/// A pod template, or a pod: `metadata.labels` and `spec`.
#[derive(Clone, Copy, Debug)]
pub struct Template<'t> {
    value: &'t Value,
}

/// What wiring does to a template that carries a component.
#[derive(Clone, Debug, PartialEq)]
pub enum Wired {
    /// No row of the table is about this pod, or none whose identity is named.
    NotOurs,
    /// These are missing, in this order. None: the pod is wired already.
    Missing(Vec<Addition>),
}

/// One element to append to one list of the pod spec, and the component that needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    pub component: Id,
    pub element: Element,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    Volume(Value),
    Mount { container: usize, mount: Value },
    Env { container: usize, env: Value },
}

impl Addition {
    /// Appends it to the pod spec that it was computed for, making the list where there is none.
    pub fn apply(&self, spec: &mut Value) {
        let (owner, list, value) = match &self.element {
            Element::Volume(volume) => (Some(spec), "volumes", volume),
            Element::Mount { container, mount } => {
                (spec.pointer_mut(&format!("/containers/{container}")), "volumeMounts", mount)
            }
            Element::Env { container, env } => (spec.pointer_mut(&format!("/containers/{container}")), "env", env),
        };
        let Some(Value::Object(owner)) = owner else { return };
        match owner.get_mut(list) {
            Some(Value::Array(list)) => list.push(value.clone()),
            _ => drop(owner.insert(list.to_owned(), Value::Array(vec![value.clone()]))),
        }
    }
}

/// Every value of the label `app` that some row is about: what a reader has to keep of a stream.
#[must_use]
pub fn consumer_apps(settings: &Settings) -> Vec<&str> {
    let mut apps: Vec<&str> =
        COMPONENTS.iter().flat_map(|component| settings.pods(component)).map(|pod| pod.app).collect();
    apps.sort_unstable();
    apps.dedup();
    apps
}

impl<'t> Template<'t> {
    /// Takes the pod template of a workload or the pod itself.
    #[must_use]
    pub fn new(value: &'t Value) -> Self {
        Self { value }
    }

    /// The label by which a pod is recognised.
    #[must_use]
    pub fn app(&self) -> Option<&'t str> {
        self.value.get("metadata")?.get("labels")?.get("app")?.as_str()
    }
}

/// Which of a row's pods are wired.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pods {
    All,
    /// Not those that only tell another operator to write its Deployments.
    Mounting,
}

pub(super) fn wire(plan: &Plan, template: &Template<'_>, pods: Pods) -> Result<Wired, Vec<Problem>> {
    let Some(app) = template.app() else { return Ok(Wired::NotOurs) };
    let mut wiring: Option<Wiring<'_>> = None;
    for identity in &plan.identities().named {
        let component = Component::of(identity.component);
        let is_wanted = |pod: &&Pod<'_>| pod.app == app && (pods == Pods::All || pod.mount.is_some());
        for pod in plan.settings().pods(component).iter().filter(is_wanted) {
            let wiring = match &mut wiring {
                Some(wiring) => wiring,
                none => none.insert(Wiring::of(template)?),
            };
            wiring.add(component, identity, pod);
        }
    }
    match wiring {
        None => Ok(Wired::NotOurs),
        Some(wiring) if wiring.problems.is_empty() => Ok(Wired::Missing(wiring.additions)),
        Some(wiring) => Err(wiring.problems),
    }
}

/// A pod spec as wiring sees it: what is there, what is to be added, what is in the way.
struct Wiring<'t> {
    volumes: Vec<Cow<'t, Map<String, Value>>>,
    containers: Vec<ContainerView<'t>>,
    init_containers: Vec<&'t str>,
    additions: Vec<Addition>,
    problems: Vec<Problem>,
}

struct ContainerView<'t> {
    name: &'t str,
    path: FieldPath,
    mounts: Vec<Cow<'t, Map<String, Value>>>,
    env: Vec<Cow<'t, Map<String, Value>>>,
}

impl<'t> Wiring<'t> {
    /// Checks that the template is a pod spec, as far as wiring depends on it.
    fn of(template: &Template<'t>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let path = FieldPath::of("spec");
        let spec = template.value.get("spec").and_then(Value::as_object);
        let mut list = |owner: Option<&'t Map<String, Value>>, key: &str, path: &FieldPath, names| {
            objects(owner.and_then(|owner| owner.get(key)), &path.key(key), names, &mut problems)
        };
        let volumes = list(spec, "volumes", &path, Names::Unique);
        let init_containers = list(spec, "initContainers", &path, Names::Unique);
        let containers: Vec<ContainerView<'t>> = list(spec, "containers", &path, Names::Unique)
            .into_iter()
            .enumerate()
            .map(|(index, container)| {
                let path = path.key("containers").index(index);
                let mounts = borrowed(list(Some(container), "volumeMounts", &path, Names::Any));
                let env = borrowed(list(Some(container), "env", &path, Names::Any));
                ContainerView { name: text(container, "name"), path, mounts, env }
            })
            .collect();
        if containers.is_empty() && problems.is_empty() {
            let message = "is missing or empty, and a pod has at least one container";
            problems.push(Problem::error(Reason::InvalidPodSpec, path.key("containers"), message, "add it"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let init_containers = init_containers.into_iter().map(|container| text(container, "name")).collect();
        Ok(Self { volumes: borrowed(volumes), containers, init_containers, additions: Vec::new(), problems })
    }

    fn add(&mut self, component: &Component, identity: &Identity, pod: &Pod<'_>) {
        let indexes = self.containers_of(component, pod);
        if indexes.is_empty() {
            return;
        }
        if let Some(mount) = &pod.mount {
            self.add_volume(component, mount);
            for index in &indexes {
                self.add_mount(*index, component, pod, mount);
            }
        }
        for env in pod.env {
            let value = match env.value {
                EnvValue::ProviderClass => component.class.to_owned(),
                EnvValue::SecretName => identity.secret.to_string(),
                EnvValue::CredentialPath => {
                    let path = pod.mount.as_ref().map_or("", |mount| mount.path);
                    format!("{path}/{}", identity.secret)
                }
            };
            for index in &indexes {
                self.add_env(*index, component, env.name, &value);
            }
        }
    }

    fn need(&mut self, component: &Component, element: Element) {
        self.additions.push(Addition { component: component.id, element });
    }

    /// The containers of the row that this pod has. A required one that it has not is a problem.
    fn containers_of(&mut self, component: &Component, pod: &Pod<'_>) -> Vec<usize> {
        let mut indexes = Vec::new();
        for (name, presence) in &pod.containers {
            match self.containers.iter().position(|container| container.name == *name) {
                Some(index) => indexes.push(index),
                None if *presence == Presence::IfPresent => {}
                None => {
                    let names: Vec<_> = self.containers.iter().map(|container| container.name).collect();
                    let init = if self.init_containers.contains(name) {
                        "; the init container of that name is left alone"
                    } else {
                        ""
                    };
                    let message = format!(
                        "{} needs the container {name}, and this pod (app: {}) has {}{init}",
                        component.id,
                        pod.app,
                        names.join(", ")
                    );
                    let remedy = or_override(component, pod, format!("name the container {name}"), "container");
                    let field = FieldPath::of("spec.containers");
                    self.problems.push(Problem::error(Reason::MissingContainer, field, message, remedy));
                }
            }
        }
        indexes
    }

    fn add_volume(&mut self, component: &Component, mount: &Mount<'_>) {
        let ours = object(json!({
            "name": mount.volume,
            "csi": {
                "driver": CSI_DRIVER,
                "readOnly": true,
                "volumeAttributes": {"secretProviderClass": component.class},
            },
        }));
        let Some(index) = self.volumes.iter().position(|volume| text(volume, "name") == mount.volume) else {
            self.need(component, Element::Volume(Value::Object(ours.clone())));
            self.volumes.push(Cow::Owned(ours));
            return;
        };
        let theirs = &self.volumes[index];
        if without_nulls(theirs) == ours {
            return;
        }
        let message = format!(
            "{} needs the volume {} to mount the provider class {}, and it is another one",
            component.id, mount.volume, component.class
        );
        let remedy = format!("rename this volume, or make it {}", compact(&ours));
        let field = FieldPath::of("spec.volumes").index(index);
        self.problems.push(Problem::error(Reason::VolumeConflict, field, message, remedy).with_value(compact(theirs)));
    }

    fn add_mount(&mut self, container: usize, component: &Component, pod: &Pod<'_>, mount: &Mount<'_>) {
        let view = &mut self.containers[container];
        let here: Vec<usize> = (0..view.mounts.len())
            .filter(|index| same_path(text(&view.mounts[*index], "mountPath"), mount.path))
            .collect();
        if here.is_empty() {
            let ours = object(json!({"name": mount.volume, "mountPath": mount.path, "readOnly": true}));
            view.mounts.push(Cow::Owned(ours.clone()));
            let element = Element::Mount { container, mount: Value::Object(ours) };
            self.additions.push(Addition { component: component.id, element });
        }
        for index in here {
            let there = &view.mounts[index];
            let volume = text(there, "name");
            let whole = text(there, "subPath").is_empty() && text(there, "subPathExpr").is_empty();
            let read_only = there.get("readOnly") == Some(&Value::Bool(true));
            let (id, ours, path) = (component.id, mount.volume, mount.path);
            let (reason, message, remedy) = if volume != ours {
                let remedy = or_override(component, pod, "mount it elsewhere".to_owned(), "mountPath");
                let message =
                    format!("{id} needs {path} for the volume {ours}, and the volume {volume} is mounted there");
                (Reason::MountPathConflict, message, remedy)
            } else if !whole || !read_only {
                let message = format!("{id} needs the volume {ours} mounted whole and read-only, and it is not");
                (Reason::MountConflict, message, "set readOnly: true and no subPath".to_owned())
            } else {
                continue;
            };
            let field = view.path.key("volumeMounts").index(index);
            self.problems.push(Problem::error(reason, field, message, remedy).with_value(compact(there)));
        }
    }

    fn add_env(&mut self, container: usize, component: &Component, name: &str, value: &str) {
        let view = &mut self.containers[container];
        let mut found = false;
        for (index, env) in view.env.iter().enumerate().filter(|(_, env)| text(env, "name") == name) {
            found = true;
            let from = env.get("valueFrom").is_some_and(|from| !from.is_null());
            if env.get("value").and_then(Value::as_str) == Some(value) && !from {
                continue;
            }
            let message = format!("{} needs {name}={value}, and it is set to something else", component.id);
            let remedy = "remove it, or correct the HostedCluster";
            let field = view.path.key("env").index(index);
            let theirs = env.get("value").and_then(Value::as_str).filter(|_| !from);
            let theirs = theirs.map_or_else(|| compact(env), str::to_owned);
            self.problems.push(Problem::error(Reason::EnvConflict, field, message, remedy).with_value(theirs));
        }
        if !found {
            let ours = object(json!({"name": name, "value": value}));
            view.env.push(Cow::Owned(ours.clone()));
            self.need(component, Element::Env { container, env: Value::Object(ours) });
        }
    }
}

/// A remedy, with the setting that is another one, where it is.
fn or_override(component: &Component, pod: &Pod<'_>, remedy: String, setting: &str) -> String {
    if pod.overridable { format!("{remedy}, or set components.{}.{setting}", component.id) } else { remedy }
}

/// Whether two paths are one place to a container runtime.
#[must_use]
pub fn same_path(a: &str, b: &str) -> bool {
    let parts =
        |path: &str| path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/");
    parts(a) == parts(b)
}

/// The objects of a list, each with a name; a list that is something else is a problem. Names that have to be unique
/// are: the API server refuses the pod otherwise, and of two one would be wired by chance.
fn objects<'t>(
    list: Option<&'t Value>,
    path: &FieldPath,
    names: Names,
    problems: &mut Vec<Problem>,
) -> Vec<&'t Map<String, Value>> {
    let mut refuse = |field: FieldPath, message: &str, value: &Value| {
        let remedy = "write it as the Kubernetes API reference for PodSpec says";
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        problems.push(Problem::error(Reason::InvalidPodSpec, field, message, remedy).with_value(value));
    };
    let items = match list {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            refuse(path.clone(), "is no list", other);
            return Vec::new();
        }
    };
    let mut objects: Vec<&'t Map<String, Value>> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let named = item.as_object().filter(|object| object.get("name").is_some_and(Value::is_string));
        let Some(object) = named else {
            refuse(path.index(index), "is no object with a name", item);
            continue;
        };
        let name = text(object, "name");
        if names == Names::Unique && objects.iter().any(|other| text(other, "name") == name) {
            refuse(path.index(index), "has the name of another element of the list", &object["name"]);
        }
        objects.push(object);
    }
    objects
}

/// Whether the names in a list of a pod spec have to differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Names {
    Unique,
    Any,
}

fn borrowed<'t>(objects: Vec<&'t Map<String, Value>>) -> Vec<Cow<'t, Map<String, Value>>> {
    objects.into_iter().map(Cow::Borrowed).collect()
}

fn text<'t>(object: &'t Map<String, Value>, key: &str) -> &'t str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn compact(object: &Map<String, Value>) -> String {
    Value::Object(object.clone()).to_string()
}

/// Fields that are null mean the same as fields that are not there.
fn without_nulls(object: &Map<String, Value>) -> Map<String, Value> {
    let clean = |value: &Value| match value {
        Value::Object(object) => Value::Object(without_nulls(object)),
        other => other.clone(),
    };
    object.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), clean(value))).collect()
}
