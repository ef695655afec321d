//! The authority that signs what we serve, as it lies in a Secret.
//!
//! Who replaces it must not be faster than those who trust it. So there are up to three at once: the next one is made and
//! only trusted; then it signs, and the one before is still trusted for as long as anything that it has signed may be
//! served; then that one goes. Each step is a new state of the Secret, which any replica may write: of several that try, the
//! API server takes one.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::ParsedCertificate,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Failed, Lifetimes, earlier, later, pem, two_thirds, whole_seconds};
use crate::credential::{Certificate, Secret};

const SIGNER: Entries = Entries { certificate: "signer.crt", key: "signer.key" };
const NEXT: Entries = Entries { certificate: "next.crt", key: "next.key" };
const PREVIOUS: &str = "previous.crt";
const PREVIOUS_UNTIL: &str = "previous.until";

/// How a certificate of ours begins the name of who signed it.
const NAME: &str = "hcp-identity webhook ";

/// What signs, and what is trusted.
#[derive(Clone)]
pub struct Authority {
    signer: Issuing,
    /// Trusted, so that it may sign later.
    next: Option<Issuing>,
    previous: Option<Previous>,
}

/// A certificate that signs others, with its key.
#[derive(Clone)]
struct Issuing {
    certificate: CertificateDer<'static>,
    name: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// PKCS#8.
    key: Secret,
}

/// What has signed before, trusted for as long as something of it may be served.
#[derive(Clone)]
struct Previous {
    certificate: CertificateDer<'static>,
    until: Timestamp,
}

/// What a Secret holds under the two names of an authority.
#[derive(Clone, Copy)]
struct Entries {
    certificate: &'static str,
    key: &'static str,
}

