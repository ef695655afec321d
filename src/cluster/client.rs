//! The one way to the API server.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::{
    Api, Client, Config, Resource,
    client::{Body, ClientBuilder},
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{BoxError, Layer, Service};

use super::{access::Access, metrics::Metrics};

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    pub impersonate: Option<String>,
}

/// Who asks again where the API server is busy (429, 503 or 504).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retries {
    /// The client, after as long as the API server says: what asks once, and then ends.
    OfTheClient,
    /// Whoever asks: to an eviction, 429 is what a disruption budget says.
    OfTheCaller,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(String),
    #[error("found neither a kubeconfig nor the service account of a pod; set KUBECONFIG or --kubeconfig")]
    Nowhere,
    #[error("cannot make a client for {server}: {why}")]
    Client { server: String, why: String },
}

/// When each watch was last answered by the API server, by the path of its resource.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<HashMap<Box<str>, Instant>>>);

impl Heard {
    fn note(&self, path: &str, now: Instant) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.get_mut(path) {
            Some(at) => *at = now,
            None => drop(heard.insert(path.into(), now)),
        }
    }

    pub(super) fn last(&self, path: &str) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied()
    }
}

/// How fast watches follow each other, by the path of the resource.
#[derive(Clone, Debug, Default)]
struct Pace(Arc<Mutex<HashMap<Box<str>, LastWatch>>>);

#[derive(Debug)]
struct LastWatch {
    begun: Instant,
    /// How many in a row have been short.
    short: u32,
}

/// A watch that was begun anew within this time was a short one.
const SHORT: Duration = Duration::from_secs(10);
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// The doublings of the pause: up to 16 seconds.
const DOUBLINGS: u32 = 6;

/// A server that is asked and says nothing is asked anew after this time: what answers lists and watches begins to at once.
const NO_ANSWER: Duration = Duration::from_secs(30);

impl Pace {
    /// How long to wait with the next watch. One that ends without an error is begun anew at once otherwise, for ever: in
    /// front of a server or proxy that ends each, that is a hot loop.
    fn pause(&self, path: &str, now: Instant) -> Duration {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = paces.get_mut(path) else {
            paces.insert(path.into(), LastWatch { begun: now, short: 0 });
            return Duration::ZERO;
        };
        let since = now.saturating_duration_since(last.begun);
        let short = since < SHORT + pause_after(last.short);
        last.short = if short { (last.short + 1).min(DOUBLINGS + 1) } else { 0 };
        let pause = pause_after(last.short).saturating_sub(since);
        last.begun = now + pause;
        pause
    }
}

fn pause_after(short: u32) -> Duration {
    short.checked_sub(1).map_or(Duration::ZERO, |doublings| SHORTEST_PAUSE * (1 << doublings.min(DOUBLINGS)))
}

/// Reads where the API server is and makes a client that is listened to.
///
/// # Errors
/// What is wrong with the kubeconfig or its certificates; nothing is sent yet.
pub async fn connect(
    target: &Target,
    retries: Retries,
    heard: &Heard,
    metrics: &Arc<Metrics>,
) -> Result<Client, ConnectError> {
    let mut config = config(target).await?;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.default_retry = retries == Retries::OfTheClient;
    if let Some(user) = &target.impersonate {
        config.auth_info.impersonate = Some(user.clone());
    }
    let server = config.cluster_url.to_string();
    let failed = |error: kube::Error| ConnectError::Client { server, why: chain(&error) };
    let listen = Listen { heard: heard.clone(), metrics: Arc::clone(metrics), pace: Pace::default() };
    Ok(ClientBuilder::try_from(config).map_err(failed)?.with_layer(&listen).build())
}

async fn config(target: &Target) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let unusable = |error: kube::config::KubeconfigError| ConnectError::Kubeconfig(chain(&error));
    match &target.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)
        }
        None if target.context.is_some() => Config::from_kubeconfig(&options).await.map_err(unusable),
        None => Config::infer().await.map_err(|_| ConnectError::Nowhere),
    }
}

/// The file that says which API server to trust, if that is a file: a pod's is changed when its cluster gets another CA.
#[must_use]
pub fn certificate_authority(target: &Target) -> Option<PathBuf> {
    let kubeconfig = match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let Ok(kubeconfig) = kubeconfig else { return Some(IN_CLUSTER_CA.into()) };
    let context = target.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    let context = kubeconfig.contexts.into_iter().find(|named| &named.name == context)?.context?;
    let cluster = kubeconfig.clusters.into_iter().find(|named| named.name == context.cluster)?.cluster?;
    cluster.certificate_authority.map(Into::into)
}

/// Where Kubernetes puts it in every pod.
const IN_CLUSTER_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// An error with its causes, in one line, and what to do about one that says nothing to most people.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = crate::finding::chain(error);
    if text.contains("CaUsedAsEndEntity") {
        text.push_str("; the server's certificate is its own CA, which TLS clients of this kind refuse: give it a certificate that a CA has signed");
    }
    text
}

/// The API server's own words, or what has kept them from coming.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.trim().to_owned(),
        other => chain(other),
    }
}

/// The API of a kind, for an access that names it.
pub(super) fn api<K>(client: &Client, access: &'static Access) -> Api<K>
where
    K: Resource<DynamicType = ()>,
{
    debug_assert_eq!((K::group(&()).as_ref(), K::plural(&()).as_ref()), (access.group, access.resource));
    Api::all(client.clone())
}

/// Hears every answer: readiness asks when watches were answered, metrics count requests. Waits neither for ever for an
/// answer nor too little between watches.
#[derive(Clone)]
struct Listen {
    heard: Heard,
    metrics: Arc<Metrics>,
    pace: Pace,
}

impl<S> Layer<S> for Listen {
    type Service = Listening<S>;

    fn layer(&self, inner: S) -> Listening<S> {
        Listening { listen: self.clone(), inner }
    }
}

#[derive(Clone)]
struct Listening<S> {
    listen: Listen,
    inner: S,
}

impl<S, B> Service<Request<Body>> for Listening<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let listen = self.listen.clone();
        let method = request.method().clone();
        let watched = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch=true"))
            .then(|| request.uri().path().to_owned());
        // Nothing is sent before it is awaited.
        let answer = self.inner.call(request);
        Box::pin(async move {
            if let Some(path) = &watched {
                #[expect(clippy::disallowed_methods, reason = "when a watch begins is a fact of this moment")]
                tokio::time::sleep(listen.pace.pause(path, Instant::now())).await;
            }
            let answer = tokio::time::timeout(NO_ANSWER, answer).await;
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {NO_ANSWER:?}").into()));
            let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            listen.metrics.request(&method, code);
            #[expect(clippy::disallowed_methods, reason = "when an answer came is a fact of this moment")]
            if let Some(path) = watched.filter(|_| (200..300).contains(&code)) {
                listen.heard.note(&path, Instant::now());
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(pace: &Pace, now: &mut Instant, between: Duration, count: usize) -> Vec<u128> {
        let next = |_| {
            let pause = pace.pause("/api/v1/pods", *now);
            *now += pause + between;
            pause.as_millis()
        };
        (0..count).map(next).collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
    fn watches_that_end_at_once_are_begun_less_and_less_often() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        let ends_at_once = pauses(&pace, &mut now, Duration::ZERO, 10);
        assert_eq!(ends_at_once, [0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
        let lasts = pauses(&pace, &mut now, Duration::from_secs(240), 3);
        assert_eq!(lasts, [16_000, 0, 0], "the last short one, then none");
        assert_eq!(pace.pause("/api/v1/namespaces", now), Duration::ZERO, "of another resource");
    }
}
