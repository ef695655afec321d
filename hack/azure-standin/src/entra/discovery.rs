//! What SDKs read before they ask for a token.

use http::StatusCode;
use serde_json::json;

use super::problem;
use crate::{
    azure::Azure,
    cloud::{CLOUDS, Cloud},
    exchange::{Answer, Call, json},
};

pub(super) fn openid(azure: &Azure, cloud: Cloud, call: &Call) -> Answer {
    let name = call.segments().into_iter().next().unwrap_or_default();
    let Some(tenant) = azure.with_world(|world| world.tenant(&name, cloud).cloned()) else {
        return problem::tenant_not_found(&name).answer(cloud, azure.clock.now());
    };
    let base = format!("https://{}/{}", call.host, tenant.id);
    let body = json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("https://{}/{}/v2.0", cloud.login(), tenant.id),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": cloud.login(),
    });
    json(StatusCode::OK, &body)
}

/// Which login hosts are one cloud: by this SDKs tell a host of Entra from one that only says so.
pub(super) fn instances(azure: &Azure, cloud: Cloud, call: &Call) -> Answer {
    let endpoint = call.query("authorization_endpoint").unwrap_or_default();
    let Some((host, path)) = endpoint.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else {
        return problem::missing_parameter("authorization_endpoint").answer(cloud, azure.clock.now());
    };
    let tenant = path.split('/').next().unwrap_or_default();
    let metadata: Vec<_> = CLOUDS
        .iter()
        .map(|names| {
            let logins = names.logins;
            json!({"preferred_network": logins[0], "preferred_cache": logins[logins.len().min(2) - 1], "aliases": logins})
        })
        .collect();
    let body = json!({
        "tenant_discovery_endpoint": format!("https://{host}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": metadata,
    });
    json(StatusCode::OK, &body)
}
