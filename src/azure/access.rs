//! Whom this process is in Azure, through which proxy it gets there, and where the hosts of a private cloud are.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use azure_core::{
    Error,
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret as AzureSecret, TokenCredential},
    error::ErrorKind,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use super::transport::Bounded;
use crate::{
    assertion::Assertion,
    clouds::Cloud,
    credential::{Secret, SignIn},
};

/// What the environment says. Its proxies (`HTTPS_PROXY`, `NO_PROXY`) count as well.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// With a client secret, an application; with a token file, an identity that trusts the cluster.
    pub client_id: Option<String>,
    pub tenant_id: Option<String>,
    pub client_secret: Option<Secret>,
    /// Of an application, with its key: PEM, or PKCS#12 without a password.
    pub certificate: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    /// Which kind of credential is meant, where several could be: `AZURE_TOKEN_CREDENTIALS`.
    pub credential: Option<String>,
    /// Instead of the cloud's own, such as `https://login.example`.
    pub authority: Option<String>,
    /// Instead of the cloud's own, such as `vault.example`.
    pub vault_suffix: Option<String>,
    /// Instead of the cloud's own, such as `blob.example`.
    pub blob_suffix: Option<String>,
    /// Instead of the cloud's own, such as `https://management.example`.
    pub resource_manager: Option<String>,
    /// What tokens for it are asked for where that is not its URL: the first of `authentication.audiences` that a private cloud tells of itself.
    pub resource_manager_audience: Option<String>,
    /// Instead of the environment's.
    pub proxy: Option<String>,
    /// Certificates to trust beside the system's, PEM.
    pub authorities: Option<String>,
}

/// Who runs this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Caller {
    /// A pod: without a token file, a managed identity of its machine.
    #[cfg(feature = "vault")]
    Workload,
    /// Somebody at a terminal: without anything in the environment, whoever has signed in with `az` or `azd`.
    Person,
}

const NO_CERTIFICATE: &str = "it is no certificate with its RSA key, as PEM or as PKCS#12 without a password \
                              (openssl pkcs12 -in OLD.pfx -nodes -out NEW.pem takes one away)";
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

