//! All of the stand-in but its sockets: a request goes in, an answer comes out.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, StatusCode, header};
use jiff::SignedDuration;
use rustls::pki_types::CertificateDer;

use crate::{
    arm, blobs,
    blobs::BlobStore,
    clock::Clock,
    cloud::{Cloud, Service},
    entra,
    exchange::{Answer, Call, Channel, text, with_header},
    fault::{Effect, Faults},
    identity,
    journal::{Entry, Journal},
    operation::Operation,
    random,
    secret::Redacted,
    signer::Signer,
    vault,
    world::{Document, World},
};

/// How strict Entra is where Azure's strictness is not known or not wanted.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The difference of clocks that is forgiven in assertions.
    pub clock_skew: SignedDuration,
    /// Client assertions that are valid for longer are refused. Azure has no such limit.
    pub longest_assertion: Option<SignedDuration>,
    /// Whether a client assertion can be used once only. Azure is not known to refuse the second time.
    pub refuse_replays: bool,
    /// How Entra keeps the keys of issuers.
    pub issuer_keys: KeptKeys,
}

/// How long the keys of an issuer are good without asking it. What Entra does is not told; Microsoft tells others to do so:
/// <https://learn.microsoft.com/entra/identity-platform/signing-key-rollover>.
#[derive(Clone, Copy, Debug)]
pub struct KeptKeys {
    /// After so long they are asked for again.
    pub fresh: SignedDuration,
    /// After so long they are not used any more, even if the issuer does not answer.
    pub stale: SignedDuration,
    /// For a key that is not among them they are asked for again, but not sooner than this after the last time.
    pub asked_again: SignedDuration,
}

impl Default for KeptKeys {
    fn default() -> Self {
        Self {
            fresh: SignedDuration::from_hours(1),
            stale: SignedDuration::from_hours(24),
            asked_again: SignedDuration::ZERO,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            clock_skew: SignedDuration::from_mins(5),
            longest_assertion: Some(SignedDuration::from_hours(24)),
            refuse_replays: true,
            issuer_keys: KeptKeys::default(),
        }
    }
}

/// What comes of a request.
#[derive(Debug)]
pub enum Outcome {
    Answered(Answer),
    /// The connection is cut before anything is answered.
    Cut,
    /// The connection is cut in the middle of the body.
    Torn(Answer),
}

/// Azure, as far as the stand-in goes.
#[derive(Debug)]
pub struct Azure {
    pub clock: Clock,
    pub faults: Faults,
    pub journal: Journal,
    rules: Rules,
    world: Mutex<World>,
    signer: Arc<Signer>,
    /// Authorities of issuers that are somewhere else.
    trusted: Vec<CertificateDer<'static>>,
    app_service_secret: Redacted,
    busy: arm::Busy,
    blob_store: Option<BlobStore>,
}

impl Azure {
    /// An empty one, whose Entra signs with this key.
    #[must_use]
    pub fn new(rules: Rules, trusted: Vec<CertificateDer<'static>>, signer: Arc<Signer>) -> Self {
        Self {
            clock: Clock::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            rules,
            world: Mutex::default(),
            signer,
            trusted,
            app_service_secret: Redacted::new(random::hex(16)),
            busy: arm::Busy::default(),
            blob_store: None,
        }
    }

    /// With the blobs of storage accounts.
    #[must_use]
    pub fn with_blob_store(mut self, store: Option<BlobStore>) -> Self {
        self.blob_store = store;
        self
    }

    pub(crate) fn blob_store(&self) -> Option<&BlobStore> {
        self.blob_store.as_ref()
    }

    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// `IDENTITY_HEADER` of the apps.
    #[must_use]
    pub fn app_service_secret(&self) -> &Redacted {
        &self.app_service_secret
    }

    pub(crate) fn trusted(&self) -> &[CertificateDer<'static>] {
        &self.trusted
    }

    pub(crate) fn busy(&self) -> &arm::Busy {
        &self.busy
    }

    pub fn with_world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn with_world_mut<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds to the world.
    pub fn load(&self, document: Document) {
        let now = self.clock.now();
        self.with_world_mut(|world| world.load(document, now));
    }

    /// The service that has this name, if it exists: a vault only if it was made.
    #[must_use]
    pub fn service(&self, channel: Channel, host: &str, path: &str) -> Option<Service> {
        let of_documents = || {
            let known = self.with_world(|world| world.documents.keys().any(|(known, _)| known == host));
            (channel == Channel::Tls && known).then_some(Service::Documents)
        };
        let service = Service::at(channel, host, path).or_else(of_documents)?;
        match &service {
            Service::KeyVault { cloud, vault } => {
                let exists = self.with_world(|world| {
                    world.vaults.get(vault).is_some_and(|vault| world.cloud_of(&vault.tenant) == *cloud)
                });
                exists.then_some(service)
            }
            Service::Website { .. } if self.is_document(host, path) => Some(Service::Documents),
            Service::Website { account } => {
                self.with_world(|world| world.arm.accounts.contains_key(account)).then_some(service)
            }
            Service::Blobs { cloud, account } => {
                Some(if self.keeps_blobs(*cloud, account, host, path) { service } else { Service::Documents })
            }
            _ => Some(service),
        }
    }

