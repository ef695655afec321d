//! A file of which somebody else makes another: its folder is watched, and it is looked at now and then all the same.
//!
//! A volume of the kubelet or of the CSI driver changes by a swap of the link `..data`, which a watch on the file itself sees at most once.

use std::{path::Path, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Long enough for a writer that is no swap to be done.
const SETTLE: Duration = Duration::from_millis(20);

/// Tells when to look, as long as it is there.
pub(crate) struct Watched {
    backstop: Duration,
    changes: mpsc::Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watched {
    /// Made before the file is read first, it misses no change.
    pub(crate) fn new(path: &Path, backstop: Duration) -> Self {
        let (changed, changes) = mpsc::channel(1);
        let watcher = watch_folder(path, changed)
            .inspect_err(|error| {
                tracing::warn!(%error, path = %path.display(), "the folder cannot be watched; the file is only looked at now and then");
            })
            .ok();
        Self { backstop, changes, _watcher: watcher }
    }

    /// Waits for a sign that the file has changed, or until it is time to look without one.
    pub(crate) async fn sign(&mut self) {
        // A watcher that is gone leaves the backstop.
        match tokio::time::timeout(self.backstop, self.changes.recv()).await {
            Ok(Some(())) => tokio::time::sleep(SETTLE).await,
            Ok(None) => tokio::time::sleep(self.backstop).await,
            Err(_) => {}
        }
    }
}

fn watch_folder(path: &Path, changed: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is told as well, and would make us read again, for ever.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // Full is as good: the change that is waiting to be looked at is this one as well.
            changed.try_send(()).unwrap_or_default();
        }
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "these tests are about files")]

    use std::fs;

    use super::*;

    #[tokio::test]
    async fn reading_the_file_is_no_change_of_it() {
        let folder = std::env::temp_dir().join(format!("hcp-identity-read-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("settings.yaml");
        fs::write(&path, "mode: enforce").unwrap();
        let (sender, mut changes) = mpsc::channel(1);
        let _watcher = watch_folder(&path, sender).unwrap();
        fs::read_to_string(&path).unwrap();
        let woken = tokio::time::timeout(Duration::from_millis(300), changes.recv()).await;
        assert!(woken.is_err(), "reading wakes the reader");
        fs::write(&path, "mode: observe").unwrap();
        tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.expect("the change is seen");
        fs::remove_dir_all(&folder).unwrap();
    }
}
