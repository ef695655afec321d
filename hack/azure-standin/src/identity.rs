//! Managed identities: the metadata service of a machine, and the endpoint that App Service gives its apps.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    azure::Azure,
    entra::{self, Grant},
    exchange::{Answer, Call, json, with_caller, with_refusal},
    operation::Operation,
    world::Principal,
};

const LIFETIME_SECONDS: i64 = 86_400;
const METADATA_VERSIONS: [&str; 5] = ["2018-02-01", "2018-10-01", "2019-08-01", "2020-06-01", "2021-02-01"];

/// How an endpoint words a refusal.
type Refuse = fn(StatusCode, &str) -> Answer;

/// `GET http://169.254.169.254/metadata/identity/oauth2/token`
pub(crate) fn metadata(azure: &Azure, operation: Operation, call: &Call) -> Answer {
    if operation != Operation::MetadataToken {
        return refuse_by_metadata(StatusCode::NOT_FOUND, "Not found");
    }
    if !call.header("metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return refuse_by_metadata(StatusCode::BAD_REQUEST, "Required metadata header not specified");
    }
    match call.query("api-version") {
        None => return refuse_by_metadata(StatusCode::BAD_REQUEST, "Required query variable 'api-version' is missing"),
        Some(version) if !METADATA_VERSIONS.contains(&version) => {
            return refuse_by_metadata(StatusCode::BAD_REQUEST, "The requested api-version is not supported");
        }
        Some(_) => {}
    }
    let missing = "Required audience parameter not specified";
    token(azure, call, refuse_by_metadata, &Words { missing_resource: missing, not_found: "Identity not found" })
}

/// `GET $IDENTITY_ENDPOINT` with the header `X-IDENTITY-HEADER`.
pub(crate) fn app_service(azure: &Azure, operation: Operation, call: &Call) -> Answer {
    if operation != Operation::AppServiceToken {
        return refuse_by_app_service(StatusCode::NOT_FOUND, "Not found");
    }
    let secret = azure.app_service_secret().reveal().as_bytes();
    let given = call.header("x-identity-header").unwrap_or_default().as_bytes();
    if aws_lc_rs::constant_time::verify_slices_are_equal(secret, given).is_err() {
        return refuse_by_app_service(
            StatusCode::UNAUTHORIZED,
            "The X-IDENTITY-HEADER of the request is missing or wrong.",
        );
    }
    if call.query("api-version") != Some("2019-08-01") {
        return refuse_by_app_service(StatusCode::BAD_REQUEST, "The api-version is missing or is not supported.");
    }
    let words = Words {
        missing_resource: "The resource is missing.",
        not_found: "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
    };
    token(azure, call, refuse_by_app_service, &words)
}

struct Words {
    missing_resource: &'static str,
    not_found: &'static str,
}

fn token(azure: &Azure, call: &Call, refuse: Refuse, words: &Words) -> Answer {
    let Some(resource) = call.query("resource").filter(|resource| !resource.is_empty()) else {
        return refuse(StatusCode::BAD_REQUEST, words.missing_resource);
    };
    let principal = match chosen(azure, call) {
        Choice::One(principal) => principal,
        Choice::None => return refuse(StatusCode::BAD_REQUEST, words.not_found),
        Choice::Many => return refuse(StatusCode::BAD_REQUEST, MANY),
    };
    if !resource.contains("://") {
        let problem = entra::resource_not_found(resource, &principal.tenant).description();
        return with_caller(refuse(StatusCode::BAD_REQUEST, &problem), &principal.client_id);
    }
    issue(azure, &principal, resource)
}

const MANY: &str = "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in \
                    the token request";

enum Choice {
    One(Box<Principal>),
    None,
    Many,
}

/// The identity of the machine that the request names; without a name, the only one.
fn chosen(azure: &Azure, call: &Call) -> Choice {
    let named = |one: &Principal| {
        let is =
            |parameter: &str, value: &str| call.query(parameter).is_none_or(|asked| asked.eq_ignore_ascii_case(value));
        let resource_id = one.resource_id.as_deref().unwrap_or_default();
        is("client_id", &one.client_id)
            && is("object_id", &one.object_id)
            && is("principal_id", &one.object_id)
            && is("msi_res_id", resource_id)
            && is("mi_res_id", resource_id)
    };
    let mut found = azure.with_world(|world| {
        world.principals.iter().filter(|one| one.on_machine && named(one)).cloned().collect::<Vec<_>>()
    });
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Choice::One(Box::new(one)),
        (Some(_), false) => Choice::Many,
        (None, _) => Choice::None,
    }
}

fn issue(azure: &Azure, principal: &Principal, resource: &str) -> Answer {
    let now = azure.clock.now();
    let cloud = azure.with_world(|world| world.cloud_of(&principal.tenant));
    let grant = Grant { cloud, principal, resource, lifetime_seconds: LIFETIME_SECONDS };
    let Ok(token) = grant.token(azure.signer(), now) else { return failure(StatusCode::INTERNAL_SERVER_ERROR) };
    let now = now.as_second();
    let body = json!({
        "access_token": token,
        "client_id": principal.client_id,
        "expires_in": LIFETIME_SECONDS.to_string(),
        "expires_on": (now + LIFETIME_SECONDS).to_string(),
        "ext_expires_in": LIFETIME_SECONDS.to_string(),
        "not_before": now.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    with_caller(json(StatusCode::OK, &body), &principal.client_id)
}

fn refuse_by_metadata(status: StatusCode, description: &str) -> Answer {
    let error = if description.starts_with("AADSTS500011") { "invalid_resource" } else { "invalid_request" };
    let body = json!({"error": error, "error_description": description});
    with_refusal(json(status, &body), error)
}

fn refuse_by_app_service(status: StatusCode, message: &str) -> Answer {
    let body = json!({"statusCode": status.as_u16(), "message": message, "correlationId": crate::random::uuid()});
    with_refusal(json(status, &body), status.as_str())
}

/// What Entra and the metadata service say that cannot.
pub(crate) fn failure(status: StatusCode) -> Answer {
    let body: Value = match status {
        StatusCode::TOO_MANY_REQUESTS => {
            json!({"error": "too_many_requests", "error_description": "Too many requests"})
        }
        _ => json!({
            "error": "temporarily_unavailable",
            "error_description": "AADSTS90033: A transient error has occurred. Please try again.",
            "error_codes": [90_033],
        }),
    };
    with_refusal(json(status, &body), status.as_str())
}
