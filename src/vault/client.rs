//! One vault: what it lists, and the value of a secret.

use std::{sync::Arc, time::Duration};

use azure_core::{credentials::TokenCredential, http::ClientOptions, time::OffsetDateTime};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions, models::SecretAttributes};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use tokio::time::timeout;

use super::refusal::{Kind, Refusal};
use crate::{
    credential::{Secret, VaultDates},
    names::SecretName,
};

/// A vault that can be asked.
pub struct Vault {
    name: String,
    url: String,
    secrets: SecretClient,
}

/// What a vault says of a secret's current version without giving its value away. A new version has other attributes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Listed {
    pub enabled: bool,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    pub dates: VaultDates,
}

/// The value of a secret's current version.
#[derive(Debug)]
pub struct Fetched {
    pub version: Option<Box<str>>,
    pub listed: Listed,
    pub value: Secret,
}

/// However often and however long the client tries: a page or a value comes within this time.
const PATIENCE: Duration = Duration::from_secs(45);

impl Vault {
    pub(super) fn new(
        name: &str,
        url: String,
        credential: Arc<dyn TokenCredential>,
        client_options: ClientOptions,
    ) -> azure_core::Result<Self> {
        let options = SecretClientOptions { client_options, ..Default::default() };
        Ok(Self { name: name.to_owned(), secrets: SecretClient::new(&url, credential, Some(options))?, url })
    }

    /// Hands each secret of the vault to `see`, its name in lower case: names differ by more than their case.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] if the caller may not list.
    pub async fn list(&self, mut see: impl FnMut(String, Listed)) -> Result<(), Refusal> {
        let subject = format!("cannot list the secrets of vault {}", self.name);
        let url = format!("{}/secrets", self.url);
        let refused = |error| Refusal::of(&subject, &url, &error);
        let mut pages = self.secrets.list_secret_properties(None).map_err(refused)?.into_pages();
        while let Some(page) = patient(&subject, pages.try_next()).await?.map_err(refused)? {
            for secret in page.into_model().map_err(refused)?.value {
                if let Some(name) = secret.id.as_deref().and_then(name_of) {
                    see(name, secret.attributes.as_ref().map(Listed::from).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// The current version of a secret.
    ///
    /// # Errors
    /// [`Kind::Missing`], [`Kind::Disabled`], [`Kind::Forbidden`] and the others.
    pub async fn get(&self, secret: &str) -> Result<Fetched, Refusal> {
        let subject = format!("cannot read secret {secret} of vault {}", self.name);
        if SecretName::new(secret).is_err() {
            return Err(Refusal::new(Kind::Missing, &subject, &format!("a name must be {}", SecretName::RULE)));
        }
        let url = format!("{}/secrets/{secret}", self.url);
        let refused = |error| Refusal::of(&subject, &url, &error);
        let answer = patient(&subject, self.secrets.get_secret(secret, None)).await?.map_err(refused)?;
        let model = answer.into_model().map_err(refused)?;
        Ok(Fetched {
            version: model.id.as_deref().and_then(version_of).map(Box::from),
            listed: model.attributes.as_ref().map(Listed::from).unwrap_or_default(),
            value: Secret::new(model.value.unwrap_or_default().into_bytes()),
        })
    }
}

async fn patient<T>(subject: &str, answer: impl Future<Output = T>) -> Result<T, Refusal> {
    let late =
        |_| Refusal::new(Kind::Unavailable, subject, "no answer in time; see whether the network lets it through");
    timeout(PATIENCE, answer).await.map_err(late)
}

impl From<&SecretAttributes> for Listed {
    fn from(attributes: &SecretAttributes) -> Self {
        Self {
            enabled: attributes.enabled.unwrap_or(true),
            created: timestamp(attributes.created),
            updated: timestamp(attributes.updated),
            dates: VaultDates { not_before: timestamp(attributes.not_before), expires: timestamp(attributes.expires) },
        }
    }
}

fn timestamp(time: Option<OffsetDateTime>) -> Option<Timestamp> {
    Timestamp::from_second(time?.unix_timestamp()).ok()
}

/// `https://VAULT/secrets/NAME`, and maybe `/VERSION`.
fn name_of(id: &str) -> Option<String> {
    let name = id.split_once("/secrets/")?.1.split('/').next()?;
    Some(name.to_ascii_lowercase())
}

fn version_of(id: &str) -> Option<&str> {
    id.split_once("/secrets/")?.1.split_once('/').map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_name_and_version() {
        let id = "https://kv.vault.azure.net/secrets/Creds/0123";
        assert_eq!(name_of(id).as_deref(), Some("creds"));
        assert_eq!(version_of(id), Some("0123"));
        assert_eq!(version_of("https://kv.vault.azure.net/secrets/Creds"), None);
        assert_eq!(name_of("https://kv.vault.azure.net/keys/k"), None);
    }
}
