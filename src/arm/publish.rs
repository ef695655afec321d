//! Publishes the documents of an issuer, as the caller: no key of the account is asked for.

use azure_core::http::{Etag, RequestContent, Url, XmlFormat};
use azure_storage_blob::{
    BlobClient, BlobServiceClient, BlobServiceClientOptions,
    models::{BlobClientDownloadOptions, BlobServiceProperties, BlockBlobClientUploadOptions, StaticWebsite},
};
use serde_json::Value;

use super::{Arm, Change, Refusal, id::STORAGE, identity::See};
use crate::provision::{Issuer, KeySet, KeySetError, SigningKey, discovery};

/// The container of a website.
pub(super) const WEB: &str = "$web";

/// What the documents of an issuer are made of.
pub struct Publication<'a> {
    pub resource_group: &'a str,
    pub storage_account: &'a str,
    /// None is the static website's.
    pub container: Option<&'a str>,
    pub issuer: &'a Issuer,
    pub key: &'a SigningKey,
    /// Ids of keys that are published no more.
    pub retired: &'a [String],
    /// Those of them that are known to have been retired: one that is not published any more is no misspelt one.
    pub retired_before: &'a [String],
}

impl Publication<'_> {
    /// What is wrong with keys to retire that are not there: one that was meant stays published.
    fn unknown(&self, published: Option<&[u8]>) -> Result<Option<String>, KeySetError> {
        let published = published.map(KeySet::read).transpose()?;
        let published = published.as_ref().map(KeySet::ids).unwrap_or_default();
        let is_known = |id: &String| published.contains(&id.as_str()) || self.retired_before.contains(id);
        let unknown: Vec<_> = self.retired.iter().filter(|id| !is_known(id)).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(None);
        }
        let (unknown, published) =
            (unknown.join(", "), if published.is_empty() { "none".to_owned() } else { published.join(", ") });
        Ok(Some(format!(
            "no key {unknown} is published there (--retire-key), but {published}; correct the id, or leave the flag out if that key has been retired before"
        )))
    }
}

/// A document that is there.
struct There {
    etag: Option<Etag>,
    body: Vec<u8>,
}

impl Arm {
    /// Publishes key set and discovery document, in this order: nobody is led to keys that are not there.
    ///
    /// # Guarantees
    /// Keys that were published stay published, until they are said to be retired. What another run publishes meanwhile is not
    /// lost: this one is refused then.
    ///
    /// # Errors
    /// What Azure refuses, a key set that cannot be added to, and a key to retire that is not in it.
    pub async fn publish(&self, publication: &Publication<'_>, see: See<'_>) -> Result<KeySet, Refusal> {
        let Publication { resource_group, storage_account, container, issuer, key, retired, .. } = publication;
        let container = container.unwrap_or(WEB);
        // Its host is not there before it is.
        let is_to_be_made = self.is_to_be_made(&self.storage_account(resource_group, storage_account));
        let service = self.blobs(storage_account)?;
        let place = |path: &str| (service.blob_client(container, path), issuer.below(path));

        let (blob, url) = place(Issuer::KEYS);
        let subject = format!("cannot publish {url}");
        let there = if is_to_be_made { None } else { self.download(&subject, &blob).await? };
        let unreadable = |error| Refusal::new(&subject, &format!("what is there {error}"));
        let published = there.as_ref().map(|there| &*there.body);
        if let Some(unknown) = publication.unknown(published).map_err(unreadable)? {
            return Err(Refusal::new(&subject, &unknown));
        }
        let keys = KeySet::after(published, key, retired).map_err(unreadable)?;
        let text = keys.text().map_err(|error| Refusal::new(&subject, &error.to_string()))?;
        see(self.upload(&subject, &blob, there, text).await?, url);

        let (blob, url) = place(Issuer::DISCOVERY);
        let subject = format!("cannot publish {url}");
        let there = if is_to_be_made { None } else { self.download(&subject, &blob).await? };
        let text = discovery(issuer).map_err(|error| Refusal::new(&subject, &error.to_string()))?;
        see(self.upload(&subject, &blob, there, text).await?, url);
        Ok(keys)
    }

    /// Where everybody finds the website of an account, without a slash at its end. None only in a rehearsal: Azure says it once
    /// there is the account.
    ///
    /// # Errors
    /// What Azure refuses, and an account without one.
    pub async fn website_of(&self, group: &str, account: &str) -> Result<Option<String>, Refusal> {
        let subject = format!("cannot find the website of the storage account {account}");
        let id = self.storage_account(group, account);
        if self.is_to_be_made(&id) {
            return Ok(None);
        }
        let known = self.get(&subject, &id, STORAGE).await?.unwrap_or_default();
        let url = known.pointer("/properties/primaryEndpoints/web").and_then(Value::as_str);
        let url = url.ok_or_else(|| Refusal::new(&subject, "it has none; give an account of kind StorageV2"))?;
        Ok(Some(url.trim_end_matches('/').to_owned()))
    }

