//! What Entra says when it refuses: one function a refusal, with its number, its OAuth error and its words.
//!
//! Where each is from stands in docs/azure-standin.md, as does which of them nobody could be found to have seen.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    certificate::Certificate,
    cloud::Cloud,
    exchange::{Answer, json, with_refusal},
    random::uuid,
};

const CERTIFICATE_DOCS: &str =
    "https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials";
const FEDERATION_DOCS: &str = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

/// A refusal of Entra.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: u32,
    error: &'static str,
    status: StatusCode,
    message: String,
}

impl Problem {
    pub(crate) fn code(&self) -> String {
        format!("AADSTS{}", self.code)
    }

    pub(crate) fn answer(&self, cloud: Cloud, now: Timestamp) -> Answer {
        let (trace, correlation) = (uuid(), uuid());
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let code = self.code();
        let message = &self.message;
        let body = json!({
            "error": self.error,
            "error_description": format!(
                "{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
            ),
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://{}/error?code={}", cloud.login(), self.code),
        });
        with_refusal(json(self.status, &body), code)
    }

    /// The message without ids and time.
    pub(crate) fn description(&self) -> String {
        format!("{}: {}", self.code(), self.message)
    }
}

fn request(code: u32, message: String) -> Problem {
    Problem { code, error: "invalid_request", status: StatusCode::BAD_REQUEST, message }
}

fn client(code: u32, message: String) -> Problem {
    Problem { code, error: "invalid_client", status: StatusCode::UNAUTHORIZED, message }
}

fn bad(code: u32, error: &'static str, message: String) -> Problem {
    Problem { code, error, status: StatusCode::BAD_REQUEST, message }
}

pub(crate) fn only_post(method: &http::Method) -> Problem {
    request(900_561, format!("The endpoint only accepts POST requests. Received a {method} request."))
}

pub(crate) fn missing_parameter(name: &str) -> Problem {
    request(900_144, format!("The request body must contain the following parameter: '{name}'."))
}

pub(crate) fn unsupported_grant(grant: &str) -> Problem {
    bad(70_003, "unsupported_grant_type", format!("The app requested an unsupported grant type '{grant}'."))
}

pub(crate) fn missing_credential() -> Problem {
    client(
        7_000_218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.".to_owned(),
    )
}

pub(crate) fn tenant_not_found(name: &str) -> Problem {
    request(
        90_002,
        format!(
            "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud. Check with your subscription administrator, this may happen if there are no active \
             subscriptions for the tenant."
        ),
    )
}

pub(crate) fn no_tenant_identifier(name: &str) -> Problem {
    request(
        900_023,
        format!("Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain."),
    )
}

pub(crate) fn application_not_found(client_id: &str, tenant: &str) -> Problem {
    bad(
        700_016,
        "unauthorized_client",
        format!(
            "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You may have sent your authentication request to the wrong tenant."
        ),
    )
}

pub(crate) fn scope_without_default(scope: &str) -> Problem {
    bad(
        1_002_012,
        "invalid_scope",
        format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI)."
        ),
    )
}

pub(crate) fn resource_not_found(resource: &str, tenant: &str) -> Problem {
    bad(
        500_011,
        "invalid_resource",
        format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You might have sent your authentication request to the wrong tenant."
        ),
    )
}

pub(crate) fn malformed_token() -> Problem {
    request(50_027, "JWT token is invalid or malformed.".to_owned())
}

pub(crate) fn spent_assertion() -> Problem {
    request(50_027, "JWT token is invalid or malformed. The 'jti' of the assertion was already used.".to_owned())
}

pub(crate) fn chain_is_no_der() -> Problem {
    request(50_027, "JWT token is invalid or malformed. An entry of 'x5c' is not the base64 of a DER.".to_owned())
}

pub(crate) fn missing_claim(name: &str) -> Problem {
    request(
        90_014,
        format!(
            "The required field '{name}' is missing from the credential. Ensure that you have all the necessary \
             parameters for the login request."
        ),
    )
}

pub(crate) fn unsupported_algorithm(algorithm: &str, supported: &[&str]) -> Problem {
    let supported = supported.join(",");
    client(
        5_002_738,
        format!(
            "Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms \
             are: '{supported}'"
        ),
    )
}

pub(crate) fn no_thumbprint() -> Problem {
    client(
        5_002_723,
        "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified in \
         token header."
            .to_owned(),
    )
}

pub(crate) fn wrong_client() -> Problem {
    client(
        700_021,
        format!(
            "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at \
             {CERTIFICATE_DOCS} ."
        ),
    )
}

pub(crate) fn wrong_audience() -> Problem {
    client(
        700_023,
        format!(
            "Client assertion audience claim does not match Realm issuer. Review the documentation at \
             {CERTIFICATE_DOCS} ."
        ),
    )
}

pub(crate) fn outside_valid_time(now: Timestamp, from: Timestamp, until: Timestamp) -> Problem {
    let [now, from, until] = [now, from, until].map(long_time);
    client(
        700_024,
        format!(
            "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {from}, \
             expiry time of assertion {until}. Review the documentation at {CERTIFICATE_DOCS} ."
        ),
    )
}

