//! TLS for every name that the stand-in has: the certificate of a name is made when it is first asked for.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::KeyPair;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    authority::{Authority, CertificateError, server_key},
    azure::Azure,
    exchange::Channel,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

pub(crate) fn acceptor(azure: Arc<Azure>, authority: Authority) -> Result<TlsAcceptor, TlsError> {
    let provider = aws_lc_rs::default_provider();
    let (key, private) = server_key()?;
    let signing = provider.key_provider.load_private_key(private)?;
    let names = Names { azure, authority, key, signing, made: Mutex::default() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(names));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Names {
    azure: Arc<Azure>,
    authority: Authority,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?.to_lowercase();
        self.azure.service(Channel::Tls, &host, "/")?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&host) {
            return Some(Arc::clone(known));
        }
        // Without a certificate rustls ends the handshake, which is all that can be done.
        let chain = self.authority.server(&host, &self.key).ok()?;
        let certified = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)));
        made.insert(host, Arc::clone(&certified));
        Some(certified)
    }
}
