//! Tells what has come of a HostedCluster: our status object beside it, and events.

use std::sync::Arc;

use hcp_identity_api::{
    control_plane_identity::{ControlPlaneIdentity, ControlPlaneIdentitySpec, ControlPlaneIdentityStatus},
    hosted_cluster::HostedCluster,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
};
use kube::Client;

use super::{
    access::{EVENTS, STATUS, STATUSES},
    apply::{Path, WriteError, Writer},
    metrics::Metrics,
    store::Unreadable,
};
use crate::{
    observed::Cluster,
    status::{News, Told},
};

/// A ControlPlaneIdentity: what has been told.
#[derive(Clone, Debug)]
pub(super) struct StatusSeen {
    pub(super) owner: Box<str>,
    pub(super) resource_version: Box<str>,
    packed: Box<[u8]>,
}

impl StatusSeen {
    /// Packs a status as it stands on the server.
    pub(super) fn new(
        owner: &str,
        resource_version: &str,
        status: Option<&ControlPlaneIdentityStatus>,
    ) -> Result<Self, Unreadable> {
        let unpackable =
            |error: serde_json::Error| Unreadable { what: "a ControlPlaneIdentity", why: error.to_string() };
        let packed = serde_json::to_vec(&status).map_err(unpackable)?.into();
        Ok(Self { owner: owner.into(), resource_version: resource_version.into(), packed })
    }

    pub(super) fn status(&self) -> Result<Option<ControlPlaneIdentityStatus>, Unreadable> {
        serde_json::from_slice(&self.packed)
            .map_err(|error| Unreadable { what: "a ControlPlaneIdentity", why: error.to_string() })
    }
}

/// What an event's note may have.
const LONGEST_NOTE: usize = 1000;

/// Writes a status that differs from what is there, then the news in it.
///
/// # Errors
/// [`WriteError`] of the status; an event that cannot be written is only logged.
pub(super) async fn report(
    writer: &Writer,
    cluster: &Cluster,
    told: &Told,
    seen: Option<&StatusSeen>,
    before: Option<&ControlPlaneIdentityStatus>,
    now: Timestamp,
) -> Result<Reported, WriteError> {
    if before == Some(&told.status) {
        return Ok(Reported::Nothing);
    }
    let path = Path { version: "v1alpha1", namespace: &cluster.namespace, name: &cluster.name };
    let written = match seen {
        // That of an earlier HostedCluster of this name goes with it, and is then made anew.
        Some(seen) if seen.owner != cluster.uid => return Ok(Reported::Later),
        Some(seen) => {
            let mut object = object(cluster, Some(told.status.clone()));
            object.metadata.resource_version = Some(seen.resource_version.to_string());
            writer.replace_status(&STATUS, &path, &object).await?
        }
        None => {
            let created = writer.create(&STATUSES, &path, &object(cluster, None)).await?;
            let mut object = object(cluster, Some(told.status.clone()));
            object.metadata.resource_version = Some(created.metadata.resource_version);
            writer.replace_status(&STATUS, &path, &object).await?
        }
    };
    for news in &told.news {
        tell(writer, cluster, news, now).await;
    }
    Ok(Reported::Written { resource_version: written.metadata.resource_version })
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reported {
    Nothing,
    /// There is one that has to go first.
    Later,
    Written {
        resource_version: String,
    },
}

fn object(cluster: &Cluster, status: Option<ControlPlaneIdentityStatus>) -> ControlPlaneIdentity {
    ControlPlaneIdentity {
        metadata: ObjectMeta {
            name: Some(cluster.name.to_string()),
            namespace: Some(cluster.namespace.to_string()),
            owner_references: Some(vec![OwnerReference {
                api_version: HostedCluster::API_VERSION.to_owned(),
                kind: HostedCluster::KIND.to_owned(),
                name: cluster.name.to_string(),
                uid: cluster.uid.to_string(),
                controller: Some(false),
                block_owner_deletion: Some(false),
            }]),
            ..ObjectMeta::default()
        },
        spec: ControlPlaneIdentitySpec { hosted_cluster_name: cluster.name.to_string() },
        status,
    }
}

/// What an event is about.
struct Subject<'s> {
    api_version: &'static str,
    kind: &'static str,
    namespace: &'s str,
    name: &'s str,
    uid: Option<&'s str>,
}

/// One piece of news, on the HostedCluster and on our own object.
async fn tell(writer: &Writer, cluster: &Cluster, news: &News, now: Timestamp) {
    let kind = if news.reason.is_good() { "Normal" } else { "Warning" };
    let (namespace, name) = (&*cluster.namespace, &*cluster.name);
    let subjects = [
        (HostedCluster::API_VERSION, HostedCluster::KIND, Some(&*cluster.uid)),
        (ControlPlaneIdentity::API_VERSION, ControlPlaneIdentity::KIND, None),
    ];
    for (index, (api_version, of, uid)) in subjects.into_iter().enumerate() {
        let subject = Subject { api_version, kind: of, namespace, name, uid };
        let event = event(&subject, index, (kind, &news.reason.to_string(), &news.message), now);
        write(writer, &event, namespace, name).await;
    }
}

/// The pod that this process is.
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Tells on our own pod that a settings file is not in use. Any replica does, whichever leads.
pub async fn tell_invalid_settings(client: Client, metrics: Arc<Metrics>, pod: Pod, why: String) {
    let Pod { namespace, name, uid } = &pod;
    let subject = Subject { api_version: "v1", kind: "Pod", namespace, name, uid: Some(uid) };
    let message = format!("the new settings are invalid, and the ones before stay in use: {why}");
    #[expect(clippy::disallowed_methods, reason = "the event is of this moment")]
    let now = Timestamp::now();
    let event = event(&subject, 0, ("Warning", "InvalidSettings", &message), now);
    write(&Writer::new(client, None, metrics), &event, namespace, name).await;
}

/// As client-go names them: several of one moment are told apart by their index.
fn event(subject: &Subject<'_>, index: usize, (kind, reason, note): (&str, &str, &str), now: Timestamp) -> Event {
    // The name of a HostedCluster may leave little room.
    let stem = subject.name.get(..200).unwrap_or(subject.name).trim_end_matches(['-', '.']);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{stem}.{:x}{index}", now.as_nanosecond())),
            namespace: Some(subject.namespace.to_owned()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some("hcpidentity.dev/hcp-identity".to_owned()),
        reporting_instance: Some("hcp-identity".to_owned()),
        action: Some("Reconcile".to_owned()),
        reason: Some(reason.to_owned()),
        note: Some(note.chars().take(LONGEST_NOTE).collect()),
        type_: Some(kind.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(subject.api_version.to_owned()),
            kind: Some(subject.kind.to_owned()),
            namespace: Some(subject.namespace.to_owned()),
            name: Some(subject.name.to_owned()),
            uid: subject.uid.map(ToOwned::to_owned),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

async fn write(writer: &Writer, event: &Event, namespace: &str, name: &str) {
    let path = Path { version: "v1", namespace, name: "" };
    if let Err(error) = writer.create(&EVENTS, &path, event).await {
        tracing::warn!(about = format!("{namespace}/{name}"), %error, "an event was not written");
    }
}
