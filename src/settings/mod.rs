//! What a person decides, as data: read from a file, an environment and flags elsewhere, checked here.

mod choices;
pub mod daemon;
mod identities;
mod selector;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::{
    component::{COMPONENTS, Component, Env, Id, Presence},
    manifest::{Documents, Limits},
    names::{ClientId, is_dns_label},
};

/// Everything that `plan` and `wire` are told beside the HostedCluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The managed identity that reads the vault: `userAssignedIdentityID` of every class.
    pub key_vault_user: ClientId,
    /// Parameters beside HyperShift's six, for sovereign clouds and private environments.
    pub extra_parameters: BTreeMap<String, String>,
    pub overrides: BTreeMap<Id, Override>,
}

/// How a component's pods differ from HyperShift's, where they do.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Override {
    /// Value of the label `app` of the pod that mounts the credential.
    pub app: Option<String>,
    /// Its container.
    pub container: Option<String>,
    /// Where the container mounts the credential.
    pub mount_path: Option<String>,
}

/// The settings file. Every key is optional; an unknown one is an error, because a misspelt setting is worse than none.
/// Flags and environment of the daemon make another one of these, which is laid over it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SettingsFile {
    #[serde(rename = "keyVaultUserClientID")]
    pub key_vault_user_client_id: Option<String>,
    pub mode: Option<daemon::Mode>,
    pub pod_patch: Option<daemon::PodPatch>,
    pub policy_fallback: Option<daemon::PolicyFallback>,
    pub webhook: daemon::WebhookFile,
    pub workload_identity_webhook: daemon::WorkloadIdentityFile,
    pub azure_cluster_identity: Option<daemon::AzureClusterIdentityWriting>,
    pub configuration_check: Option<daemon::ConfigurationCheck>,
    pub credential_check: Option<daemon::CredentialCheck>,
    pub check_interval: Option<String>,
    pub rotation: Option<daemon::Rotation>,
    pub consumer_reload: Option<String>,
    pub driver_poll_interval: Option<String>,
    #[serde(rename = "strictClientID")]
    pub strict_client_id: Option<bool>,
    pub secret_provider_class: ClassSettings,
    pub components: BTreeMap<Id, Override>,
    pub selection: daemon::SelectionFile,
    pub listen: daemon::ListenFile,
    pub log_level: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClassSettings {
    pub extra_parameters: BTreeMap<String, String>,
}

impl SettingsFile {
    /// Reads the text of a settings file, with the reader and the limits of manifests. A key without a value is one
    /// that is not there; an empty file has none.
    ///
    /// # Errors
    /// What is wrong, with the line where there is one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let limits = Limits::default();
        let mut documents = Documents::new(text.as_bytes(), limits);
        let mut file = None;
        while let Some(document) = documents.next_document().map_err(|error| error.to_string())? {
            let mut objects = Vec::new();
            document
                .objects(&limits, &mut |object| objects.push(object.node))
                .map_err(|problem| format!("line {}: {}; {}", problem.at.line, problem.message, problem.remedy))?;
            for node in objects {
                let line = node.at.line;
                if file.replace(node).is_some() {
                    return Err(format!("line {line}: has a second document, and settings are one"));
                }
            }
        }
        let value = file.map_or_else(|| serde_json::json!({}), |node| node.to_value_without_nulls());
        if !value.is_object() {
            return Err("is no mapping of settings".to_owned());
        }
        serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
            "." => error.inner().to_string(),
            key => format!("{key}: {}", error.inner()),
        })
    }
}

/// A pod of a row, with the overrides applied.
#[derive(Debug)]
pub struct Pod<'s> {
    pub app: &'s str,
    pub containers: Vec<(&'s str, Presence)>,
    pub mount: Option<Mount<'s>>,
    pub env: &'static [Env],
    /// Whether settings can say otherwise: they concern the pod that mounts the credential.
    pub overridable: bool,
}

#[derive(Debug)]
pub struct Mount<'s> {
    pub volume: &'static str,
    pub path: &'s str,
}

