//! One writer of one object, on a cluster.

use std::{convert::Infallible, fmt, pin::pin, time::Duration};

use futures::{StreamExt as _, future::Either, stream};
use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;

use crate::writer::{CNO_MANAGER, Writer};

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_millis(500);

/// Reconciles one object as its writer does.
pub struct Operator {
    writer: Writer,
    api: Api<DynamicObject>,
    name: String,
    kind: String,
    desired: Value,
    expected_generation: Option<i64>,
    writes: Vec<Write>,
    tell: Box<dyn FnMut(&Write) + Send>,
}

/// A write that the API server took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    pub verb: Verb,
    /// Nothing if there was no object.
    pub before: Option<Stamp>,
    pub after: Stamp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    Post,
    Put,
    Apply,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Apply => "APPLY",
        })
    }
}

/// Where an object stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp {
    pub generation: Option<i64>,
    pub resource_version: Option<String>,
}

impl Stamp {
    #[must_use]
    pub fn of(object: &DynamicObject) -> Self {
        Self { generation: object.metadata.generation, resource_version: object.metadata.resource_version.clone() }
    }
}

impl Write {
    /// Whether the API server made something else of the object, be it metadata.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.before.as_ref() != Some(&self.after)
    }
}

impl Operator {
    /// `desired` is the whole object, with its name and namespace.
    #[must_use]
    pub fn new(client: Client, writer: Writer, desired: Value) -> Self {
        let text = |pointer| desired.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, namespace, kind) = (text("/metadata/name"), text("/metadata/namespace"), text("/kind"));
        let api = Api::namespaced_with(client, &namespace, &resource(&desired));
        Self { writer, api, name, kind, desired, expected_generation: None, writes: Vec::new(), tell: Box::new(|_| {}) }
    }

    /// The same operator, which tells of each write.
    #[must_use]
    pub fn telling(mut self, tell: impl FnMut(&Write) + Send + 'static) -> Self {
        self.tell = Box::new(tell);
        self
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    #[must_use]
    pub fn desired(&self) -> &Value {
        &self.desired
    }

    /// From the next reconcile on it wants this.
    pub fn set_desired(&mut self, desired: Value) {
        self.desired = desired;
    }

    /// All its writes, in their order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// One pass: reads, decides, writes once or not at all.
    ///
    /// **Errors**: of the API server, a conflict among them. The next pass tries again.
    pub async fn reconcile(&mut self) -> Result<Option<Write>, Error> {
        let live = self.api.get_opt(&self.name).await?;
        let before = live.as_ref().map(Stamp::of);
        let (verb, written) = match (self.writer, live) {
            (Writer::Cno, _) => (Verb::Apply, self.apply().await?),
            (writer, None) => {
                let object = object(writer.creation(&self.desired))?;
                (Verb::Post, self.api.create(&PostParams::default(), &object).await?)
            }
            (writer, Some(live)) => {
                let live = serde_json::to_value(live).map_err(Error::SerdeError)?;
                let Some(update) = writer.update(&live, &self.desired, self.expected_generation) else {
                    return Ok(None);
                };
                (Verb::Put, self.api.replace(&self.name, &PostParams::default(), &object(update)?).await?)
            }
        };
        let after = Stamp::of(&written);
        self.expected_generation = after.generation;
        let write = Write { verb, before, after };
        (self.tell)(&write);
        self.writes.push(write.clone());
        Ok(Some(write))
    }

    async fn apply(&self) -> Result<DynamicObject, Error> {
        let parameters = PatchParams::apply(CNO_MANAGER).force();
        self.api.patch(&self.name, &parameters, &Patch::Apply(&self.desired)).await
    }

    /// Reconciles whenever the object changes, if its writer watches it, and every `resync`. Drop the future to stop.
    pub async fn run(&mut self, resync: Duration) -> Infallible {
        self.run_until(resync, std::future::pending()).await
    }

    /// The same until something else is done. What has been begun is finished first: a write whose answer nobody has heard would
    /// be made again.
    pub async fn run_until<T>(&mut self, resync: Duration, stop: impl Future<Output = T>) -> T {
        let mut stop = pin!(stop);
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut events = pin!(if self.writer.watches(&self.kind) {
            Either::Left(watcher(self.api.clone(), config).default_backoff().map(drop))
        } else {
            Either::Right(stream::pending())
        });
        loop {
            let wait = if self.reconcile().await.is_ok() { resync } else { RETRY };
            tokio::select! {
                stopped = &mut stop => return stopped,
                () = tokio::time::sleep(wait) => {}
                _ = events.next() => {}
            }
        }
    }
}

fn object(value: Value) -> Result<DynamicObject, Error> {
    serde_json::from_value(value).map_err(Error::SerdeError)
}

/// The resource of an object that names its apiVersion and kind.
#[must_use]
pub fn resource(object: &Value) -> ApiResource {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
