//! The way to vaults: one client for each, over one client of HTTP.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions},
};

use super::{
    Vault, cloud,
    refusal::{Kind, Refusal},
};
use crate::{
    azure::{Access, Caller, options},
    finding::chain,
};

/// The way to Azure: connections and tokens, shared by all vaults.
pub struct Azure {
    pub(super) access: Access,
    pub(super) http: reqwest::Client,
    /// By authority.
    credentials: Mutex<BTreeMap<String, Arc<dyn TokenCredential>>>,
    /// By URL. Each has heard once where its tokens come from.
    vaults: Mutex<BTreeMap<String, Arc<Vault>>>,
}

impl Azure {
    /// # Errors
    /// If the proxy or the certificates are none.
    pub fn new(access: Access) -> Result<Self, Refusal> {
        let http =
            access.http().map_err(|error| Refusal::new(Kind::Unavailable, "cannot set up HTTPS", &chain(&error)))?;
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
        let authority = self.access.authority_of(cloud);
        let key = authority.as_deref().unwrap_or_default();
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = known.get(key) {
            return Ok(Arc::clone(credential));
        }
        let credential = self.access.signs_in(Caller::Workload, |at| self.options(at), authority.as_deref())?;
        known.insert(key.to_owned(), Arc::clone(&credential));
        Ok(credential)
    }

    /// Nothing is tried twice by itself: when a vault is asked again is decided in `pace`.
    fn options(&self, authority: Option<&str>) -> ClientOptions {
        options(&self.http, authority, RetryOptions::none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_of_an_unknown_cloud_is_refused_with_what_to_set() {
        let azure = Azure::new(Access::default()).unwrap();
        let refusal = azure.vault("kv-test", "AzureStackCloud").err().map(|refusal| refusal.message);
        assert!(refusal.as_ref().is_some_and(|text| text.contains("HCP_IDENTITY_VAULT_SUFFIX")), "{refusal:?}");
    }
}
