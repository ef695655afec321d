//! The server that kube-apiserver asks about pods: [`crate::admission`] and [`crate::workload_identity`] over HTTPS.
//!
//! Nothing is decided here but who is listened to for how long. The API server waits 2 s, and then creates the pod without
//! its wiring: whoever takes longer than that to ask gets no answer, and holds up nobody else. For a workload identity it
//! waits 10 s, and then creates no pod.

mod connections;
mod identities;
mod router;
mod tls;

use std::{sync::Arc, time::Duration};

use axum::Router;
use rustls::sign::CertifiedKey;
use tokio::{net::TcpListener, sync::watch};

pub use self::router::{IDENTITIES_PATH, LARGEST_BODY, PATH, router};
use self::{connections::Connections, tls::acceptor};
use crate::admission::{ControlPlanes, Outcome, identities::WorkloadIdentities};

/// What TLS is served with: none, as long as there is none to serve with.
pub type Certificate = watch::Receiver<Option<Arc<CertifiedKey>>>;

/// What is asked about: each has a path of its own, and what is absent has none.
#[derive(Clone, Default)]
pub struct Entries {
    /// At [`PATH`].
    pub control_planes: Option<Arc<dyn ControlPlanes>>,
    /// At [`IDENTITIES_PATH`].
    pub workload_identities: Option<Arc<dyn WorkloadIdentities>>,
}

impl<C: ControlPlanes> From<Arc<C>> for Entries {
    fn from(control_planes: Arc<C>) -> Self {
        Self { control_planes: Some(control_planes), ..Self::default() }
    }
}

impl From<Arc<dyn ControlPlanes>> for Entries {
    fn from(control_planes: Arc<dyn ControlPlanes>) -> Self {
        Self { control_planes: Some(control_planes), ..Self::default() }
    }
}

/// How long clients are listened to, and how many of them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a handshake to end.
    pub handshake: Duration,
    /// For the head of a connection's first request.
    pub head: Duration,
    /// For a body, from its head on.
    pub body: Duration,
    /// Without a request, once there was one.
    pub idle: Duration,
    /// Of the connections at once. Others wait to be accepted.
    pub connections: usize,
    /// For the requests under way when it is time to stop.
    pub drain: Duration,
}

impl Default for Limits {
    /// Go's clients, and so the API server, let go of a connection after 90 s without a request. The server has to be the more
    /// patient of the two: of a request that crosses its farewell nobody knows whether it was answered, and it is not repeated.
    fn default() -> Self {
        let patience = Duration::from_secs(5);
        let idle = Duration::from_secs(120);
        Self { handshake: patience, head: patience, body: patience, idle, connections: 1024, drain: 2 * patience }
    }
}

/// Answers reviews of pods until it is told to stop.
///
/// # Guarantees
/// - A certificate that is replaced is served from the next handshake on; connections that there are stay.
/// - `observe` hears of every review, and how long it took, its body included.
/// - When it ends, its tasks have ended: a request that was under way is answered, unless that takes too long.
///
/// # Errors
/// If TLS cannot be had.
pub async fn serve(
    listener: TcpListener,
    entries: impl Into<Entries>,
    certificate: Certificate,
    observe: impl Fn(Outcome, Duration) + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), rustls::Error> {
    let limits = Limits::default();
    serve_router(listener, router(entries, observe, limits), certificate, limits, stop).await
}

/// The same for a router of more entries, or other limits.
///
/// # Errors
/// If TLS cannot be had.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    certificate: Certificate,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Result<(), rustls::Error> {
    Connections::new(acceptor(certificate)?, router, limits).accept(listener, stop).await;
    Ok(())
}
