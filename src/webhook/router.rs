//! What is asked where, and how a question that is none is refused.

use std::{future::ready, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use futures::StreamExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{Entries, Limits, identities};
use crate::admission::{Answer, Outcome, Refusal, review};

/// Where pods are wired.
pub const PATH: &str = "/wire-pods";

/// Where pods are given a workload identity: the path of azure-workload-identity.
pub const IDENTITIES_PATH: &str = "/mutate-v1-pod";

/// The API server takes no request from its own clients that is larger.
pub const LARGEST_BODY: usize = 3 << 20;

/// Of all bodies of an entry that are there at once: thousands, as long as pods are what they use to be.
const LARGEST_BODIES: usize = 64 << 20;

type Observe = Arc<dyn Fn(Outcome, Duration) + Send + Sync>;

/// One path: how it answers, and what it takes to read a question. Each has room of its own, so that neither can take it away
/// from the other.
struct Entry<A> {
    answer: A,
    observe: Observe,
    patience: Duration,
    room: Semaphore,
}

/// Why there is no review in the answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    NoReview(#[from] Refusal),
    #[error("the body has more than {LARGEST_BODY} bytes")]
    TooLarge,
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body breaks off")]
    Torn,
    #[error("more is asked at once than there is room for")]
    TooMuch,
    #[error(
        "workload identities are turned off: set workloadIdentityWebhook.enabled, or delete the webhook configuration"
    )]
    TurnedOff,
}

/// Every entry of the server.
pub fn router(
    entries: impl Into<Entries>,
    observe: impl Fn(Outcome, Duration) + Send + Sync + 'static,
    limits: Limits,
) -> Router {
    let Entries { control_planes, workload_identities } = entries.into();
    let observe: Observe = Arc::new(observe);
    let (mut router, mut paths) = (Router::new(), Vec::new());
    if let Some(planes) = control_planes {
        let answer = move |body: Vec<u8>| ready(review(&body, &*planes).map_err(Refused::from));
        router = router.route(PATH, entry(answer, &observe, limits));
        paths.push(PATH);
    }
    if let Some(identities) = workload_identities {
        let answer = move |body| identities::answer(body, Arc::clone(&identities));
        router = router.route(IDENTITIES_PATH, entry(answer, &observe, limits));
        paths.push(IDENTITIES_PATH);
    }
    let elsewhere = format!("pods are asked about at {}\n", paths.join(" and "));
    router
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview is posted\n"))
        .fallback(async move || (StatusCode::NOT_FOUND, elsewhere))
}

fn entry<A, F>(answer: A, observe: &Observe, limits: Limits) -> MethodRouter
where
    A: Fn(Vec<u8>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Refused>> + Send + 'static,
{
    let room = Semaphore::new(LARGEST_BODIES);
    let entry = Arc::new(Entry { answer, observe: Arc::clone(observe), patience: limits.body, room });
    post(move |request: Request| {
        let entry = Arc::clone(&entry);
        async move { entry.respond(request).await }
    })
}

impl<A, F> Entry<A>
where
    A: Fn(Vec<u8>) -> F,
    F: Future<Output = Result<Answer, Refused>>,
{
    async fn respond(&self, request: Request) -> Response {
        let start = Instant::now();
        let answer = self.answer(request.into_body()).await;
        (self.observe)(answer.as_ref().map_or(Outcome::Refused, |answer| answer.outcome), start.elapsed());
        match answer {
            Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer.body.to_string()).into_response(),
            Err(refused) => refused.into_response(),
        }
    }

    async fn answer(&self, body: Body) -> Result<Answer, Refused> {
        let (body, _held) = timeout(self.patience, self.whole(body)).await.map_err(|_| Refused::TooSlow)??;
        (self.answer)(body).await
    }

    /// The body, and the room that it takes: as much as has come, whatever was announced.
    async fn whole(&self, body: Body) -> Result<(Vec<u8>, SemaphorePermit<'_>), Refused> {
        let is_too_large = |length: usize| length > LARGEST_BODY;
        if usize::try_from(body.size_hint().lower()).map_or(true, is_too_large) {
            return Err(Refused::TooLarge);
        }
        let mut whole = Vec::new();
        let mut held = self.take(0)?;
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Refused::Torn)?;
            if is_too_large(whole.len() + piece.len()) {
                return Err(Refused::TooLarge);
            }
            held.merge(self.take(piece.len())?);
            whole.extend_from_slice(&piece);
        }
        Ok((whole, held))
    }

    fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refused> {
        let bytes = u32::try_from(bytes).map_err(|_| Refused::TooLarge)?;
        self.room.try_acquire_many(bytes).map_err(|_| Refused::TooMuch)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoReview(_) | Self::Torn => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMuch => StatusCode::SERVICE_UNAVAILABLE,
            Self::TurnedOff => StatusCode::NOT_FOUND,
        };
        (status, format!("{self}\n")).into_response()
    }
}