impl Access {
    /// From variables of the environment: those of Azure's SDKs, and ours for the hosts that SDKs have no variable for.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            client_id: variable("AZURE_CLIENT_ID"),
            tenant_id: variable("AZURE_TENANT_ID"),
            client_secret: variable("AZURE_CLIENT_SECRET").map(|secret| Secret::new(secret.into_bytes())),
            certificate: variable("AZURE_CLIENT_CERTIFICATE_PATH").map(PathBuf::from),
            token_file: variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            credential: variable("AZURE_TOKEN_CREDENTIALS"),
            authority: variable("AZURE_AUTHORITY_HOST").map(|host| host.trim_end_matches('/').to_owned()),
            vault_suffix: variable("HCP_IDENTITY_VAULT_SUFFIX"),
            blob_suffix: variable("HCP_IDENTITY_BLOB_SUFFIX"),
            resource_manager: variable("HCP_IDENTITY_RESOURCE_MANAGER"),
            resource_manager_audience: variable("HCP_IDENTITY_RESOURCE_MANAGER_AUDIENCE"),
            proxy: None,
            authorities: None,
        }
    }

    /// Where Entra answers for a cloud.
    pub(crate) fn authority_of(&self, cloud: &str) -> Option<String> {
        self.authority.clone().or_else(|| Cloud::of(cloud)?.authority())
    }

    /// Where Azure Resource Manager answers for a cloud, without a slash at its end.
    pub(crate) fn resource_manager_of(&self, cloud: &str) -> Option<&str> {
        let url = self.resource_manager.as_deref().or_else(|| Cloud::of(cloud)?.resource_manager)?;
        Some(url.trim_end_matches('/'))
    }

    /// What a token for Azure Resource Manager is asked for.
    pub(crate) fn resource_manager_scope_of(&self, cloud: &str) -> Option<String> {
        let audience = self.resource_manager_audience.as_deref().or_else(|| self.resource_manager_of(cloud))?;
        Some(format!("{audience}/.default"))
    }

    /// What hosts of blobs end with in a cloud.
    #[cfg(feature = "provision")]
    pub(crate) fn blob_suffix_of(&self, cloud: &str) -> Option<&str> {
        self.blob_suffix.as_deref().or_else(|| Cloud::of(cloud)?.blobs)
    }

    /// Whom this process is, as the environment says.
    pub(crate) fn signs_in(
        &self,
        caller: Caller,
        options: impl Fn(Option<&str>) -> ClientOptions,
        authority: Option<&str>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let Self { client_id, tenant_id, token_file, .. } = self.clone();
        let person = caller == Caller::Person;
        if let (true, Some(secret), Some(client_id), Some(tenant_id)) =
            (person, &self.client_secret, &client_id, &tenant_id)
        {
            let secret = AzureSecret::from(String::from_utf8_lossy(secret.expose()).into_owned());
            let options = ClientSecretCredentialOptions { client_options: options(authority) };
            return Ok(ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options))?);
        }
        if let (true, Some(path)) = (person, &self.certificate) {
            return self.signs_in_by_certificate(path, options, authority);
        }
        if token_file.is_some() {
            let credential_options = ClientAssertionCredentialOptions { client_options: options(authority) };
            let options = WorkloadIdentityCredentialOptions {
                credential_options,
                client_id,
                tenant_id,
                token_file_path: token_file,
            };
            return Ok(WorkloadIdentityCredential::new(Some(options))?);
        }
        if person && self.credential.as_deref() != Some("ManagedIdentityCredential") {
            return Ok(DeveloperToolsCredential::new(None)?);
        }
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(UserAssignedId::ClientId),
            client_options: options(authority),
        };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }

    fn signs_in_by_certificate(
        &self,
        path: &Path,
        options: impl Fn(Option<&str>) -> ClientOptions,
        authority: Option<&str>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let refused = |why: &str| {
            let text = format!("AZURE_CLIENT_CERTIFICATE_PATH={}: {why}", path.display());
            Error::with_message(ErrorKind::Credential, text)
        };
        let (Some(client), Some(tenant)) = (&self.client_id, &self.tenant_id) else {
            return Err(refused("set AZURE_CLIENT_ID and AZURE_TENANT_ID, too"));
        };
        #[expect(clippy::disallowed_methods, reason = "who this process is is read once")]
        let file = std::fs::read(path).map_err(|error| refused(&error.to_string()))?;
        let endpoint = authority.map(str::to_owned).or_else(|| Cloud::of("")?.authority()).unwrap_or_default();
        let sign_in = SignIn::of_certificate(client, tenant, &endpoint, &Secret::new(file));
        let sign_in = sign_in.ok_or_else(|| refused(NO_CERTIFICATE))?;
        let options = ClientAssertionCredentialOptions { client_options: options(Some(&endpoint)) };
        Ok(ClientAssertionCredential::new(tenant.clone(), client.clone(), Assertion(sign_in), Some(options))?)
    }

    pub(crate) fn http(&self) -> reqwest::Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .tls_version_min(reqwest::tls::Version::TLS_1_2);
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy)?);
        }
        if let Some(pem) = &self.authorities {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
        }
        builder.build()
    }
}

/// How a client of the SDK is set up.
pub(crate) fn options(http: &reqwest::Client, authority: Option<&str>, retry: RetryOptions) -> ClientOptions {
    let cloud = authority.map(|authority| {
        let mut custom = CustomConfiguration::default();
        authority.clone_into(&mut custom.authority_host);
        Arc::new(CloudConfiguration::Custom(custom))
    });
    let transport = Transport::new(Arc::new(Bounded(http.clone())));
    ClientOptions { transport: Some(transport), retry, cloud, ..Default::default() }
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
        assert!(!format!("{access:?}").contains("AZURE_CLIENT_SECRET/"));
        assert!(Access::of(|_| None).client_id.is_none());
    }

    #[test]
    fn a_token_is_for_the_audience_of_a_cloud_that_has_one() {
        let mut access = Access::default();
        assert_eq!(access.resource_manager_scope_of("AzureStackCloud"), None);
        assert_eq!(access.resource_manager_scope_of("").as_deref(), Some("https://management.azure.com/.default"));
        access.resource_manager = Some("https://management.example/".to_owned());
        let scope = access.resource_manager_scope_of("AzureStackCloud");
        assert_eq!(scope.as_deref(), Some("https://management.example/.default"));
        access.resource_manager_audience = Some("https://management.tenant.example/guid".to_owned());
        let scope = access.resource_manager_scope_of("AzureStackCloud");
        assert_eq!(scope.as_deref(), Some("https://management.tenant.example/guid/.default"));
    }
}
