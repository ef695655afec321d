//! Azure's clouds and the host names by which a request finds its service.

use serde::{Deserialize, Serialize};

use crate::exchange::Channel;

/// One of Azure's clouds. A tenant and its vaults are in one of them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    #[default]
    Public,
    UsGovernment,
    China,
    /// Closed since 2021; clients still know its hosts.
    German,
}

/// The names of one cloud.
#[derive(Debug)]
pub struct Names {
    pub cloud: Cloud,
    /// The host that tokens are asked of, and its other names. Each also has regional ones: `REGION.name`.
    pub logins: &'static [&'static str],
    pub vaults: &'static str,
    pub blobs: &'static str,
    /// Static websites of storage accounts, after the name of the account and its zone.
    pub websites: &'static str,
    /// ARM.
    pub manager: &'static str,
    /// The older name of ARM, which is still an audience of its tokens.
    pub old_manager: &'static str,
    /// What the `iss` of a token begins with.
    pub issuer: &'static str,
}

/// <https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure>
/// and the cloud configurations of the Azure SDKs.
pub static CLOUDS: [Names; 4] = [
    Names {
        cloud: Cloud::Public,
        logins: &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
        vaults: "vault.azure.net",
        blobs: "blob.core.windows.net",
        websites: "web.core.windows.net",
        manager: "management.azure.com",
        old_manager: "management.core.windows.net",
        issuer: "https://sts.windows.net",
    },
    Names {
        cloud: Cloud::UsGovernment,
        logins: &["login.microsoftonline.us", "login.usgovcloudapi.net"],
        vaults: "vault.usgovcloudapi.net",
        blobs: "blob.core.usgovcloudapi.net",
        websites: "web.core.usgovcloudapi.net",
        manager: "management.usgovcloudapi.net",
        old_manager: "management.core.usgovcloudapi.net",
        issuer: "https://sts.windows.net",
    },
    Names {
        cloud: Cloud::China,
        logins: &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
        vaults: "vault.azure.cn",
        blobs: "blob.core.chinacloudapi.cn",
        websites: "web.core.chinacloudapi.cn",
        manager: "management.chinacloudapi.cn",
        old_manager: "management.core.chinacloudapi.cn",
        issuer: "https://sts.chinacloudapi.cn",
    },
    Names {
        cloud: Cloud::German,
        logins: &["login.microsoftonline.de"],
        vaults: "vault.microsoftazure.de",
        blobs: "blob.core.cloudapi.de",
        websites: "web.core.cloudapi.de",
        manager: "management.microsoftazure.de",
        old_manager: "management.core.cloudapi.de",
        issuer: "https://sts.microsoftonline.de",
    },
];

impl Cloud {
    #[must_use]
    pub fn names(self) -> &'static Names {
        match self {
            Self::Public => &CLOUDS[0],
            Self::UsGovernment => &CLOUDS[1],
            Self::China => &CLOUDS[2],
            Self::German => &CLOUDS[3],
        }
    }

    /// The resource that a token for Key Vault is for.
    #[must_use]
    pub fn vault_resource(self) -> String {
        format!("https://{}", self.names().vaults)
    }

    /// The resources that a token for ARM can be for.
    #[must_use]
    pub fn manager_resources(self) -> Vec<String> {
        let names = self.names();
        let both = |host: &str| [format!("https://{host}/"), format!("https://{host}")];
        [both(names.old_manager), both(names.manager)].concat()
    }

    /// The login host of the documentation and of error texts.
    #[must_use]
    pub fn login(self) -> &'static str {
        self.names().logins[0]
    }
}

/// What stands between the name of an account and that of its cloud in the host of its website. Azure's differs by region.
pub const WEB_ZONE: &str = "z13";

/// What answers at a host name. One module each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Service {
    Entra(Cloud),
    KeyVault {
        cloud: Cloud,
        vault: String,
    },
    Manager(Cloud),
    /// Blobs of an account that ARM has.
    Blobs {
        cloud: Cloud,
        account: String,
    },
    /// The static website of an account that ARM has.
    Website {
        account: String,
    },
    /// Public documents of issuers: a blob account, or any other host that the world has documents of.
    Documents,
    /// The metadata service of the machine.
    Metadata,
    /// The token endpoint that App Service gives its apps.
    AppService,
}

/// The address at which every machine of Azure finds its metadata service.
pub const METADATA_HOST: &str = "169.254.169.254";

impl Service {
    /// Which of Azure's own services has this name.
    #[must_use]
    pub fn at(channel: Channel, host: &str, path: &str) -> Option<Self> {
        match channel {
            Channel::Plain if path.starts_with("/metadata/") => Some(Self::Metadata),
            Channel::Plain if path.starts_with("/msi/") => Some(Self::AppService),
            Channel::Plain => None,
            Channel::Tls => CLOUDS.iter().find_map(|names| Self::of_cloud(names, host)),
        }
    }

    fn of_cloud(names: &Names, host: &str) -> Option<Self> {
        let below = |suffix: &str| host.strip_suffix(suffix)?.strip_suffix('.').map(str::to_owned);
        if names.logins.iter().any(|login| host == *login || below(login).is_some()) {
            return Some(Self::Entra(names.cloud));
        }
        if host == names.manager {
            return Some(Self::Manager(names.cloud));
        }
        if let Some(vault) = below(names.vaults) {
            return Some(Self::KeyVault { cloud: names.cloud, vault });
        }
        if let Some(account) = below(names.websites).as_deref().and_then(|name| name.strip_suffix(WEB_ZONE)) {
            return account.strip_suffix('.').map(|account| Self::Website { account: account.to_owned() });
        }
        below(names.blobs).map(|account| Self::Blobs { cloud: names.cloud, account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lead_to_services_of_their_cloud() {
        let at = |host: &str| Service::at(Channel::Tls, host, "/");
        let vault = |cloud| Some(Service::KeyVault { cloud, vault: "kv".into() });
        assert_eq!(at("login.microsoftonline.com"), Some(Service::Entra(Cloud::Public)));
        assert_eq!(at("westus2.login.microsoft.com"), Some(Service::Entra(Cloud::Public)));
        assert_eq!(at("login.microsoftonline.us"), Some(Service::Entra(Cloud::UsGovernment)));
        assert_eq!(at("kv.vault.azure.net"), vault(Cloud::Public));
        assert_eq!(at("kv.vault.azure.cn"), vault(Cloud::China));
        assert_eq!(at("management.chinacloudapi.cn"), Some(Service::Manager(Cloud::China)));
        let account = "account".to_owned();
        let blobs = Service::Blobs { cloud: Cloud::Public, account: account.clone() };
        assert_eq!(at("account.blob.core.windows.net"), Some(blobs));
        assert_eq!(at("account.z13.web.core.windows.net"), Some(Service::Website { account }));
        assert_eq!(at("evil-login.microsoftonline.com.example"), None);
        assert_eq!(at("vault.azure.net"), None);
    }

    #[test]
    fn the_metadata_service_does_not_speak_tls() {
        assert_eq!(Service::at(Channel::Plain, METADATA_HOST, "/metadata/x"), Some(Service::Metadata));
        assert_eq!(Service::at(Channel::Tls, METADATA_HOST, "/metadata/x"), None);
        assert_eq!(Service::at(Channel::Plain, "kv.vault.azure.net", "/secrets"), None);
    }
}
