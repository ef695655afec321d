//! Azure Resource Manager over HTTPS: resources by their id, as JSON.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use azure_core::{
    credentials::TokenCredential,
    http::{
        ClientOptions, Context, ExponentialRetryOptions, Method, Pipeline, PipelineSendOptions, RawResponse, Request,
        RetryOptions, Url, policies::auth::BearerTokenAuthorizationPolicy,
    },
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{Refusal, rehearsal::Rehearsal};
use crate::{
    azure::{Access, Caller, header, options, retry_after},
    finding::chain,
};

/// The way to Azure Resource Manager and to the blobs of its accounts, in one cloud, as one caller.
pub struct Arm {
    pipeline: Pipeline,
    endpoint: Url,
    blob_suffix: String,
    http: reqwest::Client,
    credential: Arc<dyn TokenCredential>,
    pub(super) subscription: String,
    /// Where nothing is to be changed.
    pub(super) rehearsal: Option<Rehearsal>,
    /// Told while Azure is waited for.
    waits: Box<dyn Fn(&str) + Send + Sync>,
}

/// How long what was made may take to be seen everywhere: <https://learn.microsoft.com/azure/role-based-access-control/troubleshooting>
/// speaks of up to ten minutes.
const SPREADS: Duration = Duration::from_secs(600);
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);
/// What an operation of Azure's own may take, such as deleting a resource group.
const OPERATION: Duration = Duration::from_secs(1800);
/// Between looks at an operation, where Azure does not say.
const LOOK: Duration = Duration::from_secs(5);
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(60);
/// For an answer, with all that is repeated on the way to it.
const PATIENCE: Duration = Duration::from_secs(600);
/// Of a list: more than any subscription has.
const MOST_PAGES: usize = 1000;

pub(super) const NOT_PROVISIONED: &str = "StorageAccountIsNotProvisioned";
/// What Azure says of something that it is at work on.
const BUSY: [&str; 5] = [
    "StorageAccountOperationInProgress",
    "StorageAccountBeingCreated",
    NOT_PROVISIONED,
    "AnotherOperationInProgress",
    GROUP_GOES,
];
pub(super) const GROUP_GOES: &str = "ResourceGroupBeingDeleted";

const UNKNOWN_CLOUD: &str = "where Azure Resource Manager of this cloud is is not known: set HCP_IDENTITY_RESOURCE_MANAGER, \
                             such as https://management.azure.com";
const UNKNOWN_BLOBS: &str =
    "where blobs of this cloud are is not known: set HCP_IDENTITY_BLOB_SUFFIX, such as blob.core.windows.net";

