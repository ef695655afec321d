//! The server of admission reviews: its router by itself, and then over a socket, among clients that mean no good.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use azure_standin::authority::{Authority, server_key};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, join_all},
    stream,
};
use hcp_identity::{
    admission::{ControlPlane, ControlPlanes, Outcome, review},
    manifest::{self, Documents},
    plan::{Plan, plan},
    settings::{Settings, SettingsFile},
    webhook::{Certificate, LARGEST_BODY, Limits, PATH, router, serve, serve_router},
};
use hyper::{Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
    sign::CertifiedKey,
};
use serde_json::{Value, json};
use support::{KEY_VAULT_USER, read, testdata};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::ServiceExt as _;

const HOST: &str = "hcp-identity-webhook.hcp-identity.svc";

/// Longer than anything takes that is not held up.
const SOON: Duration = Duration::from_secs(20);

/// One control plane, `clusters-prod`.
struct Prod(Arc<Plan>);

impl ControlPlanes for Prod {
    fn control_plane(&self, namespace: &str) -> ControlPlane {
        match namespace {
            "clusters-prod" => ControlPlane::Wired { plan: Arc::clone(&self.0), held: BTreeMap::new() },
            _ => ControlPlane::Unknown,
        }
    }
}

fn prod() -> Arc<Prod> {
    let yaml = read(&testdata("render").join("a-hosted-cluster-with-all-nine-identities/input.yaml"));
    let limits = manifest::Limits::default();
    let document = Documents::new(yaml.as_bytes(), limits).next_document().expect("readable").expect("a document");
    let mut objects = Vec::new();
    document.objects(&limits, &mut |object| objects.push(object.node.to_value())).expect("objects");
    let cluster = serde_json::from_value(objects.remove(0)).expect("a HostedCluster");
    let settings = Settings::new(Some(KEY_VAULT_USER), SettingsFile::default()).expect("settings");
    Arc::new(Prod(Arc::new(plan(&cluster, &Arc::new(settings)).plan.expect("a plan"))))
}

/// What is asked about a pod of the ingress operator, which is not wired.
fn question(uid: &str) -> Value {
    let pod = json!({
        "metadata": {"generateName": "ingress-operator-", "labels": {"app": "ingress-operator"}},
        "spec": {"containers": [{"name": "ingress-operator", "image": "x"}]},
    });
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": uid, "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
            "namespace": "clusters-prod", "object": pod,
        },
    })
}

fn post(body: impl Into<Body>) -> Request<Body> {
    request(Method::POST, PATH, body)
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, HOST);
    request.body(body.into()).expect("a request")
}

/// Some bytes, and then nothing for ever.
fn stalled(first: Vec<u8>) -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(first))]);
    Body::from_stream(first.chain(stream::pending()))
}

fn is_wired(uid: &str, status: StatusCode, body: &str) -> bool {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    status == StatusCode::OK && answer["response"]["uid"] == uid && answer["response"]["patch"].is_string()
}