/// The parameters that HyperShift writes, in every class.
pub const PARAMETERS: [&str; 6] =
    ["keyvaultName", "objects", "tenantId", "usePodIdentity", "useVMManagedIdentity", "userAssignedIdentityID"];

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error(
        "no key vault user client id: set --key-vault-user-client-id, HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID, \
         keyVaultUserClientID in the settings file, or ARO_HCP_KEY_VAULT_USER_CLIENT_ID to the client id of the \
         managed identity that reads the vault (HyperShift would write an empty one, and no pod could mount)"
    )]
    NoKeyVaultUser,
    #[error(
        "the key vault user client id {value:?} is no UUID: give the identity's client id, not its name or resource id"
    )]
    InvalidKeyVaultUser { value: String },
    #[error(
        "secretProviderClass.extraParameters may not have {name:?}: hcp-identity computes it from the HostedCluster"
    )]
    ReservedParameter { name: String },
    #[error("secretProviderClass.extraParameters has an empty name")]
    EmptyParameter,
    #[error("components.{component}.{field} is {value:?}: {rule}")]
    InvalidOverride { component: Id, field: &'static str, value: String, rule: &'static str },
    #[error("selection.labelSelector {value:?} is no label selector: {why}")]
    InvalidLabelSelector { value: String, why: String },
    #[error("{key} is {value:?}: it must be an address and a port, such as 0.0.0.0:8080 or :8080")]
    InvalidAddress { key: &'static str, value: String },
    #[error("{key} is {value:?}: {rule}")]
    InvalidDuration { key: &'static str, value: String, rule: String },
    #[error(
        "rotation is restart, and no credential is checked before its pods are restarted with it: set credentialCheck to \
         content or signIn"
    )]
    RestartUnchecked,
    #[error("workloadIdentityWebhook: {0}")]
    WorkloadIdentity(crate::workload_identity::SettingsError),
    #[error(
        "components.{component} and {other} would both put {what} into the container {container} of the pod with app={app}; change one of the two"
    )]
    Overlap { component: Id, other: Id, what: String, container: String, app: String },
}

impl Settings {
    /// Checks a settings file together with the key vault user that flag and environment gave, if any.
    ///
    /// # Errors
    /// Everything that is wrong, not the first thing.
    pub fn new(key_vault_user: Option<&str>, file: SettingsFile) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let user = match key_vault_user {
            None | Some("") => Err(SettingsError::NoKeyVaultUser),
            Some(value) => {
                ClientId::new(value).map_err(|_| SettingsError::InvalidKeyVaultUser { value: value.to_owned() })
            }
        };
        for name in file.secret_provider_class.extra_parameters.keys() {
            if name.is_empty() {
                errors.push(SettingsError::EmptyParameter);
            } else if PARAMETERS.contains(&name.as_str()) {
                errors.push(SettingsError::ReservedParameter { name: name.clone() });
            }
        }
        for (component, change) in &file.components {
            errors.extend(change.errors(*component));
        }
        match user {
            Ok(key_vault_user) if errors.is_empty() => {
                let extra_parameters = file.secret_provider_class.extra_parameters;
                let settings = Self { key_vault_user, extra_parameters, overrides: file.components };
                let overlaps = settings.overlaps();
                if overlaps.is_empty() { Ok(settings) } else { Err(overlaps) }
            }
            Ok(_) => Err(errors),
            Err(error) => {
                errors.insert(0, error);
                Err(errors)
            }
        }
    }
}

