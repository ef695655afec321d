//! Who calls, and what they may do: by the roles that are assigned to them.

use jiff::Timestamp;

use super::{
    built_in::BUILT_IN,
    refusal::{self, Refused},
    replication::Spreading,
    store::{Permission, Store},
    target::Scope,
};
use crate::{
    cloud::Cloud,
    entra::{Bearer, BearerError, Expected},
    exchange::Call,
    signer::Signer,
};

/// The bearer of the request's token, if a subscription of this tenant takes it.
pub(super) fn authenticate(
    signer: &Signer,
    cloud: Cloud,
    tenant: &str,
    call: &Call,
    now: Timestamp,
) -> Result<Bearer, Refused> {
    let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| refusal::no_token(cloud, tenant))?;
    let resources = cloud.manager_resources();
    let expected = Expected { cloud, tenant, resources: &resources };
    Bearer::verify(token, signer, &expected, now).map_err(|error| match error {
        BearerError::Audience(found) => refusal::wrong_audience(cloud, tenant, &found, &resources),
        BearerError::Issuer(found) => refusal::wrong_tenant(cloud, tenant, &found),
        BearerError::Expired | BearerError::NotYetValid => refusal::expired_token(cloud, tenant),
        BearerError::Malformed | BearerError::Signature => refusal::invalid_token(cloud, tenant),
    })
}

/// What is to be done: in ARM, or with the data of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act<'a> {
    Manage(&'a str),
    Data(&'a str),
}

impl Store {
    /// Whether somebody may do this here. Assignments that still spread do not count.
    pub(crate) fn allows(&mut self, object_id: &str, act: Act<'_>, scope: &str, now: Timestamp) -> bool {
        let own: Vec<_> = self
            .assignments
            .values()
            .filter(|one| one.principal_id.eq_ignore_ascii_case(object_id) && Scope::new(&one.scope).covers(scope))
            .filter(|one| self.permissions(&one.role).iter().any(|permission| permission.allows(act)))
            .map(|one| one.name.clone())
            .collect();
        own.iter().any(|name| self.replication.is_seen(Spreading::RoleAssignments, name, now))
    }

    fn permissions(&self, role: &str) -> Vec<Permission> {
        if let Some(definition) = self.definitions.get(&role.to_lowercase()) {
            return definition.permissions.clone();
        }
        let built_in = BUILT_IN.iter().find(|one| one.id.eq_ignore_ascii_case(role));
        built_in.map(|one| vec![one.permission()]).unwrap_or_default()
    }
}

impl Permission {
    fn allows(&self, act: Act<'_>) -> bool {
        let (action, granted, withheld) = match act {
            Act::Manage(action) => (action, &self.actions, &self.not_actions),
            Act::Data(action) => (action, &self.data_actions, &self.not_data_actions),
        };
        let any = |patterns: &[String]| patterns.iter().any(|pattern| is_like(action, pattern));
        any(granted) && !any(withheld)
    }
}

/// Whether an action fits a pattern, in which a star is any text.
fn is_like(action: &str, pattern: &str) -> bool {
    let (action, pattern) = (action.to_lowercase(), pattern.to_lowercase());
    let Some((head, rest)) = pattern.split_once('*') else { return action == pattern };
    let Some(mut left) = action.strip_prefix(head) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        let read = "Microsoft.Storage/storageAccounts/read";
        for pattern in ["*", "*/read", "microsoft.storage/*", "Microsoft.*/storageAccounts/*", read] {
            assert!(is_like(read, pattern), "{pattern}");
        }
        for pattern in ["*/write", "Microsoft.Storage/read", "Microsoft.Storage/*/storageAccounts/read", ""] {
            assert!(!is_like(read, pattern), "{pattern}");
        }
    }

    #[test]
    fn what_is_withheld_is_not_granted() {
        let contributor = BUILT_IN.iter().find(|one| one.name == "Contributor").unwrap().permission();
        assert!(contributor.allows(Act::Manage("Microsoft.Authorization/roleAssignments/read")));
        assert!(!contributor.allows(Act::Manage("Microsoft.Authorization/roleAssignments/write")));
        assert!(!contributor.allows(Act::Data("Microsoft.Storage/x/read")));
    }
}
