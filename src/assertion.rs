//! The client assertion with which a credential signs in: PS256, with the chain of its certificate, as the consumer makes it.

use aws_lc_rs::{
    digest,
    rand::{self, SystemRandom},
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use azure_core::{Error, error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::credential::SignIn;

const LIFETIME_SECONDS: i64 = 600;

/// Signs a new one whenever a token is asked for.
#[derive(Debug)]
pub(crate) struct Assertion(pub(crate) SignIn);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let refused = || Error::with_message(ErrorKind::Credential, "the credential's key cannot sign");
        assertion(&self.0, now()).map(|signed| signed.to_string()).ok_or_else(refused)
    }
}

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a credential is judged, and signs, as of this moment")]
    Timestamp::now()
}

/// None where the key is none that signs.
pub(crate) fn assertion(credential: &SignIn, now: Timestamp) -> Option<Zeroizing<String>> {
    let key = credential.key.expose();
    let key = RsaKeyPair::from_pkcs8(key).or_else(|_| RsaKeyPair::from_der(key)).ok()?;
    let leaf = digest::digest(&digest::SHA256, credential.chain.first()?);
    let chain: Vec<_> = credential.chain.iter().map(|certificate| BASE64_STANDARD.encode(certificate)).collect();
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(leaf), "x5c": chain});
    let mut id = [0; 16];
    rand::fill(&mut id).ok()?;
    let seconds = now.as_second();
    let claims = json!({
        "aud": credential.token_url(),
        "iss": credential.client_id,
        "sub": credential.client_id,
        "jti": BASE64_URL_SAFE_NO_PAD.encode(id),
        "nbf": seconds,
        "exp": seconds + LIFETIME_SECONDS,
    });
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(Zeroizing::new(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}
