//! Tells what has come of a HostedCluster: our status object beside it, and events.

use hcp_identity_api::{
    control_plane_identity::{ControlPlaneIdentity, ControlPlaneIdentitySpec, ControlPlaneIdentityStatus},
    hosted_cluster::HostedCluster,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
};

use super::{
    access::{EVENTS, STATUS, STATUSES},
    apply::{Path, WriteError, Writer},
    store::StatusSeen,
};
use crate::{
    observed::Cluster,
    status::{News, Told},
};

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

/// One piece of news, on the HostedCluster and on our own object.
async fn tell(writer: &Writer, cluster: &Cluster, news: &News, now: Timestamp) {
    let kind = if news.reason.is_good() { "Normal" } else { "Warning" };
    let subjects = [
        (HostedCluster::API_VERSION, HostedCluster::KIND, Some(cluster.uid.to_string())),
        (ControlPlaneIdentity::API_VERSION, ControlPlaneIdentity::KIND, None),
    ];
    for (index, (api_version, subject, uid)) in subjects.into_iter().enumerate() {
        // As client-go names them; the name of a HostedCluster may leave little room.
        let stem = cluster.name.get(..200).unwrap_or(&cluster.name).trim_end_matches(['-', '.']);
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{stem}.{:x}{index}", now.as_nanosecond())),
                namespace: Some(cluster.namespace.to_string()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            reporting_controller: Some("hcpidentity.dev/hcp-identity".to_owned()),
            reporting_instance: Some("hcp-identity".to_owned()),
            action: Some("Reconcile".to_owned()),
            reason: Some(news.reason.to_string()),
            note: Some(news.message.chars().take(LONGEST_NOTE).collect()),
            type_: Some(kind.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(api_version.to_owned()),
                kind: Some(subject.to_owned()),
                namespace: Some(cluster.namespace.to_string()),
                name: Some(cluster.name.to_string()),
                uid,
                ..ObjectReference::default()
            }),
            ..Event::default()
        };
        let path = Path { version: "v1", namespace: &cluster.namespace, name: "" };
        if let Err(error) = writer.create(&EVENTS, &path, &event).await {
            tracing::warn!(hosted_cluster = format!("{}/{}", cluster.namespace, cluster.name), %error, "an event was not written");
        }
    }
}