pub(crate) fn unknown_key(thumbprint: &str, client_id: &str) -> Problem {
    client(
        700_027,
        format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. \
             [Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}', Please visit the \
             Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{client_id}'. \
             Review the documentation at https://docs.microsoft.com/en-us/graph/deployments to determine the \
             corresponding service endpoint and \
             https://docs.microsoft.com/en-us/graph/api/application-get?view=graph-rest-1.0&tabs=http to build a \
             query request URL, such as 'https://graph.microsoft.com/beta/applications/{client_id}']."
        ),
    )
}

pub(crate) fn expired_key(certificate: &Certificate) -> Problem {
    invalid_signature("The key used is expired.", certificate)
}

pub(crate) fn wrong_signature(certificate: &Certificate) -> Problem {
    invalid_signature("The provided signature value did not match the expected signature value.", certificate)
}

fn invalid_signature(reason: &str, certificate: &Certificate) -> Problem {
    let date = |at: Timestamp| at.strftime("%m/%d/%Y %H:%M:%S").to_string();
    let (from, until) = (date(certificate.not_before), date(certificate.not_after));
    let thumbprint = certificate.thumbprint();
    client(
        700_027,
        format!(
            "Client assertion contains an invalid signature. [Reason - {reason}, Thumbprint of key used by client: \
             '{thumbprint}', Found key 'Start={from}, End={until}']"
        ),
    )
}

pub(crate) fn untrusted_chain() -> Problem {
    client(7_000_213, "Invalid certificate chain.".to_owned())
}

pub(crate) fn wrong_secret(client_id: &str) -> Problem {
    client(
        7_000_215,
        format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{client_id}'."
        ),
    )
}

pub(crate) fn expired_secret(client_id: &str) -> Problem {
    client(
        7_000_222,
        format!(
            "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new \
             keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added \
             security: https://aka.ms/certCreds."
        ),
    )
}

pub(crate) fn no_federated_credentials(client_id: &str, name: &str) -> Problem {
    client(70_025, format!("The client '{client_id}'({name}) has no configured federated identity credentials."))
}

pub(crate) fn token_of_entra() -> Problem {
    client(700_222, "AAD-issued tokens may not be used for federated identity flows.".to_owned())
}

pub(crate) fn no_such_issuer(issuer: &str) -> Problem {
    no_match(700_211, "issuer", issuer)
}

pub(crate) fn no_such_subject(subject: &str) -> Problem {
    no_match(700_213, "subject", subject)
}

pub(crate) fn no_such_audience(audience: &str) -> Problem {
    no_match(700_212, "audience", audience)
}

pub(crate) fn differs_in_case(what: &str, value: &str) -> Problem {
    client(
        7_002_138,
        format!(
            "No matching federated identity record found for presented assertion {what} '{value}'. The {what} matches \
             with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity \
             credential Subject, Audience and Issuer against the presented assertion. See documentation at: \
             {FEDERATION_DOCS}. See breaking change notification and remediation at: \
             https://learn.microsoft.com/en-us/entra/identity-platform/reference-breaking-changes#august-2024."
        ),
    )
}

fn no_match(code: u32, what: &str, value: &str) -> Problem {
    client(
        code,
        format!(
            "No matching federated identity record found for presented assertion {what} '{value}'. Check your \
             federated identity credential Subject, Audience and Issuer against the presented assertion. \
             {FEDERATION_DOCS}"
        ),
    )
}

pub(crate) fn issuer_unreachable() -> Problem {
    request(50_166, "Request to External OIDC endpoint failed.".to_owned())
}

pub(crate) fn issuer_key_not_found(kid: &str, issuer: &str) -> Problem {
    client(
        7_000_272,
        format!(
            "The certificate with identifier '{kid}' used to sign the federated credential could not be found in the \
             metadata of identity provider {issuer}. Please validate that your Identity Provider's metadata exposes \
             the key used to sign the incoming token."
        ),
    )
}

pub(crate) fn wrong_federated_signature(kid: &str) -> Problem {
    client(
        700_027,
        format!(
            "Client assertion contains an invalid signature. [Reason - The provided signature value did not match the \
             expected signature value., Identifier of key used by client: '{kid}']"
        ),
    )
}

/// Azure says besides when the token was issued and when it expires.
pub(crate) fn lives_too_long(longest: SignedDuration) -> Problem {
    let hours = longest.as_hours();
    client(
        70_023,
        format!(
            "External OIDC Provider token must have a lifetime of less than or equal to {}.{:02}:00:00.",
            hours / 24,
            hours % 24
        ),
    )
}

/// With the seven digits after the point that .NET prints.
fn long_time(at: Timestamp) -> String {
    format!("{}.{:07}Z", at.strftime("%Y-%m-%dT%H:%M:%S"), at.subsec_nanosecond().unsigned_abs() / 100)
}
