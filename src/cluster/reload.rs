//! Files that change while the daemon runs: settings, which are read anew, and the API server's CA.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch as channel;

use super::{daemon::Applied, metrics::Metrics};
use crate::{settings::daemon::DaemonSettings, watched::Watched};

/// How often the file is read without a sign that it has changed.
const BACKSTOP: Duration = Duration::from_secs(60);

/// Reads the settings as they are now. An error is all that is wrong with them.
pub type Load = Box<dyn Fn(&str) -> Result<DaemonSettings, String> + Send>;

/// What becomes of a file that has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reloaded {
    Taken,
    Kept { why: String },
}

/// Follows a settings file. A valid new one is taken into use; an invalid one changes nothing, and is told.
pub async fn follow(
    path: PathBuf,
    load: Load,
    applied: channel::Sender<Arc<Applied>>,
    metrics: Arc<Metrics>,
    mut tell: impl FnMut(&Reloaded, &DaemonSettings),
    backstop: Option<Duration>,
) {
    let mut file = Text::new(path, backstop.unwrap_or(BACKSTOP));
    loop {
        let now = file.changed().await;
        let now = now.map_err(|error| format!("cannot read the settings file {}: {error}", file.path.display()));
        let reloaded = match now.and_then(|text| load(&text)) {
            Ok(settings) => {
                let epoch = applied.borrow().epoch + 1;
                applied.send_replace(Arc::new(Applied { settings, epoch }));
                Reloaded::Taken
            }
            Err(why) => Reloaded::Kept { why },
        };
        metrics.settings_loaded(reloaded == Reloaded::Taken);
        let settings = Arc::clone(&applied.borrow());
        tell(&reloaded, &settings.settings);
    }
}

/// Waits until a file is another one. That nobody can read it is none.
pub async fn until_other(path: PathBuf) {
    let mut file = Text::new(path, BACKSTOP);
    let first = file.last.clone();
    while !file.changed().await.is_ok_and(|now| Some(&now) != first.as_ref()) {}
}

/// A file, and what was in it last.
struct Text {
    path: PathBuf,
    watched: Watched,
    last: Option<String>,
}

impl Text {
    fn new(path: PathBuf, backstop: Duration) -> Self {
        let watched = Watched::new(&path, backstop);
        let last = read(&path).ok();
        Self { path, watched, last }
    }

    /// What is in it, when that is something else than before, or why it cannot be read.
    async fn changed(&mut self) -> std::io::Result<String> {
        loop {
            self.watched.sign().await;
            match read(&self.path) {
                Ok(now) if self.last.as_ref() == Some(&now) => {}
                now => {
                    self.last = now.as_ref().ok().cloned();
                    return now;
                }
            }
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    #[expect(clippy::disallowed_methods, reason = "the file is read anew when it changes")]
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "these tests are about files")]

    use std::{fs, os::unix::fs::symlink};

    use tokio::sync::mpsc;

    use super::*;
    use crate::cluster::metrics::Gathered;
    use crate::settings::{SettingsFile, daemon::Mode};

    fn load(text: &str) -> Result<DaemonSettings, String> {
        let file = SettingsFile::parse(text)?;
        DaemonSettings::new(file).map_err(|errors| format!("{errors:?}"))
    }

    /// As the kubelet does: a new folder, a new link, and a rename over the old link.
    fn swap(folder: &Path, generation: &str, text: &str) {
        let data = folder.join(generation);
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("settings.yaml"), text).unwrap();
        let link = folder.join("..data_tmp");
        symlink(generation, &link).unwrap();
        fs::rename(&link, folder.join("..data")).unwrap();
    }

    /// With the backstop an hour away, only the watch can have seen it.
    #[tokio::test]
    async fn a_swapped_config_map_is_seen_at_once_and_a_bad_one_is_told_and_not_taken() {
        let folder = std::env::temp_dir().join(format!("hcp-identity-reload-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        swap(&folder, "..1", "mode: enforce");
        let path = folder.join("settings.yaml");
        symlink("..data/settings.yaml", &path).unwrap();
        let (sender, mut settings) =
            channel::channel(Arc::new(Applied { settings: load("mode: enforce").unwrap(), epoch: 0 }));
        let (told, mut tellings) = mpsc::unbounded_channel();
        let metrics = Arc::new(Metrics::default());
        let tell = move |reloaded: &Reloaded, _: &DaemonSettings| told.send(reloaded.clone()).unwrap();
        let hour = Some(Duration::from_secs(3600));
        let following = tokio::spawn(follow(path, Box::new(load), sender, Arc::clone(&metrics), tell, hour));
        let limit = Duration::from_secs(20);
        tokio::time::sleep(Duration::from_millis(100)).await;

        swap(&folder, "..2", "mode: observe");
        tokio::time::timeout(limit, settings.changed()).await.expect("the swap is seen").unwrap();
        assert_eq!(settings.borrow_and_update().settings.mode, Mode::Observe);
        assert_eq!(tellings.recv().await, Some(Reloaded::Taken));

        swap(&folder, "..3", "mode: maybe");
        let told = tokio::time::timeout(limit, tellings.recv()).await.expect("the swap is seen").unwrap();
        assert!(matches!(&told, Reloaded::Kept { why } if why.contains("maybe")), "{told:?}");
        assert_eq!(settings.borrow().settings.mode, Mode::Observe);
        let text = metrics.render(&Gathered::default()).unwrap();
        assert!(text.contains("\nhcp_identity_settings_valid 0\n"), "{text}");
        following.abort();
        fs::remove_dir_all(&folder).unwrap();
    }
}
