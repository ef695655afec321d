//! RSA keys that sign tokens: Entra's own, those of issuers, and those of certificates.

use std::fmt;

use aws_lc_rs::{
    digest, rand,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_cert::der::{self, Decode as _, Reader as _, SliceReader, asn1::UintRef};

use crate::jwt::{self, PublicKey};

/// A private RSA key.
pub struct Signer(RsaKeyPair);

#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("cannot make an RSA key")]
    Generate,
    #[error("is no RSA key in PKCS#8")]
    Parse,
    #[error("cannot sign")]
    Sign,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key_id())
    }
}

impl Signer {
    /// A new key of 2048 bits.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn generate() -> Result<Self, SignerError> {
        RsaKeyPair::generate(KeySize::Rsa2048).map(Self).map_err(|_| SignerError::Generate)
    }

    /// # Errors
    /// If this is no RSA key in PKCS#8, DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SignerError> {
        RsaKeyPair::from_pkcs8(der).map(Self).map_err(|_| SignerError::Parse)
    }

    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        components(self.0.public_key().as_ref()).unwrap_or_else(|_| PublicKey::Spki(Vec::new()))
    }

    /// The `kid` of the key in its key set.
    #[must_use]
    pub fn key_id(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.0.public_key().as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref())
    }

    /// The key set that publishes this key.
    #[must_use]
    pub fn key_set(&self) -> Value {
        let PublicKey::Components { n, e } = self.public_key() else { return json!({"keys": []}) };
        let [n, e] = [n, e].map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        json!({"keys": [{"use": "sig", "kty": "RSA", "kid": self.key_id(), "alg": "RS256", "n": n, "e": e}]})
    }

    /// A token of this key, RS256, with its `kid`.
    ///
    /// # Errors
    /// If signing fails.
    pub fn sign(&self, claims: &Value) -> Result<String, SignerError> {
        self.sign_with(&json!({"typ": "JWT", "alg": "RS256", "kid": self.key_id()}), claims)
    }

    /// A token with this header: PS256 if it says so, else RS256.
    ///
    /// # Errors
    /// If signing fails.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> Result<String, SignerError> {
        let input = jwt::signing_input(header, claims);
        let encoding: &'static dyn RsaEncoding =
            if header["alg"] == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(encoding, &rand::SystemRandom::new(), input.as_bytes(), &mut signature)
            .map_err(|_| SignerError::Sign)?;
        Ok(format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Modulus and exponent of an RSAPublicKey of PKCS#1.
fn components(pkcs1: &[u8]) -> Result<PublicKey, der::Error> {
    SliceReader::new(pkcs1)?.sequence(|reader| {
        let n = UintRef::decode(reader)?.as_bytes().to_vec();
        let e = UintRef::decode(reader)?.as_bytes().to_vec();
        Ok(PublicKey::Components { n, e })
    })
}
