//! What Key Vault says when it refuses. Where each is from stands in docs/azure-standin.md.

use http::{StatusCode, header};
use serde_json::json;

use super::{access::names, store::Vault};
use crate::{
    cloud::Cloud,
    entra::{Bearer, issuer},
    exchange::{Answer, json, with_header, with_refusal},
    operation::Operation,
};

/// An answer that is a refusal.
#[derive(Debug)]
pub(super) struct Refused(Box<Answer>);

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        *refused.0
    }
}

fn refused(status: StatusCode, code: &str, message: &str, inner: Option<&str>) -> Refused {
    let mut error = json!({"code": code, "message": message});
    if let Some(inner) = inner {
        error["innererror"] = json!({"code": inner});
    }
    Refused(Box::new(with_refusal(json(status, &json!({"error": error})), inner.unwrap_or(code))))
}

/// With the challenge that says where a token is to be had, and for what.
fn unauthorized(cloud: Cloud, vault: &Vault, message: &str) -> Refused {
    let challenge = format!(
        "Bearer authorization=\"https://{}/{}\", resource=\"{}\"",
        cloud.login(),
        vault.tenant,
        cloud.vault_resource()
    );
    let Refused(answer) = refused(StatusCode::UNAUTHORIZED, "Unauthorized", message, None);
    Refused(Box::new(with_header(*answer, header::WWW_AUTHENTICATE, &challenge)))
}

pub(super) fn no_token(cloud: Cloud, vault: &Vault) -> Refused {
    unauthorized(cloud, vault, "AKV10000: Request is missing a Bearer or PoP token.")
}

pub(super) fn wrong_audience(cloud: Cloud, vault: &Vault, found: &str) -> Refused {
    let expected = cloud.vault_resource();
    unauthorized(cloud, vault, &format!("AKV10022: Invalid audience. Expected {expected}, found: {found}."))
}

pub(super) fn wrong_issuer(cloud: Cloud, vault: &Vault, found: &str) -> Refused {
    let expected = issuer(cloud, &vault.tenant);
    unauthorized(cloud, vault, &format!("AKV10032: Invalid issuer. Expected one of {expected}, found {found}."))
}

pub(super) fn expired_token(cloud: Cloud, vault: &Vault) -> Refused {
    unauthorized(cloud, vault, "[TokenExpired] Error validating token: 'S2S12086'.")
}

pub(super) fn invalid_token(cloud: Cloud, vault: &Vault) -> Refused {
    unauthorized(cloud, vault, "Error validating token: the token is malformed or its signature is invalid.")
}

pub(super) fn forbidden_by_rbac(vault: &Vault, bearer: &Bearer, operation: Operation, secret: &str) -> Refused {
    let (action, _) = names(operation);
    let mut resource = vault.resource_id();
    if !secret.is_empty() {
        resource = format!("{resource}/secrets/{}", secret.to_lowercase());
    }
    let Bearer { client_id, object_id, issuer } = bearer;
    let (name, location) = (&vault.name, &vault.location);
    let message = format!(
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role \
         definitions were changed recently, please observe propagation time.\r\nCaller: \
         appid={client_id};oid={object_id};iss={issuer}\r\nAction: \
         'Microsoft.KeyVault/vaults/secrets/{action}'\r\nResource: '{resource}'\r\nAssignment: (not \
         found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: {name};location={location}\r\n"
    );
    refused(StatusCode::FORBIDDEN, "Forbidden", &message, Some("ForbiddenByRbac"))
}

pub(super) fn forbidden_by_policy(vault: &Vault, bearer: &Bearer, operation: Operation) -> Refused {
    let (_, permission) = names(operation);
    let Bearer { client_id, object_id, issuer } = bearer;
    let (name, location) = (&vault.name, &vault.location);
    let message = format!(
        "The user, group or application 'appid={client_id};oid={object_id};iss={issuer}' does not have secrets \
         {permission} permission on key vault '{name};location={location}'. For help resolving this issue, please see \
         https://go.microsoft.com/fwlink/?linkid=2125287"
    );
    refused(StatusCode::FORBIDDEN, "Forbidden", &message, Some("AccessDenied"))
}

pub(super) fn not_found(name: &str) -> Refused {
    let message = format!(
        "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may \
         be able to recover it using the correct recovery command. For help resolving this issue, please see \
         https://go.microsoft.com/fwlink/?linkid=2125182"
    );
    refused(StatusCode::NOT_FOUND, "SecretNotFound", &message, None)
}

pub(super) fn deleted_not_found(name: &str) -> Refused {
    let message = format!("Deleted Secret not found: {name}");
    refused(StatusCode::NOT_FOUND, "SecretNotFound", &message, None)
}

pub(super) fn disabled() -> Refused {
    let message = "Operation get is not allowed on a disabled secret.";
    refused(StatusCode::FORBIDDEN, "Forbidden", message, Some("SecretDisabled"))
}

pub(super) fn name_is_deleted(name: &str) -> Refused {
    let message = format!(
        "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, \
         the secret can only be recovered or purged."
    );
    refused(StatusCode::CONFLICT, "Conflict", &message, Some("ObjectIsDeletedButRecoverable"))
}

pub(super) fn bad_parameter(message: &str) -> Refused {
    refused(StatusCode::BAD_REQUEST, "BadParameter", message, None)
}

pub(super) fn unknown_operation(method: &http::Method) -> Refused {
    let message = format!("HTTP {method} not allowed.");
    refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", &message, None)
}

/// What Key Vault says that cannot.
pub(crate) fn failure(status: StatusCode) -> Answer {
    let (code, message) = match status {
        StatusCode::TOO_MANY_REQUESTS => (
            "Throttled",
            "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        ),
        StatusCode::SERVICE_UNAVAILABLE => ("ServiceUnavailable", "The service is currently unavailable."),
        _ => ("InternalServerError", "An internal server error occurred."),
    };
    refused(status, code, message, None).into()
}
