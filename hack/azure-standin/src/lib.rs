//! An Azure that fits into a test: Entra's tokens, Key Vault's secrets, managed identities, ARM.
//!
//! It trusts nothing. A client that sends the wrong thing gets the refusal that Azure gives; what is not known of Azure
//! stands in `docs/azure-standin.md`. SDKs reach it unmodified, by a proxy that has Azure's own host names.

pub mod arm;
pub mod authority;
pub mod azure;
pub mod azurite;
pub mod blobs;
pub mod certificate;
pub mod clock;
pub mod cloud;
pub mod control;
pub mod entra;
pub mod exchange;
pub mod fault;
mod fetch;
mod identity;
pub mod journal;
pub mod jwt;
pub mod operation;
mod random;
pub mod secret;
mod server;
pub mod signer;
pub mod vault;
pub mod world;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;

use crate::{
    authority::{Authority, CertificateError},
    azure::{Azure, Rules},
    blobs::BlobStore,
    control::About,
    server::{Connections, Purpose, Server, acceptor},
    signer::{Signer, SignerError},
};

/// Where to listen and what to start with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// HTTP and CONNECT proxy.
    pub proxy: SocketAddr,
    /// HTTPS by server name, for clients whose DNS leads here.
    pub tls: SocketAddr,
    /// HTTP: the metadata service and App Service's endpoint.
    pub plain: SocketAddr,
    /// The control interface: a loopback address.
    pub control: SocketAddr,
    pub rules: Rules,
    /// Authorities of issuers that the stand-in does not serve itself.
    pub trusted: Vec<CertificateDer<'static>>,
    /// Where the blobs of storage accounts are kept; without one there are none but the documents of the world.
    pub blob_store: Option<BlobStore>,
    /// Entra's signing key; without one, one is made, which takes its time in an unoptimised build.
    pub signer: Option<Arc<Signer>>,
}

impl Default for Settings {
    /// Free ports on loopback.
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            proxy: free,
            tls: free,
            plain: free,
            control: free,
            rules: Rules::default(),
            trusted: Vec::new(),
            blob_store: None,
            signer: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the control interface listens on loopback only, and {0} is none: give a 127.0.0.1 address")]
    ControlForAll(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running stand-in. It ends when it is dropped.
pub struct Standin {
    azure: Arc<Azure>,
    about: Arc<About>,
    connections: Arc<Connections>,
}

impl Standin {
    /// Starts all listeners, on the current tokio runtime.
    ///
    /// # Errors
    /// If an address cannot be had, or the control interface would not be on loopback.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        if !settings.control.ip().is_loopback() {
            return Err(StartError::ControlForAll(settings.control));
        }
        let authority = Authority::new("azure-standin authority")?;
        let mut trusted = settings.trusted;
        trusted.push(authority.der().clone());
        let signer = settings.signer.map_or_else(|| Signer::generate().map(Arc::new), Ok)?;
        let azure = Arc::new(Azure::new(settings.rules, trusted, signer).with_blob_store(settings.blob_store));
        let ca_pem = authority.pem().to_owned();
        let acceptor = acceptor(Arc::clone(&azure), authority).map_err(|error| StartError::Tls(error.into()))?;
        let [proxy, tls, plain, control] = [
            listen(settings.proxy).await?,
            listen(settings.tls).await?,
            listen(settings.plain).await?,
            listen(settings.control).await?,
        ];
        let about = Arc::new(About {
            proxy: proxy.1,
            tls: tls.1,
            plain: plain.1,
            control: control.1,
            ca_pem,
            identity_endpoint: format!("http://{}/msi/token", plain.1),
            identity_header: azure.app_service_secret().reveal().to_owned(),
        });
        let connections = Arc::new(Connections::default());
        let server = Server {
            azure: Arc::clone(&azure),
            acceptor,
            connections: Arc::clone(&connections),
            about: Arc::clone(&about),
        };
        server.listen(proxy.0, Purpose::Proxy);
        server.listen(tls.0, Purpose::Tls);
        server.listen(plain.0, Purpose::Plain);
        server.listen(control.0, Purpose::Control);
        Ok(Self { azure, about, connections })
    }

    /// The clock, the faults, the journal, the world.
    #[must_use]
    pub fn azure(&self) -> &Azure {
        &self.azure
    }

    /// Addresses and the authority of its TLS.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The environment in which an SDK of another process finds this Azure. The authority is for the caller to write into
    /// a file: `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE` name it.
    #[must_use]
    pub fn proxy_environment(&self) -> [(&'static str, String); 3] {
        let proxy = format!("http://{}", self.about.proxy);
        [("HTTPS_PROXY", proxy.clone()), ("HTTP_PROXY", proxy), ("NO_PROXY", "127.0.0.1,localhost".to_owned())]
    }

    /// Ends everything and waits for it.
    pub async fn stop(self) {
        self.connections.shut_down().await;
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.connections.abort();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
