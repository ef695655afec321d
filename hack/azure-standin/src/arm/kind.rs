//! The types of ARM that there are: one row each.

use crate::operation::{Operation, Verb};

/// A type of resource.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Subscription,
    ResourceGroup,
    Resource,
    Operation,
    StorageAccount,
    BlobService,
    Container,
    StorageOperation,
    Identity,
    FederatedCredential,
    RoleDefinition,
    RoleAssignment,
}

/// What is known of a type.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) kind: Kind,
    pub(super) namespace: &'static str,
    /// With the types around it.
    pub(super) name: &'static str,
    pub(super) versions: &'static [&'static str],
}

/// <https://learn.microsoft.com/azure/templates/microsoft.resources/resourcegroups>
const RESOURCES: &[&str] = &[
    "2025-04-01",
    "2025-03-01",
    "2024-11-01",
    "2024-07-01",
    "2024-03-01",
    "2023-07-01",
    "2022-12-01",
    "2022-09-01",
    "2022-06-01",
    "2022-01-01",
    "2021-04-01",
    "2021-01-01",
    "2020-10-01",
    "2020-08-01",
    "2020-06-01",
    "2019-10-01",
];
/// <https://learn.microsoft.com/azure/templates/microsoft.storage/storageaccounts>
const STORAGE: &[&str] = &[
    "2026-09-01",
    "2026-06-01",
    "2026-04-01",
    "2025-08-01",
    "2025-06-01",
    "2025-01-01",
    "2024-01-01",
    "2023-05-01",
    "2023-04-01",
    "2023-01-01",
    "2022-09-01",
    "2022-05-01",
    "2021-09-01",
    "2021-08-01",
    "2021-06-01",
    "2021-04-01",
];
/// <https://learn.microsoft.com/azure/templates/microsoft.managedidentity/userassignedidentities>
const IDENTITIES: &[&str] = &["2024-11-30", "2023-07-31-preview", "2023-01-31", "2022-01-31-preview", "2018-11-30"];
/// The same, of credentials: they came later.
const FEDERATION: &[&str] = &["2024-11-30", "2023-07-31-preview", "2023-01-31", "2022-01-31-preview"];
/// <https://learn.microsoft.com/azure/templates/microsoft.authorization/roleassignments>
const AUTHORIZATION: &[&str] = &["2022-04-01", "2022-05-01-preview", "2020-10-01-preview", "2018-01-01-preview"];

static TYPES: [Type; 12] = [
    row(Kind::Subscription, "Microsoft.Resources", "subscriptions", RESOURCES),
    row(Kind::ResourceGroup, "Microsoft.Resources", "subscriptions/resourceGroups", RESOURCES),
    row(Kind::Resource, "Microsoft.Resources", "subscriptions/resourceGroups/resources", RESOURCES),
    row(Kind::Operation, "Microsoft.Resources", "subscriptions/operationresults", RESOURCES),
    row(Kind::StorageAccount, "Microsoft.Storage", "storageAccounts", STORAGE),
    row(Kind::BlobService, "Microsoft.Storage", "storageAccounts/blobServices", STORAGE),
    row(Kind::Container, "Microsoft.Storage", "storageAccounts/blobServices/containers", STORAGE),
    row(Kind::StorageOperation, "Microsoft.Storage", "locations/asyncoperations", STORAGE),
    row(Kind::Identity, "Microsoft.ManagedIdentity", "userAssignedIdentities", IDENTITIES),
    row(
        Kind::FederatedCredential,
        "Microsoft.ManagedIdentity",
        "userAssignedIdentities/federatedIdentityCredentials",
        FEDERATION,
    ),
    row(Kind::RoleDefinition, "Microsoft.Authorization", "roleDefinitions", AUTHORIZATION),
    row(Kind::RoleAssignment, "Microsoft.Authorization", "roleAssignments", AUTHORIZATION),
];

