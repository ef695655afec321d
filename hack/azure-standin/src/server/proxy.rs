//! The proxy by which SDKs reach Azure's own names: `HTTPS_PROXY` and `HTTP_PROXY`.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Cut, Server, body::Body, end};
use crate::exchange::Channel;

pub(super) async fn serve(server: Server, stream: TcpStream) {
    let service = service_fn(|request| respond(&server, request));
    end(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await);
}

async fn respond(server: &Server, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    if request.method() == Method::CONNECT {
        return Ok(connect(server, request));
    }
    server.respond(Channel::Plain, request).await
}

/// A tunnel to a name that the stand-in has; to any other none, as if the name did not resolve.
fn connect(server: &Server, request: Request<Incoming>) -> Response<Body> {
    let host = request.uri().host().unwrap_or_default().to_lowercase();
    if server.azure.service(Channel::Tls, &host, "/").is_none() {
        let mut answer = Response::new(Body::whole(Bytes::from(format!("the stand-in has no {host}\n"))));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        return answer;
    }
    let tunnelled = server.clone();
    server.connections.spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            tunnelled.serve_tls(TokioIo::new(upgraded)).await;
        }
    });
    Response::new(Body::whole(Bytes::new()))
}
