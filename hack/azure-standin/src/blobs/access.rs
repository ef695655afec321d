//! Who may do what with blobs: by a token and a role, by the account's key, or by nothing where that is public.

use http::Method;
use jiff::Timestamp;

use super::refusal::{self, Refused};
use crate::{
    arm::Act,
    azure::Azure,
    cloud::Cloud,
    entra::{Bearer, BearerError, Expected},
    exchange::Call,
    operation::{Operation, Verb},
    world::World,
};

/// What a path names.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) container: Option<String>,
    pub(super) blob: Option<String>,
    pub(super) operation: Operation,
    /// Index tags need a permission of their own.
    with_tags: bool,
}

/// By what a request is let in.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Permit {
    /// A token of this client.
    Bearer(String),
    /// The account's key, which the store verifies.
    Key,
    Anonymous,
}

impl Place {
    pub(super) fn of(call: &Call) -> Self {
        let segments = call.segments();
        let container = segments.first().cloned();
        let blob = (segments.len() > 1).then(|| segments[1..].join("/"));
        let operation = match (&container, &blob, Verb::of(&call.method)) {
            (_, Some(_), Verb::Read) => Operation::ReadBlob,
            (_, Some(_), Verb::Write) => Operation::WriteBlob,
            (_, Some(_), Verb::Delete) => Operation::DeleteBlob,
            (Some(_), None, Verb::Read) if call.query("comp") == Some("list") => Operation::ListBlobs,
            (Some(_), None, Verb::Read) => Operation::ReadContainerData,
            (Some(_), None, Verb::Write) => Operation::WriteContainerData,
            (Some(_), None, Verb::Delete) => Operation::DeleteContainerData,
            (None, None, Verb::Read) => Operation::ReadBlobServiceData,
            (None, None, Verb::Write) => Operation::WriteBlobServiceData,
            _ => Operation::Unknown,
        };
        let with_tags = call.query("comp") == Some("tags") || call.headers.contains_key("x-ms-tags");
        Self { container, blob, operation, with_tags }
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory>
    fn acts(&self) -> Option<Vec<Act<'static>>> {
        let tags = match self.operation {
            Operation::ReadBlob => {
                Act::Data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/read")
            }
            _ => Act::Data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/write"),
        };
        let act = self.act()?;
        Some(if self.with_tags { vec![act, tags] } else { vec![act] })
    }

    fn act(&self) -> Option<Act<'static>> {
        match self.operation {
            Operation::ReadBlob | Operation::ListBlobs => {
                Some(Act::Data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"))
            }
            Operation::WriteBlob => {
                Some(Act::Data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"))
            }
            Operation::DeleteBlob => {
                Some(Act::Data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete"))
            }
            Operation::ReadContainerData => {
                Some(Act::Manage("Microsoft.Storage/storageAccounts/blobServices/containers/read"))
            }
            Operation::WriteContainerData => {
                Some(Act::Manage("Microsoft.Storage/storageAccounts/blobServices/containers/write"))
            }
            Operation::DeleteContainerData => {
                Some(Act::Manage("Microsoft.Storage/storageAccounts/blobServices/containers/delete"))
            }
            Operation::ReadBlobServiceData => Some(Act::Manage("Microsoft.Storage/storageAccounts/blobServices/read")),
            Operation::WriteBlobServiceData => {
                Some(Act::Manage("Microsoft.Storage/storageAccounts/blobServices/write"))
            }
            _ => None,
        }
    }
}

pub(super) fn permit(
    azure: &Azure,
    world: &mut World,
    cloud: Cloud,
    account: &str,
    place: &Place,
    call: &Call,
) -> Result<Permit, Refused> {
    let now = azure.clock.now();
    let known = world.arm.accounts.get(account).cloned().ok_or_else(|| refusal::not_found(now))?;
    match call.header("authorization") {
        Some(header) if header.starts_with("Bearer ") => {
            let asked = Asked { azure, cloud, account, id: known.id(), now };
            asked.by_token(world, place, header.trim_start_matches("Bearer "))
        }
        Some(_) if known.allows_keys() => Ok(Permit::Key),
        None if call.query("sig").is_some() && known.allows_keys() => Ok(Permit::Key),
        Some(_) => Err(refusal::no_keys(now)),
        None if !matches!(call.method, Method::GET | Method::HEAD) => Err(refusal::no_authentication(now)),
        None if !known.allows_public_access() => Err(refusal::not_public(now)),
        None => {
            let container = place.container.as_ref().and_then(|name| known.containers.get(name));
            let access = container.map_or("None", |container| container.public_access.as_str());
            let listed = place.blob.is_none();
            match access {
                "Container" => Ok(Permit::Anonymous),
                "Blob" if !listed => Ok(Permit::Anonymous),
                _ => Err(refusal::not_found(now)),
            }
        }
    }
}

struct Asked<'a> {
    azure: &'a Azure,
    cloud: Cloud,
    account: &'a str,
    id: String,
    now: Timestamp,
}

impl Asked<'_> {
    fn by_token(&self, world: &mut World, place: &Place, token: &str) -> Result<Permit, Refused> {
        let Self { azure, cloud, now, .. } = self;
        let tenant = world.arm.tenant_of(&self.id).ok_or_else(|| refusal::not_found(*now))?;
        let resources = self.resources();
        let expected = Expected { cloud: *cloud, tenant: &tenant, resources: &resources };
        let bearer = Bearer::verify(token, azure.signer(), &expected, *now).map_err(|error| {
            let detail = match error {
                BearerError::Audience(_) => "Audience validation failed. Audience did not match.",
                BearerError::Issuer(_) => "Issuer validation failed. Issuer did not match.",
                BearerError::Expired | BearerError::NotYetValid => "Lifetime validation failed. The token is expired.",
                BearerError::Malformed | BearerError::Signature => "Signature validation failed.",
            };
            refusal::invalid_token(*cloud, &tenant, detail, *now)
        })?;
        let scope = match &place.container {
            Some(container) => format!("{}/blobServices/default/containers/{container}", self.id),
            None => format!("{}/blobServices/default", self.id),
        };
        let acts = place.acts().unwrap_or_default();
        let allowed =
            !acts.is_empty() && acts.into_iter().all(|act| world.arm.allows(&bearer.object_id, act, &scope, *now));
        if allowed { Ok(Permit::Bearer(bearer.client_id)) } else { Err(refusal::no_permission(*now)) }
    }

    fn resources(&self) -> Vec<String> {
        let own = format!("https://{}.{}", self.account, self.cloud.names().blobs);
        let all = "https://storage.azure.com".to_owned();
        [&own, &all].into_iter().flat_map(|one| [one.clone(), format!("{one}/")]).collect()
    }
}
