//! Azure's clouds, as `spec.platform.azure.cloud` names them, and the hosts of each.

/// The hosts of one cloud.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Cloud {
    name: &'static str,
    vaults: &'static str,
    pub(super) authority: &'static str,
    resource_manager: &'static str,
}

/// <https://github.com/Azure/go-autorest/blob/main/autorest/azure/environments.go>; AzureStackCloud has hosts of its owner.
static CLOUDS: [Cloud; 4] = [
    Cloud {
        name: "AzurePublicCloud",
        vaults: "vault.azure.net",
        authority: "https://login.microsoftonline.com",
        resource_manager: "https://management.azure.com",
    },
    Cloud {
        name: "AzureUSGovernmentCloud",
        vaults: "vault.usgovcloudapi.net",
        authority: "https://login.microsoftonline.us",
        resource_manager: "https://management.usgovcloudapi.net",
    },
    Cloud {
        name: "AzureChinaCloud",
        vaults: "vault.azure.cn",
        authority: "https://login.chinacloudapi.cn",
        resource_manager: "https://management.chinacloudapi.cn",
    },
    Cloud {
        name: "AzureGermanCloud",
        vaults: "vault.microsoftazure.de",
        authority: "https://login.microsoftonline.de",
        resource_manager: "https://management.microsoftazure.de",
    },
];

/// The cloud of this name; without a name, the public one.
pub(super) fn of(name: &str) -> Option<&'static Cloud> {
    let name = if name.is_empty() { "AzurePublicCloud" } else { name };
    CLOUDS.iter().find(|cloud| cloud.name == name)
}

/// Where a vault answers. None where the name can be no vault's, or nobody has said where the vaults of the cloud are.
pub(super) fn vault_url(vault: &str, cloud: &str, suffix: Option<&str>) -> Option<String> {
    let fits =
        (3..=24).contains(&vault.len()) && vault.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let suffix = suffix.or_else(|| of(cloud).map(|cloud| cloud.vaults))?;
    fits.then(|| format!("https://{}.{suffix}", vault.to_ascii_lowercase()))
}

/// What a credential asks a token for.
pub(super) fn scope(cloud: &str, resource_manager: Option<&str>) -> Option<String> {
    let resource = resource_manager.or_else(|| of(cloud).map(|cloud| cloud.resource_manager))?;
    Some(format!("{}/.default", resource.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_answers_in_its_cloud() {
        let url = |cloud| vault_url("kv-A", cloud, None);
        assert_eq!(url("").as_deref(), Some("https://kv-a.vault.azure.net"));
        assert_eq!(url("AzurePublicCloud").as_deref(), Some("https://kv-a.vault.azure.net"));
        assert_eq!(url("AzureUSGovernmentCloud").as_deref(), Some("https://kv-a.vault.usgovcloudapi.net"));
        assert_eq!(url("AzureChinaCloud").as_deref(), Some("https://kv-a.vault.azure.cn"));
        assert_eq!(url("AzureGermanCloud").as_deref(), Some("https://kv-a.vault.microsoftazure.de"));
        assert_eq!(url("AzureStackCloud"), None);
        let own = vault_url("kv-a", "AzureStackCloud", Some("vault.stack.example"));
        assert_eq!(own.as_deref(), Some("https://kv-a.vault.stack.example"));
    }

    #[test]
    fn what_is_no_name_of_a_vault_makes_no_host() {
        for name in ["", "kv", "kv.evil.example/", "kv-a@evil", "kv-a:80", "kv_a", "a-name-of-more-than-24-letters"] {
            assert_eq!(vault_url(name, "", None), None, "{name}");
        }
    }
}
