//! Names that have been checked: a value of one of these types is fit for the object that it goes into.
//!
//! Nothing here knows what a name is used for; every constructor is the one way in.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};

/// Declares a string newtype whose only constructor is a check that says what a good value looks like.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What a good value looks like, to complete "must be …".
            pub const RULE: &'static str = $rule;

            /// # Errors
            /// [`Unfit`], with [`Self::RULE`], if the value does not follow it.
            pub fn new(value: impl Into<Box<str>>) -> Result<Self, Unfit> {
                let value = value.into();
                let check: fn(&str) -> bool = $check;
                if check(&value) { Ok(Self(value)) } else { Err(Unfit { rule: Self::RULE }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unfit;
            fn try_from(value: String) -> Result<Self, Unfit> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A value that does not follow the rule of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be {rule}")]
pub struct Unfit {
    pub rule: &'static str,
}

checked_name!(
    /// The name of a Key Vault. Only emptiness is refused: HyperShift's CRD and the CSI provider take the rest, see
    /// [`plausible_vault_name`].
    VaultName, |v| !v.is_empty(), "a non-empty Key Vault name");
checked_name!(
    /// The Entra tenant of a Key Vault. Only emptiness is refused, for the same reason.
    TenantId, |v| !v.is_empty(), "a non-empty tenant id");
checked_name!(
    /// The name of a Key Vault secret: safe in a YAML block, a file name and a path, which is where it ends up.
    SecretName, is_secret_name, "1 to 127 letters, digits and hyphens");
checked_name!(
    /// The client id of a managed identity or an application.
    ClientId, is_uuid, "a UUID such as 00000000-0000-0000-0000-000000000000");
checked_name!(
    /// The issuer of tokens as they say it. Entra compares it byte by byte with that of a federated credential, case and slash at
    /// the end included, so it is kept as it was given.
    IssuerUrl, is_issuer, "an https URL without user, query and fragment");
checked_name!(
    /// A namespace.
    Namespace, is_dns_label, "at most 63 lower-case letters, digits and hyphens, starting and ending with a letter or digit");
checked_name!(
    /// The name of an object.
    ObjectName, is_dns_subdomain,
    "at most 253 lower-case letters, digits, hyphens and dots, each part starting and ending with a letter or digit");

/// `^[a-zA-Z0-9-]+$`, 1..=127: the CRD's rule for `credentialsSecretName`, which is Key Vault's own.
#[must_use]
pub fn is_secret_name(value: &str) -> bool {
    (1..=127).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether Azure can have a managed identity of this name: 3 to 128 letters, digits, hyphens and underscores, starting with a
/// letter or digit.
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmanagedidentity>
#[must_use]
pub fn is_identity_name(value: &str) -> bool {
    (3..=128).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && value.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether a verifier of tokens can take it for an issuer.
#[must_use]
pub fn is_issuer(url: &str) -> bool {
    let plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte));
    url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && plain(rest))
}

/// Whom a token of a service account is of.
#[must_use]
pub fn service_account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// 8-4-4-4-12 hexadecimal digits, in either case.
#[must_use]
pub fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Whether Azure can have a vault of this name: 3 to 24 letters, digits and hyphens, starting with a letter, ending
/// with a letter or digit, no two hyphens in a row.
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault>
#[must_use]
pub fn plausible_vault_name(value: &str) -> bool {
    (3..=24).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && !value.ends_with('-')
        && !value.contains("--")
}

/// RFC 1123 label.
#[must_use]
pub fn is_dns_label(value: &str) -> bool {
    value.len() <= 63 && is_dns_part(value)
}

fn is_dns_subdomain(value: &str) -> bool {
    value.len() <= 253 && value.split('.').all(is_dns_part)
}

fn is_dns_part(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

/// The control plane namespace of a HostedCluster, as text: HyperShift joins namespace and name, dots becoming
/// hyphens, and stores the result nowhere. Two HostedClusters can have the same one.
/// Source: `hypershift-operator/controllers/manifests/manifests.go`, `HostedControlPlaneNamespace`.
#[must_use]
pub fn control_plane_namespace(namespace: &str, name: &str) -> String {
    [namespace, "-", &name.replace('.', "-")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_what_key_vault_takes() {
        assert!(SecretName::new("Prod-ingress-1").is_ok() && SecretName::new("x".repeat(127)).is_ok());
        for bad in ["", "a.b", "a_b", "a b", "ä", "a\nb", &"x".repeat(128)] {
            assert!(SecretName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uuids_in_either_case() {
        assert!(is_uuid("0A1b2c3D-0000-4444-8888-0123456789aB"));
        for bad in ["", "0a1b2c3d00004444888801234567890a", "0a1b2c3d-0000-4444-8888-0123456789ag", "é"] {
            assert!(!is_uuid(bad), "{bad:?}");
        }
    }

    #[test]
    fn vault_names_that_azure_can_have() {
        assert!(plausible_vault_name("aro-hcp-dev") && plausible_vault_name("abc"));
        for bad in ["ab", "1abc", "abc-", "a--b", "a.b", "a_b", &"a".repeat(25), ""] {
            assert!(!plausible_vault_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn dots_of_a_name_become_hyphens_and_may_collide() {
        assert_eq!(control_plane_namespace("clusters", "a.b"), "clusters-a-b");
        assert_eq!(control_plane_namespace("clusters", "a.b"), control_plane_namespace("clusters-a", "b"));
    }

    #[test]
    fn object_names_are_dns_subdomains() {
        assert!(ObjectName::new("a.b-c").is_ok() && Namespace::new("a-b").is_ok());
        for bad in ["", "A", "a..b", ".a", "a.", "-a", "a/b", "../x"] {
            assert!(ObjectName::new(bad).is_err(), "{bad:?}");
        }
        assert!(Namespace::new("a.b").is_err() && Namespace::new("x".repeat(64)).is_err());
    }
}
