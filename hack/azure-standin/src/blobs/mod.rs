//! Blobs of the storage accounts that ARM has: who may is decided here, what there is keeps a blob store, which is Azurite.
//!
//! Azurite has no websites, does not verify tokens, and knows nothing of the account's switches.

mod access;
mod forward;
mod refusal;
mod shared_key;
mod website;

use std::net::SocketAddr;

use http::{Method, StatusCode};

use self::{
    access::{Permit, Place},
    refusal::Refused,
};
use crate::{
    arm::{Container, WEB},
    azure::Azure,
    cloud::Cloud,
    exchange::{Answer, Call, with_caller},
    operation::Operation,
    secret::Redacted,
};

pub(crate) use refusal::failure;
pub(crate) use website::answer as website;

/// Where blobs are kept: Azurite, which has all accounts of the test with this key (`AZURITE_ACCOUNTS`).
#[derive(Clone, Debug)]
pub struct BlobStore {
    pub address: SocketAddr,
    pub key: Redacted,
}

pub(crate) async fn answer(azure: &Azure, cloud: Cloud, account: &str, call: &Call) -> Answer {
    let place = Place::of(call);
    let permit = azure.with_world_mut(|world| access::permit(azure, world, cloud, account, &place, call));
    match permit {
        Ok(permit) => {
            let answer = serve(azure, account, &place, call, &permit).await.unwrap_or_else(Answer::from);
            match &permit {
                Permit::Bearer(client_id) => with_caller(answer, client_id),
                Permit::Key | Permit::Anonymous => answer,
            }
        }
        Err(refused) => refused.into(),
    }
}

async fn serve(azure: &Azure, account: &str, place: &Place, call: &Call, permit: &Permit) -> Result<Answer, Refused> {
    let store = azure.blob_store().ok_or_else(refusal::no_store)?;
    if let Some(container) = &place.container {
        settle(azure, store, account, container).await?;
    }
    let answer = match permit {
        Permit::Key => forward::as_it_is(store, account, call).await?,
        Permit::Bearer(_) | Permit::Anonymous => forward::signed(store, account, call).await?,
    };
    note(azure, account, place, call, answer.status());
    Ok(answer)
}

/// What ARM made of a container is made in the store before the container is used.
async fn settle(azure: &Azure, store: &BlobStore, account: &str, container: &str) -> Result<(), Refused> {
    let unsettled = azure.with_world_mut(|world| {
        let container = world.arm.accounts.get_mut(account)?.containers.get_mut(container)?;
        (!std::mem::replace(&mut container.settled, true)).then(|| container.public_access.to_lowercase())
    });
    let Some(access) = unsettled else { return Ok(()) };
    let url = format!("https://{account}.blob/{container}?restype=container");
    for (method, url) in [(Method::PUT, url.clone()), (Method::PUT, format!("{url}&comp=acl"))] {
        let call = Call::new(method, &url).map_err(|_| refusal::no_store())?;
        let header = (access != "none").then_some(access.as_str());
        let call = header.into_iter().fold(call, |call, access| {
            call.with_header(http::HeaderName::from_static("x-ms-blob-public-access"), access)
        });
        forward::signed(store, account, &call).await?;
    }
    Ok(())
}

/// What a client made or deleted in the store is so in ARM as well.
fn note(azure: &Azure, account: &str, place: &Place, call: &Call, status: StatusCode) {
    let now = azure.clock.now();
    azure.with_world_mut(|world| {
        let Some(account) = world.arm.accounts.get_mut(account) else { return };
        match (&place.container, place.operation, status) {
            (Some(name), Operation::WriteContainerData, StatusCode::CREATED | StatusCode::OK) => {
                let access = call.header("x-ms-blob-public-access").unwrap_or("None");
                let mut container = Container::new(&titled(access), now);
                container.settled = true;
                account.containers.insert(name.clone(), container);
            }
            (Some(name), Operation::DeleteContainerData, StatusCode::ACCEPTED) => {
                account.containers.remove(name);
            }
            (None, Operation::WriteBlobServiceData, StatusCode::ACCEPTED) => {
                if let Some(website) = website::settings(&call.body) {
                    account.set_service([("staticWebsite".to_owned(), website)].into_iter().collect(), now);
                }
            }
            _ => {}
        }
    });
}

/// `container` is `Container` in ARM.
fn titled(access: &str) -> String {
    let mut letters = access.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The operation that a request is, for faults and for the journal.
pub(crate) fn operation(call: &Call) -> Operation {
    Place::of(call).operation
}

/// A file of a website.
fn web_call(call: &Call, account: &str, path: &str) -> Result<Call, Refused> {
    Call::new(Method::GET, &format!("https://{account}.blob/{WEB}/{path}"))
        .map(|file| Call { headers: call.headers.clone(), ..file })
        .map_err(|_| refusal::no_store())
}