    /// A document of the world is in front of what an account has.
    fn is_document(&self, host: &str, path: &str) -> bool {
        self.with_world(|world| world.documents.contains_key(&(host.to_owned(), path.to_owned())))
    }

    fn keeps_blobs(&self, cloud: Cloud, account: &str, host: &str, path: &str) -> bool {
        let is_known = self.with_world(|world| {
            let known = world.arm.accounts.get(account).and_then(|account| world.arm.tenant_of(&account.id()));
            known.is_some_and(|tenant| world.cloud_of(&tenant) == cloud)
        });
        is_known && !self.is_document(host, path)
    }

    /// Answers a request, or does to it what a fault says.
    pub async fn answer(&self, call: &Call) -> Outcome {
        let service = self.service(call.channel, &call.host, &call.path);
        let operation = service.as_ref().map_or(Operation::Unknown, |service| Operation::of(service, call));
        let outcome = match (self.faults.next(operation, call), service) {
            (Some(effect), Some(service)) => self.suffer(effect, &service, operation, call).await,
            (_, Some(service)) => Outcome::Answered(self.serve(&service, operation, call).await),
            (_, None) => Outcome::Answered(no_such_host(&call.host)),
        };
        self.journal.add(Entry::new(self.clock.now(), operation, call, &outcome));
        outcome
    }

    async fn suffer(&self, effect: Effect, service: &Service, operation: Operation, call: &Call) -> Outcome {
        match effect {
            Effect::Cut => Outcome::Cut,
            Effect::Torn => Outcome::Torn(self.serve(service, operation, call).await),
            Effect::Status { status, retry_after_seconds } => {
                Outcome::Answered(self.dressed(service, failure(service, status, retry_after_seconds)))
            }
            Effect::Refuse { status, code, message, retry_after_seconds } => {
                let answer = arm::refusal(as_status(status), &code, &message);
                Outcome::Answered(self.dressed(service, patient(answer, retry_after_seconds)))
            }
            Effect::Slow { milliseconds } => {
                tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
                Outcome::Answered(self.serve(service, operation, call).await)
            }
        }
    }

    async fn serve(&self, service: &Service, operation: Operation, call: &Call) -> Answer {
        let answer = match service {
            Service::Entra(cloud) => entra::answer(self, *cloud, operation, call).await,
            Service::KeyVault { cloud, vault } => vault::answer(self, *cloud, vault, operation, call),
            Service::Manager(cloud) => arm::answer(self, *cloud, call).await,
            Service::Blobs { cloud, account } => return blobs::answer(self, *cloud, account, call).await,
            Service::Website { account } => return blobs::website(self, account, call).await,
            Service::Documents => self.document(call),
            Service::Metadata => identity::metadata(self, operation, call),
            Service::AppService => identity::app_service(self, operation, call),
        };
        self.dressed(service, answer)
    }

    fn document(&self, call: &Call) -> Answer {
        let key = (call.host.clone(), call.path.clone());
        match self.with_world(|world| world.documents.get(&key).map(|document| document.body.clone())) {
            Some(body) => text(StatusCode::OK, "application/json", body),
            None => text(StatusCode::NOT_FOUND, "application/xml", NO_BLOB),
        }
    }

    /// The headers that every answer of a service has.
    fn dressed(&self, service: &Service, answer: Answer) -> Answer {
        let date = self.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let answer = with_header(answer, header::DATE, &date);
        let answer = with_header(answer, header::CACHE_CONTROL, "no-store, no-cache");
        let id = HeaderName::from_static("x-ms-request-id");
        let answer = with_header(answer, id, &random::uuid());
        match service {
            Service::KeyVault { .. } => vault::dressed(answer),
            Service::Manager(_) => arm::dressed(answer),
            _ => answer,
        }
    }
}

const NO_BLOB: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobNotFound</Code><Message>The specified \
                       blob does not exist.</Message></Error>";

fn no_such_host(host: &str) -> Answer {
    text(StatusCode::BAD_GATEWAY, "text/plain", format!("the stand-in has no {host}\n"))
}

/// What a service says that cannot.
fn failure(service: &Service, status: u16, retry_after_seconds: Option<u32>) -> Answer {
    let status = as_status(status);
    let answer = match service {
        Service::KeyVault { .. } => vault::failure(status),
        Service::Manager(_) => arm::failure(status),
        Service::Blobs { .. } | Service::Website { .. } => blobs::failure(status),
        _ => identity::failure(status),
    };
    patient(answer, retry_after_seconds)
}

fn as_status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn patient(answer: Answer, retry_after_seconds: Option<u32>) -> Answer {
    match retry_after_seconds {
        Some(seconds) => with_header(answer, header::RETRY_AFTER, &seconds.to_string()),
        None => answer,
    }
}