    pub(super) async fn website(&self, subject: &str, group: &str, account: &str) -> Result<Change, Refusal> {
        if self.is_to_be_made(&self.storage_account(group, account)) {
            return Ok(Change::Updated);
        }
        let service = self.blobs(account)?;
        let refused = |error| {
            Refusal::of(subject, &error)
                .remedied(&["AuthorizationPermissionMismatch", "AuthorizationFailure"], WEBSITE_ROLE)
        };
        let known = self.in_time(subject, service.get_properties(None)).await?.map_err(refused)?;
        let known = known.into_model().map_err(refused)?;
        if known.static_website.as_ref().is_some_and(|website| website.enabled == Some(true)) {
            return Ok(Change::Kept);
        }
        if self.rehearsal.is_some() {
            return Ok(Change::Updated);
        }
        let website = StaticWebsite { enabled: Some(true), ..known.static_website.clone().unwrap_or_default() };
        let properties = BlobServiceProperties { static_website: Some(website), ..known };
        let body: RequestContent<_, XmlFormat> = properties.try_into().map_err(refused)?;
        self.in_time(subject, service.set_properties(body, None)).await?.map_err(refused)?;
        Ok(Change::Updated)
    }

    fn blobs(&self, account: &str) -> Result<BlobServiceClient, Refusal> {
        let subject = format!("cannot reach the blobs of {account}");
        let url = Url::parse(&format!("https://{}/", self.blob_host(account)));
        let url = url.map_err(|error| Refusal::new(&subject, &error.to_string()))?;
        let options = BlobServiceClientOptions { client_options: self.options(), ..Default::default() };
        BlobServiceClient::new(url, Some(self.credential()), Some(options))
            .map_err(|error| Refusal::of(&subject, &error))
    }

    async fn download(&self, subject: &str, blob: &BlobClient) -> Result<Option<There>, Refusal> {
        let part = || BlobClientDownloadOptions { range: Some((0..MOST + 1).into()), ..Default::default() };
        let read = async || match self.in_time(subject, blob.download(Some(part()))).await? {
            Ok(answer) => {
                let etag = answer.properties.etag.clone();
                let body = self.in_time(subject, answer.body.collect()).await?;
                let body = body.map_err(|error| Refusal::of(subject, &error))?.to_vec();
                if body.len() as u64 > MOST {
                    return Err(Refusal::new(subject, TOO_LARGE));
                }
                Ok(Some(There { etag, body }))
            }
            Err(error) => match self.may_not(subject, error) {
                refusal if refusal.is(&["BlobNotFound"]) => Ok(None),
                refusal if self.rehearsal.is_some() && refusal.is(&SPREADING) => Ok(None),
                refusal => Err(refusal),
            },
        };
        self.patiently(&SPREADING, read).await
    }

    async fn upload(
        &self,
        subject: &str,
        blob: &BlobClient,
        there: Option<There>,
        text: String,
    ) -> Result<Change, Refusal> {
        if there.as_ref().is_some_and(|there| there.body == text.as_bytes()) {
            return Ok(Change::Kept);
        }
        let mut options = BlockBlobClientUploadOptions {
            blob_content_type: Some("application/json".to_owned()),
            ..Default::default()
        };
        let change = match there {
            Some(there) => {
                options.if_match = there.etag;
                Change::Updated
            }
            None => {
                options.if_none_match = Some(Etag::from("*"));
                Change::Created
            }
        };
        if self.rehearsal.is_some() {
            return Ok(change);
        }
        let upload = blob.upload(RequestContent::from(text.into_bytes()), Some(options));
        let sent = self.in_time(subject, upload).await?;
        sent.map(|_| change).map_err(|error| {
            self.may_not(subject, error)
                .remedied(&["ConditionNotMet", "BlobAlreadyExists"], "another run has written it; run this again")
        })
    }

    fn may_not(&self, subject: &str, error: impl Into<azure_core::Error>) -> Refusal {
        Refusal::of(subject, &error.into()).remedied(&["AuthorizationPermissionMismatch"], DATA_ROLE)
    }
}

/// More than any document of an issuer has.
const MOST: u64 = 1 << 20;
const TOO_LARGE: &str =
    "what is there is larger than 1 MiB, and so nothing that this program has written; delete it if nobody uses it";

/// What is said of a container or a website that was made a moment ago: they are where blobs are a little later.
const SPREADING: [&str; 2] = ["ContainerNotFound", "ResourceNotFound"];

/// <https://learn.microsoft.com/rest/api/storageservices/set-blob-service-properties#authorization>
const WEBSITE_ROLE: &str = "the caller needs the role \"Storage Account Contributor\", \"Contributor\" or \"Owner\" on the storage account: \
                            those that let it read and write blobs do not let it switch on a website";
const DATA_ROLE: &str = "the caller needs the role \"Storage Blob Data Contributor\" on the storage account, which not even its owner \
                         has by itself; a role that was just given takes some minutes to be known";
