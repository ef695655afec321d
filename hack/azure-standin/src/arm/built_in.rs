//! Roles that Azure has already: those that concern provisioning, and what they allow.
//!
//! <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles>

use super::store::Permission;

/// A role of every tenant.
#[derive(Debug)]
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) id: &'static str,
    pub(super) actions: &'static [&'static str],
    pub(super) not_actions: &'static [&'static str],
    pub(super) data_actions: &'static [&'static str],
}

pub(super) static BUILT_IN: [BuiltIn; 14] = [
    role("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", &["*"]),
    BuiltIn {
        not_actions: &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
        ..role("Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c", &["*"])
    },
    role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", &["*/read"]),
    role("User Access Administrator", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", &["*/read", "Microsoft.Authorization/*"]),
    role(
        "Role Based Access Control Administrator",
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        &["Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read"],
    ),
    role(
        "Managed Identity Contributor",
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/write",
            "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/*",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
    ),
    role(
        "Storage Account Contributor",
        "17d1049b-9a84-46fb-8f53-869881c3d3ab",
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Storage/storageAccounts/*",
        ],
    ),
    BuiltIn {
        data_actions: &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"],
        ..role(
            "Storage Blob Data Owner",
            "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
            &["Microsoft.Storage/storageAccounts/blobServices/containers/*"],
        )
    },
    BuiltIn {
        data_actions: &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
        ],
        ..role(
            "Storage Blob Data Contributor",
            "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
            &[
                "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
                "Microsoft.Storage/storageAccounts/blobServices/containers/read",
                "Microsoft.Storage/storageAccounts/blobServices/containers/write",
            ],
        )
    },
    BuiltIn {
        data_actions: &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
        ..role(
            "Storage Blob Data Reader",
            "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
            &["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
        )
    },
    role("Network Contributor", "4d97b98b-1d4f-4787-a291-c67834d212e7", &["Microsoft.Network/*"]),
    role("DNS Zone Contributor", "befefa01-2a29-4197-83a8-272ff33ce314", &["Microsoft.Network/dnsZones/*"]),
    role(
        "Managed Identity Operator",
        "f1a07417-d97a-45cb-824c-7a7467783830",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
        ],
    ),
    BuiltIn {
        data_actions: &["Microsoft.KeyVault/vaults/keys/read", "Microsoft.KeyVault/vaults/keys/encrypt/action"],
        ..role("Key Vault Crypto User", "12338af0-0e69-4776-bea7-57ae8d297424", &[])
    },
];

const fn role(name: &'static str, id: &'static str, actions: &'static [&'static str]) -> BuiltIn {
    BuiltIn { name, id, actions, not_actions: &[], data_actions: &[] }
}

impl BuiltIn {
    pub(super) fn permission(&self) -> Permission {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Permission {
            actions: texts(self.actions),
            not_actions: texts(self.not_actions),
            data_actions: texts(self.data_actions),
            not_data_actions: Vec::new(),
        }
    }
}
