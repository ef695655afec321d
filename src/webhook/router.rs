//! What is asked where, and how a question that is none is refused.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures::StreamExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::Limits;
use crate::admission::{Answer, ControlPlanes, Outcome, Refusal, review};

/// Where pods are wired.
pub const PATH: &str = "/wire-pods";

/// The API server takes no request from its own clients that is larger.
pub const LARGEST_BODY: usize = 3 << 20;

/// Of all bodies that are being read at once: thousands, as long as pods are what they use to be.
const LARGEST_BODIES: usize = 64 << 20;

struct Entry<O> {
    control_planes: Arc<dyn ControlPlanes>,
    observe: O,
    patience: Duration,
    room: Semaphore,
}

/// Why there is no review in the answer.
#[derive(Debug, thiserror::Error)]
enum Refused {
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
}

/// Every entry of the server.
pub fn router(
    control_planes: Arc<dyn ControlPlanes>,
    observe: impl Fn(Outcome, Duration) + Send + Sync + 'static,
    limits: Limits,
) -> Router {
    let room = Semaphore::new(LARGEST_BODIES);
    let entry = Arc::new(Entry { control_planes, observe, patience: limits.body, room });
    Router::new()
        .route(PATH, post(wire_pods))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview is posted\n"))
        .fallback(async || (StatusCode::NOT_FOUND, format!("pods are asked about at {PATH}\n")))
        .with_state(entry)
}

async fn wire_pods<O: Fn(Outcome, Duration)>(State(entry): State<Arc<Entry<O>>>, request: Request) -> Response {
    let start = Instant::now();
    let answer = entry.answer(request.into_body()).await;
    (entry.observe)(answer.as_ref().map_or(Outcome::Refused, |answer| answer.outcome), start.elapsed());
    match answer {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer.body.to_string()).into_response(),
        Err(refused) => refused.into_response(),
    }
}

impl<O> Entry<O> {
    async fn answer(&self, body: Body) -> Result<Answer, Refused> {
        let (body, _held) = timeout(self.patience, self.whole(body)).await.map_err(|_| Refused::TooSlow)??;
        Ok(review(&body, &*self.control_planes)?)
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
        };
        (status, format!("{self}\n")).into_response()
    }
}
