//! The sockets: what comes in over TCP, TLS or the proxy becomes a [`Call`], and the outcome goes back.

mod body;
mod connections;
mod proxy;
mod tls;

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use body::Body;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

pub(crate) use self::{connections::Connections, tls::acceptor};
use crate::{
    azure::{Azure, Outcome},
    control,
    exchange::{Answer, Call, Channel},
};

/// Larger than any request of an SDK: Key Vault takes 25 kB for a value.
const LARGEST_BODY: usize = 16 << 20;

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) azure: Arc<Azure>,
    pub(crate) acceptor: tokio_rustls::TlsAcceptor,
    pub(crate) connections: Arc<Connections>,
    /// What the control interface tells of the stand-in itself.
    pub(crate) about: Arc<control::About>,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Proxy,
    Tls,
    Plain,
    Control,
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(crate) struct Cut;

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Server {
    /// Accepts connections until it is aborted.
    pub(crate) fn listen(&self, listener: TcpListener, purpose: Purpose) {
        let server = self.clone();
        self.connections.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => server.welcome(stream, peer, purpose),
                    // Such as too many open files: others may be closed in the meantime.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            }
        });
    }

    fn welcome(&self, stream: tokio::net::TcpStream, _peer: SocketAddr, purpose: Purpose) {
        let server = self.clone();
        self.connections.spawn(async move {
            match purpose {
                Purpose::Proxy => proxy::serve(server, stream).await,
                Purpose::Tls => server.serve_tls(stream).await,
                Purpose::Plain => server.serve_http(stream, Channel::Plain).await,
                Purpose::Control => server.serve_control(stream).await,
            }
        });
    }

    /// A client that does not trust the authority, or asks for no known host, is gone before it asked.
    pub(crate) async fn serve_tls(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        if let Ok(stream) = self.acceptor.accept(stream).await {
            self.serve_http(stream, Channel::Tls).await;
        }
    }

    async fn serve_http(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, channel: Channel) {
        let service = service_fn(|request| self.respond(channel, request));
        end(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    async fn serve_control(&self, stream: tokio::net::TcpStream) {
        let service = service_fn(|request| async move {
            let call = read(Channel::Plain, request).await?;
            Ok::<_, Cut>(whole(control::answer(&self.azure, &self.about, &call)))
        });
        end(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    pub(crate) async fn respond(&self, channel: Channel, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let call = read(channel, request).await?;
        match self.azure.answer(&call).await {
            Outcome::Answered(answer) => Ok(whole(answer)),
            Outcome::Torn(answer) => Ok(answer.map(Body::torn)),
            Outcome::Cut => Err(Cut),
        }
    }
}

/// How a connection ended is the client's business, or was wanted.
fn end(result: Result<(), hyper::Error>) {
    drop(result);
}

fn whole(answer: Answer) -> Response<Body> {
    answer.map(Body::whole)
}

/// The host of a request is that of its URL, as a proxy gets it, else that of its header.
async fn read(channel: Channel, request: Request<Incoming>) -> Result<Call, Cut> {
    let (parts, body) = request.into_parts();
    let of_header = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.host().or(of_header).unwrap_or_default().to_owned();
    let body: Bytes = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Cut)?.to_bytes();
    Ok(Call::of_parts(channel, parts.method, &host, &parts.uri, parts.headers, body))
}
