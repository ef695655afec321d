//! Credentials as `tests/support/credentials.rs` has them, and the names that generated secrets have.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hcp_identity::{
    credential::ObjectEncoding,
    verification::{Wanted, WantedSecret},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::Result;

pub const TENANT: &str = "93b21e64-4824-439a-b893-46c9b2a51082";
pub const VAULT: &str = "mgmt-westeurope-1";

const COMPONENTS: [&str; 9] = [
    "cloud-provider",
    "nodepool-management",
    "control-plane-operator",
    "image-registry",
    "ingress",
    "network",
    "disk",
    "file",
    "kms",
];

/// The credential with what the file holds as its client secret.
pub fn with_secret_of(file: &str) -> Result<Vec<u8>> {
    Ok(with_secret(&std::fs::read(file)?, &client_id(0)).into_bytes())
}

/// Good for months: a warning would be more work.
pub fn with_secret(client_secret: &[u8], client_id: &str) -> String {
    let date = |days: i64| (Timestamp::now() + SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%dT%H:%M:%SZ");
    let date = |days| date(days).to_string();
    let credential = json!({
        "authentication_endpoint": "https://login.microsoftonline.com/",
        "client_id": client_id,
        "client_secret": BASE64_STANDARD.encode(client_secret),
        "client_secret_url": "https://identity.test/renew",
        "custom_claims": {"xms_az_nwperimid": ["a"], "xms_az_tm": "user"},
        "mtls_authentication_endpoint": "https://mtlsauth.microsoft.com/",
        "not_after": date(90),
        "not_before": date(0),
        "object_id": "22222222-2222-4333-8444-555555555555",
        "renew_after": date(46),
        "resource_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i",
        "cannot_renew_after": date(180),
        "tenant_id": TENANT,
    });
    format!("{credential:#}")
}

pub fn client_id(number: usize) -> String {
    format!("{number:08x}-2222-4333-8444-{number:012x}")
}

/// The credentials of HostedClusters with nine components each: names of 34 to 40 characters, and a client id each.
pub fn wanted(count: usize) -> BTreeSet<Wanted> {
    let one = |number: usize| WantedSecret {
        vault: VAULT.into(),
        secret: secret(number).into(),
        encoding: ObjectEncoding::Utf8,
        cloud: "AzurePublicCloud".into(),
        tenant_id: Some(TENANT.into()),
        client_id: Some(client_id(number).into()),
    };
    (0..count).map(one).map(Wanted::from).collect()
}

pub fn secret(number: usize) -> String {
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    let name = format!("prod-{:05}-{}-{:032x}", number / 9, COMPONENTS[number % 9], hasher.finish());
    name[..34 + number % 7].to_owned()
}
