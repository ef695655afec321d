//! What whoever asks may do, of what the daemon does: a question for every row of the table of accesses.

use futures::future::join_all;
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};

use super::{Check, Lease, Reason, look::seen};
use crate::{
    cluster::{
        access::{ACCESSES, Access, LEASE, Role, Verb},
        rbac,
    },
    settings::daemon::{
        AzureClusterIdentityWriting, Certificates, ConfigurationCheck, DaemonSettings, Mode, PodPatch, Rotation,
    },
};

pub(super) async fn checks(client: &Client, settings: &DaemonSettings, lease: Lease<'_>) -> Vec<Check> {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    join_all(ACCESSES.iter().map(|access| check(&api, settings, lease, access))).await
}

async fn check(
    api: &Api<SelfSubjectAccessReview>,
    settings: &DaemonSettings,
    lease: Lease<'_>,
    access: &'static Access,
) -> Check {
    let whole = format!("{}.{}", access.resource, access.group);
    let resource = whole.trim_end_matches('.');
    let name = format!("access {resource} ({})", access.role);
    if !uses(settings, access.role) {
        return Check::skipped(name, Reason::NotUsed, "the settings do not use it");
    }
    let mut denied = Vec::new();
    for verb in access.verbs {
        match may(api, attributes(access, *verb, lease)).await {
            Ok(true) => {}
            Ok(false) => denied.push(verb.to_string()),
            Err(unseen) => return Check::unseen(name, &unseen),
        }
    }
    if denied.is_empty() {
        let verbs: Vec<_> = access.verbs.iter().map(ToString::to_string).collect();
        return Check::ok(name, format!("may {}", verbs.join(", ")));
    }
    Check::error(name, Reason::AccessDenied, format!("may not {} {resource}", denied.join(", "))).remedy(format!(
        "bind the role of manifests/{} to it; settings that need less are in docs/settings.md",
        rbac::path(access.role)
    ))
}

/// Whether the daemon does this with these settings.
fn uses(settings: &DaemonSettings, role: Role) -> bool {
    match role {
        Role::Observe | Role::Leader => true,
        Role::Enforce => settings.mode == Mode::Enforce,
        Role::PatchWorkloads => settings.mode == Mode::Enforce && settings.pod_patch == PodPatch::Workload,
        Role::Capz => settings.azure_cluster_identity == AzureClusterIdentityWriting::Apply,
        Role::ConfigurationMetadata => settings.configuration_check == ConfigurationCheck::Metadata,
        Role::Policies => settings.pod_patch == PodPatch::Policy,
        Role::WorkloadIdentityWebhook => settings.workload_identity.is_some(),
        Role::WebhookAuthority | Role::WebhookRegistration => {
            settings.answers_reviews() && settings.webhook.certificates == Certificates::Own
        }
        Role::RestartPods => settings.credentials.rotation == Rotation::Restart,
    }
}

/// The Lease is one object, of others with names one stands for all, and only a creation cannot be told by name.
fn attributes(access: &Access, verb: Verb, lease: Lease<'_>) -> ResourceAttributes {
    let (resource, subresource) = access.resource.split_once('/').unwrap_or((access.resource, ""));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let own = access == &LEASE;
    ResourceAttributes {
        group: some(access.group),
        resource: some(resource),
        subresource: some(subresource),
        verb: Some(verb.to_string()),
        namespace: access.role.is_of_own_namespace().then(|| lease.namespace.to_owned()),
        name: if own { Some(lease.name.to_owned()) } else { rbac::names(access).into_iter().next() }
            .filter(|_| verb != Verb::Create),
        ..ResourceAttributes::default()
    }
}

async fn may(api: &Api<SelfSubjectAccessReview>, attributes: ResourceAttributes) -> Result<bool, super::Unseen> {
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let question = SelfSubjectAccessReview { spec, ..Default::default() };
    let answer = seen("ask what is allowed", api.create(&PostParams::default(), &question).await)?;
    Ok(answer.and_then(|answer| answer.status).is_some_and(|status| status.allowed))
}

/// Who the API server takes us for. Only said, so that not knowing is no failure.
pub(super) async fn user(client: &Client) -> String {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let info = answer.ok().and_then(|answer| answer.status).and_then(|status| status.user_info);
    info.and_then(|info| info.username).unwrap_or_default()
}
