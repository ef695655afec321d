//! The key pair: made once, from then on verified, and kept when another one takes its place.

use serde::Serialize;

use super::SigningKey;
use crate::credential::{
    Secret,
    rsa::{self, RsaPublic, Unusable},
};

/// Where each file of a pair stands in its folder.
pub const PRIVATE: &str = "serviceaccount-signer.private";
pub const PUBLIC: &str = "serviceaccount-signer.public";
/// The private key where openshift-install looks for it.
pub const INSTALLER_COPY: &str = "tls/bound-service-account-signing-key.key";
/// The folder of keys that another one has taken the place of.
pub const RETIRED: &str = "retired";

const BITS: usize = 4096;

/// What a folder has of a pair.
#[derive(Debug, Default)]
pub struct Found {
    pub private: Option<Secret>,
    pub public: Option<Secret>,
    pub installer_copy: Option<Secret>,
    /// The private keys that have been retired.
    pub retired: Vec<Secret>,
}

/// A pair, and which of its files are still those of a retired one: a rotation was not carried through.
#[derive(Debug)]
pub struct Verified {
    pub pair: KeyPair,
    pub outdated: Vec<&'static str>,
}

/// A private key that has been looked at, and its public half.
#[derive(Debug)]
pub struct KeyPair {
    private: Secret,
    public: SigningKey,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, strum::EnumIter, strum::IntoStaticStr)]
pub enum Reason {
    UnusableKey,
    KeySize,
    PrivateKeyMissing,
    PublicKeyOfAnotherPair,
    CopyOfAnotherKey,
}

/// Why a pair is left alone.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct Problem {
    pub reason: Reason,
    pub file: &'static str,
    pub message: String,
    pub remedy: String,
}

impl KeyPair {
    /// Makes a new one. None where the machine has no randomness.
    #[cfg(feature = "provision")]
    #[must_use]
    pub fn generate() -> Option<Self> {
        use aws_lc_rs::{
            encoding::AsDer as _,
            rsa::{KeyPair, KeySize},
        };
        let pkcs8 = KeyPair::generate(KeySize::Rsa4096).ok()?.as_der().ok()?;
        let private = rsa::pkcs1_pem(pkcs8.as_ref())?;
        // Whatever made it: it is read as the one of a file is.
        let public = SigningKey(rsa::private(private.expose()).ok()?);
        Some(Self { private, public })
    }

    /// The text of the private key's file.
    #[must_use]
    pub fn private(&self) -> &Secret {
        &self.private
    }

    #[must_use]
    pub fn public(&self) -> &SigningKey {
        &self.public
    }

    /// Where its private and its public key go when it is retired.
    #[must_use]
    pub fn retired(&self) -> [String; 2] {
        retired_files(&self.public.id())
    }
}

/// Where private and public key of a retired pair are.
#[must_use]
pub fn retired_files(id: &str) -> [String; 2] {
    [PRIVATE, PUBLIC].map(|file| format!("{RETIRED}/{}", file.replace('.', &format!("-{id}."))))
}

/// Whether what a folder has is one pair. None where it has nothing of one.
///
/// # Errors
/// Everything that is wrong with it.
pub fn verify(found: Found) -> Result<Option<Verified>, Vec<Problem>> {
    let (mut problems, mut outdated) = (Vec::new(), Vec::new());
    // What is no key there is no reason to replace anything.
    let retired: Vec<_> = found.retired.iter().filter_map(|key| rsa::private(key.expose()).ok()).collect();
    let private = read(PRIVATE, found.private.as_ref(), rsa::private, &mut problems);
    let public = read(PUBLIC, found.public.as_ref(), rsa::public, &mut problems);
    let copy = read(INSTALLER_COPY, found.installer_copy.as_ref(), rsa::private, &mut problems);
    match &private {
        Some(key) => {
            if key.bits() != BITS {
                problems.push(size(key.bits()));
            }
            for (file, other) in [(PUBLIC, &public), (INSTALLER_COPY, &copy)] {
                match other {
                    Some(other) if retired.contains(other) && other != key => outdated.push(file),
                    Some(other) if other != key => problems.push(of_another_pair(file)),
                    _ => {}
                }
            }
        }
        None if found.private.is_none() => {
            problems.extend(found.public.is_some().then(|| private_key_missing(PUBLIC)));
            problems.extend(found.installer_copy.is_some().then(|| private_key_missing(INSTALLER_COPY)));
        }
        None => {}
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let pair = found.private.zip(private).map(|(private, public)| KeyPair { private, public: SigningKey(public) });
    Ok(pair.map(|pair| Verified { pair, outdated }))
}

fn read(
    file: &'static str,
    found: Option<&Secret>,
    read: fn(&[u8]) -> Result<RsaPublic, Unusable>,
    problems: &mut Vec<Problem>,
) -> Option<RsaPublic> {
    match read(found?.expose()) {
        Ok(key) => Some(key),
        Err(unusable) => {
            problems.push(unusable_key(file, unusable));
            None
        }
    }
}

fn unusable_key(file: &'static str, unusable: Unusable) -> Problem {
    let remedy = if file == PRIVATE {
        "move the files of the pair away to have another one made, or bring back the key".to_owned()
    } else {
        format!("delete {file}: it is made again from {PRIVATE}")
    };
    Problem { reason: Reason::UnusableKey, file, message: format!("{file} {unusable}"), remedy }
}

fn size(bits: usize) -> Problem {
    Problem {
        reason: Reason::KeySize,
        file: PRIVATE,
        message: format!("{PRIVATE} is a key of {bits} bits, not of {BITS}"),
        remedy: "move the files of the pair away to have another one made".to_owned(),
    }
}

fn private_key_missing(file: &'static str) -> Problem {
    let remedy = if file == PUBLIC {
        format!(
            "bring back {PRIVATE}, or delete {PUBLIC} to have a new pair made: tokens are then signed with another key"
        )
    } else {
        format!("move it to {PRIVATE}, or away to have a new pair made")
    };
    Problem {
        reason: Reason::PrivateKeyMissing,
        file,
        message: format!("{file} is there and {PRIVATE} is not"),
        remedy,
    }
}

fn of_another_pair(file: &str) -> Problem {
    if file == PUBLIC { public_key_of_another_pair() } else { copy_of_another_key() }
}

fn public_key_of_another_pair() -> Problem {
    Problem {
        reason: Reason::PublicKeyOfAnotherPair,
        file: PUBLIC,
        message: format!("{PUBLIC} does not belong to {PRIVATE}"),
        remedy: format!(
            "delete {PUBLIC} to have it made from {PRIVATE}, or bring back the {PRIVATE} that it belongs to: \
             what has been published to Entra tells which one the cluster uses"
        ),
    }
}

fn copy_of_another_key() -> Problem {
    Problem {
        reason: Reason::CopyOfAnotherKey,
        file: INSTALLER_COPY,
        message: format!("{INSTALLER_COPY} is another key than {PRIVATE}"),
        remedy: format!(
            "move {INSTALLER_COPY} away to have {PRIVATE} copied there, or bring back the one that it is a copy of"
        ),
    }
}
