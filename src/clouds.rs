//! Azure's clouds, as `spec.platform.azure.cloud` of a HostedCluster names them, and the hosts of each.

/// One cloud. What is absent, only the owner of that cloud can say.
#[derive(Debug, Eq, PartialEq)]
pub struct Cloud {
    pub name: &'static str,
    /// What the host of a vault ends with.
    pub vaults: Option<&'static str>,
    /// What the host of a storage account's blobs ends with.
    pub blobs: Option<&'static str>,
    pub resource_manager: Option<&'static str>,
    /// Where Entra answers, the usual host first; regional hosts stand in front of them.
    pub entra: &'static [&'static str],
}

/// In the order of HyperShift's API.
/// <https://github.com/Azure/go-autorest/blob/main/autorest/azure/environments.go>
pub static CLOUDS: [Cloud; 6] = [
    Cloud {
        name: PUBLIC,
        vaults: Some("vault.azure.net"),
        blobs: Some("blob.core.windows.net"),
        resource_manager: Some("https://management.azure.com"),
        entra: &[
            "login.microsoftonline.com",
            "login.microsoft.com",
            "login.windows.net",
            "logincredential.microsoft.com",
        ],
    },
    Cloud {
        name: "AzureUSGovernmentCloud",
        vaults: Some("vault.usgovcloudapi.net"),
        blobs: Some("blob.core.usgovcloudapi.net"),
        resource_manager: Some("https://management.usgovcloudapi.net"),
        entra: &["login.microsoftonline.us"],
    },
    Cloud {
        name: "AzureChinaCloud",
        vaults: Some("vault.azure.cn"),
        blobs: Some("blob.core.chinacloudapi.cn"),
        resource_manager: Some("https://management.chinacloudapi.cn"),
        entra: &["login.chinacloudapi.cn", "login.partner.microsoftonline.cn"],
    },
    Cloud {
        name: "AzureGermanCloud",
        vaults: Some("vault.microsoftazure.de"),
        blobs: Some("blob.core.cloudapi.de"),
        resource_manager: Some("https://management.microsoftazure.de"),
        entra: &["login.microsoftonline.de"],
    },
    Cloud { name: "AzureStackCloud", vaults: None, blobs: None, resource_manager: None, entra: &[] },
    Cloud {
        name: "AzureBleuCloud",
        vaults: None,
        blobs: None,
        resource_manager: None,
        entra: &["login.sovcloud-identity.fr"],
    },
];

const PUBLIC: &str = "AzurePublicCloud";

/// The names alone.
pub static NAMES: [&str; 6] = {
    let mut names = [""; 6];
    let mut at = 0;
    while at < names.len() {
        names[at] = CLOUDS[at].name;
        at += 1;
    }
    names
};

impl Cloud {
    /// The cloud of this name; without a name, the public one.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        let name = if name.is_empty() { PUBLIC } else { name };
        CLOUDS.iter().find(|cloud| cloud.name == name)
    }

    /// The cloud whose Entra answers at this host.
    #[must_use]
    pub fn of_entra(host: &str) -> Option<&'static str> {
        let host = host.to_ascii_lowercase();
        let host = host.split(':').next().unwrap_or_default();
        let belongs = |known: &str| {
            host.strip_suffix(known).is_some_and(|front| front.is_empty() || front.ends_with('.'))
                // Regional: westeurope.login.microsoft.com, or westus2.logincredential.microsoft.com.
                || known.strip_prefix("login.").is_some_and(|domain| host == format!("logincredential.{domain}"))
        };
        CLOUDS.iter().find(|cloud| cloud.entra.iter().any(|known| belongs(known))).map(|cloud| cloud.name)
    }

    /// Where Entra is asked, as a URL.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        Some(format!("https://{}", self.entra.first()?))
    }
}
