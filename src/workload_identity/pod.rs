//! A pod as it comes, and what is missing in it.

use serde_json::{Value, json};

use super::{
    Denial,
    patch::{Operation, append, put},
    settings::{Paths, Token},
};

/// A pod in which everything that is looked at has its kind.
pub(super) struct Pod<'a> {
    metadata: &'a Value,
    volumes: &'a Value,
    containers: Vec<Container<'a>>,
}

pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    /// A JSON pointer to it.
    path: String,
    env: &'a Value,
    mounts: &'a Value,
}

/// In the order in which they are started.
const LISTS: [&str; 2] = ["initContainers", "containers"];

impl<'a> Pod<'a> {
    pub(super) fn read(pod: &'a Value) -> Result<Self, Denial> {
        let spec = &pod["spec"];
        if !spec.is_object() {
            return Err(malformed("spec", "object"));
        }
        let metadata = &pod["metadata"];
        if !(metadata.is_object() || metadata.is_null()) {
            return Err(malformed("metadata", "object"));
        }
        let mut containers = Vec::new();
        for name in LISTS {
            let (list, path) = (&spec[name], format!("/spec/{name}"));
            for (at, container) in elements(list, &path)?.iter().enumerate() {
                containers.push(Container::read(container, format!("{path}/{at}"))?);
            }
        }
        let volumes = &spec["volumes"];
        elements(volumes, "/spec/volumes")?;
        Ok(Self { metadata, volumes, containers })
    }

    /// What the volume is named after: the pod, or what its name will begin with.
    pub(super) fn name(&self) -> String {
        let text = |field: &str| self.metadata[field].as_str().unwrap_or_default();
        match text("name") {
            "" => format!("{} (prefix)", text("generateName")),
            name => name.to_owned(),
        }
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.metadata["annotations"].get(key)?.as_str()
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter()
    }

    /// The namespace that it is created in, in a pod that does not say it yet.
    pub(super) fn in_namespace(&self, namespace: &str) -> Option<Operation> {
        if self.metadata["namespace"] == namespace {
            return None;
        }
        let (path, value) = match self.metadata {
            Value::Null => ("/metadata", json!({"namespace": namespace})),
            _ => ("/metadata/namespace", json!(namespace)),
        };
        Some(Operation::Add { path: path.to_owned(), value })
    }

    pub(super) fn volume(&self, token: &Token<'_>) -> Vec<Operation> {
        let Token { audience, expiration, path, .. } = token;
        let source = json!({"audience": audience, "expirationSeconds": expiration, "path": path});
        let volume = json!({"name": token.volume, "projected": {"sources": [{"serviceAccountToken": source}]}});
        match token.paths {
            Paths::Older if self.projects(path) => Vec::new(),
            Paths::Older => append(self.volumes, "/spec/volumes", vec![volume]),
            Paths::V1_6 => put(self.volumes, "/spec/volumes", volume),
        }
    }

    /// Whether some volume has a token at this path: versions before 1.6.0 look for it, and not for a name.
    fn projects(&self, path: &str) -> bool {
        let items = |value: &'a Value| value.as_array().into_iter().flatten();
        items(self.volumes)
            .flat_map(|volume| items(&volume["projected"]["sources"]))
            .any(|source| source["serviceAccountToken"]["path"] == path)
    }
}

impl<'a> Container<'a> {
    fn read(container: &'a Value, path: String) -> Result<Self, Denial> {
        if !container.is_object() {
            return Err(malformed(&path, "object"));
        }
        let (env, mounts) = (&container["env"], &container["volumeMounts"]);
        elements(env, &format!("{path}/env"))?;
        elements(mounts, &format!("{path}/volumeMounts"))?;
        Ok(Self { name: container["name"].as_str().unwrap_or_default(), path, env, mounts })
    }

    /// What it sets itself stays as it is, even where it is empty.
    pub(super) fn environment(&self, token: &Token<'_>) -> Vec<Operation> {
        let set: Vec<_> = self.env.as_array().into_iter().flatten().filter_map(|env| env["name"].as_str()).collect();
        let missing = token.environment().filter(|(name, _)| !set.contains(name));
        let missing = missing.map(|(name, value)| json!({"name": name, "value": value})).collect();
        append(self.env, &format!("{}/env", self.path), missing)
    }

    pub(super) fn mount(&self, token: &Token<'_>) -> Vec<Operation> {
        let mount = json!({"mountPath": token.mount, "name": token.volume, "readOnly": true});
        let path = format!("{}/volumeMounts", self.path);
        let mut mounted = self.mounts.as_array().into_iter().flatten();
        if token.paths == Paths::Older && mounted.any(|other| other["name"] == mount["name"]) {
            return Vec::new();
        }
        put(self.mounts, &path, mount)
    }
}

/// What stands in a list. One that is absent is empty.
fn elements<'a>(list: &'a Value, path: &str) -> Result<&'a [Value], Denial> {
    match list {
        Value::Null => Ok(&[]),
        Value::Array(elements) => Ok(elements),
        _ => Err(malformed(path, "list")),
    }
}

fn malformed(path: &str, kind: &str) -> Denial {
    Denial::bad_request(format!("the pod cannot be read: {path} is no {kind}"))
}
