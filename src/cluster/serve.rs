//! What probes and Prometheus ask for.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    routing::get,
};
use tokio::net::TcpListener;

use super::daemon::Shared;

/// Takes a port, so that a port that is taken is known at the start.
///
/// # Errors
/// The address, and why it cannot be had.
pub async fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address} for {what}: {error}"))
}

/// `/livez`: the process answers. `/readyz`: the first lists are in, and every watch has been heard from.
/// `also` may say why not, beside that.
pub async fn health(
    listener: TcpListener,
    shared: Arc<Shared>,
    also: impl Fn() -> Option<&'static str> + Clone + Send + Sync + 'static,
) {
    let ready = move || async move { ready(&shared, also()) };
    let router = Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(ready));
    serve(listener, router).await;
}

pub async fn metrics(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new().route("/metrics", get(scrape)).with_state(shared);
    serve(listener, router).await;
}

async fn serve(listener: TcpListener, router: Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "a listener has ended");
    }
}

fn ready(shared: &Shared, also: Option<&'static str>) -> (StatusCode, String) {
    let mut unready = shared.unready();
    unready.extend(also.map(str::to_owned));
    if unready.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, unready.join("\n") + "\n")
    }
}

async fn scrape(State(shared): State<Arc<Shared>>) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = shared.metrics.render(&shared.gather()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
