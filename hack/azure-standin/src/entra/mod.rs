//! Entra: tokens for those who prove who they are, and the documents that SDKs read before they ask.

mod access_token;
mod assertion;
mod discovery;
mod federation;
mod problem;
mod token;

use http::StatusCode;
use serde_json::json;

use crate::{
    azure::Azure,
    cloud::Cloud,
    exchange::{Answer, Call, json},
    operation::Operation,
};

pub use access_token::{Bearer, BearerError, Grant};
pub(crate) use access_token::{Expected, issuer};
pub(crate) use problem::resource_not_found;

pub(crate) async fn answer(azure: &Azure, cloud: Cloud, operation: Operation, call: &Call) -> Answer {
    match operation {
        Operation::EntraToken => token::answer(azure, cloud, call).await,
        Operation::EntraDiscovery => discovery::openid(azure, cloud, call),
        Operation::EntraKeys => json(StatusCode::OK, &azure.signer().key_set()),
        Operation::EntraInstances => discovery::instances(azure, cloud, call),
        _ => json(StatusCode::NOT_FOUND, &json!({"error": "not_found"})),
    }
}