/// The router, and what it has been observed to do.
fn observed() -> (Router, Arc<Mutex<Vec<Outcome>>>) {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&outcomes);
    let observe = move |outcome, _| heard.lock().expect("no poison").push(outcome);
    (router(prod(), observe, Limits::default()), outcomes)
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let (parts, body) = router.clone().oneshot(request).await.expect("infallible").into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    (parts.status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn a_review_is_answered_as_json() {
    let (router, outcomes) = observed();
    let question = question("u").to_string();
    let answer = router.oneshot(post(question.clone())).await.expect("infallible");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(answer, review(question.as_bytes(), &*prod()).expect("a review").body);
    assert!(answer["response"]["patch"].is_string(), "{answer}");
    assert_eq!(*outcomes.lock().expect("no poison"), [Outcome::Wired]);
}

#[tokio::test]
async fn what_is_no_question_is_refused_in_a_line() {
    let with = |pointer: &str, value: Value| {
        let mut question = question("u");
        *question.pointer_mut(pointer).expect("a field") = value;
        question.to_string().into_bytes()
    };
    let refused: [(Vec<u8>, &str); 11] = [
        (vec![], "is no AdmissionReview: EOF"),
        (b"\x16\x03\x01 not HTTP at all \xff".to_vec(), "is no AdmissionReview: expected value"),
        (b"{\"apiVersion\": \"admission.k8s.io/v1\"".to_vec(), "is no AdmissionReview: EOF"),
        (b"[]".to_vec(), "is no AdmissionReview"),
        ("[".repeat(LARGEST_BODY).into_bytes(), "is no AdmissionReview"),
        (with("/request/object", json!("x")).repeat(2), "trailing characters"),
        (format!("{{\"request\":{{\"object\":{}", "{\"a\":".repeat(100_000)).into_bytes(), "recursion limit"),
        (with("/request", json!("x".repeat(1 << 20))), "invalid type: string"),
        (with("/request/uid", json!(7)), "invalid type: integer"),
        (with("/request", Value::Null), "has no request"),
        (with("/apiVersion", json!("admission.k8s.io/v1beta1")), "admissionReviewVersions: [v1]"),
    ];
    let (router, outcomes) = observed();
    for (body, why) in refused {
        let (status, line) = ask(&router, post(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{line}");
        assert!(line.contains(why), "{line} instead of {why}");
        assert!(line.len() < 300 && line.find('\n') == Some(line.len() - 1), "{line}");
    }
    assert_eq!(*outcomes.lock().expect("no poison"), [Outcome::Refused; 11]);
}

#[tokio::test]
async fn another_path_or_method_is_refused() {
    let (router, outcomes) = observed();
    let question = question("u").to_string();
    for path in ["/", "/wire-pods/", "/mutate", "/livez", "//wire-pods"] {
        let (status, line) = ask(&router, request(Method::POST, path, question.clone())).await;
        assert_eq!((status, line.as_str()), (StatusCode::NOT_FOUND, "pods are asked about at /wire-pods\n"), "{path}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let (status, line) = ask(&router, request(method, PATH, question.clone())).await;
        assert_eq!((status, line.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview is posted\n"));
    }
    assert!(outcomes.lock().expect("no poison").is_empty(), "nothing was asked");
}

#[tokio::test]
async fn a_body_is_as_large_as_a_request_to_the_api_server_may_be_and_no_larger() {
    let (router, _) = observed();
    let mut largest = question("u").to_string().into_bytes();
    largest.resize(LARGEST_BODY, b' ');
    assert!(is_wired("u", StatusCode::OK, &ask(&router, post(largest.clone())).await.1));
    largest.push(b' ');
    // Announced, it is not even read; in pieces it is read as far as it may go.
    assert_eq!(ask(&router, post(largest)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let endless = stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; 1 << 16])));
    assert_eq!(ask(&router, post(Body::from_stream(endless))).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn half_a_body_is_given_up() {
    let (router, outcomes) = observed();
    let start = Instant::now();
    let (status, _) = ask(&router, post(stalled(b"{\"apiVersion\":".to_vec()))).await;
    assert_eq!((status, start.elapsed().as_secs()), (StatusCode::REQUEST_TIMEOUT, 5));
    let torn = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    assert_eq!(ask(&router, post(Body::from_stream(torn))).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(*outcomes.lock().expect("no poison"), [Outcome::Refused; 2]);
}

/// However many ask for it, and only for as long as they do.
#[tokio::test(start_paused = true)]
async fn bodies_take_a_bounded_amount_of_memory() {
    let (router, _) = observed();
    let hoarders = join_all((0..22).map(|_| ask(&router, post(stalled(vec![b' '; LARGEST_BODY])))));
    let asks = async { ask(&router, post(vec![b' '; LARGEST_BODY / 2])).await.0 };
    let (hoarders, status) = tokio::join!(hoarders, asks);
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let told = |status| hoarders.iter().filter(|answer| answer.0 == status).count();
    assert_eq!((told(StatusCode::REQUEST_TIMEOUT), told(StatusCode::SERVICE_UNAVAILABLE)), (21, 1));
    let (status, body) = ask(&router, post(question("u").to_string())).await;
    assert!(is_wired("u", status, &body), "{status} {body}");
}

/// A server on a port of its own.
struct Server {
    address: SocketAddr,
    authority: Authority,
    certificate: watch::Sender<Option<Arc<CertifiedKey>>>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), rustls::Error>>,
}

impl Server {
    /// As the daemon does.
    async fn start() -> Self {
        Self::on_a_port(|listener, certificate, stopped| serve(listener, prod(), certificate, |_, _| {}, stopped)).await
    }

    async fn within(limits: Limits) -> Self {
        let router = router(prod(), |_, _| {}, limits);
        Self::on_a_port(|listener, certificate, stopped| serve_router(listener, router, certificate, limits, stopped))
            .await
    }

    async fn on_a_port<F>(serve: impl FnOnce(TcpListener, Certificate, BoxFuture<'static, ()>) -> F) -> Self
    where
        F: Future<Output = Result<(), rustls::Error>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let authority = Authority::new("webhook authority").expect("an authority");
        let (certificate, served) = watch::channel(Some(leaf(&authority)));
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(serve(listener, served, stopped.map(drop).boxed()));
        Self { address, authority, certificate, stop, ended }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// After a handshake that trusts the authority alone.
    async fn tls(&self, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.tls_of(&[protocol]).await
    }

    async fn tls_of(&self, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("an authority");
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(HOST).expect("a name"), stream).await
    }

    async fn http1(&self) -> std::io::Result<http1::SendRequest<Body>> {
        Ok(converse(self.tls("http/1.1").await?).await)
    }

    async fn is_answering(&self) {
        let answered = async {
            let mut connection = self.http1().await.expect("a handshake");
            wired(connection.send_request(post(question("u").to_string())).await, "u").await
        };
        assert!(timeout(SOON, answered).await.expect("nobody is held up"), "a wired pod");
    }

    /// Stops it; how long it took to end.
    async fn end(self) -> Duration {
        let start = Instant::now();
        drop(self.stop);
        timeout(SOON, self.ended).await.expect("it ends").expect("it does not panic").expect("it had TLS");
        start.elapsed()
    }
}

fn leaf(authority: &Authority) -> Arc<CertifiedKey> {
    let (key, private) = server_key().expect("a key");
    let chain = authority.server(HOST, &key).expect("a certificate");
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(private).expect("a key for TLS");
    Arc::new(CertifiedKey::new(chain, key))
}

async fn converse(stream: TlsStream<TcpStream>) -> http1::SendRequest<Body> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

async fn wired(answer: hyper::Result<Response<Incoming>>, uid: &str) -> bool {
    let Ok(answer) = answer else { return false };
    let status = answer.status();
    let Ok(body) = to_bytes(Body::new(answer.into_body()), usize::MAX).await else { return false };
    is_wired(uid, status, &String::from_utf8_lossy(&body))
}

/// The beginning of a request whose body is longer than what comes of it.
fn beginning() -> String {
    let body = question("u").to_string();
    let half = &body[..body.len() / 2];
    format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{half}", body.len())
}

/// Whether the other side hangs up in time, whatever it says before.
async fn is_hung_up(mut stream: impl AsyncRead + Unpin) -> bool {
    timeout(SOON, stream.read_to_end(&mut Vec::new())).await.is_ok()
}

async fn closed(connection: &http1::SendRequest<Body>) {
    let closed = async {
        while !connection.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, closed).await.expect("it is closed");
}

#[tokio::test]
async fn a_connection_is_kept_and_http_2_is_not_spoken() {
    let server = Server::start().await;
    let mut first = server.http1().await.expect("a handshake");
    for uid in ["a", "b", "c"] {
        assert!(wired(first.send_request(post(question(uid).to_string())).await, uid).await);
    }
    assert!(server.tls("h2").await.is_err(), "nothing in common");
    let either = server.tls_of(&["h2", "http/1.1"]).await.expect("a handshake");
    assert_eq!(either.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut second = converse(either).await;
    assert!(wired(second.send_request(post(question("d").to_string())).await, "d").await);
    drop((first, second));
    server.end().await;
}

#[tokio::test]
async fn nobody_is_greeted_without_a_certificate() {
    let server = Server::start().await;
    server.certificate.send_replace(None);
    assert!(server.tls("http/1.1").await.is_err());
    server.certificate.send_replace(Some(leaf(&Authority::new("another").expect("an authority"))));
    assert!(server.tls("http/1.1").await.is_err(), "an authority that is not trusted");
    server.certificate.send_replace(Some(leaf(&server.authority)));
    server.is_answering().await;
}

/// Clients that stay and clients that come anew, while the certificate is another every few milliseconds.
#[tokio::test]
async fn a_certificate_is_swapped_and_no_call_fails() {
    const CALLS: usize = 150;
    const ANEW: usize = 40;
    let server = Server::start().await;
    let leaves: Vec<_> = (0..10).map(|_| leaf(&server.authority)).collect();
    let stays = async |mut connection: http1::SendRequest<Body>| {
        for call in 0..CALLS {
            let uid = call.to_string();
            let answer = connection.send_request(post(question(&uid).to_string())).await;
            assert!(wired(answer, &uid).await, "call {call} failed");
            connection.ready().await.expect("the connection stays");
        }
    };
    let comes_anew = async || {
        let mut seen: HashSet<CertificateDer<'static>> = HashSet::new();
        for call in 0..ANEW {
            let stream = server.tls("http/1.1").await.expect("a handshake");
            let chain = stream.get_ref().1.peer_certificates().expect("a chain");
            seen.insert(chain[0].clone().into_owned());
            let mut connection = converse(stream).await;
            let uid = call.to_string();
            assert!(wired(connection.send_request(post(question(&uid).to_string())).await, &uid).await);
        }
        seen.len()
    };
    let swaps = async {
        for leaf in leaves.iter().cycle() {
            server.certificate.send_replace(Some(Arc::clone(leaf)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(server.http1().await.expect("a handshake"));
    }
    let load =
        async { tokio::join!(join_all(connections.into_iter().map(stays)), join_all((0..3).map(|_| comes_anew()))).1 };
    let seen = tokio::select! { seen = load => seen, () = swaps => panic!("there is always a next one") };
    assert!(seen.iter().all(|certificates| *certificates > 3), "{seen:?} certificates were seen");
}

/// Of every kind as many as there are connections of the API server.
#[tokio::test]
async fn who_hangs_holds_up_nobody_and_is_hung_up_on() {
    const EACH: usize = 40;
    let short = Duration::from_millis(1_500);
    let limits = Limits { handshake: short, head: short, body: short, idle: short, ..Limits::default() };
    let server = Server::within(limits).await;
    let (mut silent, mut garbled, mut greeted, mut headless, mut half) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..EACH {
        silent.push(server.tcp().await);
        let mut stream = server.tcp().await;
        // The first bytes of a handshake, and no more.
        stream.write_all(b"\x16\x03\x01\x02\x00\x01").await.expect("written");
        garbled.push(stream);
        greeted.push(server.tls("http/1.1").await.expect("a handshake"));
        let mut stream = server.tls("http/1.1").await.expect("a handshake");
        stream.write_all(b"POST /wire-pods HTTP/1.1\r\nHost").await.expect("written");
        headless.push(stream);
        let mut stream = server.tls("http/1.1").await.expect("a handshake");
        stream.write_all(beginning().as_bytes()).await.expect("written");
        half.push(stream);
    }
    for _ in 0..10 {
        server.is_answering().await;
    }
    for stream in silent.into_iter().chain(garbled) {
        assert!(is_hung_up(stream).await, "a handshake has its time");
    }
    for stream in greeted.into_iter().chain(headless) {
        assert!(is_hung_up(stream).await, "a head has its time");
    }
    for mut stream in half {
        let mut answer = vec![0; 12];
        timeout(SOON, stream.read_exact(&mut answer)).await.expect("it is told").expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
        assert!(is_hung_up(stream).await, "the rest of the body is not waited for");
    }
    server.is_answering().await;
}

#[tokio::test]
async fn a_connection_ends_when_nothing_is_asked_for_too_long() {
    let limits = Limits { idle: Duration::from_secs(1), ..Limits::default() };
    let server = Server::within(limits).await;
    let mut connection = server.http1().await.expect("a handshake");
    for _ in 0..6 {
        assert!(wired(connection.send_request(post(question("u").to_string())).await, "u").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    connection.ready().await.expect("it has never been idle for so long");
    closed(&connection).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let short = Duration::from_millis(500);
    let server = Server::within(Limits { connections: 4, handshake: short, ..Limits::default() }).await;
    let mut hanging = Vec::new();
    for _ in 0..4 {
        hanging.push(server.tcp().await);
    }
    let start = Instant::now();
    server.is_answering().await;
    assert!(start.elapsed() >= short / 2, "there was no place before");
    drop(hanging);
}

/// What is no HTTP and no TLS, in every part of a connection.
#[tokio::test]
async fn garbage_is_hung_up_on() {
    let server = Server::start().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 1 << 16], &[0xff; 1 << 10]] {
        let mut stream = server.tcp().await;
        drop(stream.write_all(garbage).await);
        assert!(is_hung_up(stream).await);
    }
    let heads = ["\0\0\0\r\n\r\n".to_owned(), format!("POST /{} HTTP/1.1\r\n", "x".repeat(1 << 18))];
    for head in heads {
        let mut stream = server.tls("http/1.1").await.expect("a handshake");
        drop(stream.write_all(head.as_bytes()).await);
        assert!(is_hung_up(stream).await);
    }
    server.is_answering().await;
}

#[tokio::test]
async fn two_thousand_reviews_at_once_are_answered() {
    const AT_ONCE: usize = 2_000;
    const CONNECTIONS: usize = 200;
    let server = Server::start().await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(server.http1().await.expect("a handshake"));
    }
    let asks = async |(number, mut connection): (usize, http1::SendRequest<Body>)| {
        let mut answered = 0;
        for call in 0..AT_ONCE / CONNECTIONS {
            connection.ready().await.expect("the connection stays");
            let uid = format!("{number}-{call}");
            answered += usize::from(wired(connection.send_request(post(question(&uid).to_string())).await, &uid).await);
        }
        answered
    };
    let answered = timeout(SOON * 3, join_all(connections.into_iter().enumerate().map(asks))).await.expect("in time");
    assert_eq!(answered.iter().sum::<usize>(), AT_ONCE);
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let server = Server::start().await;
    let idle = server.http1().await.expect("a handshake");
    let mut greeted = server.tcp().await;
    let mut under_way = server.tls("http/1.1").await.expect("a handshake");
    under_way.write_all(beginning().as_bytes()).await.expect("written");
    // It is under way once its head is read: the next connection is served after it.
    server.is_answering().await;
    let address = server.address;
    let end = tokio::spawn(server.end());
    timeout(SOON, greeted.read_u8()).await.expect("who has asked nothing is hung up on").expect_err("the end");
    TcpStream::connect(address).await.expect_err("nobody else is listened to");
    assert!(!end.is_finished(), "a request is under way");
    let body = question("u").to_string();
    under_way.write_all(&body.as_bytes()[body.len() / 2..]).await.expect("written");
    let mut answer = Vec::new();
    timeout(SOON, under_way.read_to_end(&mut answer)).await.expect("it ends").expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK") && is_wired("u", StatusCode::OK, body), "{answer}");
    end.await.expect("it ends");
    closed(&idle).await;
}

#[tokio::test]
async fn the_end_waits_for_nobody_for_ever() {
    let drain = Duration::from_millis(500);
    let server = Server::within(Limits { drain, body: SOON, ..Limits::default() }).await;
    let mut under_way = server.tls("http/1.1").await.expect("a handshake");
    under_way.write_all(beginning().as_bytes()).await.expect("written");
    server.is_answering().await;
    let took = server.end().await;
    assert!(took >= drain && took < SOON / 2, "{took:?}");
    assert!(is_hung_up(under_way).await);
}
