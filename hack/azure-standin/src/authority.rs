//! Certificate authorities: the one of the stand-in's TLS, and those of client certificates.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use crate::secret::Redacted;

/// An authority of which the stand-in has the key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate for client assertions and the RSA key that belongs to it.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub certificate_pem: String,
    pub certificate_der: Vec<u8>,
    /// PKCS#8.
    pub key_pem: Redacted,
    /// The certificate, and after it the authority: what `x5c` is to have.
    pub chain: Vec<Vec<u8>>,
}

impl ClientCertificate {
    /// Key and certificate in one text: `client_secret` of a credential, in base64, can be this.
    #[must_use]
    pub fn bundle(&self) -> Redacted {
        Redacted::new(format!("{}{}", self.key_pem.reveal(), self.certificate_pem))
    }
}

/// When a certificate is valid, in seconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

/// The stand-in's clock moves, TLS clients have their own: its own certificates outlive both.
const ALWAYS: Validity = Validity { not_before: 1_577_836_800, not_after: 4_102_444_800 };

#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate")]
pub struct CertificateError(#[from] rcgen::Error);

impl Authority {
    /// # Errors
    /// If its key or certificate cannot be made.
    pub fn new(name: &str) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = named(name, ALWAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// A server certificate for one host name, followed by the authority.
    ///
    /// # Errors
    /// If the name is none that a certificate can have.
    pub fn server(&self, host: &str, key: &KeyPair) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        // A common name has at most 64 characters; the name that counts is the alternative one.
        params.distinguished_name.push(DnType::CommonName, "azure-standin server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = with_validity(params, ALWAYS)?.signed_by(key, &self.issuer)?;
        Ok(vec![certificate.der().clone(), self.der.clone()])
    }

    /// A client certificate with an RSA key, as managed identities have.
    ///
    /// # Errors
    /// If its key or certificate cannot be made.
    pub fn client(&self, subject: &str, validity: Validity) -> Result<ClientCertificate, CertificateError> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let mut params = named(subject, validity)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ClientCertificate {
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key_pem: Redacted::new(key.serialize_pem()),
            chain: vec![certificate.der().to_vec(), self.der.to_vec()],
        })
    }
}

/// A new key for the server's certificates.
///
/// # Errors
/// If there is no randomness.
pub fn server_key() -> Result<(KeyPair, PrivateKeyDer<'static>), CertificateError> {
    let key = KeyPair::generate()?;
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((key, private))
}

fn named(name: &str, validity: Validity) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    with_validity(params, validity)
}

fn with_validity(mut params: CertificateParams, validity: Validity) -> Result<CertificateParams, CertificateError> {
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time);
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
