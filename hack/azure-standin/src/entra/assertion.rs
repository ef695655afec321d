//! Client assertions that the client signed with the key of a certificate.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::Timestamp;

use super::{
    problem::{self, Problem},
    token::Attempt,
};
use crate::{
    certificate::{Certificate, url_safe},
    jwt::{Chain, Header, PublicKey, Token},
};

const ALGORITHMS: [&str; 4] = ["RS256", "RS384", "RS512", "PS256"];

/// Whether the principal made this assertion, for this tenant, now, and for the first time.
pub(super) fn check(attempt: &Attempt<'_>, token: &Token) -> Result<(), Problem> {
    check_algorithm(token, &ALGORITHMS)?;
    check_client(attempt, token)?;
    check_audience(attempt, token)?;
    let lifetime = check_times(attempt, token)?;
    if let Some(longest) = attempt.azure.rules().longest_assertion.filter(|longest| lifetime > *longest) {
        return Err(problem::lives_too_long(longest));
    }
    let certificate = certificate(attempt, &token.header)?;
    check_signature(attempt, token, &certificate)?;
    spend(attempt, token)
}

pub(super) fn check_algorithm(token: &Token, supported: &[&str]) -> Result<(), Problem> {
    let algorithm = token.header.alg.as_str();
    if supported.contains(&algorithm) { Ok(()) } else { Err(problem::unsupported_algorithm(algorithm, supported)) }
}

fn check_client(attempt: &Attempt<'_>, token: &Token) -> Result<(), Problem> {
    for claim in ["iss", "sub"] {
        let value = token.text(claim).ok_or_else(|| problem::missing_claim(claim))?;
        if !value.eq_ignore_ascii_case(&attempt.principal.client_id) {
            return Err(problem::wrong_client());
        }
    }
    Ok(())
}

/// The audience is the token endpoint of the tenant, or its v2.0 issuer, at any login host of the cloud.
fn check_audience(attempt: &Attempt<'_>, token: &Token) -> Result<(), Problem> {
    let audiences = token.audiences();
    if audiences.is_empty() {
        return Err(problem::missing_claim("aud"));
    }
    if audiences.iter().any(|audience| is_endpoint(attempt, audience)) {
        Ok(())
    } else {
        Err(problem::wrong_audience())
    }
}

fn is_endpoint(attempt: &Attempt<'_>, audience: &str) -> bool {
    let Some((host, path)) = audience.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let logins = attempt.cloud.names().logins;
    let at_login =
        logins.iter().any(|login| host.strip_suffix(login).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let Some((tenant, endpoint)) = path.split_once('/') else { return false };
    at_login
        && attempt.tenant.is_called(tenant)
        && ["oauth2/v2.0/token", "oauth2/token", "v2.0"].contains(&endpoint.trim_end_matches('/'))
}

/// Returns for how long the assertion is valid.
pub(super) fn check_times(attempt: &Attempt<'_>, token: &Token) -> Result<jiff::SignedDuration, Problem> {
    let now = attempt.azure.clock.now();
    let until = token.time("exp").ok_or_else(|| problem::missing_claim("exp"))?;
    let from = token.time("nbf").or_else(|| token.time("iat")).unwrap_or(Timestamp::UNIX_EPOCH);
    let skew = attempt.azure.rules().clock_skew;
    let begun = now.saturating_add(skew).unwrap_or(Timestamp::MAX) >= from;
    let over = now.saturating_sub(skew).unwrap_or(Timestamp::MIN) >= until;
    if begun && !over { Ok(until.duration_since(from)) } else { Err(problem::outside_valid_time(now, from, until)) }
}

/// The certificate that the header of the assertion names, if the principal is known by it.
///
/// A principal with trusted subjects is known by the chain alone: Entra does not fall back to thumbprints then.
fn certificate(attempt: &Attempt<'_>, header: &Header) -> Result<Certificate, Problem> {
    let chain = chain(header)?;
    if let [leaf, intermediates @ ..] = chain.as_slice()
        && !attempt.principal.trusted_subjects.is_empty()
    {
        check_chain(attempt, leaf, intermediates)?;
        return Ok(leaf.clone());
    }
    let named = [&header.x5t_s256, &header.x5t, &header.kid].into_iter().flatten().next();
    let thumbprint = named.ok_or_else(problem::no_thumbprint)?;
    attempt
        .principal
        .certificates
        .iter()
        .find(|registered| registered.0.has_thumbprint(thumbprint))
        .map(|registered| registered.0.clone())
        .ok_or_else(|| problem::unknown_key(&shown(thumbprint, chain.first()), &attempt.principal.client_id))
}

fn chain(header: &Header) -> Result<Vec<Certificate>, Problem> {
    let entries = header.x5c.as_ref().map(Chain::entries).unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let der = BASE64_STANDARD.decode(entry).map_err(|_| problem::chain_is_no_der())?;
            Certificate::from_der(&der).map_err(|_| problem::chain_is_no_der())
        })
        .collect()
}

fn check_chain(attempt: &Attempt<'_>, leaf: &Certificate, intermediates: &[Certificate]) -> Result<(), Problem> {
    let now = attempt.azure.clock.now();
    if now > leaf.not_after {
        return Err(problem::expired_key(leaf));
    }
    let trusted = &attempt.principal.trusted_subjects;
    if !trusted.iter().any(|one| leaf.was_issued_by(&one.authority.0, intermediates, now)) {
        return Err(problem::untrusted_chain());
    }
    let known = trusted.iter().any(|one| {
        leaf.common_name() == Some(&one.subject) && leaf.was_issued_by(&one.authority.0, intermediates, now)
    });
    if known { Ok(()) } else { Err(problem::unknown_key(&leaf.thumbprint(), &attempt.principal.client_id)) }
}

/// Error texts have the SHA-1 thumbprint in hexadecimal, where it is known.
fn shown(thumbprint: &str, leaf: Option<&Certificate>) -> String {
    if let Some(leaf) = leaf {
        return leaf.thumbprint();
    }
    match BASE64_URL_SAFE_NO_PAD.decode(url_safe(thumbprint)) {
        Ok(bytes) if [20, 32].contains(&bytes.len()) => crate::random::to_hex(&bytes).to_uppercase(),
        _ => thumbprint.to_owned(),
    }
}

fn check_signature(attempt: &Attempt<'_>, token: &Token, certificate: &Certificate) -> Result<(), Problem> {
    if attempt.azure.clock.now() > certificate.not_after {
        return Err(problem::expired_key(certificate));
    }
    if token.is_signed_by(&PublicKey::Spki(certificate.public_key.clone())) {
        Ok(())
    } else {
        Err(problem::wrong_signature(certificate))
    }
}

fn spend(attempt: &Attempt<'_>, token: &Token) -> Result<(), Problem> {
    let id = token.text("jti").ok_or_else(|| problem::missing_claim("jti"))?;
    let key = format!("{}/{id}", attempt.principal.client_id);
    let first = attempt.azure.with_world_mut(|world| world.spent_assertions.insert(key));
    if first || !attempt.azure.rules().refuse_replays { Ok(()) } else { Err(problem::spent_assertion()) }
}
