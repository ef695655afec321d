//! Makes resources as they should be.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Arm, Refusal,
    client::{GROUP_GOES, NOT_PROVISIONED},
    id::{GROUPS, STORAGE, STORAGE_ACCOUNTS},
};
use crate::provision::{Mark, Resource, Tags};

/// What became of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Change {
    Created,
    Updated,
    Kept,
    Replaced,
    Deleted,
}

impl Arm {
    /// Makes a resource, or makes it as it should be; what is so already stays untouched.
    ///
    /// # Errors
    /// What Azure refuses, and what is there in a way that must not be changed.
    pub async fn ensure(&self, resource: &Resource, mark: &Mark) -> Result<Change, Refusal> {
        let subject = format!("cannot make the {resource}");
        match resource {
            Resource::ResourceGroup { name, location, tags } => {
                self.resource_group(&subject, name, location, tags, mark).await
            }
            Resource::StorageAccount { resource_group, name, location, public_blobs, tags } => {
                let id = self.storage_account(resource_group, name);
                self.account(&subject, &id, location, *public_blobs, tags, mark).await
            }
            Resource::Container { resource_group, storage_account, name } => {
                let account = self.storage_account(resource_group, storage_account);
                self.container(&subject, &format!("{account}/blobServices/default/containers/{name}")).await
            }
            Resource::StaticWebsite { resource_group, storage_account } => {
                self.website(&subject, resource_group, storage_account).await
            }
        }
    }

    pub(super) fn storage_account(&self, group: &str, name: &str) -> String {
        self.in_group(group, &format!("{STORAGE_ACCOUNTS}/{name}"))
    }

    async fn resource_group(
        &self,
        subject: &str,
        name: &str,
        location: &str,
        tags: &Tags,
        mark: &Mark,
    ) -> Result<Change, Refusal> {
        let id = self.in_group(name, "");
        let Some(known) = self.staying(subject, &id).await? else {
            let body = json!({"location": location, "tags": marked(tags, mark)});
            return self.put(subject, &id, GROUPS, &body).await.map(|_| Change::Created).map_err(placed);
        };
        check_location(subject, &known, location)?;
        let Some(tags) = with(&known, tags) else { return Ok(Change::Kept) };
        self.patch(subject, &id, GROUPS, &json!({"tags": tags})).await.map(|_| Change::Updated)
    }

    /// Refuses a group that is there, and elsewhere than it should be.
    pub(super) async fn check_place(&self, group: &Resource) -> Result<(), Refusal> {
        let Resource::ResourceGroup { name, location, .. } = group else { return Ok(()) };
        let subject = format!("cannot make the {group}");
        let known = self.staying(&subject, &self.in_group(name, "")).await?;
        known.map_or(Ok(()), |known| check_location(&subject, &known, location))
    }

    /// A group, or none once one that is being deleted has gone.
    pub(super) async fn staying(&self, subject: &str, id: &str) -> Result<Option<Value>, Refusal> {
        self.at_rest(subject, id, GROUPS, &["Deleting"], (GROUP_GOES, GOING)).await
    }

    /// What is there once it is in none of these states, which are told as Azure tells them where something is done to it.
    async fn at_rest(
        &self,
        subject: &str,
        id: &str,
        version: &str,
        passing: &[&str],
        (code, words): (&str, &str),
    ) -> Result<Option<Value>, Refusal> {
        let look = async || {
            let known = self.get(subject, id, version).await?;
            let state = known.as_ref().and_then(|known| known.pointer("/properties/provisioningState")?.as_str());
            match state {
                Some(state) if passing.contains(&state) => Err(Refusal::coded(subject, code, words)),
                _ => Ok(known),
            }
        };
        self.patiently(&[code], look).await
    }

