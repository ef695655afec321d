//! What a person decides, as data: read from a file, an environment and flags elsewhere, checked here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    component::Id,
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
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsFile {
    #[serde(rename = "keyVaultUserClientID")]
    pub key_vault_user_client_id: Option<String>,
    #[serde(default)]
    pub secret_provider_class: ClassSettings,
    #[serde(default)]
    pub components: BTreeMap<Id, Override>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassSettings {
    #[serde(default)]
    pub extra_parameters: BTreeMap<String, String>,
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
            Ok(key_vault_user) if errors.is_empty() => Ok(Self {
                key_vault_user,
                extra_parameters: file.secret_provider_class.extra_parameters,
                overrides: file.components,
            }),
            Ok(_) => Err(errors),
            Err(error) => {
                errors.insert(0, error);
                Err(errors)
            }
        }
    }
}

impl Override {
    fn errors(&self, component: Id) -> impl Iterator<Item = SettingsError> {
        const LABEL: &str = "it must be a label value: at most 63 letters, digits, '-', '_' and '.'";
        const CONTAINER: &str = "it must be a container name: at most 63 lower-case letters, digits and '-'";
        const PATH: &str = "it must be an absolute path without '..' and ':'";
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
        && !value.contains(':')
        && value.split('/').all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "00000000-0000-0000-0000-000000000001";

    fn errors(user: Option<&str>, yaml: &str) -> Vec<SettingsError> {
        Settings::new(user, serde_saphyr::from_str(yaml).unwrap()).err().unwrap_or_default()
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
        let yaml = "secretProviderClass: {extraParameters: {objects: x, cloudName: y, '': z}}\n\
                    components: {ingress: {app: -x, container: A, mountPath: relative}, kms: {mountPath: /mnt/../x}}";
        let all = errors(None, yaml);
        assert_eq!(all.len(), 7, "{all:#?}");
        assert!(all.contains(&SettingsError::ReservedParameter { name: "objects".into() }));
    }

    #[test]
    fn misspelt_keys_are_errors() {
        for yaml in ["keyVaultUserClientId: x", "components: {ingres: {}}", "components: {ingress: {path: /x}}"] {
            assert!(serde_saphyr::from_str::<SettingsFile>(yaml).is_err(), "{yaml}");
        }
    }
}
