//! JSON web tokens: taken apart, verified, made. What a claim has to say is not decided here.

use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{self, RsaParameters, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The part of a token's header that says by what it was signed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Header {
    pub alg: String,
    pub kid: Option<String>,
    pub x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    pub x5t_s256: Option<String>,
    pub x5c: Option<Chain>,
}

/// RFC 7515 has an array. MSAL for .NET and others also send a single string.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Chain {
    Many(Vec<String>),
    One(String),
}

impl Chain {
    #[must_use]
    pub fn entries(&self) -> &[String] {
        match self {
            Self::Many(entries) => entries,
            Self::One(entry) => std::slice::from_ref(entry),
        }
    }
}

/// A token, not yet verified.
#[derive(Clone, Debug)]
pub struct Token {
    pub header: Header,
    pub claims: Map<String, Value>,
    signed: String,
    signature: Vec<u8>,
}

/// A public RSA key, in the two forms in which one comes.
#[derive(Clone, Debug)]
pub enum PublicKey {
    /// SubjectPublicKeyInfo of a certificate.
    Spki(Vec<u8>),
    /// Modulus and exponent of a JSON web key.
    Components { n: Vec<u8>, e: Vec<u8> },
}

#[derive(Debug, thiserror::Error)]
#[error("is no JSON web token")]
pub struct NoToken;

impl Token {
    /// # Errors
    /// If the text is no signed token.
    pub fn parse(text: &str) -> Result<Self, NoToken> {
        let (signed, signature) = text.rsplit_once('.').ok_or(NoToken)?;
        let (header, claims) = signed.split_once('.').ok_or(NoToken)?;
        Ok(Self {
            header: part(header)?,
            claims: part(claims)?,
            signed: signed.to_owned(),
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| NoToken)?,
        })
    }

    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A claim that is a time.
    #[must_use]
    pub fn time(&self, claim: &str) -> Option<Timestamp> {
        let value = self.claims.get(claim)?;
        let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))?;
        Timestamp::from_second(seconds).ok()
    }

    /// The audiences: one text, or several.
    #[must_use]
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let Some(parameters) = algorithm(&self.header.alg) else { return false };
        let signed = self.signed.as_bytes();
        match key {
            PublicKey::Spki(der) => UnparsedPublicKey::new(parameters, der).verify(signed, &self.signature).is_ok(),
            PublicKey::Components { n, e } => {
                PublicKeyComponents { n: &n[..], e: &e[..] }.verify(parameters, signed, &self.signature).is_ok()
            }
        }
    }
}

fn part<T: serde::de::DeserializeOwned>(encoded: &str) -> Result<T, NoToken> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NoToken)?;
    serde_json::from_slice(&bytes).map_err(|_| NoToken)
}

fn algorithm(name: &str) -> Option<&'static RsaParameters> {
    match name {
        "RS256" => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Some(&signature::RSA_PSS_2048_8192_SHA256),
        _ => None,
    }
}

/// The signed part of a token.
#[must_use]
pub fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_not_parsed() {
        for text in ["", "a", "a.b", "a.b.c", "e30.e30.", "e30.W10.AAAA"] {
            assert!(Token::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn unsigned_tokens_have_no_key_that_fits() {
        let header = serde_json::json!({"alg": "none"});
        let text = format!("{}.", signing_input(&header, &serde_json::json!({})));
        let token = Token::parse(&text).unwrap();
        assert!(!token.is_signed_by(&PublicKey::Spki(Vec::new())));
    }
}