    async fn account(
        &self,
        subject: &str,
        id: &str,
        location: &str,
        public_blobs: bool,
        tags: &Tags,
        mark: &Mark,
    ) -> Result<Change, Refusal> {
        // Until it is made, as a run that was ended leaves it, it takes nothing.
        let coming = (NOT_PROVISIONED, COMING);
        let Some(known) = self.at_rest(subject, id, STORAGE, &["Creating", "ResolvingDNS"], coming).await? else {
            let body = json!({
                "kind": "StorageV2",
                "sku": {"name": "Standard_LRS"},
                "location": location,
                "tags": marked(tags, mark),
                "properties": {
                    "allowBlobPublicAccess": public_blobs,
                    "allowSharedKeyAccess": false,
                    "minimumTlsVersion": "TLS1_2",
                    "supportsHttpsTrafficOnly": true,
                },
            });
            let made = self.put(subject, id, STORAGE, &body).await;
            return made.map(|_| Change::Created).map_err(|refusal| {
                placed(refusal)
                    .remedied(&["StorageAccountAlreadyTaken", "StorageAccountAlreadyExists"], TAKEN)
                    .remedied(&["RequestDisallowedByPolicy"], POLICY)
            });
        };
        let mut body = serde_json::Map::new();
        if let Some(tags) = with(&known, tags) {
            body.insert("tags".to_owned(), json!(tags));
        }
        // Azure keeps blobs from the public unless it is asked not to, and policies switch it back.
        if public_blobs && known.pointer("/properties/allowBlobPublicAccess") != Some(&json!(true)) {
            body.insert("properties".to_owned(), json!({"allowBlobPublicAccess": true}));
        }
        if body.is_empty() {
            return Ok(Change::Kept);
        }
        self.patch(subject, id, STORAGE, &Value::Object(body)).await.map(|_| Change::Updated)
    }

    async fn container(&self, subject: &str, id: &str) -> Result<Change, Refusal> {
        let wanted = json!({"properties": {"publicAccess": "Blob"}});
        let open = |refusal: Refusal| refusal.remedied(&["PublicAccessNotPermitted"], CLOSED);
        let Some(known) = self.get(subject, id, STORAGE).await? else {
            return self.put(subject, id, STORAGE, &wanted).await.map(|_| Change::Created).map_err(open);
        };
        if matches!(known.pointer("/properties/publicAccess").and_then(Value::as_str), Some("Blob" | "Container")) {
            return Ok(Change::Kept);
        }
        Err(Refusal::new(subject, PRIVATE))
    }
}

const COMING: &str = "Azure has not finished making it; run this again later";
const GOING: &str = "it is being deleted; run this again once it has gone";
const POLICY: &str =
    "where a policy refuses public blobs, publish the documents on a website (--issuer-hosting static-website)";
const PLACE: &str = "correct --region (az account list-locations --query '[].name')";
const TAKEN: &str = "names of storage accounts are unique in all of Azure: give another one (--storage-account-name)";
/// It may be anybody's, and full.
const PRIVATE: &str = "it is there, and nobody may read its blobs: give another one (--blob-container-name), or let everybody read what is in \
                       it (az storage container set-permission --public-access blob)";
const CLOSED: &str =
    "nobody could read the issuer's documents: publish them on a website (--issuer-hosting static-website)";

fn placed(refusal: Refusal) -> Refusal {
    refusal.remedied(
        &["LocationNotAvailableForResourceGroup", "LocationNotAvailableForResourceType", "InvalidLocation"],
        PLACE,
    )
}

/// Tags of a resource that is made.
pub(super) fn marked(tags: &Tags, mark: &Mark) -> Tags {
    tags.clone().into_iter().chain([mark.tag()]).collect()
}

pub(super) fn tags_of(resource: &Value) -> Tags {
    let tags = resource.get("tags").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// The tags that a resource has, with these; none if it has them already. Keys are the same in either case.
pub(super) fn with(resource: &Value, tags: &Tags) -> Option<Tags> {
    let mut merged = tags_of(resource);
    let mut drift = false;
    for (key, value) in tags {
        let known = merged.keys().find(|known| known.eq_ignore_ascii_case(key)).cloned();
        let key = known.unwrap_or_else(|| key.clone());
        drift |= merged.insert(key, value.clone()).as_ref() != Some(value);
    }
    drift.then_some(merged)
}

fn check_location(subject: &str, group: &Value, wanted: &str) -> Result<(), Refusal> {
    let there = group.get("location").and_then(Value::as_str).unwrap_or_default();
    if plain(there) == plain(wanted) {
        return Ok(());
    }
    let text = format!("it is in {there} and not in {wanted}; give another group, or that region (--region)");
    Err(Refusal::new(subject, &text))
}

/// `East US` and `eastus` are one region.
fn plain(location: &str) -> String {
    location.chars().filter(|character| *character != ' ').collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_there_stay() {
        let resource = json!({"tags": {"Team": "a", "other": "b"}});
        assert_eq!(with(&resource, &Tags::from([("team".to_owned(), "a".to_owned())])), None);
        let merged = with(&resource, &Tags::from([("team".to_owned(), "c".to_owned())])).unwrap();
        let expected = [("Team", "c"), ("other", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(merged, Tags::from(expected));
        assert_eq!(plain("East US"), plain("eastus"));
    }
}
