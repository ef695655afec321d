//! Why Azure does not tell: what failed, its cause and what to do, without anything secret.

use std::time::Duration;

use azure_core::{Error, error::ErrorKind};

use crate::{
    azure::{retry_after, told},
    finding::chain,
};

/// What was refused. The message says what failed, why, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: Kind,
    pub message: String,
    /// When Azure wants to be asked again, at the earliest.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display)]
pub enum Kind {
    /// The vault has no such secret.
    Missing,
    /// The secret's current version is disabled.
    Disabled,
    /// The caller may not.
    Forbidden,
    Throttled,
    /// Entra does not take the credential.
    SignInRefused,
    /// Everything else: no answer, or one that says nothing about the secret.
    Unavailable,
}

impl Refusal {
    pub(super) fn new(kind: Kind, subject: &str, text: &str) -> Self {
        Self { kind, message: told(subject, text), retry_after: None }
    }

    /// What an error of the SDK comes to.
    pub(super) fn of(subject: &str, url: &str, error: &Error) -> Self {
        let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
            return Self::new(Kind::Unavailable, subject, &unanswered(url, error));
        };
        let status = u16::from(*status);
        let body =
            raw_response.as_ref().map(|raw| String::from_utf8_lossy(raw.body()).into_owned()).unwrap_or_default();
        let code = error_code.as_deref().unwrap_or_default();
        let text = format!("{}\nGET {url}\nRESPONSE {status}\nERROR CODE: {code}", message_of(&body));
        let retry_after = raw_response.as_ref().and_then(|raw| retry_after(raw.headers()));
        Self { retry_after, ..Self::new(kind(status, &body), subject, &text) }
    }
}

fn kind(status: u16, body: &str) -> Kind {
    match status {
        404 => Kind::Missing,
        403 if body.contains("disabled secret") => Kind::Disabled,
        403 if ["ForbiddenByRbac", "AccessDenied"].iter().any(|code| body.contains(code)) => Kind::Forbidden,
        429 => Kind::Throttled,
        _ => Kind::Unavailable,
    }
}

/// The message of a Key Vault error, which stands first so that it is what is shown of an error that nothing explains.
fn message_of(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let message = json.as_ref().and_then(|json| json.pointer("/error/message")?.as_str());
    message.unwrap_or_default().to_owned()
}

/// As the CSI provider, whose words are known, says that there is no such host.
fn unanswered(url: &str, error: &Error) -> String {
    let text = chain(error);
    let unresolved = ["failed to lookup address", "dns error"].iter().any(|words| text.contains(words));
    if unresolved { format!("{text}: no such host {url}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_cause_and_next_step() {
        let text =
            "A secret with (name/id) a was not found in this key vault.\nRESPONSE 404\nERROR CODE: SecretNotFound";
        let refusal = Refusal::new(Kind::Missing, "cannot read secret a of vault kv", text);
        assert_eq!(
            refusal.to_string(),
            "cannot read secret a of vault kv: the vault has no secret of this name; compare credentialsSecretName with \
             the vault's secrets (SecretNotFound)"
        );
    }

    #[test]
    fn what_nothing_explains_is_shown_by_its_first_line() {
        let text = format!("\n\tfirst{}\nsecond", "x".repeat(400));
        let refusal = Refusal::new(Kind::Unavailable, "cannot list", &text);
        assert_eq!(refusal.to_string(), format!("cannot list: first{}", "x".repeat(295)));
        assert_eq!(Refusal::new(Kind::Unavailable, "cannot list", "").to_string(), "cannot list: no answer");
    }

    #[test]
    fn the_kind_is_told_by_status_and_code() {
        assert_eq!(kind(404, ""), Kind::Missing);
        assert_eq!(kind(403, "Operation get is not allowed on a disabled secret."), Kind::Disabled);
        assert_eq!(kind(403, "{\"innererror\":{\"code\":\"ForbiddenByRbac\"}}"), Kind::Forbidden);
        assert_eq!(kind(403, "{\"innererror\":{\"code\":\"ForbiddenByFirewall\"}}"), Kind::Unavailable);
        assert_eq!(kind(429, ""), Kind::Throttled);
        assert_eq!(kind(503, ""), Kind::Unavailable);
        assert_eq!(kind(401, ""), Kind::Unavailable);
    }
}
