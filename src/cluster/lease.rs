//! Which of several replicas writes: a Lease, by client-go's rules.
//!
//! The age of another's lease is judged by the local clock from when it was last seen to change, never by the times that
//! stand in it. Our own right to write ends before another's can begin: writes start within [`RENEW_DEADLINE`] of the last
//! renewal and are given up before [`LEASE_DURATION`] is over.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;

use super::{access::LEASE, client::chain};

pub const LEASE_DURATION: Duration = Duration::from_secs(15);
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// The right to write, as of the last renewal.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<Option<Instant>>>);

impl Fence {
    /// Whether a write may start now.
    pub fn holds(&self, now: Instant) -> bool {
        self.renewed().is_some_and(|renewed| now < renewed + RENEW_DEADLINE)
    }

    /// How long a write that starts now may take.
    pub fn allows(&self, now: Instant) -> Duration {
        self.renewed().map_or(Duration::ZERO, |renewed| (renewed + LEASE_DURATION).saturating_duration_since(now))
    }

    fn renewed(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, renewed: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
    }
}

/// What is known of the Lease, and since when.
#[derive(Clone, Debug)]
struct Seen {
    resource_version: Option<String>,
    spec: LeaseSpec,
    since: Instant,
}

/// One candidate.
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    identity: String,
    fence: Fence,
    seen: Option<Seen>,
}

/// What one try came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    Leading,
    Following { leader: String },
}

impl Candidate {
    #[must_use]
    pub fn new(client: &Client, namespace: &str, name: &str, identity: &str, fence: Fence) -> Self {
        debug_assert_eq!(LEASE.resource, "leases");
        let leases = Api::namespaced(client.clone(), namespace);
        Self { leases, name: name.to_owned(), identity: identity.to_owned(), fence, seen: None }
    }

    /// Takes or renews the Lease if that is allowed. Without an answer nothing changes: the fence closes by itself.
    ///
    /// # Errors
    /// What the API server says, or that it said nothing in time.
    pub async fn step(&mut self) -> Result<Standing, String> {
        let started = Instant::now();
        let standing = tokio::time::timeout(RENEW_DEADLINE / 2, self.try_step()).await;
        let standing = standing.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
        match standing {
            Standing::Leading => self.fence.set(Some(started)),
            Standing::Following { .. } => self.fence.set(None),
        }
        Ok(standing)
    }

    async fn try_step(&mut self) -> Result<Standing, String> {
        let found = self.leases.get_opt(&self.name).await.map_err(|error| chain(&error))?;
        let Some(found) = found else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.ours(None)),
            };
            let created = self.leases.create(&PostParams::default(), &lease).await.map_err(|error| chain(&error))?;
            self.note(created);
            return Ok(Standing::Leading);
        };
        let now = self.note(found);
        let Some(seen) = &self.seen else { return Err("the Lease was not kept".to_owned()) };
        let holder = seen.spec.holder_identity.clone().unwrap_or_default();
        let lasts = u64::try_from(seen.spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let expired = now >= seen.since + Duration::from_secs(lasts);
        if !(holder.is_empty() || holder == self.identity || expired) {
            return Ok(Standing::Following { leader: holder });
        }
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: seen.resource_version.clone(),
                ..ObjectMeta::default()
            },
            spec: Some(self.ours(Some(&seen.spec))),
        };
        let replaced = self.leases.replace(&self.name, &PostParams::default(), &lease).await;
        match replaced {
            Ok(lease) => {
                self.note(lease);
                Ok(Standing::Leading)
            }
            // Somebody was faster, and will be seen at the next try.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(Standing::Following { leader: "another replica".to_owned() })
            }
            Err(error) => Err(chain(&error)),
        }
    }

    /// Remembers a Lease and, where it differs from the one before, since when: not before its answer was here, for its
    /// holder may have renewed it as late as that. Returns when that was.
    fn note(&mut self, lease: Lease) -> Instant {
        let now = Instant::now();
        let spec = lease.spec.unwrap_or_default();
        let since = self.seen.as_ref().filter(|seen| seen.spec == spec).map_or(now, |seen| seen.since);
        self.seen = Some(Seen { resource_version: lease.metadata.resource_version, spec, since });
        now
    }

    fn ours(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        #[expect(clippy::disallowed_methods, reason = "a Lease says when it was renewed; nobody decides by it")]
        let now = MicroTime(Timestamp::now());
        let held = before.filter(|before| before.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|before| before.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: held.and_then(|held| held.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(before.is_some() && held.is_none())),
            ..LeaseSpec::default()
        }
    }

    /// Hands the Lease back, so that another replica need not wait for it to run out.
    pub async fn release(self) {
        self.fence.set(None);
        let handed_back = tokio::time::timeout(RETRY_PERIOD, self.hand_back()).await;
        if let Err(error) = handed_back.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            tracing::info!(error, "the Lease was not handed back; it runs out by itself");
        }
    }

    async fn hand_back(&self) -> Result<(), String> {
        // Read anew: a renewal that the stop has cut short may have been taken all the same.
        let found = self.leases.get_opt(&self.name).await.map_err(|error| chain(&error))?;
        let (metadata, spec) = found.map(|lease| (lease.metadata, lease.spec.unwrap_or_default())).unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        let spec = LeaseSpec { holder_identity: Some(String::new()), lease_duration_seconds: Some(1), ..spec };
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            resource_version: metadata.resource_version,
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, spec: Some(spec) };
        self.leases.replace(&self.name, &PostParams::default(), &lease).await.map(drop).map_err(|error| chain(&error))
    }
}

/// How long until the next try.
#[must_use]
pub fn retry_period() -> Duration {
    RETRY_PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_right_to_write_ends_before_another_can_begin() {
        let fence = Fence::default();
        let start = Instant::now();
        assert!(!fence.holds(start));
        fence.set(Some(start));
        assert!(fence.holds(start + Duration::from_secs(9)) && !fence.holds(start + RENEW_DEADLINE));
        let late = start + Duration::from_millis(9_999);
        assert!(late + fence.allows(late) <= start + LEASE_DURATION);
    }

    /// The holder may have renewed just before a slow answer was made.
    #[tokio::test(start_paused = true)]
    async fn another_s_lease_is_as_old_as_its_answer_and_no_older() {
        let mut delays = [4, 0, 0].into_iter();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let delay = Duration::from_secs(delays.next().unwrap_or_default());
            let holder = if request.method() == "GET" { "another" } else { "us" };
            async move {
                tokio::time::sleep(delay).await;
                let lease = serde_json::json!({
                    "metadata": {"name": "lease", "resourceVersion": "1"},
                    "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
                });
                Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::from(lease.to_string().into_bytes())))
            }
        });
        let client = Client::new(service, "default");
        let mut candidate = Candidate::new(&client, "default", "lease", "us", Fence::default());
        let following = Ok(Standing::Following { leader: "another".to_owned() });
        let start = Instant::now();
        assert_eq!(candidate.step().await, following);
        tokio::time::sleep_until(start + Duration::from_secs(18)).await;
        assert_eq!(candidate.step().await, following, "the answer came after 4 seconds");
        tokio::time::sleep_until(start + Duration::from_millis(19_001)).await;
        assert_eq!(candidate.step().await, Ok(Standing::Leading));
    }
}
