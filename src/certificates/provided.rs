//! A certificate that somebody else makes, in two files: cert-manager, or whoever runs the cluster.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustls::{
    CertificateError,
    client::verify_server_name,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{Service, certificate_error, pem};
use crate::credential::{Certificate, Secret};

/// A file and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    pub path: &'a Path,
    pub content: &'a Secret,
}

/// A certificate that can be served, until it expires.
#[derive(Clone, Debug)]
pub struct Provided {
    pub certified: Arc<CertifiedKey>,
    pub not_after: Timestamp,
}

/// Why files are not served. Nothing of a key is quoted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error(
        "cannot read {path}: {why}; mount the Secret that has tls.crt and tls.key there, or set webhook.certificates to self"
    )]
    Unreadable { path: PathBuf, why: String },
    #[error("{path} has more than {limit} bytes, which is no certificate and no key")]
    TooLarge { path: PathBuf, limit: u64 },
    #[error(
        "{path} is not one or more certificates in PEM; it must have the webhook's, and after it those that lead to its authority"
    )]
    NoCertificate { path: PathBuf },
    #[error("the first certificate in {path} cannot be used: {why}")]
    Unusable { path: PathBuf, why: String },
    #[error("{path} is not a private key in PEM that TLS can use (PKCS#8, SEC1 or PKCS#1, not encrypted)")]
    NoKey { path: PathBuf },
    #[error(
        "the key in {key} is not that of the first certificate in {certificate}; both must come from the same issue"
    )]
    OtherKey { certificate: PathBuf, key: PathBuf },
    #[error("the certificate in {path} has expired at {not_after}; whoever issues it must renew it")]
    Expired { path: PathBuf, not_after: Timestamp },
    #[error("the certificate in {path} is not valid before {not_before}; set the clock of this node or of its issuer")]
    NotYet { path: PathBuf, not_before: Timestamp },
    #[error("the certificate in {path} is for {}, but API servers ask for {host}; have it issued for that name", list(.names))]
    OtherName { path: PathBuf, names: Vec<String>, host: String },
}

impl Provided {
    /// Takes a chain and its key, if API servers can accept them now. Whether they lead to the `caBundle` of a registration is
    /// its writer's to see: it is not known here.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(chain: File<'_>, key: File<'_>, service: &Service, now: Timestamp) -> Result<Self, Refused> {
        let path = chain.path.to_owned();
        let certificates = pem::certificates(chain.content.expose());
        let certificates = certificates.ok_or_else(|| Refused::NoCertificate { path: path.clone() })?;
        let unusable = |why: String| Refused::Unusable { path: path.clone(), why };
        let first = certificates.first().ok_or_else(|| Refused::NoCertificate { path: path.clone() })?;
        let read = Certificate::read(first).ok_or_else(|| unusable("it is no X.509 certificate".to_owned()))?;
        let parsed = ParsedCertificate::try_from(first).map_err(|error| unusable(error.to_string()))?;
        let host = service.host();
        let name = service.server_name().map_err(|error| unusable(error.to_string()))?;
        verify_server_name(&parsed, &name).map_err(|error| match certificate_error(&error) {
            Some(CertificateError::NotValidForNameContext { presented, .. }) => Refused::OtherName {
                path: path.clone(),
                names: presented.iter().map(|name| bare(name)).collect(),
                host,
            },
            _ => unusable(error.to_string()),
        })?;
        if now >= read.not_after {
            return Err(Refused::Expired { path, not_after: read.not_after });
        }
        if now < read.not_before {
            return Err(Refused::NotYet { path, not_before: read.not_before });
        }
        let no_key = || Refused::NoKey { path: key.path.to_owned() };
        let private = PrivateKeyDer::from_pem_slice(key.content.expose()).map_err(|_| no_key())?;
        let private = Zeroizing::new(private);
        let signing = any_supported_type(&private).map_err(|_| no_key())?;
        let certified = CertifiedKey::new(certificates, signing);
        if certified.keys_match().is_err() {
            return Err(Refused::OtherKey { certificate: path, key: key.path.to_owned() });
        }
        Ok(Self { certified: Arc::new(certified), not_after: read.not_after })
    }
}

/// What stands quoted in rustls' words for a name.
fn bare(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}
