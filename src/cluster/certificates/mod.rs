//! Keeps the webhook's certificate: with an authority of our own in a Secret, or from files that somebody else renews.
//!
//! Whatever goes wrong, what is served last stays served: an API server that does not accept it creates the pod without us.

mod authority;
mod files;
mod registration;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

pub use self::{authority::SECRET, registration::REGISTRATIONS};
use super::{client::words, daemon::Applied};
use crate::{
    certificates::{Lifetimes, Service},
    settings::daemon::{Certificates, DaemonSettings},
};

/// What the webhook's Service is called, in the daemon's own namespace.
pub const SERVICE: &str = "hcp-identity-webhook";

/// How it stands with what is served, for metrics and people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// When what is served expires; none as long as nothing has been.
    pub not_after: Option<Timestamp>,
    /// What is wrong and what to do about it.
    pub trouble: Option<String>,
}

/// What is kept, and how.
#[derive(Clone, Debug)]
pub struct Orders {
    pub service: Service,
    pub lifetimes: Lifetimes,
    /// How often the Secret, the registrations and the files are looked at without a sign of change.
    pub interval: Duration,
    pub now: fn() -> Timestamp,
}

impl Orders {
    /// For a daemon in this namespace.
    #[must_use]
    pub fn new(namespace: &str, now: fn() -> Timestamp) -> Self {
        let service = Service { name: SERVICE.to_owned(), namespace: namespace.to_owned() };
        Self { service, lifetimes: Lifetimes::default(), interval: Duration::from_secs(60), now }
    }
}

/// What serves takes its certificate from here.
pub type Served = watch::Sender<Option<Arc<CertifiedKey>>>;

/// Keeps it for as long as the settings ask for the webhook, and from where they say. It ends with the settings.
///
/// # Assumptions
/// The webhook listens: where the authority is our own, API servers are sent to it as soon as there is a certificate.
pub async fn keep(
    client: Client,
    orders: Orders,
    mut applied: watch::Receiver<Arc<Applied>>,
    served: Served,
    tell: impl Fn(&Standing) + Send + Sync,
) {
    let mut telling = Telling { tell: &tell, last: None };
    loop {
        let source = Source::of(&applied.borrow_and_update().settings);
        let kept = async {
            match &source {
                Source::Nowhere => std::future::pending().await,
                Source::Own => authority::keep(&client, &orders, &served, &mut telling).await,
                Source::Files(folder) => files::keep(folder, &orders, &served, &mut telling).await,
            }
        };
        let other = async {
            while applied.changed().await.is_ok() {
                if Source::of(&applied.borrow_and_update().settings) != source {
                    return true;
                }
            }
            false
        };
        let goes_on = tokio::select! {
            goes_on = other => goes_on,
            () = kept => false,
        };
        if !goes_on {
            return;
        }
    }
}

/// Where certificates come from.
#[derive(Eq, PartialEq)]
enum Source {
    Nowhere,
    Own,
    Files(PathBuf),
}

impl Source {
    fn of(settings: &DaemonSettings) -> Self {
        match settings.webhook.certificates {
            _ if !settings.answers_reviews() => Self::Nowhere,
            Certificates::Own => Self::Own,
            Certificates::CertManager | Certificates::Files => Self::Files(settings.webhook.certificate_folder.clone()),
        }
    }
}

/// Tells how it stands whenever that is something else than before.
struct Telling<'a> {
    tell: &'a (dyn Fn(&Standing) + Send + Sync),
    last: Option<Standing>,
}

impl Telling<'_> {
    fn tell(&mut self, standing: Standing) {
        if self.last.as_ref() == Some(&standing) {
            return;
        }
        let (before, now) = (self.last.as_ref().and_then(|last| last.trouble.as_ref()), standing.trouble.as_ref());
        match now {
            Some(trouble) if before != Some(trouble) => {
                tracing::warn!(trouble, "the webhook's certificate needs attention");
            }
            None if before.is_some() => tracing::info!("the webhook's certificate is in order again"),
            _ => {}
        }
        if let Some(not_after) =
            standing.not_after.filter(|_| self.last.as_ref().map(|last| last.not_after) != Some(standing.not_after))
        {
            tracing::info!(%not_after, "the webhook has another certificate");
        }
        (self.tell)(&standing);
        self.last = Some(standing);
    }
}

/// What the API server says of a request about our own certificate, and what to do about it.
fn remedy(error: &kube::Error) -> String {
    let what = words(error);
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{what}; grant what manifests/components/webhook-self-signed has")
        }
        _ => what,
    }
}
