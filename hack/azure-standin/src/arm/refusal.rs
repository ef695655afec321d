//! What ARM and its providers say when they refuse. Where each is from stands in docs/azure-standin.md.

use http::{StatusCode, header};
use serde_json::json;

use super::kind::Type;
use crate::{
    cloud::Cloud,
    entra::{Bearer, issuer},
    exchange::{Answer, json, with_header, with_refusal},
    operation::Verb,
};

/// An answer that is a refusal.
#[derive(Debug)]
pub(crate) struct Refused(Box<Answer>);

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        *refused.0
    }
}

pub(crate) fn refused(status: StatusCode, code: &str, message: &str) -> Refused {
    let body = json!({"error": {"code": code, "message": message}});
    Refused(Box::new(with_refusal(json(status, &body), code)))
}

pub(super) fn bad(code: &str, message: &str) -> Refused {
    refused(StatusCode::BAD_REQUEST, code, message)
}

pub(super) fn missing(code: &str, message: &str) -> Refused {
    refused(StatusCode::NOT_FOUND, code, message)
}

pub(super) fn conflict(code: &str, message: &str) -> Refused {
    refused(StatusCode::CONFLICT, code, message)
}

/// With the challenge by which SDKs find the tenant of a subscription.
fn unauthorized(cloud: Cloud, tenant: &str, code: &str, message: &str, why: &str) -> Refused {
    let challenge = format!(
        "Bearer authorization_uri=\"https://{}/{tenant}\", error=\"invalid_token\", error_description=\"{why}\"",
        cloud.login()
    );
    let Refused(answer) = refused(StatusCode::UNAUTHORIZED, code, message);
    Refused(Box::new(with_header(*answer, header::WWW_AUTHENTICATE, &challenge)))
}

pub(super) fn no_token(cloud: Cloud, tenant: &str) -> Refused {
    let why = "The authentication failed because of missing 'Authorization' header.";
    let message = "Authentication failed. The 'Authorization' header is missing.";
    unauthorized(cloud, tenant, "AuthenticationFailed", message, why)
}

pub(super) fn invalid_token(cloud: Cloud, tenant: &str) -> Refused {
    let message = "The access token is invalid.";
    unauthorized(cloud, tenant, "InvalidAuthenticationToken", message, message)
}

pub(super) fn expired_token(cloud: Cloud, tenant: &str) -> Refused {
    let message = "The access token expiry UTC time is earlier than current UTC time.";
    unauthorized(cloud, tenant, "ExpiredAuthenticationToken", message, message)
}

pub(super) fn wrong_audience(cloud: Cloud, tenant: &str, found: &str, allowed: &[String]) -> Refused {
    let allowed: Vec<_> = allowed.iter().map(|one| format!("'{one}'")).collect();
    let message = format!(
        "The access token has been obtained for wrong audience or resource '{found}'. It should exactly match with \
         one of the allowed audiences {}.",
        allowed.join(",")
    );
    unauthorized(cloud, tenant, "InvalidAuthenticationTokenAudience", &message, &message)
}

pub(super) fn wrong_tenant(cloud: Cloud, tenant: &str, found: &str) -> Refused {
    let expected = issuer(cloud, tenant);
    let message = format!(
        "The access token is from the wrong issuer '{found}'. It must match the tenant '{expected}' associated with \
         this subscription. Please use the authority (URL) 'https://{}/{tenant}' to get the token. Note, if the \
         subscription is transferred to another tenant there is no impact to the services, but information about new \
         tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this \
         error message, please try back later.",
        cloud.login()
    );
    unauthorized(cloud, tenant, "InvalidAuthenticationTokenTenant", &message, &message)
}

pub(super) fn not_authorized(bearer: &Bearer, action: &str, scope: &str) -> Refused {
    let Bearer { client_id, object_id, .. } = bearer;
    let message = format!(
        "The client '{client_id}' with object id '{object_id}' does not have authorization to perform action \
         '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your \
         credentials."
    );
    refused(StatusCode::FORBIDDEN, "AuthorizationFailed", &message)
}

pub(super) fn no_subscription(id: &str) -> Refused {
    missing("SubscriptionNotFound", &format!("The subscription '{id}' could not be found."))
}

