//! The authority of our own: a Secret that every replica reads, and any may write, as of the version that it has read.
//!
//! It is read by its name once a minute: no watch can be of one object that is not there yet without the right to all.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, api::PostParams};

use super::{
    Orders, Served, Standing, Telling,
    registration::{REGISTRATIONS, Trust, have_trusted},
};
use crate::{
    certificates::{Authority, Leaf},
    cluster::{access::AUTHORITY, client::words},
    finding,
    observed::MANAGER,
    plan::MANAGED_BY,
};

/// What the Secret is called.
pub const SECRET: &str = "hcp-identity-webhook-ca";

/// Of several replicas that write, each but one reads again; more than these are a quarrel with somebody else.
const TRIES: usize = 5;

pub(super) async fn keep(client: &Client, orders: &Orders, served: &Served, telling: &mut Telling<'_>) {
    let mut keeper = Keeper::new(client, orders);
    loop {
        let trouble = keeper.look(served).await.err();
        telling.tell(Standing { not_after: keeper.leaf.as_ref().map(|leaf| leaf.not_after), trouble });
        tokio::time::sleep(orders.interval).await;
    }
}

struct Keeper<'a> {
    client: &'a Client,
    secrets: Api<Secret>,
    orders: &'a Orders,
    leaf: Option<Leaf>,
    /// What every registration trusts, and since when that is known.
    trusted: Option<(Vec<u8>, Timestamp)>,
}

/// What lies in the Secret.
struct Found {
    authority: Authority,
    metadata: ObjectMeta,
}

impl<'a> Keeper<'a> {
    fn new(client: &'a Client, orders: &'a Orders) -> Self {
        debug_assert_eq!(AUTHORITY.resource, "secrets");
        let secrets = Api::namespaced(client.clone(), &orders.service.namespace);
        Self { client, secrets, orders, leaf: None, trusted: None }
    }

    /// Once through: the authority is of today, what it signs is served, and API servers trust it. The text of an error is
    /// for people.
    async fn look(&mut self, served: &Served) -> Result<(), String> {
        let read = (self.orders.now)();
        let authority = self.current(read).await?;
        if self.leaf.as_ref().is_none_or(|leaf| leaf.is_due(&authority, read)) {
            let leaf = Leaf::new(&authority, &self.orders.service, read, &self.orders.lifetimes);
            let leaf = leaf.map_err(|error| finding::chain(&error))?;
            served.send_replace(Some(leaf.certified.clone()));
            self.leaf = Some(leaf);
        }
        self.have_trusted(&authority).await
    }

    /// The authority of the Secret, made or moved on by us where it is time for that.
    async fn current(&self, now: Timestamp) -> Result<Authority, String> {
        for _ in 0..TRIES {
            let found = self.read().await?;
            let lifetimes = &self.orders.lifetimes;
            let next = match &found {
                None => Authority::new(now, lifetimes).map(Some),
                Some(found) => found.authority.next(now, lifetimes, self.trusted_since(&found.authority)),
            };
            let Some(next) = next.map_err(|error| finding::chain(&error))? else {
                if let Some(found) = found {
                    return Ok(found.authority);
                };
                continue;
            };
            if self.write(&next, found.map(|found| found.metadata)).await? {
                tracing::info!(authority = ?next, "the Secret {SECRET} has been written");
                return Ok(next);
            }
        }
        Err(format!("{}: others write it as often as it is read", self.place()))
    }

    fn trusted_since(&self, authority: &Authority) -> Option<Timestamp> {
        let (bundle, since) = self.trusted.as_ref()?;
        (*bundle == authority.bundle()).then_some(*since)
    }

    async fn read(&self) -> Result<Option<Found>, String> {
        let secret = self.secrets.get_opt(SECRET).await;
        let secret = secret.map_err(|error| format!("cannot read {}: {}", self.place(), remedy(&error)))?;
        let Some(secret) = secret else { return Ok(None) };
        let labels = secret.metadata.labels.as_ref();
        if labels.and_then(|labels| labels.get(MANAGED_BY.0)).map(String::as_str) != Some(MANAGED_BY.1) {
            return Err(format!(
                "{} is not ours (no label {}={}); delete it, and it is made anew",
                self.place(),
                MANAGED_BY.0,
                MANAGED_BY.1
            ));
        }
        let authority = Authority::from_data(&secret.data.unwrap_or_default());
        let authority = authority
            .map_err(|unfit| format!("{} cannot be used: {unfit}; delete it, and it is made anew", self.place()))?;
        Ok(Some(Found { authority, metadata: secret.metadata }))
    }

    /// Whether it was taken: not, if somebody else was faster.
    async fn write(&self, authority: &Authority, found: Option<ObjectMeta>) -> Result<bool, String> {
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let labels = [("app.kubernetes.io/name", "hcp-identity"), MANAGED_BY];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let is_new = found.is_none();
        let metadata = found.unwrap_or_else(|| ObjectMeta {
            name: Some(SECRET.to_owned()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        });
        let secret = Secret { metadata, data: Some(authority.to_data()), ..Secret::default() };
        let written = match is_new {
            true => self.secrets.create(&parameters, &secret).await,
            false => self.secrets.replace(SECRET, &parameters, &secret).await,
        };
        match written {
            Ok(_) => Ok(true),
            // 404: it has been deleted since.
            Err(kube::Error::Api(status))
                if [404, 409].contains(&status.code) && !status.message.contains("namespaces") =>
            {
                Ok(false)
            }
            Err(error) => Err(format!("cannot write {}: {}", self.place(), remedy(&error))),
        }
    }

    async fn have_trusted(&mut self, authority: &Authority) -> Result<(), String> {
        let bundle = authority.bundle();
        let mut lacked = false;
        let trust = have_trusted(self.client, &bundle, &mut lacked).await;
        if lacked {
            self.trusted = None;
        }
        let trust = trust?;
        if self.trusted_since(authority).is_none() {
            self.trusted = Some((bundle, (self.orders.now)()));
        }
        match trust {
            Trust::Whole => Ok(()),
            Trust::NobodyAsks => Err(format!(
                "no API server asks the webhook: there is no MutatingWebhookConfiguration {}; apply manifests/components/webhook",
                REGISTRATIONS.join(" and no ")
            )),
        }
    }

    fn place(&self) -> String {
        format!("Secret {}/{SECRET}", self.orders.service.namespace)
    }
}

fn remedy(error: &kube::Error) -> String {
    let what = words(error);
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{what}; grant what manifests/components/webhook-self-signed has")
        }
        _ => what,
    }
}
