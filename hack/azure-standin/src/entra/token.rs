//! The token endpoint: who asks, how it is proven, for what.

use http::{Method, StatusCode};
use serde_json::json;

use super::{access_token::Grant, assertion, federation, problem, problem::Problem};
use crate::{
    azure::Azure,
    cloud::Cloud,
    exchange::{Answer, Call, json, with_caller},
    jwt::Token,
    world::{Principal, Tenant},
};

const LIFETIME_SECONDS: i64 = 3599;
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The fields of a token request.
struct Request(Vec<(String, String)>);

impl Request {
    fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| problem::missing_parameter(name))
    }
}

/// Somebody who wants to be a principal.
pub(super) struct Attempt<'a> {
    pub(super) azure: &'a Azure,
    pub(super) cloud: Cloud,
    pub(super) tenant: &'a Tenant,
    pub(super) principal: &'a Principal,
}

pub(super) async fn answer(azure: &Azure, cloud: Cloud, call: &Call) -> Answer {
    let request = Request(call.form());
    let answer = match grant(azure, cloud, call, &request).await {
        Ok(answer) => answer,
        Err(problem) => problem.answer(cloud, azure.clock.now()),
    };
    match request.optional("client_id") {
        Some(client) => with_caller(answer, client),
        None => answer,
    }
}

async fn grant(azure: &Azure, cloud: Cloud, call: &Call, request: &Request) -> Result<Answer, Problem> {
    if call.method != Method::POST {
        return Err(problem::only_post(&call.method));
    }
    let grant = request.required("grant_type")?;
    if grant != "client_credentials" {
        return Err(problem::unsupported_grant(grant));
    }
    let tenant = tenant(azure, cloud, call)?;
    let client_id = request.required("client_id")?;
    let principal = azure
        .with_world_mut(|world| world.spread_principal(&tenant, client_id, azure.clock.now()))
        .ok_or_else(|| problem::application_not_found(client_id, &tenant.id))?;
    let resource = resource(request.required("scope")?)?;
    let attempt = Attempt { azure, cloud, tenant: &tenant, principal: &principal };
    prove(&attempt, request).await?;
    issue(&attempt, resource)
}

fn tenant(azure: &Azure, cloud: Cloud, call: &Call) -> Result<Tenant, Problem> {
    let name = call.segments().into_iter().next().unwrap_or_default();
    if name.len() != 36 && !name.contains('.') {
        return Err(problem::no_tenant_identifier(&name));
    }
    azure.with_world(|world| world.tenant(&name, cloud).cloned()).ok_or_else(|| problem::tenant_not_found(&name))
}

async fn prove(attempt: &Attempt<'_>, request: &Request) -> Result<(), Problem> {
    if let Some(assertion) = request.optional("client_assertion") {
        if request.required("client_assertion_type")? != ASSERTION_TYPE {
            return Err(problem::malformed_token());
        }
        let token = Token::parse(assertion).map_err(|_| problem::malformed_token())?;
        return prove_by_token(attempt, &token).await;
    }
    let secret = request.optional("client_secret").ok_or_else(problem::missing_credential)?;
    prove_by_secret(attempt, secret)
}

/// An assertion that the client signed says so itself; any other is an issuer's.
async fn prove_by_token(attempt: &Attempt<'_>, token: &Token) -> Result<(), Problem> {
    let issuer = token.text("iss").ok_or_else(|| problem::missing_claim("iss"))?;
    if issuer.starts_with("https://") || issuer.starts_with("http://") {
        federation::check(attempt, token, issuer).await
    } else {
        assertion::check(attempt, token)
    }
}

fn prove_by_secret(attempt: &Attempt<'_>, secret: &str) -> Result<(), Problem> {
    let client_id = &attempt.principal.client_id;
    let known = attempt
        .principal
        .client_secrets
        .iter()
        .find(|known| {
            aws_lc_rs::constant_time::verify_slices_are_equal(known.value.reveal().as_bytes(), secret.as_bytes())
                .is_ok()
        })
        .ok_or_else(|| problem::wrong_secret(client_id))?;
    if known.not_after <= attempt.azure.clock.now() { Err(problem::expired_secret(client_id)) } else { Ok(()) }
}

/// `RESOURCE/.default`: what is before the last slash is the audience of the token. MSAL for Go adds scopes of OpenID.
fn resource(scope: &str) -> Result<&str, Problem> {
    let mut scopes = scope.split_whitespace().filter(|one| !OPENID_SCOPES.contains(one));
    match (scopes.next().and_then(|one| one.strip_suffix("/.default")), scopes.next()) {
        (Some(resource), None) => Ok(resource),
        _ => Err(problem::scope_without_default(scope)),
    }
}

fn issue(attempt: &Attempt<'_>, resource: &str) -> Result<Answer, Problem> {
    let Attempt { azure, cloud, tenant, principal } = *attempt;
    if !is_resource(resource) {
        return Err(problem::resource_not_found(resource, &tenant.id));
    }
    let grant = Grant { cloud, principal, resource, lifetime_seconds: LIFETIME_SECONDS };
    let token = grant.token(azure.signer(), azure.clock.now()).map_err(|_| problem::malformed_token())?;
    let body = json!({
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECONDS,
        "ext_expires_in": LIFETIME_SECONDS,
        "access_token": token,
    });
    Ok(json(StatusCode::OK, &body))
}

/// Whether a tenant knows this resource: a URI. Which ones have a principal there is not kept.
fn is_resource(resource: &str) -> bool {
    ["https://", "api://", "spn:"].iter().any(|scheme| resource.strip_prefix(scheme).is_some_and(|rest| rest.len() > 2))
}
