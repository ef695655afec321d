//! Why Azure did not do what it was asked.

use azure_core::{Error, error::ErrorKind, http::RawResponse};
use serde_json::Value;

use crate::{
    azure::{beginning, header},
    explain::{Source, explain},
    finding::chain,
};

/// What was refused. The message says what failed, why, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Of HTTP; absent where nothing was answered.
    pub status: Option<u16>,
    /// As Azure spells it, such as `AuthorizationFailed`; empty where it gave none.
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// In our own words: of something that was no answer of Azure's, or none that this program can go on with.
    pub(super) fn new(subject: &str, text: &str) -> Self {
        Self { status: None, code: String::new(), message: format!("{subject}: {text}") }
    }

    /// All of them as one, where there is any.
    pub(super) fn all(refusals: &[Self]) -> Result<(), Self> {
        let messages: Vec<_> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
        if messages.is_empty() {
            return Ok(());
        }
        Err(Self { status: None, code: String::new(), message: messages.join("\n") })
    }

    pub(super) fn of(subject: &str, error: &Error) -> Self {
        match error.kind() {
            ErrorKind::HttpResponse { raw_response: Some(answer), .. } => Self::answered(subject, answer),
            ErrorKind::HttpResponse { status, error_code, .. } => {
                let code = error_code.clone().unwrap_or_default();
                Self { status: Some(u16::from(*status)), ..Self::coded(subject, &code, &error.to_string()) }
            }
            _ => Self::new(subject, &explained(&unanswered(&chain(error)))),
        }
    }

    /// What an answer with an error in it says.
    pub(super) fn answered(subject: &str, answer: &RawResponse) -> Self {
        let body: Value = serde_json::from_slice(answer.body().as_ref()).unwrap_or_default();
        let status = u16::from(answer.status());
        let header = header(answer.headers(), "x-ms-error-code").unwrap_or_default();
        let (code, message) = said(&body, header);
        let message = if message.is_empty() { format!("HTTP status {status}") } else { message };
        Self { status: Some(status), ..Self::coded(subject, &code, &message) }
    }

    /// What the status of an operation says.
    pub(super) fn of_operation(subject: &str, body: &Value) -> Self {
        let (code, message) = said(body, "");
        Self::coded(
            subject,
            &code,
            if message.is_empty() { "Azure says no more than that it failed" } else { &message },
        )
    }

    pub(super) fn coded(subject: &str, code: &str, message: &str) -> Self {
        let text = if code.is_empty() { message.to_owned() } else { format!("{code}: {message}") };
        Self { code: code.to_owned(), ..Self::new(subject, &explained(&text)) }
    }

    pub(super) fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&&*self.code)
    }

    /// Whether there is no such thing, or nothing that it could be in.
    pub(super) fn is_missing(&self) -> bool {
        self.status == Some(404)
    }

    /// The same, with what to do.
    pub(super) fn remedied(mut self, codes: &[&str], remedy: &str) -> Self {
        if self.is(codes) {
            self.message = format!("{}; {remedy}", self.message);
        }
        self
    }
}

/// What Azure says, and what a person who signs in can do. Of Entra's errors the explanation speaks of the credential of a pod.
fn explained(text: &str) -> String {
    let said = beginning(text, SHOWN);
    match explain(text) {
        Some(known) if known.source == Source::Entra => {
            format!("{said}; {}; {SIGN_IN} ({})", known.cause, known.reason)
        }
        Some(known) => format!("{said}; {}; {} ({})", known.cause, known.next, known.reason),
        None => said,
    }
}

/// As long as what Azure says of an action on a scope that the caller may not do.
const SHOWN: usize = 600;

/// What the SDK says where nobody has answered, in one line and without what it says of itself.
fn unanswered(text: &str) -> String {
    const OF_ITSELF: [&str; 3] = [
        "non-transport error occurred which will not be retried: ",
        "retry policy expired and the request will no longer be retried: ",
        "retry policy expired and the request will no longer be retried",
    ];
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = OF_ITSELF.iter().fold(text.clone(), |said, words| said.replace(words, ""));
    let said = without_links(&said);
    if text.contains("Multiple errors were encountered while attempting to authenticate") {
        format!("{NOBODY}: {said}")
    } else if text.contains("retry policy expired") || text.contains("error sending request") {
        // The cause stands last.
        let cause = said.rsplit(": ").next().unwrap_or_default();
        let head = said.split(": ").next().unwrap_or_default();
        if text.contains("invalid peer certificate") {
            return format!("{head}: the certificate of what has answered is not trusted ({cause}); {UNTRUSTED}");
        }
        let cause = if head == cause { String::new() } else { format!(" ({cause})") };
        format!("{head}: nobody has answered{cause}; {UNREACHED}")
    } else {
        said
    }
}

