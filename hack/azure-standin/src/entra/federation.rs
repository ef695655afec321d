//! Assertions that are another issuer's tokens: matched against the federated credentials, verified with its keys.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    assertion::{check_algorithm, check_times},
    problem::{self, Problem},
    token::Attempt,
};
use crate::{
    fetch,
    jwt::{PublicKey, Token},
    world::FederatedCredential,
};

/// An hour more than the 24 that Kubernetes gives its tokens at most.
const LONGEST: SignedDuration = SignedDuration::from_hours(25);

pub(super) async fn check(attempt: &Attempt<'_>, token: &Token, issuer: &str) -> Result<(), Problem> {
    check_algorithm(token, &["RS256"])?;
    if is_of_entra(issuer) {
        return Err(problem::token_of_entra());
    }
    check_match(attempt, token, issuer)?;
    if check_times(attempt, token)? > LONGEST {
        return Err(problem::lives_too_long(LONGEST));
    }
    let kid = token.header.kid.as_deref().ok_or_else(problem::no_thumbprint)?;
    let key = key(attempt, issuer, kid).await?.ok_or_else(|| problem::issuer_key_not_found(kid, issuer))?;
    if token.is_signed_by(&key) { Ok(()) } else { Err(problem::wrong_federated_signature(kid)) }
}

fn is_of_entra(issuer: &str) -> bool {
    let host = issuer.trim_start_matches("https://").split('/').next().unwrap_or_default();
    crate::cloud::CLOUDS.iter().any(|names| names.logins.contains(&host))
}

/// Issuer, then subject, then audience: the first that no credential has is the one that Entra names.
fn check_match(attempt: &Attempt<'_>, token: &Token, issuer: &str) -> Result<(), Problem> {
    let principal = attempt.principal;
    let all: Vec<_> = principal.federated_credentials.iter().collect();
    if all.is_empty() {
        return Err(problem::no_federated_credentials(&principal.client_id, &principal.name));
    }
    let subject = token.text("sub").ok_or_else(|| problem::missing_claim("sub"))?;
    let with_issuer =
        matching(&all, issuer, |one| &one.issuer, "issuer").map_err(or(|| problem::no_such_issuer(issuer)))?;
    let with_subject = matching(&with_issuer, subject, |one| &one.subject, "subject")
        .map_err(or(|| problem::no_such_subject(subject)))?;
    let audiences = token.audiences();
    let known = with_subject.iter().any(|one| one.audiences.iter().any(|known| audiences.contains(&known.as_str())));
    if known { Ok(()) } else { Err(problem::no_such_audience(&audiences.join(","))) }
}

fn or(otherwise: impl Fn() -> Problem) -> impl Fn(Option<Problem>) -> Problem {
    move |problem| problem.unwrap_or_else(&otherwise)
}

/// Those that have exactly this value. The error is there if one has it but for upper and lower case.
fn matching<'c>(
    among: &[&'c FederatedCredential],
    value: &str,
    field: impl Fn(&FederatedCredential) -> &str,
    what: &str,
) -> Result<Vec<&'c FederatedCredential>, Option<Problem>> {
    let exact: Vec<_> = among.iter().copied().filter(|one| field(one) == value).collect();
    if !exact.is_empty() {
        return Ok(exact);
    }
    let but_for_case = among.iter().any(|one| field(one).eq_ignore_ascii_case(value));
    Err(but_for_case.then(|| problem::differs_in_case(what, value)))
}

/// The key of this name: of those that are kept, or, if there is none, of those that the issuer has now.
async fn key(attempt: &Attempt<'_>, issuer: &str, kid: &str) -> Result<Option<PublicKey>, Problem> {
    let Attempt { azure, .. } = attempt;
    let (rules, now) = (azure.rules().issuer_keys, azure.clock.now());
    let kept = azure.with_world(|world| world.issuer_keys.get(issuer).cloned());
    let age = |asked: Timestamp| now.duration_since(asked);
    let (is_known, is_recent) = kept
        .as_ref()
        .map_or((false, false), |(asked, keys)| (key_of(keys, kid).is_some(), age(*asked) < rules.asked_again));
    let kept = kept.filter(|(asked, _)| age(*asked) < rules.stale);
    if let Some((asked, keys)) = &kept
        && ((is_known && age(*asked) < rules.fresh) || is_recent)
    {
        return Ok(key_of(keys, kid));
    }
    match (key_set(attempt, issuer).await, kept) {
        (Ok(keys), _) => {
            let key = key_of(&keys, kid);
            azure.with_world_mut(|world| world.issuer_keys.insert(issuer.to_owned(), (now, keys)));
            Ok(key)
        }
        (Err(_), Some((_, keys))) if is_known => Ok(key_of(&keys, kid)),
        (Err(problem), _) => Err(problem),
    }
}

/// The keys that the issuer publishes: found by its discovery document, which must be its own.
async fn key_set(attempt: &Attempt<'_>, issuer: &str) -> Result<Value, Problem> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let discovery = document(attempt, &url).await?;
    let keys = discovery["jwks_uri"].as_str().filter(|_| discovery["issuer"] == issuer);
    document(attempt, keys.ok_or_else(problem::issuer_unreachable)?).await
}

async fn document(attempt: &Attempt<'_>, url: &str) -> Result<Value, Problem> {
    let bytes = fetch::get(attempt.azure, url).await.map_err(|_| problem::issuer_unreachable())?;
    serde_json::from_slice(&bytes).map_err(|_| problem::issuer_unreachable())
}

fn key_of(keys: &Value, kid: &str) -> Option<PublicKey> {
    let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == kid && key["kty"] == "RSA")?;
    let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok();
    Some(PublicKey::Components { n: part("n")?, e: part("e")? })
}
