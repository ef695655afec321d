//! The admission policies, where pods are wired by them.

use kube::Client;

use super::{Check, Reason};
use crate::{
    cluster::policies::look,
    condition,
    settings::daemon::{DaemonSettings, PodPatch},
};

pub(super) async fn check(client: &Client, settings: &DaemonSettings) -> Check {
    const CHECK: &str = "admission policies";
    let Some(wiring) = settings.wiring.as_ref().filter(|_| settings.pod_patch == PodPatch::Policy) else {
        return Check::skipped(CHECK, Reason::NotUsed, "the settings do not use them");
    };
    let trouble = match look(client, wiring).await {
        Err(why) => {
            return Check::error(CHECK, Reason::RequestFailed, why)
                .remedy("run this again; if it stays, look at the API server");
        }
        Ok(None) => return Check::ok(CHECK, "as this version and these settings make them"),
        Ok(Some(trouble)) => trouble,
    };
    let reason = match trouble.reason {
        condition::Reason::PoliciesUnsupported => Reason::VersionMissing,
        condition::Reason::PoliciesOutdated => Reason::PoliciesOutdated,
        _ => Reason::PoliciesMissing,
    };
    Check::error(CHECK, reason, trouble.message).remedy("docs/admission.md says how they are installed")
}
