//! Something between a daemon and the API server that a test can hold up, make refuse or let go wrong, in a thread of its
//! own: a test that waits for a process does not stop it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use kube::{
    Client, Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use tokio::sync::watch;

use super::{cluster::kubeconfig, events::Tampering};

/// Says of a request, `GET /api/v1/pods?watch=true`, whether it is meant.
pub type Which = fn(&str) -> bool;

/// What goes wrong with a request.
#[derive(Clone, Copy)]
pub enum Fault {
    Nothing,
    /// An error of this code in plain words, and how many seconds the server wants to be left alone.
    Error(u16, Option<u32>),
    Slow(Duration),
    /// It does not arrive, and there is no answer, not even when all is well again.
    Silence,
    /// It arrives, and there is no answer.
    Unanswered,
    /// The answer is a stream of events, and something is wrong with it.
    Events(Tampering),
}

/// Says of a request what goes wrong with it.
type Faults = Arc<dyn Fn(&str) -> Fault + Send + Sync>;

pub struct Proxy {
    pub url: String,
    held: watch::Sender<Which>,
    faults: watch::Sender<Faults>,
    seen: Seen,
    asked: Asked,
}

/// Every request that has come; one that is to have no answer, when it has arrived.
type Asked = Arc<Mutex<Vec<String>>>;

/// Requests that were held for a while, with what became of them.
type Seen = Arc<Mutex<Vec<(String, Option<u16>)>>>;

#[derive(Clone)]
struct Link {
    client: Client,
    held: watch::Receiver<Which>,
    faults: watch::Receiver<Faults>,
    refused: Which,
    seen: Seen,
    asked: Asked,
    /// Streams of events that have been tampered with.
    streams: Arc<AtomicU32>,
}

pub const NOTHING: Which = |_| false;
pub const EVERYTHING: Which = |_| true;

impl Proxy {
    /// In front of the test cluster. What is refused is refused as by a server that does not know a parameter.
    pub fn new(held: Which, refused: Which) -> Self {
        let (held, held_by) = watch::channel(held);
        let (faults, faults_of) = watch::channel::<Faults>(Arc::new(|_| Fault::Nothing));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, asked) = (Seen::default(), Asked::default());
        let link = {
            let (seen, asked) = (Arc::clone(&seen), Arc::clone(&asked));
            move |client| Link {
                client,
                held: held_by,
                faults: faults_of,
                refused,
                seen,
                asked,
                streams: Arc::default(),
            }
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, link));
        });
        Self { url, held, faults, seen, asked }
    }

    /// From now on this goes wrong with new requests.
    pub fn fault(&self, faults: impl Fn(&str) -> Fault + Send + Sync + 'static) {
        self.faults.send_replace(Arc::new(faults));
    }

    /// How many such requests have come, or have arrived if there is no answer to them. The line of one that takes nothing but
    /// metadata ends with ` as metadata`.
    pub fn asked(&self, which: Which) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|line| which(line)).count()
    }

    /// From now on these are held, streams included; what was held before and is not any more goes on.
    pub fn hold(&self, which: Which) {
        self.held.send_replace(which);
    }

    /// The requests that have been held, each with its answer's code once there is one.
    pub fn held(&self) -> Vec<(String, Option<u16>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: std::net::TcpListener, link: impl FnOnce(Client) -> Link) {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig()).expect("a kubeconfig");
    // Whoever asks says who he is.
    kubeconfig.auth_infos.iter_mut().for_each(|user| user.auth_info = Some(AuthInfo::default()));
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a context");
    // A retry of its own would not be the daemon's.
    config.default_retry = false;
    let link = link(Client::try_from(config).expect("a client"));
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut ends = link.held.clone();
    let ended = async move { while ends.changed().await.is_ok() {} };
    let router = axum::Router::new().fallback(pass).with_state(link);
    tokio::select! {
        served = axum::serve(listener, router) => served.expect("it serves"),
        () = ended => {}
    }
}

/// What has been sent arrives, even if its sender has given up meanwhile.
async fn pass(State(link): State<Link>, request: Request) -> Response {
    tokio::spawn(forward(link, request)).await.expect("an answer")
}

async fn forward(mut link: Link, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let line = format!("{} {}", parts.method, parts.uri);
    if (link.refused)(&line) {
        let status = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "ListOptions is invalid: sendInitialEvents: Forbidden: the feature gate is disabled",
        });
        return (StatusCode::UNPROCESSABLE_ENTITY, [(header::CONTENT_TYPE, "application/json")], status.to_string())
            .into_response();
    }
    let fault = link.faults.borrow().clone()(&line);
    let accepts = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let metadata = accepts.split(',').all(|kind| kind.contains("as=PartialObjectMetadata"));
    let asked = if metadata { format!("{line} as metadata") } else { line.clone() };
    if !matches!(fault, Fault::Unanswered) {
        link.note_asked(&asked);
    }
    match fault {
        Fault::Error(code, retry_after) => return error(code, retry_after),
        Fault::Slow(by) => tokio::time::sleep(by).await,
        Fault::Silence => std::future::pending().await,
        Fault::Nothing | Fault::Unanswered | Fault::Events(_) => {}
    }
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let note = link.until_passable(&line).await;
    let mut onward = Request::builder().method(parts.method).uri(parts.uri);
    if let Some(headers) = onward.headers_mut() {
        headers.extend(without_hop(parts.headers));
    }
    let onward = onward.body(kube::client::Body::from(body.to_vec())).expect("a request");
    let Ok(answer) = link.client.send(onward).await else { return StatusCode::BAD_GATEWAY.into_response() };
    if let Some(index) = note {
        link.seen.lock().unwrap_or_else(PoisonError::into_inner)[index].1 = Some(answer.status().as_u16());
    }
    if matches!(fault, Fault::Unanswered) {
        link.note_asked(&asked);
        std::future::pending::<()>().await;
    }
    let (parts, body) = answer.into_parts();
    if let (Fault::Events(tampering), true) = (fault, parts.status.is_success()) {
        let number = link.streams.fetch_add(1, Ordering::Relaxed);
        let body = tampering.applied_to(Body::new(body), number);
        return (parts.status, without_hop(parts.headers), body).into_response();
    }
    let frames = Body::new(body).into_data_stream().then(move |frame| {
        let (mut link, line) = (link.clone(), line.clone());
        async move {
            link.until_passable(&line).await;
            frame
        }
    });
    (parts.status, without_hop(parts.headers), Body::from_stream(frames)).into_response()
}

impl Link {
    fn note_asked(&self, line: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

/// As the API server says it before anything has looked at the request: in no kind of object.
fn error(code: u16, retry_after: Option<u32>) -> Response {
    let code = StatusCode::from_u16(code).expect("a code");
    let mut answer = (code, format!("{code}, please try again later")).into_response();
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn without_hop(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}

impl Link {
    /// Waits while this is held; its place in the list of those that were.
    async fn until_passable(&mut self, line: &str) -> Option<usize> {
        let mut note = None;
        while (*self.held.borrow_and_update())(line) {
            note.get_or_insert_with(|| {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push((line.to_owned(), None));
                seen.len() - 1
            });
            if self.held.changed().await.is_err() {
                break;
            }
        }
        note
    }
}
