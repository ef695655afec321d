//! Which HostedCluster is looked at next: each at most once at a time, and as soon as it is due.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::store::ClusterKey;

#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    due: BTreeSet<(Instant, ClusterKey)>,
    when: HashMap<ClusterKey, Instant>,
    running: HashSet<ClusterKey>,
    /// Due again as soon as they are no longer running.
    again: HashMap<ClusterKey, Instant>,
}

impl Queue {
    /// Asks for a look after some time; of two requests the earlier one counts.
    pub(super) fn add(&self, key: ClusterKey, after: Duration) {
        let at = Instant::now() + after;
        let mut inner = self.lock();
        if inner.running.contains(&key) {
            let earliest = inner.again.entry(key).or_insert(at);
            *earliest = at.min(*earliest);
            return;
        }
        inner.schedule(key, at);
        drop(inner);
        self.changed.notify_one();
    }

    pub(super) fn add_all(&self, keys: impl IntoIterator<Item = ClusterKey>) {
        keys.into_iter().for_each(|key| self.add(key, Duration::ZERO));
    }

    /// Waits for the next one that is due. It is running until [`Self::done`].
    pub(super) async fn next(&self) -> ClusterKey {
        loop {
            let changed = self.changed.notified();
            let first = self.lock().due.first().map(|(at, _)| *at);
            match first {
                Some(at) if at <= Instant::now() => {
                    if let Some(key) = self.lock().take() {
                        return key;
                    }
                }
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    pub(super) fn done(&self, key: &ClusterKey) {
        let mut inner = self.lock();
        inner.running.remove(key);
        if let Some(at) = inner.again.remove(key) {
            inner.schedule(key.clone(), at);
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// How many are due now and have not been begun.
    pub(super) fn len(&self) -> usize {
        let inner = self.lock();
        let now = Instant::now();
        inner.due.iter().take_while(|(at, _)| *at <= now).count() + inner.again.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn schedule(&mut self, key: ClusterKey, at: Instant) {
        if let Some(before) = self.when.get(&key).copied() {
            if before <= at {
                return;
            }
            self.due.remove(&(before, key.clone()));
        }
        self.when.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    fn take(&mut self) -> Option<ClusterKey> {
        let (_, key) = self.due.pop_first()?;
        self.when.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ClusterKey {
        ClusterKey::new("clusters", name)
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_request_counts_and_each_comes_once() {
        let queue = Queue::default();
        queue.add(key("a"), Duration::from_secs(9));
        queue.add(key("b"), Duration::from_secs(2));
        queue.add(key("a"), Duration::from_secs(1));
        queue.add(key("a"), Duration::from_secs(5));
        let start = Instant::now();
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(queue.next().await, key("b"));
        assert_eq!(start.elapsed().as_secs(), 2);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_running_waits_for_its_end() {
        let queue = Queue::default();
        queue.add(key("a"), Duration::ZERO);
        let running = queue.next().await;
        queue.add(key("a"), Duration::ZERO);
        let next = tokio::time::timeout(Duration::from_secs(60), queue.next()).await;
        assert!(next.is_err(), "it runs twice at once");
        queue.done(&running);
        assert_eq!(queue.next().await, key("a"));
    }
}
