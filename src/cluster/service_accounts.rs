//! The ServiceAccounts of the cluster: that they are there, and the annotations of those that have any that matter.
//!
//! Apart from the store of control planes: there are tens of thousands of them, nearly all without such an annotation, and they
//! are looked up while a pod waits.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use kube::Client;

use super::{access::SERVICE_ACCOUNTS, daemon::Shared, watch};
use crate::{
    admission::identities::WorkloadIdentities,
    workload_identity::{Lookup, ServiceAccount, Settings},
};

/// By namespace and name. Without annotations an account takes its name and a pointer.
type Accounts = HashMap<Box<str>, HashMap<Box<str>, Option<Box<ServiceAccount>>>>;

/// One store, however many have it.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceAccounts(Arc<RwLock<Accounts>>);

impl ServiceAccounts {
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<ServiceAccount> {
        let accounts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(namespace)?.get(name)?;
        Some(account.as_deref().cloned().unwrap_or_default())
    }

    pub(super) fn put(&self, namespace: &str, name: &str, account: ServiceAccount) {
        let account = (account != ServiceAccount::default()).then(|| Box::new(account));
        let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(namespace.into()).or_default().insert(name.into(), account);
    }

    pub(super) fn remove(&self, namespace: &str, name: &str) {
        let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(of_namespace) = accounts.get_mut(namespace) else { return };
        of_namespace.remove(name);
        if of_namespace.is_empty() {
            accounts.remove(namespace);
        }
    }
}

impl WorkloadIdentities for Shared {
    fn settings(&self) -> Option<Arc<Settings>> {
        self.applied().borrow().settings.workload_identity.clone()
    }

    fn service_account(&self, namespace: &str, name: &str) -> Lookup {
        match self.accounts.get(namespace, name) {
            Some(account) => Lookup::Found(account),
            None if self.is_listed(&SERVICE_ACCOUNTS) => Lookup::Missing,
            None => Lookup::Failed("hcp-identity has not read the ServiceAccounts yet; try again".to_owned()),
        }
    }
}

/// From when pods are first to be given their identity.
pub(super) async fn watch(shared: Arc<Shared>, client: Client) {
    let mut settings = shared.applied();
    if settings.wait_for(|applied| applied.settings.workload_identity.is_some()).await.is_ok() {
        watch::watch::<watch::ServiceAccounts>(shared, client).await;
    } else {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_until_it_is_removed() {
        let accounts = ServiceAccounts::default();
        let annotated = ServiceAccount::new([("azure.workload.identity/client-id", "client")]);
        accounts.put("shop", "bare", ServiceAccount::default());
        accounts.put("shop", "web", annotated.clone());
        assert_eq!(accounts.get("shop", "bare"), Some(ServiceAccount::default()));
        assert_eq!(accounts.get("shop", "web"), Some(annotated));
        assert_eq!((accounts.get("shop", "other"), accounts.get("other", "web")), (None, None));
        accounts.put("shop", "web", ServiceAccount::default());
        assert_eq!(accounts.get("shop", "web"), Some(ServiceAccount::default()));
        for name in ["bare", "web", "web"] {
            accounts.remove("shop", name);
            assert_eq!(accounts.get("shop", name), None);
        }
        assert!(accounts.0.read().unwrap().is_empty(), "no namespace is left");
    }
}
