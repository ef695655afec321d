//! Who is listened to, and for how long.

use axum::{BoxError, Router};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Duration, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::Limits;

/// After an accept that failed, such as for too many open files: others may be closed in the meantime.
const PAUSE: Duration = Duration::from_millis(10);

/// Of a connection, and so what a head may have.
const BUFFER: usize = 64 << 10;

#[derive(Clone)]
pub(super) struct Connections {
    acceptor: TlsAcceptor,
    router: Router,
    limits: Limits,
}

impl Connections {
    pub(super) fn new(acceptor: TlsAcceptor, router: Router, limits: Limits) -> Self {
        Self { acceptor, router, limits }
    }

    pub(super) async fn accept(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (stopping, is_stopping) = watch::channel(false);
        let mut conversations = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = conversations.join_next() => report(ended),
                accepted = listener.accept(), if conversations.len() < self.limits.connections => match accepted {
                    Ok((stream, _)) => {
                        conversations.spawn(self.clone().converse(stream, is_stopping.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the webhook cannot accept a connection");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let ended = async { while conversations.join_next().await.map(report).is_some() {} };
        if timeout(self.limits.drain, ended).await.is_err() {
            conversations.shutdown().await;
        }
    }

    async fn converse(self, stream: TcpStream, stopping: watch::Receiver<bool>) {
        if let Err(error) = self.try_to_converse(stream, stopping).await {
            tracing::debug!(%error, "a connection to the webhook has broken off");
        }
    }

    async fn try_to_converse(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) -> Result<(), BoxError> {
        stream.set_nodelay(true)?;
        let stream = tokio::select! {
            greeted = timeout(self.limits.handshake, self.acceptor.accept(stream)) => greeted??,
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
        };
        let (asked, asking) = watch::channel(0_usize);
        let service = service_fn(|request: Request<Incoming>| {
            let under_way = UnderWay::new(&asked);
            let answer = self.router.clone().oneshot(request);
            async move {
                let answer = answer.await;
                drop(under_way);
                answer
            }
        });
        let connection = http1::Builder::new().max_buf_size(BUFFER).serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = &mut connection => return Ok(ended?),
            () = silence(asking, self.limits) => return Ok(()),
            _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

/// Ends when nothing has been asked for too long.
async fn silence(mut asking: watch::Receiver<usize>, limits: Limits) {
    let mut patience = limits.head;
    loop {
        let is_quiet = *asking.borrow_and_update() == 0;
        match timeout(patience, asking.changed()).await {
            Ok(Ok(())) => patience = limits.idle,
            Err(_) if !is_quiet => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// A request, until it is answered or given up.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn new(asked: &watch::Sender<usize>) -> Self {
        asked.send_modify(|requests| *requests += 1);
        Self(asked.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection to the webhook has ended as none may");
    }
}
