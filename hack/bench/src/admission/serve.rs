//! The webhook as the daemon serves it, which also tells how long its handler took.

use std::{
    future::pending,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use hcp_identity::webhook::{Limits, router, serve_router};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{net::TcpListener, sync::watch};

use crate::{Result, world::World};

/// Times that are kept until they are asked for, so that memory does not grow with the questions.
const KEPT: usize = 1 << 16;

/// In nanoseconds.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<u64>>>);

pub async fn serve(port: u16, folder: &str, world: World) -> Result<()> {
    let times = Times::default();
    let limits = Limits::default();
    let router = router(Arc::new(world), |_, _| {}, limits)
        .layer(from_fn_with_state(times.clone(), timed))
        .route("/times", get(async move || format!("{:?}", times.take())));
    let (_certificate, served) = watch::channel(Some(Arc::new(certificate(Path::new(folder))?)));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(serve_router(listener, router, served, limits, pending()).await?)
}

/// From the head of the question to the whole answer.
async fn timed(State(times): State<Times>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let response = next.run(request).await;
    times.keep(start.elapsed().as_nanos() as u64);
    response
}

impl Times {
    fn keep(&self, time: u64) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() < KEPT {
            times.push(time);
        }
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn certificate(folder: &Path) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(folder.join("tls.crt"))?.collect::<std::result::Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
    Ok(CertifiedKey::new(chain, aws_lc_rs::default_provider().key_provider.load_private_key(key)?))
}
