//! Handing over: what we have written stays, and is no longer ours.
//!
//! Never by an empty apply: of a class that we made and HyperShift adopted, that would delete the parameters. Our entry in
//! managedFields goes, by a patch that tests for it and for the version of the object; nothing else changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, PartialObjectMeta},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    access::{Access, CAPZ_IDENTITIES, WIRE_DEPLOYMENTS, WRITE_CLASSES},
    apply::{PatchForm, Path, Writer},
    client::chain,
    wire,
};
use crate::{names::control_plane_namespace, observed::MANAGER, plan::MANAGED_BY};

/// An object with something of ours, and what is done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    /// Who else has written to it: whoever goes on with it.
    pub others: Vec<String>,
    patch: Value,
    access: &'static Access,
    version: &'static str,
}

/// What is ours on the cluster, or in these control plane namespaces.
///
/// # Errors
/// What could not be read. A kind that is not installed has nothing of ours.
pub async fn find(client: &Client, namespaces: &[String]) -> Result<Vec<Release>, String> {
    let mut found = of_kind::<wire::SecretProviderClass>(client, &WRITE_CLASSES, "v1").await?;
    found.extend(of_kind::<wire::Deployment>(client, &WIRE_DEPLOYMENTS, "v1").await?);
    found.extend(of_kind::<wire::AzureClusterIdentity>(client, &CAPZ_IDENTITIES, "v1beta1").await?);
    found.retain(|object| namespaces.is_empty() || namespaces.contains(&object.namespace));
    Ok(found)
}

async fn of_kind<K>(client: &Client, access: &'static Access, version: &'static str) -> Result<Vec<Release>, String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    const PAGE: u32 = 250;
    let api: Api<K> = super::client::api(client, access);
    let mut page = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let list = match api.list_metadata(&page).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(found),
            Err(error) => return Err(format!("cannot list {}: {}", access.resource, chain(&error))),
        };
        found.extend(list.items.iter().filter_map(|object| release(object, access, version)));
        match list.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => page = page.continue_token(&more),
            None => return Ok(found),
        }
    }
}

fn release<K: Resource<DynamicType = ()>>(
    object: &PartialObjectMeta<K>,
    access: &'static Access,
    version: &'static str,
) -> Option<Release> {
    let kind = match access.resource {
        "secretproviderclasses" => "SecretProviderClass",
        "deployments" => "Deployment",
        _ => "AzureClusterIdentity",
    };
    let patch = patch(&object.metadata)?;
    let managers = object.metadata.managed_fields.iter().flatten().filter(|entry| entry.subresource.is_none());
    let mut others: Vec<String> =
        managers.filter_map(|entry| entry.manager.clone()).filter(|manager| manager != MANAGER).collect();
    others.sort();
    others.dedup();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    Some(Release { kind, namespace, name, others, patch, access, version })
}

/// The patch that takes us out of an object, if we are in it.
fn patch(metadata: &ObjectMeta) -> Option<Value> {
    let entries = metadata.managed_fields.iter().flatten().enumerate();
    let ours: Vec<usize> =
        entries.filter(|(_, entry)| entry.manager.as_deref() == Some(MANAGER)).map(|(index, _)| index).collect();
    let (label, value) = MANAGED_BY;
    let labelled = metadata.labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|found| found == value);
    if ours.is_empty() && !labelled {
        return None;
    }
    let mut steps =
        vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version})];
    let path = |index: usize| format!("/metadata/managedFields/{index}");
    steps.extend(
        ours.iter().map(|index| json!({"op": "test", "path": format!("{}/manager", path(*index)), "value": MANAGER})),
    );
    if ours.len() == metadata.managed_fields.iter().flatten().count() && !ours.is_empty() {
        // An empty list would be taken for a client that knows no managedFields; this is how it is said.
        steps.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": [{}]}));
    } else {
        // From the end, so that the indexes before stay true.
        steps.extend(ours.iter().rev().map(|index| json!({"op": "remove", "path": path(*index)})));
    }
    if labelled {
        steps.push(json!({"op": "remove", "path": format!("/metadata/labels/{}", label.replace('~', "~0").replace('/', "~1"))}));
    }
    Some(Value::Array(steps))
}

impl Release {
    /// Hands the object over.
    ///
    /// # Errors
    /// Why not; nothing has changed then. One that somebody has written to in the meantime is found again by another run.
    pub async fn carry_out(&self, writer: &Writer) -> Result<(), String> {
        let path = Path { version: self.version, namespace: &self.namespace, name: &self.name };
        writer
            .patch(self.access, &path, PatchForm::Json, &self.patch)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// Deletes our status objects, or those of these control plane namespaces; their number.
///
/// # Errors
/// What could not be read or deleted.
pub async fn delete_statuses(client: &Client, namespaces: &[String], dry_run: bool) -> Result<usize, String> {
    use hcp_identity_api::control_plane_identity::ControlPlaneIdentity;
    let all: Api<ControlPlaneIdentity> = Api::all(client.clone());
    let mut list = match all.list_metadata(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(0),
        Err(error) => return Err(format!("cannot list controlplaneidentities: {}", chain(&error))),
    };
    list.retain(|identity| {
        let plane = control_plane_namespace(&identity.namespace().unwrap_or_default(), &identity.name_any());
        namespaces.is_empty() || namespaces.contains(&plane)
    });
    for identity in list.iter().filter(|_| !dry_run) {
        let api: Api<ControlPlaneIdentity> = Api::namespaced(client.clone(), &identity.namespace().unwrap_or_default());
        let deleted = api.delete(&identity.name_any(), &DeleteParams::default()).await;
        deleted.map_err(|error| {
            format!("cannot delete ControlPlaneIdentity {}: {}", identity.name_any(), chain(&error))
        })?;
    }
    Ok(list.len())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

    use super::*;

    fn metadata(managers: &[&str], label: Option<&str>) -> ObjectMeta {
        let entry = |manager: &&str| ManagedFieldsEntry {
            manager: Some((*manager).to_owned()),
            ..ManagedFieldsEntry::default()
        };
        ObjectMeta {
            managed_fields: Some(managers.iter().map(entry).collect()),
            labels: label.map(|value| [(MANAGED_BY.0.to_owned(), value.to_owned())].into()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn nothing_of_ours_is_nothing_to_do() {
        assert_eq!(patch(&metadata(&["kubectl"], Some("helm"))), None);
    }

    #[test]
    fn our_entries_go_from_the_last_to_the_first_and_only_in_this_version() {
        let patch = patch(&metadata(&[MANAGER, "kubectl", MANAGER], Some(MANAGED_BY.1))).unwrap();
        let paths: Vec<_> = patch.as_array().unwrap().iter().map(|step| step["path"].as_str().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/metadata/resourceVersion",
                "/metadata/managedFields/0/manager",
                "/metadata/managedFields/2/manager",
                "/metadata/managedFields/2",
                "/metadata/managedFields/0",
                "/metadata/labels/app.kubernetes.io~1managed-by",
            ]
        );
        assert_eq!(patch[0]["value"], "7");
    }

    /// The API server keeps the old list where the new one is empty.
    #[test]
    fn where_all_is_ours_the_list_is_reset() {
        let patch = patch(&metadata(&[MANAGER], None)).unwrap();
        assert_eq!(patch[2], json!({"op": "replace", "path": "/metadata/managedFields", "value": [{}]}));
    }
}