impl Settings {
    /// The pods of a component.
    #[must_use]
    pub fn pods(&self, component: &'static Component) -> Vec<Pod<'_>> {
        let mut pods: Vec<Pod<'_>> = component
            .pods
            .iter()
            .enumerate()
            .map(|(index, pod)| Pod {
                app: pod.app,
                containers: pod.containers.iter().map(|container| (container.name, container.presence)).collect(),
                mount: pod.mount.as_ref().map(|mount| Mount { volume: mount.volume, path: mount.path }),
                env: pod.env,
                overridable: index == 0,
            })
            .collect();
        if let (Some(change), Some(pod)) = (self.overrides.get(&component.id), pods.first_mut()) {
            if let Some(app) = &change.app {
                pod.app = app;
            }
            if let (Some(name), Some(container)) = (&change.container, pod.containers.first_mut()) {
                container.0 = name;
            }
            if let (Some(path), Some(mount)) = (&change.mount_path, &mut pod.mount) {
                mount.path = path;
            }
        }
        pods
    }

    /// Rows that overrides have made to want one place of one container.
    fn overlaps(&self) -> Vec<SettingsError> {
        let mut taken = HashMap::new();
        let mut overlaps = Vec::new();
        for component in &COMPONENTS {
            for pod in self.pods(component) {
                let paths = pod.mount.iter().map(|mount| mount.path.to_owned());
                let wanted: Vec<String> = paths.chain(pod.env.iter().map(|env| env.name.to_owned())).collect();
                for (container, _) in &pod.containers {
                    for what in &wanted {
                        let place = (pod.app.to_owned(), (*container).to_owned(), what.clone());
                        let Some(other) = taken.insert(place, component.id) else { continue };
                        let (app, container, what) = (pod.app.to_owned(), (*container).to_owned(), what.clone());
                        overlaps.push(SettingsError::Overlap { component: component.id, other, what, container, app });
                    }
                }
            }
        }
        overlaps
    }
}

impl Override {
    fn errors(&self, component: Id) -> impl Iterator<Item = SettingsError> {
        const LABEL: &str = "it must be a label value: at most 63 letters, digits, '-', '_' and '.'";
        const CONTAINER: &str = "it must be a container name: at most 63 lower-case letters, digits and '-'";
        const PATH: &str = "it must be an absolute path without '..', ':', white space and a '/' at its end";
        let check = move |field, value: &Option<String>, fits: fn(&str) -> bool, rule| {
            let value = value.as_ref().filter(|value| !fits(value))?.clone();
            Some(SettingsError::InvalidOverride { component, field, value, rule })
        };
        [
            check("app", &self.app, is_label_value, LABEL),
            check("container", &self.container, is_dns_label, CONTAINER),
            check("mountPath", &self.mount_path, is_mount_path, PATH),
        ]
        .into_iter()
        .flatten()
    }
}

fn is_label_value(value: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn is_mount_path(value: &str) -> bool {
    value.starts_with('/')
        && value.len() > 1
        && !value.ends_with('/')
        && !value.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control())
        && value.split('/').all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "00000000-0000-0000-0000-000000000001";

    fn errors(user: Option<&str>, yaml: &str) -> Vec<SettingsError> {
        Settings::new(user, SettingsFile::parse(yaml).unwrap()).err().unwrap_or_default()
    }

    #[test]
    fn a_missing_or_odd_key_vault_user_is_refused() {
        assert_eq!(errors(None, "{}"), [SettingsError::NoKeyVaultUser]);
        assert_eq!(errors(Some(""), "{}"), [SettingsError::NoKeyVaultUser]);
        assert_eq!(errors(Some("me"), "{}"), [SettingsError::InvalidKeyVaultUser { value: "me".into() }]);
        assert_eq!(errors(Some(USER), "{}"), []);
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let yaml = "secretProviderClass: {extraParameters: {objects: x, cloudName: c, '': z}}\n\
                    components: {ingress: {app: -x, container: A, mountPath: relative}, kms: {mountPath: /mnt/../x}}";
        let all = errors(None, yaml);
        assert_eq!(all.len(), 7, "{all:#?}");
        assert!(all.contains(&SettingsError::ReservedParameter { name: "objects".into() }));
    }

    /// Found by chance they would be blamed on a Deployment.
    #[test]
    fn overrides_that_get_in_each_others_way_are_refused() {
        for yaml in [
            "components: {cpo: {mountPath: /mnt/kms}}",
            "components: {ingress: {app: control-plane-operator, container: control-plane-operator}}",
        ] {
            assert!(matches!(errors(Some(USER), yaml)[..], [SettingsError::Overlap { .. }]), "{yaml}");
        }
    }

    #[test]
    fn a_key_without_a_value_is_one_that_is_not_there() {
        for yaml in [
            "",
            "# nothing",
            "components:",
            "components: {ingress: {app: }}",
            "keyVaultUserClientID:\nsecretProviderClass:",
        ] {
            assert!(SettingsFile::parse(yaml).is_ok(), "{yaml:?}");
        }
        for yaml in ["a: [", "x: 1", "[]", "components: {}\n---\ncomponents: {}", "components: {}\ncomponents: {}"] {
            assert!(SettingsFile::parse(yaml).is_err(), "{yaml:?}");
        }
    }

    #[test]
    fn misspelt_keys_are_errors() {
        for yaml in ["keyVaultUserClientId: x", "components: {ingres: {}}", "components: {ingress: {path: /x}}"] {
            assert!(SettingsFile::parse(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_its_key() {
        let message = |yaml| SettingsFile::parse(yaml).unwrap_err();
        assert!(message("credentialCheck: contents").starts_with("credentialCheck: unknown variant `contents`"));
        assert!(message("listen: {health: 8081}").starts_with("listen.health: invalid type: integer `8081`"));
    }
}
