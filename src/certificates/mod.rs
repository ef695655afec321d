//! What the webhook's TLS is served with: an authority of our own and the certificates that it signs, or those of files.
//!
//! Nothing here reads a clock, a file or a cluster: each moment is an argument, and so each lifetime. Keys are kept wiped and
//! redacted; rustls and rcgen hold their own copies for as long as they sign.

mod authority;
mod leaf;
mod pem;
mod provided;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use rustls::{CertificateError, pki_types::ServerName};

pub use self::{
    authority::{Authority, Unfit},
    leaf::Leaf,
    provided::{File, Provided, Refused},
};
pub use crate::credential::Secret;

/// How long what we make is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetimes {
    /// Of an authority. The next one is made when two thirds of it are over.
    pub authority: Duration,
    /// How long the next authority is trusted before it signs: for API servers to hear of it.
    pub overlap: Duration,
    /// Of what is served. It is replaced when two thirds of it are over.
    pub leaf: Duration,
    /// By how much clocks may differ.
    pub skew: Duration,
}

impl Default for Lifetimes {
    /// The key of an authority lies in a Secret, that of a leaf only in memory; neither is worth more than it lasts.
    fn default() -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self { authority: 365 * 24 * hour, overlap: hour, leaf: 24 * hour, skew: hour / 12 }
    }
}

/// The Service of the webhook, and so the names that API servers ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    pub name: String,
    pub namespace: String,
}

impl Service {
    /// What kube-apiserver expects the certificate of an entry's `service` to be for.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }

    /// That, and what else the Service is called within the cluster.
    fn names(&self) -> Vec<String> {
        let host = self.host();
        vec![format!("{host}.cluster.local"), format!("{}.{}", self.name, self.namespace), host]
    }

    fn server_name(&self) -> Result<ServerName<'static>, Failed> {
        ServerName::try_from(self.host()).map_err(|_| Failed::Name(self.host()))
    }
}

/// Why no certificate can be made. None of it is a matter of what lies in the Secret.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use the certificate that was made")]
    Tls(#[from] rustls::Error),
    #[error("no certificate can be for the Service's name {0}")]
    Name(String),
    #[error("no certificate can be valid at {0}; set this node's clock")]
    Clock(Timestamp),
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(moment: Timestamp, by: Duration) -> Timestamp {
    moment.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// As certificates tell moments.
fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// When two thirds of a time are over.
fn two_thirds(from: Timestamp, to: Timestamp) -> Timestamp {
    later(from, to.duration_since(from).unsigned_abs() / 3 * 2)
}

/// What rustls has against a certificate, if it is that.
fn certificate_error(error: &rustls::Error) -> Option<&CertificateError> {
    match error {
        rustls::Error::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}
