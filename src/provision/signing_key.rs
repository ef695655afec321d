//! The public half of the key that a cluster signs service account tokens with.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::credential::rsa::RsaPublic;

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

    /// The text of its file.
    #[must_use]
    pub fn pem(&self) -> Vec<u8> {
        self.0.pem().expose().to_vec()
    }
}
