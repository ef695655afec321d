//! Access tokens: as Entra writes them, and as a resource reads them.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    cloud::Cloud,
    jwt::Token,
    random::uuid,
    signer::{Signer, SignerError},
    world::Principal,
};

/// What is granted: this principal, to this resource.
#[derive(Debug)]
pub struct Grant<'a> {
    pub cloud: Cloud,
    pub principal: &'a Principal,
    pub resource: &'a str,
    pub lifetime_seconds: i64,
}

impl Grant<'_> {
    /// # Errors
    /// If signing fails.
    pub fn token(&self, signer: &Signer, now: Timestamp) -> Result<String, SignerError> {
        let principal = self.principal;
        let now = now.as_second();
        let mut claims = json!({
            "aud": self.resource,
            "iss": issuer(self.cloud, &principal.tenant),
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_seconds,
            "appid": principal.client_id,
            "appidacr": "2",
            "idp": issuer(self.cloud, &principal.tenant),
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": principal.tenant,
            "uti": uuid(),
            "ver": "1.0",
        });
        if let Some(resource_id) = &principal.resource_id {
            claims["xms_mirid"] = json!(resource_id);
        }
        signer.sign(&claims)
    }
}

/// The `iss` of a tenant's tokens.
pub(crate) fn issuer(cloud: Cloud, tenant: &str) -> String {
    format!("{}/{tenant}/", cloud.names().issuer)
}

/// Who bears a token that was verified.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub client_id: String,
    pub object_id: String,
    pub issuer: String,
}

/// Why a resource does not take a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BearerError {
    Malformed,
    Signature,
    Audience(String),
    Issuer(String),
    NotYetValid,
    Expired,
}

/// What a resource expects of a token.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) cloud: Cloud,
    pub(crate) tenant: &'a str,
    pub(crate) resources: &'a [String],
}

/// The difference of clocks that resources forgive.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

impl Bearer {
    pub(crate) fn verify(
        text: &str,
        signer: &Signer,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<Self, BearerError> {
        let token = Token::parse(text).map_err(|_| BearerError::Malformed)?;
        if token.header.alg != "RS256" || !token.is_signed_by(&signer.public_key()) {
            return Err(BearerError::Signature);
        }
        let audience = token.text("aud").unwrap_or_default();
        if !expected.resources.iter().any(|resource| resource == audience) {
            return Err(BearerError::Audience(audience.to_owned()));
        }
        let issuer = token.text("iss").unwrap_or_default();
        if issuer != self::issuer(expected.cloud, expected.tenant) {
            return Err(BearerError::Issuer(issuer.to_owned()));
        }
        check_time(&token, now)?;
        let claim = |name| token.text(name).unwrap_or_default().to_owned();
        Ok(Self { client_id: claim("appid"), object_id: claim("oid"), issuer: issuer.to_owned() })
    }
}

fn check_time(token: &Token, now: Timestamp) -> Result<(), BearerError> {
    let from = token.time("nbf").ok_or(BearerError::Malformed)?;
    let until = token.time("exp").ok_or(BearerError::Malformed)?;
    if now.saturating_add(SKEW).unwrap_or(Timestamp::MAX) < from {
        return Err(BearerError::NotYetValid);
    }
    if now.saturating_sub(SKEW).unwrap_or(Timestamp::MIN) >= until { Err(BearerError::Expired) } else { Ok(()) }
}
