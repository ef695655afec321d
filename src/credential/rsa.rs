//! RSA keys in PEM files: read as Go reads them, written as Go writes them.

use super::{
    Secret,
    certificate::public_key,
    der::{self, BIT_STRING, NULL, OBJECT_IDENTIFIER, Reader, SEQUENCE},
    pem::{self, Block},
    private_key::{self, PrivateKey, RSA},
};

pub(crate) use super::private_key::RsaPublic;

const PKCS1: &str = "RSA PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// Why a file is no key. Nothing of what it holds instead is repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("has no PEM block")]
    Empty,
    #[error("has more than one PEM block")]
    Several,
    #[error("is encrypted")]
    Encrypted,
    #[error("has a PEM block of another kind than `{expected}`")]
    Kind { expected: &'static str },
    #[error("is no RSA key")]
    NotRsa,
    #[error("has a key whose numbers do not belong together, or that is damaged")]
    Unsound,
}

impl RsaPublic {
    /// The DER of a `SubjectPublicKeyInfo`.
    pub(crate) fn info(&self) -> Vec<u8> {
        let key = der::element(SEQUENCE, &[&der::unsigned(&self.modulus), &der::unsigned(&self.exponent_bytes())]);
        let algorithm = der::element(SEQUENCE, &[&der::element(OBJECT_IDENTIFIER, &[RSA]), &der::element(NULL, &[])]);
        der::element(SEQUENCE, &[&algorithm, &der::element(BIT_STRING, &[&[0], &key])])
    }

    /// Big-endian, without leading zeros.
    pub(crate) fn exponent_bytes(&self) -> Vec<u8> {
        self.exponent.unsigned_abs().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
    }

    pub(crate) fn pem(&self) -> Secret {
        pem::encode(PUBLIC, &self.info())
    }
}

/// The public half of the private key of a file.
pub(crate) fn private(file: &[u8]) -> Result<RsaPublic, Unusable> {
    let block = only(file)?;
    let key = match block.label.as_str() {
        PKCS1 => private_key::pkcs1(block.bytes.expose()).map(PrivateKey::Rsa),
        PKCS8 => private_key::read(block.bytes.expose()),
        "ENCRYPTED PRIVATE KEY" => return Err(Unusable::Encrypted),
        _ => return Err(Unusable::Kind { expected: PKCS1 }),
    };
    match key {
        Some(PrivateKey::Rsa(key)) => Ok(key),
        Some(PrivateKey::Other(_)) => Err(Unusable::NotRsa),
        None => Err(Unusable::Unsound),
    }
}

/// The public key of a file.
pub(crate) fn public(file: &[u8]) -> Result<RsaPublic, Unusable> {
    let block = only(file)?;
    if block.label != PUBLIC {
        return Err(Unusable::Kind { expected: PUBLIC });
    }
    let info = der::only(block.bytes.expose(), SEQUENCE).ok_or(Unusable::Unsound)?;
    public_key(Reader(info.value)).ok_or(Unusable::Unsound)?.ok_or(Unusable::NotRsa)
}

/// A private key of PKCS#8 in the form of PKCS#1, as a PEM file.
#[cfg(feature = "provision")]
pub(crate) fn pkcs1_pem(pkcs8: &[u8]) -> Option<Secret> {
    let (_, key) = private_key::inside_pkcs8(pkcs8).filter(|(algorithm, _)| *algorithm == RSA)?;
    Some(pem::encode(PKCS1, key))
}

fn only(file: &[u8]) -> Result<Block, Unusable> {
    let mut blocks = pem::blocks(file);
    let block = blocks.pop().ok_or(Unusable::Empty)?;
    if !blocks.is_empty() {
        return Err(Unusable::Several);
    }
    if block.encrypted { Err(Unusable::Encrypted) } else { Ok(block) }
}