impl Arm {
    /// # Errors
    /// If the cloud is unknown, the proxy or the certificates are none, or nothing says who the caller is.
    pub fn new(access: &Access, cloud: &str, subscription: &str) -> Result<Self, Refusal> {
        const SUBJECT: &str = "cannot reach Azure";
        let endpoint = access.resource_manager_of(cloud).ok_or_else(|| Refusal::new(SUBJECT, UNKNOWN_CLOUD))?;
        let blob_suffix = access.blob_suffix_of(cloud).ok_or_else(|| Refusal::new(SUBJECT, UNKNOWN_BLOBS))?;
        let http = access.http().map_err(|error| Refusal::new("cannot set up HTTPS", &chain(&error)))?;
        let authority = access.authority_of(cloud);
        let of = |authority: Option<&str>| options(&http, authority, retries());
        let credential = access.signs_in(Caller::Person, of, authority.as_deref());
        let credential = credential.map_err(|error| Refusal::of("cannot sign in to Azure", &error))?;
        let scope = access.resource_manager_scope_of(cloud);
        let token = Arc::new(BearerTokenAuthorizationPolicy::new(Arc::clone(&credential), scope));
        let url = Url::parse(&format!("{endpoint}/")).ok().filter(|url| url.scheme() == "https");
        let url = url.ok_or_else(|| Refusal::new(SUBJECT, &format!("{endpoint} is no https URL")))?;
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options(&http, None, retries()),
            Vec::new(),
            vec![token],
            None,
        );
        Ok(Self {
            pipeline,
            endpoint: url,
            blob_suffix: blob_suffix.to_owned(),
            http,
            credential,
            subscription: subscription.to_owned(),
            rehearsal: None,
            waits: Box::new(|_| {}),
        })
    }

    /// Has somebody told while Azure is waited for.
    #[must_use]
    pub fn telling(mut self, waits: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.waits = Box::new(waits);
        self
    }

    /// Has what is there looked at, and nothing changed: what is told is what would become of it.
    #[must_use]
    pub fn rehearsing(self) -> Self {
        Self { rehearsal: Some(Rehearsal::default()), ..self }
    }

    /// Whether it is only there once this is no rehearsal.
    pub(super) fn is_to_be_made(&self, id: &str) -> bool {
        self.rehearsal.as_ref().is_some_and(|rehearsal| rehearsal.is_below_new(id))
    }

    /// Tells whoever looks on what is waited for.
    pub(super) fn tell_of_wait(&self, words: &str) {
        (self.waits)(&waiting(words));
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::clone(&self.credential)
    }

    /// For clients of the SDK that sign in themselves.
    pub(super) fn options(&self) -> ClientOptions {
        options(&self.http, None, retries())
    }

    /// `ACCOUNT.blob.core.windows.net` of a cloud.
    pub(super) fn blob_host(&self, account: &str) -> String {
        format!("{account}.{}", self.blob_suffix)
    }

    pub(super) fn in_subscription(&self, path: &str) -> String {
        format!("/subscriptions/{}{path}", self.subscription)
    }

    pub(super) fn in_group(&self, group: &str, path: &str) -> String {
        self.in_subscription(&format!("/resourceGroups/{group}{path}"))
    }

    /// What is there; none where there is nothing.
    pub(super) async fn get(&self, subject: &str, id: &str, version: &str) -> Result<Option<Value>, Refusal> {
        if let Some(known) = self.rehearsal.as_ref().and_then(|rehearsal| rehearsal.knows(id)) {
            return Ok(known);
        }
        let answer = self.send(subject, Method::Get, self.url(subject, id, version, &[])?, None).await;
        match answer {
            Ok(answer) => json(subject, &answer).map(Some),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// All pages of a list. What is no list is not an empty one: what is not listed may be deleted with what it is in.
    pub(super) async fn list(
        &self,
        subject: &str,
        id: &str,
        version: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, Refusal> {
        if self.is_to_be_made(id) {
            return Ok(Vec::new());
        }
        let (mut found, mut asked) = (Vec::new(), BTreeSet::new());
        let mut next = Some(self.url(subject, id, version, query)?);
        while let Some(url) = next {
            if !asked.insert(url.to_string()) || asked.len() > MOST_PAGES {
                return Err(Refusal::new(subject, "Azure's list has no end"));
            }
            let mut page = json(subject, &self.send(subject, Method::Get, url, None).await?)?;
            let Some(Value::Array(values)) = page.get_mut("value").map(Value::take) else {
                return Err(Refusal::new(subject, "Azure's answer is no list"));
            };
            found.extend(values);
            let link = page.get("nextLink").and_then(Value::as_str).filter(|link| !link.is_empty());
            next = link.map(|link| self.ours(subject, link)).transpose()?;
        }
        Ok(found)
    }

    /// Makes it, or makes it as it should be; done when Azure says so.
    pub(super) async fn put(&self, subject: &str, id: &str, version: &str, body: &Value) -> Result<Value, Refusal> {
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.put(id, body);
            return Ok(body.clone());
        }
        self.change(subject, Method::Put, id, version, body).await
    }

    pub(super) async fn patch(&self, subject: &str, id: &str, version: &str, body: &Value) -> Result<Value, Refusal> {
        if let Some(rehearsal) = &self.rehearsal {
            let known = self.get(subject, id, version).await?.unwrap_or_default();
            return Ok(rehearsal.patch(id, known, body));
        }
        self.change(subject, Method::Patch, id, version, body).await
    }

    /// Asks for something that is no resource.
    pub(super) async fn post(&self, subject: &str, id: &str, version: &str) -> Result<(), Refusal> {
        self.send(subject, Method::Post, self.url(subject, id, version, &[])?, None).await.map(drop)
    }

    /// Whether there was something to delete; done when it is gone.
    pub(super) async fn delete(&self, subject: &str, id: &str, version: &str) -> Result<bool, Refusal> {
        if self.rehearsal.is_some() {
            return Ok(true);
        }
        let url = self.url(subject, id, version, &[])?;
        let call = async || self.send(subject, Method::Delete, url.clone(), None).await;
        let answer = match self.patiently(&BUSY, call).await {
            Err(refusal) if refusal.is_missing() => return Ok(false),
            answer => answer?,
        };
        let was_there = u16::from(answer.status()) != 204;
        self.finish(subject, &answer).await?;
        Ok(was_there)
    }

    async fn change(
        &self,
        subject: &str,
        method: Method,
        id: &str,
        version: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let url = self.url(subject, id, version, &[])?;
        // A run before this one, or a call whose answer was lost, may have begun it.
        let call = async || self.send(subject, method, url.clone(), Some(body)).await;
        let answer = match self.patiently(&BUSY, call).await {
            Err(refusal) if refusal.is(&["MissingSubscriptionRegistration"]) => {
                self.register(id).await?;
                self.patiently(&BUSY, call).await?
            }
            answer => answer?,
        };
        if self.finish(subject, &answer).await? || answer.body().is_empty() {
            let made = self.get(subject, id, version).await?;
            return made.ok_or_else(|| Refusal::new(subject, "Azure says that it is done, and has nothing there"));
        }
        json(subject, &answer)
    }

    /// Waits for an operation that goes on after its answer: whether there was one.
    async fn finish(&self, subject: &str, answer: &RawResponse) -> Result<bool, Refusal> {
        let headers = answer.headers();
        // The Location of a 201 is the thing itself, which is there.
        let location = header(headers, "location").filter(|_| u16::from(answer.status()) == 202);
        let Some(link) = header(headers, "azure-asyncoperation").or(location) else { return Ok(false) };
        let (link, started) = (self.ours(subject, link)?, Instant::now());
        let mut pause = retry_after(headers).unwrap_or(LOOK);
        loop {
            self.tell_of_wait(subject);
            sleep(pause.clamp(SOONEST, LATEST)).await;
            let answer = self.send(subject, Method::Get, link.clone(), None).await?;
            match state(subject, &answer)? {
                State::Done => return Ok(true),
                State::Failed(body) => return Err(Refusal::of_operation(subject, &body)),
                State::GoesOn if started.elapsed() > OPERATION => {
                    return Err(Refusal::new(
                        subject,
                        "Azure has not finished it in half an hour; run this again later",
                    ));
                }
                State::GoesOn => pause = retry_after(answer.headers()).unwrap_or(LOOK),
            }
        }
    }

    /// Calls again as long as Azure says one of these codes: what was just made is not known everywhere at once.
    pub(super) async fn patiently<T>(
        &self,
        codes: &[&str],
        call: impl AsyncFn() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (started, mut pause) = (Instant::now(), FIRST);
        loop {
            match call().await {
                Err(refusal) if refusal.is(codes) && started.elapsed() < SPREADS => self.tell_of_wait(&refusal.message),
                done => return done,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    fn url(&self, subject: &str, id: &str, version: &str, query: &[(&str, &str)]) -> Result<Url, Refusal> {
        if !is_path(id) {
            return Err(Refusal::new(subject, "Azure has given it an id that is no path, which is not followed"));
        }
        let mut url = self.endpoint.join(id).map_err(|error| Refusal::new(subject, &error.to_string()))?;
        url.query_pairs_mut().append_pair("api-version", version).extend_pairs(query);
        Ok(url)
    }

    /// A link of Azure's. Our token goes nowhere else.
    fn ours(&self, subject: &str, link: &str) -> Result<Url, Refusal> {
        let ours = self.endpoint.join(link).ok().filter(|url| url.origin() == self.endpoint.origin());
        ours.ok_or_else(|| Refusal::new(subject, "Azure's answer leads to another host, and is not followed"))
    }

    /// Azure may ask for any patience before a call is repeated.
    pub(super) async fn in_time<T>(&self, subject: &str, answer: impl Future<Output = T>) -> Result<T, Refusal> {
        let late = |_| {
            Refusal::new(subject, "Azure has not answered in ten minutes, or asks to wait longer; run this again later")
        };
        timeout(PATIENCE, answer).await.map_err(late)
    }

    async fn send(
        &self,
        subject: &str,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<RawResponse, Refusal> {
        let mut request = Request::new(url, method);
        request.insert_header("accept", "application/json");
        if let Some(body) = body {
            request.insert_header("content-type", "application/json");
            request.set_json(body).map_err(|error| Refusal::new(subject, &chain(&error)))?;
        }
        let unchecked = PipelineSendOptions { skip_checks: true, ..Default::default() };
        let context = Context::new();
        let answer = self.in_time(subject, self.pipeline.send(&context, &mut request, Some(unchecked))).await?;
        let answer = answer.map_err(|error| Refusal::of(subject, &error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(Refusal::answered(subject, &answer)) }
    }
}

/// What is waited for, of words that tell why it has not come about: progress, and no error.
fn waiting(words: &str) -> String {
    words
        .strip_prefix("cannot ")
        .map_or_else(|| format!("waiting: {words}"), |what| format!("waiting for Azure to {what}"))
}

/// Of what is throttled, or had no answer.
fn retries() -> RetryOptions {
    let max_total_elapsed = PATIENCE.try_into().unwrap_or(azure_core::time::Duration::MAX);
    RetryOptions::exponential(ExponentialRetryOptions { max_retries: 5, max_total_elapsed, ..Default::default() })
}

enum State {
    GoesOn,
    Done,
    Failed(Value),
}

/// <https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations>
fn state(subject: &str, answer: &RawResponse) -> Result<State, Refusal> {
    if u16::from(answer.status()) == 202 {
        return Ok(State::GoesOn);
    }
    let body = if answer.body().is_empty() { Value::Null } else { json(subject, answer)? };
    Ok(match body.get("status").and_then(Value::as_str) {
        Some("Failed" | "Canceled" | "Cancelled") => State::Failed(body),
        None | Some("Succeeded") => State::Done,
        Some(_) => State::GoesOn,
    })
}

/// Whether an id, which may be Azure's, is the path of a thing, and of no other one once it is part of a URL.
fn is_path(id: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..");
    let strange = |character: char| character.is_control() || "?#%\\".contains(character);
    id.strip_prefix('/').is_some_and(|path| path.split('/').all(plain)) && !id.contains(strange)
}

fn json(subject: &str, answer: &RawResponse) -> Result<Value, Refusal> {
    serde_json::from_slice(answer.body().as_ref()).map_err(|_| Refusal::new(subject, "Azure's answer is no JSON"))
}

#[cfg(test)]
mod tests;
