//! What is wrong with a credential, and what the consumer makes of it.

use std::fmt;

use serde::Serialize;
use strum::{Display, EnumIter};

use super::Field;
use crate::finding::Severity;

/// The stable name of a rule about credentials. docs/credential.md explains each.
#[derive(Clone, Copy, Debug, Display, EnumIter, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Reason {
    // The file.
    EncodingMismatch,
    NotJson,
    WrongType,
    MissingField,
    MissingNotBefore,
    // The identity.
    EmptyClientID,
    ClientIDNotUUID,
    OtherClient,
    InvalidTenant,
    TenantNotUUID,
    OtherTenant,
    // Where it signs in.
    InvalidEndpoint,
    EmptyEndpoint,
    UnknownEndpoint,
    OtherCloud,
    // The certificate and its key.
    SecretNotBase64,
    NotACertificate,
    DamagedPkcs12,
    Pkcs12Password,
    UnsupportedPkcs12,
    NoCertificate,
    InvalidCertificate,
    NoPrivateKey,
    SeveralPrivateKeys,
    InvalidPrivateKey,
    KeyNotRsa,
    WeakKey,
    KeyWithoutCertificate,
    ChainOrder,
    // Time.
    InvalidDate,
    MissingDate,
    NotYetValid,
    Expired,
    ExpiresSoon,
    DatesDisagree,
    RenewalOverdue,
    NotRenewable,
    NotRenewableSoon,
    NotNewer,
}

/// What Azure/msi-dataplane v0.4.3 does with a credential file when it loads it. That it accepts one does not mean that
/// Entra will.
#[derive(Clone, Copy, Debug, Display, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Consumer {
    Accepted,
    /// The process goes down with a nil pointer.
    Panics,
    /// An error: the consumer does not start, or keeps what it has.
    Rejected,
}

impl Reason {
    /// What a consumer that starts does with a credential of which this is true.
    #[must_use]
    pub fn consumer(self) -> Consumer {
        match self {
            Self::MissingNotBefore => Consumer::Panics,
            Self::EncodingMismatch
            | Self::NotJson
            | Self::WrongType
            | Self::MissingField
            | Self::InvalidTenant
            | Self::InvalidEndpoint
            | Self::SecretNotBase64
            | Self::NotACertificate
            | Self::DamagedPkcs12
            | Self::Pkcs12Password
            | Self::UnsupportedPkcs12
            | Self::NoCertificate
            | Self::InvalidCertificate
            | Self::NoPrivateKey
            | Self::SeveralPrivateKeys
            | Self::InvalidPrivateKey
            | Self::KeyNotRsa
            | Self::KeyWithoutCertificate => Consumer::Rejected,
            _ => Consumer::Accepted,
        }
    }
}

/// One thing that is wrong. It never quotes what may be a key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    pub reason: Reason,
    /// The name in the JSON that it is about.
    #[serde(serialize_with = "as_name")]
    pub field: Option<Field>,
    pub message: String,
    /// What to do, in the imperative.
    pub remedy: String,
}

fn as_name<S: serde::Serializer>(field: &Option<Field>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&field.map(<&str>::from))
}

impl Problem {
    pub(super) fn error(
        reason: Reason,
        field: impl Into<Option<Field>>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (field, message, remedy) = (field.into(), message.into(), remedy.into());
        Self { severity: Severity::Error, reason, field, message, remedy }
    }

    pub(super) fn warning(
        reason: Reason,
        field: impl Into<Option<Field>>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(reason, field, message, remedy) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: ", self.severity, self.reason)?;
        if let Some(field) = self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}
