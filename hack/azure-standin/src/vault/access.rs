//! Who may do what in a vault.

use serde::Deserialize;

use super::{
    refusal::{self, Refused},
    store::Vault,
};
use crate::{
    cloud::Cloud,
    entra::{Bearer, BearerError},
    exchange::Call,
    operation::Operation,
    signer::Signer,
};

/// How a vault decides. It changes what a refusal says.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Authorization {
    #[default]
    Rbac,
    AccessPolicies,
}

/// What a principal may, by the id of its object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permission {
    pub object_id: String,
    pub role: Role,
}

/// The roles of Azure that concern secrets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Key Vault Reader: everything but values.
    Reader,
    /// None of Azure's: a custom role, or an access policy, of get alone.
    SecretsGetter,
    /// Key Vault Secrets User: values as well.
    SecretsUser,
    /// Key Vault Secrets Officer: everything.
    SecretsOfficer,
}

impl Role {
    fn may(self, operation: Operation) -> bool {
        match self {
            Self::Reader => matches!(operation, Operation::ListSecrets | Operation::ListSecretVersions),
            Self::SecretsGetter => operation == Operation::GetSecret,
            Self::SecretsUser => Self::Reader.may(operation) || Self::SecretsGetter.may(operation),
            Self::SecretsOfficer => true,
        }
    }
}

/// The data action of RBAC and the permission of an access policy.
pub(super) fn names(operation: Operation) -> (&'static str, &'static str) {
    match operation {
        Operation::GetSecret => ("getSecret/action", "get"),
        Operation::SetSecret => ("setSecret/action", "set"),
        Operation::UpdateSecret => ("update/action", "set"),
        Operation::DeleteSecret => ("delete", "delete"),
        Operation::RecoverSecret => ("recover/action", "recover"),
        Operation::PurgeSecret => ("purge/action", "purge"),
        Operation::GetDeletedSecret => ("readMetadata/action", "get"),
        _ => ("readMetadata/action", "list"),
    }
}

/// The bearer of the request's token, if this vault takes it.
pub(super) fn authenticate(
    signer: &Signer,
    cloud: Cloud,
    vault: &Vault,
    call: &Call,
    now: jiff::Timestamp,
) -> Result<Bearer, Refused> {
    let resources = [cloud.vault_resource()];
    let expected = crate::entra::Expected { cloud, tenant: &vault.tenant, resources: &resources };
    let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| refusal::no_token(cloud, vault))?;
    Bearer::verify(token, signer, &expected, now).map_err(|error| match error {
        BearerError::Audience(found) => refusal::wrong_audience(cloud, vault, &found),
        BearerError::Issuer(found) => refusal::wrong_issuer(cloud, vault, &found),
        BearerError::Expired | BearerError::NotYetValid => refusal::expired_token(cloud, vault),
        BearerError::Malformed | BearerError::Signature => refusal::invalid_token(cloud, vault),
    })
}

/// Whether the bearer may do this.
pub(super) fn authorize(vault: &Vault, bearer: &Bearer, operation: Operation, secret: &str) -> Result<(), Refused> {
    let own = vault.permissions.iter().filter(|one| one.object_id.eq_ignore_ascii_case(&bearer.object_id));
    if own.into_iter().any(|one| one.role.may(operation)) {
        return Ok(());
    }
    Err(match vault.authorization {
        Authorization::Rbac => refusal::forbidden_by_rbac(vault, bearer, operation, secret),
        Authorization::AccessPolicies => refusal::forbidden_by_policy(vault, bearer, operation),
    })
}
