//! The public half of the key that a cluster signs service account tokens with.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::credential::rsa::{self, RsaPublic};

const SMALLEST: usize = 2048;

/// Why a file is no public key, to complete "FILE …".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableKey(String);

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningKey(pub(super) RsaPublic);

impl SigningKey {
    /// The `kid` by which kube-apiserver names it in the header of a token: a hash of the `SubjectPublicKeyInfo`.
    /// <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/serviceaccount/jwt.go>
    #[must_use]
    pub fn id(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.info()))
    }

    #[must_use]
    pub fn bits(&self) -> usize {
        self.0.bits()
    }

    /// Reads a file with a public key.
    ///
    /// # Errors
    /// Why it is none that tokens are signed with.
    pub fn read(file: &[u8]) -> Result<Self, UnusableKey> {
        let key = rsa::public(file).map_err(|unusable| UnusableKey(unusable.to_string()))?;
        if key.bits() < SMALLEST {
            return Err(UnusableKey(format!(
                "is a key of {} bits, and Entra takes none of less than {SMALLEST}",
                key.bits()
            )));
        }
        Ok(Self(key))
    }

    /// Big-endian, without leading zeros.
    pub(super) fn modulus(&self) -> &[u8] {
        &self.0.modulus
    }

    pub(super) fn exponent(&self) -> Vec<u8> {
        self.0.exponent_bytes()
    }

    /// The text of its file.
    #[must_use]
    pub fn pem(&self) -> Vec<u8> {
        self.0.pem().expose().to_vec()
    }
}