/// Why a Secret is no authority of ours: which entry, and what is wrong with it. What is there is never quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("{0} is not one certificate in PEM that we have made")]
    NoCertificate(&'static str),
    #[error("{0} is not a PKCS#8 key in PEM")]
    NoKey(&'static str),
    #[error("{} is not the key of {}", .0, .1)]
    OtherKey(&'static str, &'static str),
    #[error("{0} is no time")]
    NoTime(&'static str),
}

impl Authority {
    /// A first one.
    ///
    /// # Errors
    /// If none can be made.
    pub fn new(now: Timestamp, lifetimes: &Lifetimes) -> Result<Self, Failed> {
        Ok(Self { signer: Issuing::new(now, lifetimes)?, next: None, previous: None })
    }

    /// What this becomes, if it is time for that: one step, which is to be seen by everybody before there is another.
    ///
    /// `trusted` is since when everybody who is to trust the next authority does. As long as somebody does not, the one
    /// before signs on, until it expires: then there is nothing left to lose.
    ///
    /// # Guarantees
    /// Who trusts a bundle of up to `lifetimes.overlap` ago, or any later one, accepts what is signed by this authority or by
    /// any that was current since, but where it has expired.
    ///
    /// # Errors
    /// If the next authority cannot be made.
    pub fn next(
        &self,
        now: Timestamp,
        lifetimes: &Lifetimes,
        trusted: Option<Timestamp>,
    ) -> Result<Option<Self>, Failed> {
        if now >= self.signer.not_after {
            let next = self.next.clone().filter(|next| now < next.not_after);
            let signer = next.map_or_else(|| Issuing::new(now, lifetimes), Ok)?;
            return Ok(Some(Self { signer, next: None, previous: None }));
        }
        if self.previous.as_ref().is_some_and(|previous| now >= previous.until) {
            return Ok(Some(Self { previous: None, ..self.clone() }));
        }
        if let Some(next) = self.next.as_ref().filter(|next| now < next.not_after) {
            let is_trusted = trusted.is_some_and(|since| now >= later(since, lifetimes.overlap));
            return Ok((is_trusted && self.previous.is_none()).then(|| self.hand_over(next, now, lifetimes)));
        }
        let is_due = now >= two_thirds(self.signer.not_before, self.signer.not_after);
        let next = is_due.then(|| Issuing::new(now, lifetimes)).transpose()?;
        Ok(next.map(|next| Self { next: Some(next), ..self.clone() }))
    }

    /// What was signed last by the one before was signed by somebody who read of it before now, by their own clock.
    fn hand_over(&self, next: &Issuing, now: Timestamp, lifetimes: &Lifetimes) -> Self {
        let until = later(now, lifetimes.leaf + 2 * lifetimes.skew);
        let previous = Previous { certificate: self.signer.certificate.clone(), until };
        Self { signer: next.clone(), next: None, previous: Some(previous) }
    }

    /// Whether it waits for others to trust what will sign next.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// When what signs expires.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.signer.not_after
    }

    /// What clients are to trust, in PEM: what a registration's `caBundle` is made of.
    #[must_use]
    pub fn bundle(&self) -> Vec<u8> {
        let next = self.next.as_ref().map(|next| &next.certificate);
        let previous = self.previous.as_ref().map(|previous| &previous.certificate);
        // In this order a hand-over changes nothing.
        let all = [previous, Some(&self.signer.certificate), next].into_iter().flatten();
        all.flat_map(|certificate| pem::block("CERTIFICATE", certificate)).collect()
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.signer.certificate
    }

    /// Signs a certificate for a key.
    pub(super) fn sign(&self, wanted: &CertificateParams, key: &KeyPair) -> Result<CertificateDer<'static>, Failed> {
        let own = self.signer.key_pair()?;
        let issuer = Issuer::new(parameters(&self.signer.name)?, &*own);
        Ok(wanted.signed_by(key, &issuer)?.into())
    }

    /// What a Secret holds of it.
    #[must_use]
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        let mut data = BTreeMap::new();
        let mut put = |key: &str, value: Vec<u8>| drop(data.insert(key.to_owned(), ByteString(value)));
        for (entries, issuing) in [(SIGNER, Some(&self.signer)), (NEXT, self.next.as_ref())] {
            let Some(issuing) = issuing else { continue };
            put(entries.certificate, pem::block("CERTIFICATE", &issuing.certificate));
            put(entries.key, pem::block("PRIVATE KEY", issuing.key.expose()));
        }
        if let Some(previous) = &self.previous {
            put(PREVIOUS, pem::block("CERTIFICATE", &previous.certificate));
            put(PREVIOUS_UNTIL, previous.until.to_string().into_bytes());
        }
        data
    }

    /// The authority that a Secret holds, expired or not.
    ///
    /// # Errors
    /// What we have not written is never taken for ours, nor replaced by ours.
    pub fn from_data(data: &BTreeMap<String, ByteString>) -> Result<Self, Unfit> {
        let has = |key| data.contains_key(key);
        let has_next = has(NEXT.certificate) || has(NEXT.key);
        let has_previous = has(PREVIOUS) || has(PREVIOUS_UNTIL);
        Ok(Self {
            signer: Issuing::read(data, SIGNER)?,
            next: has_next.then(|| Issuing::read(data, NEXT)).transpose()?,
            previous: has_previous.then(|| Previous::read(data)).transpose()?,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.next.as_ref().map(|next| &next.name);
        f.debug_struct("Authority").field("signer", &self.signer.name).field("next", &next).finish_non_exhaustive()
    }
}

impl Issuing {
    fn new(now: Timestamp, lifetimes: &Lifetimes) -> Result<Self, Failed> {
        let name = format!("{NAME}{}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
        let (not_before, not_after) = (earlier(now, lifetimes.skew), later(now, lifetimes.authority));
        let (not_before, not_after) = (whole_seconds(not_before), whole_seconds(not_after));
        let mut wanted = parameters(&name)?;
        set_validity(&mut wanted, not_before, not_after)?;
        let key = Zeroizing::new(KeyPair::generate()?);
        let certificate = wanted.self_signed(&*key)?.into();
        let key = Secret::new(key.serialize_der());
        Ok(Self { certificate, name, not_before, not_after, key })
    }

    fn read(data: &BTreeMap<String, ByteString>, entries: Entries) -> Result<Self, Unfit> {
        let certificate = certificate(data, entries.certificate)?;
        let no_certificate = || Unfit::NoCertificate(entries.certificate);
        let read = Certificate::read(&certificate).ok_or_else(no_certificate)?;
        let name = read.common_name.filter(|name| name.starts_with(NAME)).ok_or_else(no_certificate)?;
        let no_key = |_| Unfit::NoKey(entries.key);
        let pem = entry(data, entries.key)?;
        let der = Zeroizing::new(PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| Unfit::NoKey(entries.key))?);
        let key = Secret::new(der.secret_pkcs8_der().to_vec());
        let issuing = Self { certificate, name, not_before: read.not_before, not_after: read.not_after, key };
        let public = issuing.key_pair().map_err(no_key)?.subject_public_key_info();
        let parsed = ParsedCertificate::try_from(&issuing.certificate).map_err(|_| no_certificate())?;
        if parsed.subject_public_key_info().as_ref() != public {
            return Err(Unfit::OtherKey(entries.key, entries.certificate));
        }
        Ok(issuing)
    }

    fn key_pair(&self) -> Result<Zeroizing<KeyPair>, rcgen::Error> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.expose()));
        KeyPair::try_from(&der).map(Zeroizing::new)
    }
}

impl Previous {
    fn read(data: &BTreeMap<String, ByteString>) -> Result<Self, Unfit> {
        let until = entry(data, PREVIOUS_UNTIL)?;
        let until = std::str::from_utf8(until).ok().and_then(|until| until.parse().ok());
        Ok(Self { certificate: certificate(data, PREVIOUS)?, until: until.ok_or(Unfit::NoTime(PREVIOUS_UNTIL))? })
    }
}

fn entry<'a>(data: &'a BTreeMap<String, ByteString>, key: &'static str) -> Result<&'a [u8], Unfit> {
    data.get(key).map(|value| value.0.as_slice()).ok_or(Unfit::Missing(key))
}

fn certificate(data: &BTreeMap<String, ByteString>, key: &'static str) -> Result<CertificateDer<'static>, Unfit> {
    let found = pem::certificates(entry(data, key)?).unwrap_or_default();
    let [certificate] = <[_; 1]>::try_from(found).map_err(|_| Unfit::NoCertificate(key))?;
    Ok(certificate)
}

/// Of an authority with this name, but for when it is valid.
fn parameters(name: &str) -> Result<CertificateParams, Failed> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    // It signs what is served, and no other authority.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(parameters)
}

pub(super) fn set_validity(
    parameters: &mut CertificateParams,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<(), Failed> {
    let moment =
        |moment: Timestamp| OffsetDateTime::from_unix_timestamp(moment.as_second()).map_err(|_| Failed::Clock(moment));
    (parameters.not_before, parameters.not_after) = (moment(not_before)?, moment(not_after)?);
    Ok(())
}
