//! The hosts of vaults.

use crate::clouds::Cloud;

/// Why there is no host of a vault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NoHost {
    #[error("a vault's name has 3 to 24 letters, digits and hyphens")]
    NotAName,
    #[error("where the vaults of this cloud are is not known: set HCP_IDENTITY_VAULT_SUFFIX, such as vault.azure.net")]
    UnknownCloud,
}

/// Where a vault answers.
pub(super) fn vault_url(vault: &str, cloud: &str, suffix: Option<&str>) -> Result<String, NoHost> {
    let fits =
        (3..=24).contains(&vault.len()) && vault.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits {
        return Err(NoHost::NotAName);
    }
    let suffix = suffix.or_else(|| Cloud::of(cloud)?.vaults).ok_or(NoHost::UnknownCloud)?;
    Ok(format!("https://{}.{suffix}", vault.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_answers_in_its_cloud() {
        let url = |cloud| vault_url("kv-A", cloud, None);
        assert_eq!(url("").as_deref(), Ok("https://kv-a.vault.azure.net"));
        assert_eq!(url("AzurePublicCloud").as_deref(), Ok("https://kv-a.vault.azure.net"));
        assert_eq!(url("AzureUSGovernmentCloud").as_deref(), Ok("https://kv-a.vault.usgovcloudapi.net"));
        assert_eq!(url("AzureChinaCloud").as_deref(), Ok("https://kv-a.vault.azure.cn"));
        assert_eq!(url("AzureGermanCloud").as_deref(), Ok("https://kv-a.vault.microsoftazure.de"));
        assert_eq!(url("AzureStackCloud"), Err(NoHost::UnknownCloud));
        let own = vault_url("kv-a", "AzureStackCloud", Some("vault.stack.example"));
        assert_eq!(own.as_deref(), Ok("https://kv-a.vault.stack.example"));
    }

    #[test]
    fn what_is_no_name_of_a_vault_makes_no_host() {
        for name in ["", "kv", "kv.evil.example/", "kv-a@evil", "kv-a:80", "kv_a", "a-name-of-more-than-24-letters"] {
            assert_eq!(vault_url(name, "", None), Err(NoHost::NotAName), "{name}");
        }
    }
}
