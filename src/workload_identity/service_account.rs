//! What is known of the ServiceAccount that a pod runs as.

use super::Denial;

/// The annotations of a ServiceAccount that decide something: all that has to be kept of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceAccount {
    pub client_id: Option<Box<str>>,
    /// Stands for that of the settings, even where it is empty.
    pub tenant_id: Option<Box<str>>,
    /// In seconds; as it was written.
    pub token_expiration: Option<Box<str>>,
}

/// What asking for a ServiceAccount came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lookup {
    Found(ServiceAccount),
    Missing,
    /// It could not be asked for, and why.
    Failed(String),
}

pub(super) const CLIENT_ID: &str = "azure.workload.identity/client-id";
pub(super) const TENANT_ID: &str = "azure.workload.identity/tenant-id";
pub(super) const TOKEN_EXPIRATION: &str = "azure.workload.identity/service-account-token-expiration";

impl ServiceAccount {
    #[must_use]
    pub fn new<'a>(annotations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut account = Self::default();
        for (key, value) in annotations {
            match key {
                CLIENT_ID => account.client_id = Some(value.into()),
                TENANT_ID => account.tenant_id = Some(value.into()),
                TOKEN_EXPIRATION => account.token_expiration = Some(value.into()),
                _ => {}
            }
        }
        account
    }
}

impl Lookup {
    pub(super) fn of(&self, name: &str) -> Result<&ServiceAccount, Denial> {
        match self {
            Self::Found(account) => Ok(account),
            Self::Missing => Err(Denial::bad_request(format!("serviceaccounts {name:?} not found"))),
            Self::Failed(message) => Err(Denial::bad_request(message.clone())),
        }
    }
}
