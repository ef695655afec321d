//! What is served: signed by the authority, and never anywhere but in memory.

use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs::{default_provider, sign::any_ecdsa_type},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{
    Authority, Failed, Lifetimes, Service, authority::set_validity, earlier, later, two_thirds, whole_seconds,
};

/// A certificate of the Service and its key.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub certified: Arc<CertifiedKey>,
    pub not_after: Timestamp,
    signer: CertificateDer<'static>,
    renewal: Timestamp,
}

impl Leaf {
    /// Signs one, with a new key.
    ///
    /// `read` is when the authority was known to be the one of the Secret, by the clock of this replica: what was signed by
    /// one that has been replaced in the meantime lasts no longer than others expect, however long ago that was.
    ///
    /// # Guarantees
    /// Who trusts the authority's bundle accepts it, as is tried here.
    ///
    /// # Errors
    /// If it cannot be made, or would not be accepted.
    pub fn new(
        authority: &Authority,
        service: &Service,
        read: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Result<Self, Failed> {
        let not_after = whole_seconds(later(read, lifetimes.leaf)).min(authority.not_after());
        let mut wanted = CertificateParams::new(service.names())?;
        wanted.distinguished_name = DistinguishedName::new();
        wanted.distinguished_name.push(DnType::CommonName, "hcp-identity webhook");
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        wanted.use_authority_key_identifier_extension = true;
        set_validity(&mut wanted, earlier(read, lifetimes.skew), not_after)?;
        let key = Zeroizing::new(KeyPair::generate()?);
        let certificate = authority.sign(&wanted, &key)?;
        let signer = authority.certificate().clone();
        verify(&certificate, &signer, service, read)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialized_der()));
        let certified = Arc::new(CertifiedKey::new(vec![certificate], any_ecdsa_type(&private)?));
        Ok(Self { certified, not_after, signer, renewal: two_thirds(read, not_after) })
    }

    /// Whether it is time for another, and there can be one that lasts longer: two thirds of its life are over, or another
    /// authority signs.
    #[must_use]
    pub fn is_due(&self, authority: &Authority, read: Timestamp) -> bool {
        read >= self.renewal || self.signer != *authority.certificate()
    }
}

/// As a client does that trusts the signer alone.
fn verify(
    certificate: &CertificateDer<'_>,
    signer: &CertificateDer<'static>,
    service: &Service,
    now: Timestamp,
) -> Result<(), Failed> {
    let mut roots = RootCertStore::empty();
    roots.add(signer.clone())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let since_epoch = now.duration_since(Timestamp::UNIX_EPOCH);
    let since_epoch = since_epoch.try_into().map_err(|_| Failed::Clock(now))?;
    let now = UnixTime::since_unix_epoch(since_epoch);
    verifier.verify_server_cert(certificate, &[], &service.server_name()?, &[], now)?;
    Ok(())
}