/// Where to read more is not what is wrong.
fn without_links(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "To" && words.clone().next() == Some("troubleshoot,") {
            // `troubleshoot, visit URL`
            words.nth(2);
        } else {
            kept.push(word);
        }
    }
    kept.join(" ").trim_end_matches('.').to_owned()
}

const NOBODY: &str = "nobody is signed in; run az login, or set AZURE_CLIENT_ID and AZURE_TENANT_ID with AZURE_CLIENT_SECRET, \
                      AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE, or on a machine of Azure \
                      AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential";
const SIGN_IN: &str = "correct AZURE_TENANT_ID, AZURE_CLIENT_ID and what stands beside them (AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE), or unset them and sign in \
                       (az login --tenant TENANT)";
const UNTRUSTED: &str = "if a proxy answers in the place of Azure, give the file of its authority (SSL_CERT_FILE)";
const UNREACHED: &str =
    "see whether this machine reaches Entra and Azure, and through which proxy (HTTPS_PROXY, NO_PROXY)";

/// Code and message, which stand in `error` or at the top.
fn said(body: &Value, otherwise: &str) -> (String, String) {
    let error = body.get("error").unwrap_or(body);
    let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let code = if text("code").is_empty() { otherwise } else { text("code") };
    (code.to_owned(), text("message").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_answered_is_told_with_what_to_do() {
        let sdk = "non-transport error occurred which will not be retried: ClientSecretCredential authentication failed. retry policy \
                   expired and the request will no longer be retried";
        assert_eq!(
            unanswered(sdk),
            format!("ClientSecretCredential authentication failed: nobody has answered; {UNREACHED}")
        );
        let sdk = "non-transport error occurred which will not be retried: Multiple errors were encountered while attempting to \
                   authenticate:\nAzureCliCredential - Azure CLI not found on path";
        assert!(unanswered(sdk).starts_with(NOBODY) && unanswered(sdk).ends_with("not found on path"));
        let sdk = "ClientSecretCredential authentication failed. To troubleshoot, visit https://aka.ms/x: failed to execute request: error \
                   sending request for url (https://login/): dns error: failed to lookup address";
        let told = format!(
            "ClientSecretCredential authentication failed. failed to execute request: nobody has answered (failed to lookup address); \
             {UNREACHED}"
        );
        assert_eq!(unanswered(sdk), told);
        assert_eq!(unanswered("expected value at line 1"), "expected value at line 1");
        let sdk = "retry policy expired and the request will no longer be retried: failed to execute request: error sending request for url \
                   (https://management/): client error (Connect): invalid peer certificate: UnknownIssuer";
        assert!(
            unanswered(sdk).ends_with(&format!("is not trusted (UnknownIssuer); {UNTRUSTED}")),
            "{}",
            unanswered(sdk)
        );
    }

    #[test]
    fn what_azure_says_stays_and_our_own_words_are_whole() {
        let said = "The client 'a' with object id 'b' does not have authorization to perform action \
                    'Microsoft.Resources/subscriptions/resourcegroups/write' over scope '/subscriptions/c' or the scope is invalid.";
        let refusal = Refusal::coded("cannot make it", "AuthorizationFailed", said);
        assert!(refusal.message.starts_with(&format!("cannot make it: AuthorizationFailed: {said}; ")), "{refusal}");
        let refusal =
            Refusal::coded("cannot sign in", "invalid_client", "AADSTS7000215: Invalid client secret provided.");
        assert!(refusal.message.contains(SIGN_IN) && !refusal.message.contains("HyperShift"), "{refusal}");
        let own = "a".repeat(5000);
        assert_eq!(Refusal::new("cannot", &own).message, format!("cannot: {own}"));
    }
}