pub(super) fn no_version() -> Refused {
    bad("MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
}

/// Resource groups are ARM's own; of a provider's type ARM says which versions it has registered.
pub(super) fn unknown_version(row: &Type, version: &str, location: Option<&str>) -> Refused {
    let name = row.name.rsplit_once("subscriptions/").map_or(row.name, |(_, name)| name);
    if row.namespace == "Microsoft.Resources" {
        let message =
            format!("The api-version '{version}' is invalid. The supported versions are '{}'.", row.versions.join(","));
        return bad("InvalidApiVersionParameter", &message);
    }
    let versions = row.versions.join(", ");
    match location {
        Some(location) => bad(
            "NoRegisteredProviderFound",
            &format!(
                "No registered resource provider found for location '{location}' and API version '{version}' for type \
                 '{name}'. The supported api-versions are '{versions}'. The supported locations are '{}'.",
                super::kind::LOCATIONS.join(", ")
            ),
        ),
        None => missing(
            "InvalidResourceType",
            &format!(
                "The resource type '{name}' could not be found in the namespace '{}' for api version '{version}'. The \
                 supported api-versions are '{versions}'.",
                row.namespace
            ),
        ),
    }
}

pub(super) fn unknown_path() -> Refused {
    missing("NotFound", "The stand-in has no such type of resource.")
}

pub(super) fn not_allowed(method: &http::Method) -> Refused {
    let message = format!("The requested resource does not support http method '{method}'.");
    refused(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", &message)
}

pub(super) fn unreadable(error: &str) -> Refused {
    let message = format!("The request content was invalid and could not be deserialized: '{error}'.");
    bad("InvalidRequestContent", &message)
}

pub(super) fn no_location() -> Refused {
    bad("LocationRequired", "The location property is required for this definition.")
}

pub(super) fn no_such_location(row: &Type, found: &str) -> Refused {
    let all = super::kind::LOCATIONS.join(",");
    if row.namespace == "Microsoft.Resources" {
        let message = format!(
            "The provided location '{found}' is not available for resource group. List of available regions is '{all}'."
        );
        return bad("LocationNotAvailableForResourceGroup", &message);
    }
    let message = format!(
        "The provided location '{found}' is not available for resource type '{}'. List of available regions for the \
         resource type is '{all}'.",
        row.full_name()
    );
    bad("LocationNotAvailableForResourceType", &message)
}

pub(super) fn another_location(name: &str, group: &str, is: &str, wanted: &str) -> Refused {
    let message = format!(
        "The resource '{name}' already exists in location '{is}' in resource group '{group}'. A resource with the same \
         name cannot be created in location '{wanted}'. Please select a new resource name."
    );
    conflict("InvalidResourceLocation", &message)
}

pub(super) fn no_group(name: &str) -> Refused {
    missing("ResourceGroupNotFound", &format!("Resource group '{name}' could not be found."))
}

pub(super) fn no_resource(full_name: &str, name: &str, group: &str) -> Refused {
    let message = format!(
        "The Resource '{full_name}/{name}' under resource group '{group}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix"
    );
    missing("ResourceNotFound", &message)
}

pub(super) fn no_parent(method: &http::Method, name: &str, parent: &str) -> Refused {
    let verb = match Verb::of(method) {
        Verb::Write => "write",
        Verb::Delete => "delete",
        _ => "read",
    };
    let message = format!(
        "Failed to perform '{verb}' on resource(s) of type '{name}', because the parent resource '{parent}' could not \
         be found."
    );
    missing("ParentResourceNotFound", &message)
}

pub(super) fn too_many_tags(count: usize) -> Refused {
    let message = format!(
        "Too many tags on the resource/resource group. Requested tag count - '{count}'. Maximum allowed - '50'."
    );
    bad("TooManyTags", &message)
}

/// What ARM says that cannot.
pub(crate) fn failure(status: StatusCode) -> Answer {
    let (code, message) = match status {
        StatusCode::TOO_MANY_REQUESTS => (
            "SubscriptionRequestsThrottled",
            "Number of requests for subscription exceeded. Please try again after the time of the 'Retry-After' \
             header. Refer to https://aka.ms/arm-throttling for additional information.",
        ),
        StatusCode::CONFLICT => {
            ("AnotherOperationInProgress", "Another operation on this or dependent resource is in progress.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ("ServerTimeout", "The request timed out. Diagnostic information: timestamp, subscription id, tracking id.")
        }
        _ => ("InternalServerError", "Encountered internal server error."),
    };
    refused(status, code, message).into()
}