const fn row(kind: Kind, namespace: &'static str, name: &'static str, versions: &'static [&'static str]) -> Type {
    Type { kind, namespace, name, versions }
}

impl Type {
    pub(super) fn named(namespace: &str, name: &str) -> Option<&'static Self> {
        TYPES.iter().find(|row| row.namespace.eq_ignore_ascii_case(namespace) && row.name.eq_ignore_ascii_case(name))
    }

    /// `Microsoft.Storage/storageAccounts`
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Kind {
    pub(super) fn row(self) -> &'static Type {
        // The table has a row of every kind; the first one stands in for one that were forgotten, and a test finds it.
        TYPES.iter().find(|row| row.kind == self).unwrap_or(&TYPES[0])
    }
}

/// The name under which faults and the journal have a request.
pub(super) fn operation(kind: Kind, verb: Verb) -> Operation {
    use Operation as O;
    // Read, list, write, delete.
    let [read, list, write, delete] = match kind {
        Kind::Subscription => [O::ReadSubscription, O::Unknown, O::Unknown, O::Unknown],
        Kind::ResourceGroup => {
            [O::ReadResourceGroup, O::ListResourceGroups, O::WriteResourceGroup, O::DeleteResourceGroup]
        }
        Kind::Resource => [O::Unknown, O::ListResources, O::Unknown, O::Unknown],
        Kind::Operation | Kind::StorageOperation => [O::PollOperation, O::Unknown, O::Unknown, O::Unknown],
        Kind::StorageAccount => {
            [O::ReadStorageAccount, O::ListStorageAccounts, O::WriteStorageAccount, O::DeleteStorageAccount]
        }
        Kind::BlobService => [O::ReadBlobService, O::ReadBlobService, O::WriteBlobService, O::Unknown],
        Kind::Container => [O::ReadContainer, O::ListContainers, O::WriteContainer, O::DeleteContainer],
        Kind::Identity => [O::ReadIdentity, O::ListIdentities, O::WriteIdentity, O::DeleteIdentity],
        Kind::FederatedCredential => [
            O::ReadFederatedCredential,
            O::ListFederatedCredentials,
            O::WriteFederatedCredential,
            O::DeleteFederatedCredential,
        ],
        Kind::RoleDefinition => {
            [O::ReadRoleDefinition, O::ListRoleDefinitions, O::WriteRoleDefinition, O::DeleteRoleDefinition]
        }
        Kind::RoleAssignment => {
            [O::ReadRoleAssignment, O::ListRoleAssignments, O::WriteRoleAssignment, O::DeleteRoleAssignment]
        }
    };
    match verb {
        Verb::Read => read,
        Verb::List => list,
        Verb::Write => write,
        Verb::Delete => delete,
        Verb::Act if kind == Kind::StorageAccount => O::ActOnStorageAccount,
        Verb::Act => O::Unknown,
    }
}

/// Where resources can be. Azure has more.
pub(super) const LOCATIONS: &[&str] = &[
    "eastus",
    "eastus2",
    "centralus",
    "westus",
    "westus2",
    "westus3",
    "northeurope",
    "westeurope",
    "uksouth",
    "swedencentral",
    "germanywestcentral",
    "francecentral",
    "southeastasia",
    "australiaeast",
    "japaneast",
    "canadacentral",
    "brazilsouth",
    "usgovvirginia",
    "usgovarizona",
    "chinaeast2",
    "chinanorth3",
];

/// `East US` is `eastus`.
pub(super) fn location(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    LOCATIONS.iter().copied().find(|known| *known == plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row() {
        for row in &TYPES {
            assert_eq!(row.kind.row().full_name(), row.full_name());
        }
        assert_eq!(Kind::RoleAssignment as usize + 1, TYPES.len());
    }

    #[test]
    fn a_location_has_two_spellings() {
        assert_eq!(location("East US"), Some("eastus"));
        assert_eq!(location("atlantis"), None);
    }
}
