//! Whether a management cluster is fit for hcp-identity: what serves, what is allowed, and whether a credential could be mounted.
//!
//! Asked once, by a person: it reads more than the daemon may, and what the person may not read is skipped and no failure.
//! Nothing is written; an access review is a question that is put as a create.

mod driver;
mod kinds;
mod look;
mod nodes;
mod policies;
mod rights;
mod server;
mod vaults;

use jiff::Timestamp;
use kube::Client;
use serde::Serialize;

use self::look::Unseen;
pub use self::vaults::named as named_vaults;
use crate::settings::daemon::DaemonSettings;

/// What one look has come to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: String,
    pub verdict: Verdict,
    pub reason: Reason,
    pub message: String,
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    Ok,
    Warning,
    Error,
    Skipped,
}

/// Why, for machines: docs/check.md has a row for each.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, strum::Display, strum::EnumIter)]
pub enum Reason {
    AsItShouldBe,
    // Skipped.
    NotAllowedToLook,
    NotUsed,
    NothingToLookAt,
    // What cannot be told.
    RequestFailed,
    // The API server.
    OldVersion,
    ClockSkew,
    // What it serves.
    KindMissing,
    VersionMissing,
    PoliciesMissing,
    PoliciesOutdated,
    // What it allows.
    AccessDenied,
    // Whether a credential can be mounted, and renewed.
    DriverNotInstalled,
    DriverMisconfigured,
    NotRepublished,
    RotationOff,
    DriverNotOnNode,
    DriverNotReady,
    ProviderNotInstalled,
    ProviderNotReady,
    // Whether a credential can be checked.
    VaultDoesNotTell,
}

/// Everything that was looked at, and who looked.
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    /// As the API server calls whoever asks; empty where it does not tell.
    pub user: String,
    pub checks: Vec<Check>,
}

/// Where the daemon's Lease is.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Looks at everything, whatever is found first.
///
/// # Errors
/// Where the API server does not say who it is: nothing could be asked.
pub async fn examine(
    client: &Client,
    settings: &DaemonSettings,
    lease: Lease<'_>,
    now: fn() -> Timestamp,
) -> Result<Examination, String> {
    let answer = server::ask(client, now).await?;
    let mut checks = server::checks(&answer);
    checks.extend(kinds::checks(client, settings).await);
    checks.extend(rights::checks(client, settings, lease).await);
    checks.extend(driver::checks(client).await);
    checks.push(policies::check(client, settings).await);
    Ok(Examination { user: rights::user(client).await, checks })
}

impl Check {
    fn ok(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, Reason::AsItShouldBe, message)
    }

    fn warning(check: impl Into<String>, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, reason, message)
    }

    fn error(check: impl Into<String>, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Error, reason, message)
    }

    fn skipped(check: impl Into<String>, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, reason, message)
    }

    /// Forbidden is skipped: somebody else may look. A failure is an error, as nobody knows what is behind it.
    fn unseen(check: impl Into<String>, unseen: &Unseen) -> Self {
        match unseen {
            Unseen::Forbidden(what) => Self::skipped(check, Reason::NotAllowedToLook, format!("may not {what}"))
                .remedy("ask as somebody who may, or let an administrator run this"),
            Unseen::Failed(why) => Self::error(check, Reason::RequestFailed, why.clone())
                .remedy("run this again; if it stays, look at the API server"),
        }
    }

    fn new(check: impl Into<String>, verdict: Verdict, reason: Reason, message: impl Into<String>) -> Self {
        Self { check: check.into(), verdict, reason, message: message.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
