//! The webhook of `hcp-identity run`: served on a thread of its own, so that no pass over a HostedCluster holds an answer up.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch as channel},
    time::sleep,
};

use crate::{
    cluster::{daemon::Shared, serve},
    settings::daemon::DaemonSettings,
    webhook::{self, Certificate, Entries},
};

/// Between the end of readiness and that of the server: by then no Service sends anybody here.
const FAREWELL: Duration = Duration::from_secs(5);
/// Until a port that is taken is tried for again.
const AGAIN: Duration = Duration::from_secs(5);

/// What the rest of the daemon holds of it.
pub(super) struct Webhook {
    shared: Arc<Shared>,
    certificate: Certificate,
    stopping: channel::Sender<bool>,
}

struct Server {
    stop: oneshot::Sender<()>,
    /// Ends with it.
    running: oneshot::Receiver<()>,
    thread: JoinHandle<Result<()>>,
}

impl Webhook {
    pub(super) fn new(shared: Arc<Shared>, certificate: Certificate) -> Self {
        Self { shared, certificate, stopping: channel::Sender::new(false) }
    }

    /// Why nobody should be sent here, if so.
    pub(super) fn unready(&self) -> Option<&'static str> {
        if !self.shared.applied().borrow().settings.answers_reviews() {
            None
        } else if *self.stopping.borrow() {
            Some("webhook: it is being stopped")
        } else if self.certificate.borrow().is_none() {
            Some("webhook: no certificate yet")
        } else {
            None
        }
    }

    /// Serves whenever the settings want it, until it is dropped or told to stop.
    pub(super) async fn serve(&self, mut first: Option<TcpListener>) {
        let mut applied = self.shared.applied();
        let mut stopping = self.stopping.subscribe();
        loop {
            tokio::select! {
                wanted = until(&mut applied, |applied| applied.settings.answers_reviews()) => if !wanted { return },
                _ = until(&mut stopping, |stopping| *stopping) => return,
            }
            let listener = match first.take() {
                Some(listener) => listener,
                None => match bind(&self.settings()).await {
                    Ok(listener) => listener,
                    Err(why) => {
                        tracing::error!(why, "the webhook is not served; it is tried again");
                        sleep(AGAIN).await;
                        continue;
                    }
                },
            };
            let mut server = match self.start(listener) {
                Ok(server) => server,
                Err(error) => {
                    tracing::error!(%error, "the webhook is not served; it is tried again");
                    sleep(AGAIN).await;
                    continue;
                }
            };
            tokio::select! {
                _ = &mut server.running => sleep(AGAIN).await,
                _ = until(&mut applied, |applied| !applied.settings.answers_reviews()) => {}
                _ = until(&mut stopping, |stopping| *stopping) => sleep(FAREWELL).await,
            }
            server.stop().await;
        }
    }

    fn settings(&self) -> DaemonSettings {
        self.shared.applied().borrow().settings.clone()
    }

    /// From now on nobody is to be sent here; who comes all the same is answered for a while.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    fn start(&self, listener: TcpListener) -> Result<Server> {
        let (shared, certificate) = (Arc::clone(&self.shared), self.certificate.clone());
        let listener = listener.into_std()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (runs, running) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("webhook".to_owned()).spawn(move || {
            let _runs = runs;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                let metrics = Arc::clone(&shared.metrics);
                let observe = move |outcome, took| metrics.admission(outcome, took);
                let stop = async { drop(stopped.await) };
                let entries =
                    Entries { control_planes: Some(Arc::<Shared>::clone(&shared)), workload_identities: Some(shared) };
                Ok(webhook::serve(listener, entries, certificate, observe, stop).await?)
            })
        });
        Ok(Server { stop, running, thread: thread.context("the webhook cannot be started")? })
    }
}

impl Server {
    async fn stop(self) {
        drop(self.stop);
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await;
        if let Ok(Ok(Err(error))) = ended {
            tracing::error!(%error, "the webhook has ended");
        }
    }
}

/// False if it never will be.
async fn until<T>(receiver: &mut channel::Receiver<T>, is_so: impl FnMut(&T) -> bool) -> bool {
    receiver.wait_for(is_so).await.is_ok()
}

pub(super) async fn bind(settings: &DaemonSettings) -> Result<TcpListener, String> {
    serve::bind("the webhook", settings.listen.webhook).await
}
