//! Gets the documents of issuers: from the stand-in itself where it has their host, else over HTTPS.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    azure::{Azure, Outcome},
    exchange::Call,
};

const LIMIT: usize = 1 << 20;
const TIME: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("is no https URL")]
    Url,
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("was cut off")]
    Cut,
    #[error("cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("took too long")]
    Time,
}

pub(crate) async fn get(azure: &Azure, url: &str) -> Result<Bytes, FetchError> {
    let uri: http::Uri = url.parse().map_err(|_| FetchError::Url)?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or(FetchError::Url)?;
    let call = Call::new(Method::GET, url).map_err(|_| FetchError::Url)?;
    if azure.service(call.channel, &call.host, &call.path).is_some() {
        return from_itself(azure, &call).await;
    }
    let config = trusting(azure.trusted());
    tokio::time::timeout(TIME, over_the_network(host, &uri, config)).await.map_err(|_| FetchError::Time)?
}

/// Boxed: answering may lead back here.
async fn from_itself(azure: &Azure, call: &Call) -> Result<Bytes, FetchError> {
    match Box::pin(azure.answer(call)).await {
        Outcome::Answered(answer) if answer.status() == StatusCode::OK => Ok(answer.into_body()),
        Outcome::Answered(answer) => Err(FetchError::Status(answer.status())),
        Outcome::Cut | Outcome::Torn(_) => Err(FetchError::Cut),
    }
}

fn trusting(authorities: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn over_the_network(
    host: &str,
    uri: &http::Uri,
    config: Result<ClientConfig, rustls::Error>,
) -> Result<Bytes, FetchError> {
    let name = ServerName::try_from(host.to_owned()).map_err(unreachable)?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.map_err(unreachable)?;
    let connector = TlsConnector::from(Arc::new(config.map_err(unreachable)?));
    let stream = connector.connect(name, stream).await.map_err(unreachable)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, host).body(Empty::<Bytes>::new()).map_err(unreachable)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(unreachable)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIMIT).collect().await.map_err(FetchError::Unreachable)?;
        if status == StatusCode::OK { Ok(body.to_bytes()) } else { Err(FetchError::Status(status)) }
    };
    tokio::select! {
        result = exchange => result,
        ended = connection => Err(ended.err().map_or(FetchError::Cut, unreachable)),
    }
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> FetchError {
    FetchError::Unreachable(Box::new(error))
}
