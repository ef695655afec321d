//! X.509: what Entra reads of a certificate, and whether a chain leads to an authority.

use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::{
    Certificate as Parsed,
    der::{Decode as _, Encode as _},
};

use crate::random::to_hex;

/// A certificate, parsed.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// As RFC 4514 writes it, such as `CN=name`.
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
#[error("is no certificate")]
pub struct NoCertificate;

impl Certificate {
    /// # Errors
    /// If the bytes are no certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, NoCertificate> {
        let parsed = Parsed::from_der(der).map_err(|_| NoCertificate)?;
        let certificate = parsed.tbs_certificate();
        let validity = certificate.validity();
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            subject: certificate.subject().to_string(),
            not_before: timestamp(validity.not_before)?,
            not_after: timestamp(validity.not_after)?,
            public_key: certificate.subject_public_key_info().to_der().map_err(|_| NoCertificate)?,
        })
    }

    /// The first certificate of a PEM text.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_pem(pem: &str) -> Result<Self, NoCertificate> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| NoCertificate)?;
        Self::from_der(&der)
    }

    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// `CN` of the subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.subject.split(',').find_map(|part| part.trim().strip_prefix("CN="))
    }

    /// The SHA-1 thumbprint, as error texts have it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        to_hex(&self.sha1()).to_uppercase()
    }

    /// Whether the header of an assertion means this certificate: `x5t`, `x5t#S256` or a `kid` that is a thumbprint.
    #[must_use]
    pub fn has_thumbprint(&self, thumbprint: &str) -> bool {
        let sha256 = digest::digest(&digest::SHA256, &self.der);
        let given = url_safe(thumbprint);
        [BASE64_URL_SAFE_NO_PAD.encode(self.sha1()), BASE64_URL_SAFE_NO_PAD.encode(sha256.as_ref())].contains(&given)
            || thumbprint.eq_ignore_ascii_case(&self.thumbprint())
    }

    /// Whether this certificate, by way of `intermediates`, was issued by `authority` and is valid at `now`.
    #[must_use]
    pub fn was_issued_by(&self, authority: &Self, intermediates: &[Self], now: Timestamp) -> bool {
        let Ok(leaf) = EndEntityCert::try_from(&self.der) else { return false };
        let Ok(anchor) = anchor_from_trusted_cert(&authority.der) else { return false };
        let between: Vec<_> = intermediates.iter().map(|certificate| certificate.der.clone()).collect();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &between,
            time,
            KeyUsage::client_auth(),
            None,
            None,
        )
        .is_ok()
    }

    fn sha1(&self) -> Vec<u8> {
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref().to_vec()
    }
}

/// RFC 7515 has base64url without padding; MSAL for Go writes base64, and Entra takes it.
pub(crate) fn url_safe(base64: &str) -> String {
    base64.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn timestamp(time: x509_cert::time::Time) -> Result<Timestamp, NoCertificate> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| NoCertificate)?;
    Timestamp::from_second(seconds).map_err(|_| NoCertificate)
}
