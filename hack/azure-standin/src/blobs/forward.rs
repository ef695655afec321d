//! A request goes on to the blob store, and its answer comes back.

use http::{HeaderMap, HeaderName, Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    BlobStore,
    refusal::{self, Refused},
    shared_key,
};
use crate::exchange::{Answer, Call};

const LIMIT: usize = 16 << 20;
/// That of a request of the stand-in itself. Azurite knows it, and it is one that knows tokens.
const VERSION: &str = "2021-12-02";
const TIME: std::time::Duration = std::time::Duration::from_secs(10);
/// These are of one connection, or are made anew.
const NOT_FORWARDED: [HeaderName; 5] =
    [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::AUTHORIZATION, header::CONTENT_LENGTH];

/// With the signature that it has, which is the store's to verify.
pub(super) async fn as_it_is(store: &BlobStore, account: &str, call: &Call) -> Result<Answer, Refused> {
    let mut headers = call.headers.clone();
    headers.remove(header::HOST);
    headers.remove(header::CONNECTION);
    send(store, account, call, headers).await
}

/// In the name of the account: that the client may was found out before.
pub(super) async fn signed(store: &BlobStore, account: &str, call: &Call) -> Result<Answer, Refused> {
    let mut headers = call.headers.clone();
    for name in &NOT_FORWARDED {
        headers.remove(name);
    }
    headers.remove(header::DATE);
    // Azurite judges by the machine's time and not by the stand-in's: so does this header.
    let now = crate::clock::Clock::default().now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let length = call.body.len().to_string();
    let call = Call { headers, ..call.clone() }
        .with_header(HeaderName::from_static("x-ms-date"), &now)
        .with_header(header::CONTENT_LENGTH, &length);
    let call = match call.header("x-ms-version") {
        Some(_) => call,
        None => call.with_header(HeaderName::from_static("x-ms-version"), VERSION),
    };
    let authorization = shared_key::authorization(account, &store.key, &call).ok_or_else(refusal::no_store)?;
    let call = call.with_header(header::AUTHORIZATION, &authorization);
    let headers = call.headers.clone();
    send(store, account, &call, headers).await
}

async fn send(store: &BlobStore, account: &str, call: &Call, headers: HeaderMap) -> Result<Answer, Refused> {
    let sent = tokio::time::timeout(TIME, exchange(store, account, call, headers)).await;
    sent.ok().and_then(Result::ok).ok_or_else(refusal::no_store)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(store: &BlobStore, account: &str, call: &Call, headers: HeaderMap) -> Result<Answer, Failure> {
    let stream = TcpStream::connect(store.address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request =
        Request::builder().method(&call.method).uri(path_and_query(call)).body(Full::new(call.body.clone()))?;
    *request.headers_mut() = headers;
    // The first part of a host that is no address is the account.
    request.headers_mut().insert(header::HOST, format!("{account}.blob.store").parse()?);
    let exchange = async {
        let (mut parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LIMIT).collect().await?.to_bytes();
        parts.headers.remove(header::CONNECTION);
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.remove(HeaderName::from_static("keep-alive"));
        if call.method != Method::HEAD {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        Ok::<_, Failure>(Answer::from_parts(parts, body))
    };
    tokio::select! {
        answer = exchange => answer,
        ended = connection => Err(ended.err().map_or_else(|| "the connection ended".into(), Failure::from)),
    }
}

fn path_and_query(call: &Call) -> String {
    if call.query.is_empty() {
        return call.path.clone();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&call.query).finish();
    format!("{}?{query}", call.path)
}
