//! How this process gets to Azure: whom it is there, through which proxy, and where the hosts of a private cloud are.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    ClientAssertionCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use super::{
    Vault, cloud,
    refusal::{Kind, Refusal},
};
use crate::{clouds::Cloud, finding::chain};

/// What the environment says. Its proxies (`HTTPS_PROXY`, `NO_PROXY`) count as well.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Access {
    /// With a token file, an identity that trusts the cluster; else a managed identity of the machine.
    pub client_id: Option<String>,
    pub tenant_id: Option<String>,
    pub token_file: Option<PathBuf>,
    /// Instead of the cloud's own, such as `https://login.example`.
    pub authority: Option<String>,
    /// Instead of the cloud's own, such as `vault.example`.
    pub vault_suffix: Option<String>,
    /// Instead of the cloud's own: what a credential that is tried asks a token for.
    pub resource_manager: Option<String>,
    /// Instead of the environment's.
    pub proxy: Option<String>,
    /// Certificates to trust beside the system's, PEM.
    pub authorities: Option<String>,
}

impl Access {
    /// From variables of the environment: those of Azure's SDKs, and ours for the hosts that SDKs have no variable for.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            client_id: variable("AZURE_CLIENT_ID"),
            tenant_id: variable("AZURE_TENANT_ID"),
            token_file: variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            authority: variable("AZURE_AUTHORITY_HOST").map(|host| host.trim_end_matches('/').to_owned()),
            vault_suffix: variable("HCP_IDENTITY_VAULT_SUFFIX"),
            resource_manager: variable("HCP_IDENTITY_RESOURCE_MANAGER"),
            proxy: None,
            authorities: None,
        }
    }
}

/// The way to Azure: connections and tokens, shared by all vaults.
pub struct Azure {
    pub(super) access: Access,
    pub(super) http: reqwest::Client,
    /// By authority.
    credentials: Mutex<BTreeMap<String, Arc<dyn TokenCredential>>>,
    /// By URL. Each has heard once where its tokens come from.
    vaults: Mutex<BTreeMap<String, Arc<Vault>>>,
}

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

impl Azure {
    /// # Errors
    /// If the proxy or the certificates are none.
    pub fn new(access: Access) -> Result<Self, Refusal> {
        let http =
            http(&access).map_err(|error| Refusal::new(Kind::Unavailable, "cannot set up HTTPS", &chain(&error)))?;
        Ok(Self { access, http, credentials: Mutex::default(), vaults: Mutex::default() })
    }

    /// # Errors
    /// If the name can be no vault's, the cloud is unknown, or this process has no identity.
    pub fn vault(&self, name: &str, cloud: &str) -> Result<Arc<Vault>, Refusal> {
        let of_cloud = if cloud.is_empty() { String::new() } else { format!(" of {cloud}") };
        let subject = format!("cannot reach vault {name}{of_cloud}");
        let url = cloud::vault_url(name, cloud, self.access.vault_suffix.as_deref())
            .map_err(|why| Refusal::new(Kind::Unavailable, &subject, &why.to_string()))?;
        let mut known = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vault) = known.get(&url) {
            return Ok(Arc::clone(vault));
        }
        let credential = self.credential(cloud);
        let credential = credential.map_err(|error| Refusal::of("cannot sign in to read vaults", &url, &error))?;
        let vault = Vault::new(name, url.clone(), credential, self.options(None));
        let vault = Arc::new(vault.map_err(|error| Refusal::of(&subject, &url, &error))?);
        known.insert(url, Arc::clone(&vault));
        Ok(vault)
    }

    /// Whom this process is in a cloud.
    fn credential(&self, cloud: &str) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let authority = self.access.authority.clone().or_else(|| Cloud::of(cloud)?.authority());
        let key = authority.as_deref().unwrap_or_default();
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = known.get(key) {
            return Ok(Arc::clone(credential));
        }
        let credential = self.new_credential(authority.as_deref())?;
        known.insert(key.to_owned(), Arc::clone(&credential));
        Ok(credential)
    }

    fn new_credential(&self, authority: Option<&str>) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let Access { client_id, tenant_id, token_file, .. } = self.access.clone();
        if token_file.is_some() {
            let credential_options = ClientAssertionCredentialOptions { client_options: self.options(authority) };
            let options = WorkloadIdentityCredentialOptions {
                credential_options,
                client_id,
                tenant_id,
                token_file_path: token_file,
            };
            return Ok(WorkloadIdentityCredential::new(Some(options))?);
        }
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(UserAssignedId::ClientId),
            client_options: self.options(authority),
        };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }

    /// Nothing is tried twice by itself: when a vault is asked again is decided in `pace`.
    fn options(&self, authority: Option<&str>) -> ClientOptions {
        let cloud = authority.map(|authority| {
            let mut custom = CustomConfiguration::default();
            authority.clone_into(&mut custom.authority_host);
            Arc::new(CloudConfiguration::Custom(custom))
        });
        ClientOptions {
            transport: Some(Transport::new(Arc::new(self.http.clone()))),
            retry: RetryOptions::none(),
            cloud,
            ..Default::default()
        }
    }
}

fn http(access: &Access) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .redirect(reqwest::redirect::Policy::none())
        .tls_version_min(reqwest::tls::Version::TLS_1_2);
    if let Some(proxy) = &access.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy)?);
    }
    if let Some(pem) = &access.authorities {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_the_sdks_says_who_this_process_is() {
        let access = Access::of(|name| Some(format!("{name}/")));
        assert_eq!(access.client_id.as_deref(), Some("AZURE_CLIENT_ID/"));
        assert_eq!(access.tenant_id.as_deref(), Some("AZURE_TENANT_ID/"));
        assert_eq!(access.token_file, Some(PathBuf::from("AZURE_FEDERATED_TOKEN_FILE/")));
        assert_eq!(access.authority.as_deref(), Some("AZURE_AUTHORITY_HOST"));
        assert_eq!(Access::of(|_| None), Access::default());
    }

    #[test]
    fn a_vault_of_an_unknown_cloud_is_refused_with_what_to_set() {
        let azure = Azure::new(Access::default()).unwrap();
        let refusal = azure.vault("kv-test", "AzureStackCloud").err().map(|refusal| refusal.message);
        assert!(refusal.as_ref().is_some_and(|text| text.contains("HCP_IDENTITY_VAULT_SUFFIX")), "{refusal:?}");
    }
}
