//! Which credentials the HostedClusters want to be known, for whoever asks the vaults.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch as channel};

use super::store::ClusterKey;
use crate::verification::{Known, Wanted};

/// What changes together is published together.
const TOGETHER: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(super) struct Wants {
    by_cluster: Mutex<BTreeMap<ClusterKey, Vec<Wanted>>>,
    changed: Notify,
    pub(super) published: channel::Sender<Arc<BTreeSet<Wanted>>>,
    pub(super) rechecks: channel::Sender<u64>,
}

impl Wants {
    pub(super) fn set(&self, key: &ClusterKey, wanted: Vec<Wanted>) {
        let mut all = self.lock();
        let before = all.get(key).map(Vec::as_slice).unwrap_or_default();
        if before == wanted {
            return;
        }
        if wanted.is_empty() {
            all.remove(key);
        } else {
            all.insert(key.clone(), wanted);
        }
        drop(all);
        self.changed.notify_one();
    }

    /// A replica that does not lead asks no vault.
    pub(super) fn clear(&self) {
        self.lock().clear();
        self.changed.notify_one();
    }

    /// Waits for a change, and publishes what is wanted then.
    pub(super) async fn publish(&self) {
        self.changed.notified().await;
        tokio::time::sleep(TOGETHER).await;
        let all: BTreeSet<Wanted> = self.lock().values().flatten().cloned().collect();
        self.published.send_if_modified(|before| {
            let changed = **before != all;
            if changed {
                *before = Arc::new(all);
            }
            changed
        });
    }

    /// The HostedClusters for which there is news.
    pub(super) fn concerned(&self, before: &Known, now: &Known) -> Vec<ClusterKey> {
        let is_news = |wanted: &Wanted| {
            before.credentials.get(wanted) != now.credentials.get(wanted)
                || before.vaults.get(&wanted.vault) != now.vaults.get(&wanted.vault)
        };
        let all = self.lock();
        all.iter().filter(|(_, wanted)| wanted.iter().any(is_news)).map(|(key, _)| key.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, Vec<Wanted>>> {
        self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::{Trouble, Verification, WantedSecret};

    fn wanted(vault: &str, secret: &str) -> Wanted {
        Wanted::from(WantedSecret {
            vault: vault.into(),
            secret: secret.into(),
            encoding: hcp_identity_api::hosted_cluster::ObjectEncoding::Utf8,
            cloud: "AzurePublicCloud".into(),
            tenant_id: None,
            client_id: None,
        })
    }

    fn two() -> (Wants, ClusterKey, ClusterKey) {
        let (wants, a, b) = (Wants::default(), ClusterKey::new("clusters", "a"), ClusterKey::new("clusters", "b"));
        wants.set(&a, vec![wanted("one", "x"), wanted("one", "shared")]);
        wants.set(&b, vec![wanted("two", "y"), wanted("one", "shared")]);
        (wants, a, b)
    }

    #[tokio::test(start_paused = true)]
    async fn what_several_want_is_asked_for_once_until_nobody_wants_it() {
        let (wants, a, b) = two();
        wants.publish().await;
        assert_eq!(wants.published.borrow().len(), 3);
        wants.set(&a, Vec::new());
        wants.publish().await;
        assert_eq!(wants.published.borrow().len(), 2);
        wants.set(&b, vec![wanted("two", "y"), wanted("one", "shared")]);
        let nothing = tokio::time::timeout(Duration::from_secs(5), wants.publish()).await;
        assert!(nothing.is_err(), "the same again is no change");
        wants.clear();
        wants.publish().await;
        assert!(wants.published.borrow().is_empty());
    }

    #[test]
    fn news_reaches_those_whom_it_is_about() {
        let (wants, a, b) = two();
        let before = Known::default();
        let known = |wanted: Wanted| {
            let verification = Verification { version: Some("1".into()), ..Verification::default() };
            Known { credentials: [(wanted, verification.into())].into(), ..Known::default() }
        };
        assert_eq!(wants.concerned(&before, &known(wanted("two", "y"))), std::slice::from_ref(&b));
        assert_eq!(wants.concerned(&before, &known(wanted("one", "shared"))), [a, b.clone()]);
        assert_eq!(wants.concerned(&before, &known(wanted("one", "z"))), []);
        let trouble = Trouble { message: "no answer".into(), since: jiff::Timestamp::UNIX_EPOCH };
        let trouble = Known { vaults: [("two".into(), trouble)].into(), ..Known::default() };
        assert_eq!(wants.concerned(&before, &trouble), [b]);
    }
}
