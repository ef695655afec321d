//! The names of what can be asked: the key of faults, of the journal and of its counts.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{arm, blobs, cloud::Service, exchange::Call};

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    EntraToken,
    EntraDiscovery,
    EntraKeys,
    EntraInstances,
    MetadataToken,
    AppServiceToken,
    GetSecret,
    ListSecrets,
    ListSecretVersions,
    SetSecret,
    UpdateSecret,
    DeleteSecret,
    GetDeletedSecret,
    ListDeletedSecrets,
    RecoverSecret,
    PurgeSecret,
    GetDocument,
    ReadSubscription,
    ReadResourceGroup,
    ListResourceGroups,
    WriteResourceGroup,
    DeleteResourceGroup,
    ListResources,
    PollOperation,
    ReadStorageAccount,
    ListStorageAccounts,
    WriteStorageAccount,
    DeleteStorageAccount,
    ActOnStorageAccount,
    ReadBlobService,
    WriteBlobService,
    ReadContainer,
    ListContainers,
    WriteContainer,
    DeleteContainer,
    ReadIdentity,
    ListIdentities,
    WriteIdentity,
    DeleteIdentity,
    ReadFederatedCredential,
    ListFederatedCredentials,
    WriteFederatedCredential,
    DeleteFederatedCredential,
    ReadRoleDefinition,
    ListRoleDefinitions,
    WriteRoleDefinition,
    DeleteRoleDefinition,
    ReadRoleAssignment,
    ListRoleAssignments,
    WriteRoleAssignment,
    DeleteRoleAssignment,
    ReadBlob,
    ListBlobs,
    WriteBlob,
    DeleteBlob,
    ReadContainerData,
    WriteContainerData,
    DeleteContainerData,
    ReadBlobServiceData,
    WriteBlobServiceData,
    ReadWebsite,
    /// Nothing that the stand-in knows.
    Unknown,
}

/// What a request does with what it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Read,
    List,
    Write,
    Delete,
    Act,
}

impl Verb {
    pub(crate) fn of(method: &Method) -> Self {
        match method.as_str() {
            "PUT" | "PATCH" => Self::Write,
            "DELETE" => Self::Delete,
            "POST" => Self::Act,
            _ => Self::Read,
        }
    }
}

impl Operation {
    #[must_use]
    pub fn of(service: &Service, call: &Call) -> Self {
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        match service {
            Service::Entra(_) => Self::of_entra(&path),
            Service::KeyVault { .. } => Self::of_key_vault(&call.method, &path),
            Service::Manager(_) => arm::operation(call),
            Service::Blobs { .. } => blobs::operation(call),
            Service::Website { .. } => Self::ReadWebsite,
            Service::Documents if call.method == Method::GET => Self::GetDocument,
            Service::Metadata if path == ["metadata", "identity", "oauth2", "token"] => Self::MetadataToken,
            Service::AppService if path == ["msi", "token"] => Self::AppServiceToken,
            Service::Documents | Service::Metadata | Service::AppService => Self::Unknown,
        }
    }

    fn of_entra(path: &[&str]) -> Self {
        match path {
            [_, "oauth2", "v2.0", "token"] => Self::EntraToken,
            [_, ".well-known", "openid-configuration"] | [_, "v2.0", ".well-known", "openid-configuration"] => {
                Self::EntraDiscovery
            }
            [_, "discovery", "v2.0", "keys"] | [_, "discovery", "keys"] => Self::EntraKeys,
            [_, "discovery", "instance"] => Self::EntraInstances,
            _ => Self::Unknown,
        }
    }

    fn of_key_vault(method: &Method, path: &[&str]) -> Self {
        match (method.as_str(), path) {
            ("GET", ["secrets"]) => Self::ListSecrets,
            ("GET", ["secrets", _, "versions"]) => Self::ListSecretVersions,
            ("GET", ["secrets", _] | ["secrets", _, _]) => Self::GetSecret,
            ("PUT", ["secrets", _]) => Self::SetSecret,
            ("PATCH", ["secrets", _] | ["secrets", _, _]) => Self::UpdateSecret,
            ("DELETE", ["secrets", _]) => Self::DeleteSecret,
            ("GET", ["deletedsecrets"]) => Self::ListDeletedSecrets,
            ("GET", ["deletedsecrets", _]) => Self::GetDeletedSecret,
            ("POST", ["deletedsecrets", _, "recover"]) => Self::RecoverSecret,
            ("DELETE", ["deletedsecrets", _]) => Self::PurgeSecret,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Channel;

    fn of(method: Method, url: &str) -> Operation {
        let call = Call::new(method, url).unwrap();
        Operation::of(&Service::at(Channel::Tls, &call.host, &call.path).unwrap(), &call)
    }

    #[test]
    fn the_latest_version_is_asked_for_with_and_without_a_slash() {
        for path in ["/secrets/a", "/secrets/a/", "/secrets/a/0123"] {
            assert_eq!(of(Method::GET, &format!("https://v.vault.azure.net{path}")), Operation::GetSecret, "{path}");
        }
        assert_eq!(of(Method::GET, "https://v.vault.azure.net/secrets/a/versions"), Operation::ListSecretVersions);
        assert_eq!(of(Method::POST, "https://v.vault.azure.net/secrets/a"), Operation::Unknown);
    }
}
