//! What a plan makes in Azure: one resource after another, in an order in which each finds what it needs.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::issuer::{is_container, is_storage_account};

pub type Tags = BTreeMap<String, String>;

/// Whose something is. What bears no mark is never deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark(String);

/// How a resource should be. What is there is made so, and its mark left as it is: only what is made is marked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Resource {
    ResourceGroup {
        name: String,
        location: String,
        tags: Tags,
    },
    StorageAccount {
        resource_group: String,
        name: String,
        location: String,
        public_blobs: bool,
        tags: Tags,
    },
    /// That everybody may read blobs of.
    Container {
        resource_group: String,
        storage_account: String,
        name: String,
    },
    StaticWebsite {
        resource_group: String,
        storage_account: String,
    },
}

/// Where the documents of an issuer are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hosting {
    /// In a container that everybody may read blobs of, as ccoctl does it.
    #[default]
    Blob,
    /// On the website of a storage account, whose blobs are for nobody.
    StaticWebsite,
}

/// The names of what a cluster has in Azure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    /// What all other names begin with.
    pub name: String,
    pub region: String,
    /// Of the issuer and the identities.
    pub oidc_group: String,
    pub storage_account: String,
    pub container: String,
}

impl Mark {
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// ccoctl's, so that either deletes what the other has made.
    #[must_use]
    pub fn tag(&self) -> (String, String) {
        (format!("openshift.io_cloud-credential-operator_{}", self.0), "owned".to_owned())
    }

    /// ccoctl's, of a role that is made.
    #[must_use]
    pub fn of_role(&self) -> String {
        format!("Custom role for OpenShift. Owned by: {}", self.0)
    }

    /// Of a role that is assigned: ccoctl leaves no mark there.
    #[must_use]
    pub fn of_assignment(&self) -> String {
        format!("hcp-identity: owned by {}", self.0)
    }

    #[must_use]
    pub fn is_on(&self, tags: &Tags) -> bool {
        let (key, value) = self.tag();
        tags.iter().any(|(known, there)| known.eq_ignore_ascii_case(&key) && *there == value)
    }
}

impl Names {
    /// ccoctl's defaults for what is not given.
    ///
    /// # Errors
    /// What Azure could not have, all of it.
    pub fn new(
        name: &str,
        region: &str,
        oidc_group: Option<&str>,
        storage_account: Option<&str>,
        container: Option<&str>,
    ) -> Result<Self, Vec<BadName>> {
        let names = Self {
            name: name.to_owned(),
            region: region.to_owned(),
            oidc_group: oidc_group.map_or_else(|| format!("{name}-oidc"), str::to_owned),
            storage_account: storage_account.unwrap_or(name).to_owned(),
            container: container.unwrap_or(name).to_owned(),
        };
        let bad = [
            (is_prefix(name), "--name", name, PREFIX),
            (is_region(region), "--region", region, REGION),
            (is_resource_group(&names.oidc_group), "--oidc-resource-group-name", &names.oidc_group, RESOURCE_GROUP),
            (is_storage_account(&names.storage_account), "--storage-account-name", &names.storage_account, ACCOUNT),
            (is_container(&names.container), "--blob-container-name", &names.container, CONTAINER),
        ];
        let bad: Vec<_> = bad.into_iter().filter(|(good, ..)| !good).map(BadName::of).collect();
        if bad.is_empty() { Ok(names) } else { Err(bad) }
    }

    /// What the issuer is published with.
    #[must_use]
    pub fn issuer(&self, hosting: Hosting, tags: &Tags) -> Vec<Resource> {
        let (group, account) = (self.oidc_group.clone(), self.storage_account.clone());
        vec![
            self.group(&self.oidc_group, tags),
            Resource::StorageAccount {
                resource_group: group.clone(),
                name: account.clone(),
                location: self.region.clone(),
                public_blobs: hosting == Hosting::Blob,
                tags: tags.clone(),
            },
            match hosting {
                Hosting::Blob => Resource::Container {
                    resource_group: group,
                    storage_account: account,
                    name: self.container.clone(),
                },
                Hosting::StaticWebsite => Resource::StaticWebsite { resource_group: group, storage_account: account },
            },
        ]
    }

    #[must_use]
    pub fn group(&self, name: &str, tags: &Tags) -> Resource {
        Resource::ResourceGroup { name: name.to_owned(), location: self.region.clone(), tags: tags.clone() }
    }

    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark::of(&self.name)
    }
}

/// A value of a flag that Azure could not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{flag}: {value:?} must be {rule}")]
pub struct BadName {
    pub flag: &'static str,
    pub value: String,
    pub rule: &'static str,
}

impl BadName {
    fn of((_, flag, value, rule): (bool, &'static str, &str, &'static str)) -> Self {
        Self { flag, value: value.to_owned(), rule }
    }
}

pub(super) const PREFIX: &str = "1 to 60 letters, digits, hyphens and underscores, starting with a letter or digit";
pub(super) const REGION: &str = "a region as Azure names it, such as westeurope";
const ACCOUNT: &str = "3 to 24 lower-case letters and digits";
const CONTAINER: &str =
    "3 to 63 lower-case letters, digits and single hyphens, starting and ending with a letter or digit";
pub const RESOURCE_GROUP: &str =
    "1 to 90 letters, digits, hyphens, underscores, dots and parentheses, not ending with a dot";

pub(super) fn is_prefix(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

pub(super) fn is_region(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
}

/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftresources>
#[must_use]
pub fn is_resource_group(name: &str) -> bool {
    (1..=90).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.()".contains(&byte))
        && !name.ends_with('.')
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResourceGroup { name, .. } => write!(f, "resource group {name}"),
            Self::StorageAccount { name, .. } => write!(f, "storage account {name}"),
            Self::Container { storage_account, name, .. } => write!(f, "container {storage_account}/{name}"),
            Self::StaticWebsite { storage_account, .. } => write!(f, "static website of {storage_account}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_given_are_ccoctls() {
        let names = Names::new("prod", "westeurope", None, None, None).unwrap();
        let of = |text: &str| text.to_owned();
        assert_eq!(
            (names.oidc_group, names.storage_account, names.container),
            (of("prod-oidc"), of("prod"), of("prod"))
        );
    }

    #[test]
    fn all_names_that_azure_could_not_have_are_told_at_once() {
        let bad = Names::new("My-Cluster", "", Some("rg."), None, None).unwrap_err();
        let flags: Vec<_> = bad.iter().map(|bad| bad.flag).collect();
        assert_eq!(
            flags,
            ["--region", "--oidc-resource-group-name", "--storage-account-name", "--blob-container-name"]
        );
    }

    #[test]
    fn a_mark_is_found_in_any_case_of_its_key() {
        let mark = Mark::of("prod");
        let (key, value) = mark.tag();
        assert!(mark.is_on(&Tags::from([(key.to_uppercase(), value)])));
        assert!(!Mark::of("pro").is_on(&Tags::from([mark.tag()])));
    }
}
