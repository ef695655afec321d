//! Ids of resources, and what they are made of. Azure compares them in whatever case they are written.

use serde_json::Value;

/// Versions of the API, by what is asked for.
pub(super) const AUTHORIZATION: &str = "2022-04-01";
pub(super) const GROUPS: &str = "2021-04-01";
pub(super) const IDENTITIES: &str = "2024-11-30";
pub(super) const PROVIDERS: &str = "2021-04-01";
pub(super) const STORAGE: &str = "2024-01-01";

pub(super) const ROLE_ASSIGNMENTS: &str = "/providers/Microsoft.Authorization/roleAssignments";
pub(super) const ROLE_DEFINITIONS: &str = "/providers/Microsoft.Authorization/roleDefinitions";
pub(super) const STORAGE_ACCOUNTS: &str = "/providers/Microsoft.Storage/storageAccounts";
pub(super) const USER_ASSIGNED_IDENTITIES: &str = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities";

pub(super) fn id_of(resource: &Value) -> &str {
    resource.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// The name at the end of an id.
pub(super) fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

pub(super) fn is_within(scope: &str, around: &str) -> bool {
    let (scope, around) = (scope.to_lowercase(), around.to_lowercase());
    scope.strip_prefix(&around).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_within_its_subscription_in_any_case() {
        assert!(is_within("/Subscriptions/A/resourceGroups/rg", "/subscriptions/a"));
        assert!(!is_within("/subscriptions/ab", "/subscriptions/a"));
        assert!(!is_within("/", "/subscriptions/a"));
    }
}
