//! Managed identities as they are: only asked, nothing is changed.

use serde_json::Value;

use super::{
    Arm, Refusal,
    federated::Known,
    id::{AUTHORIZATION, IDENTITIES, ROLE_ASSIGNMENTS, USER_ASSIGNED_IDENTITIES},
    role::Assignment,
};

/// An identity of the subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserAssigned {
    pub id: String,
    pub name: String,
    pub client: String,
    pub principal: String,
}

impl UserAssigned {
    fn read(known: &Value) -> Self {
        let text = |key: &str| known.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            id: text("/id"),
            name: text("/name"),
            client: text("/properties/clientId"),
            principal: text("/properties/principalId"),
        }
    }
}

impl Arm {
    /// # Errors
    /// What Azure refuses.
    pub async fn user_assigned(&self) -> Result<Vec<UserAssigned>, Refusal> {
        let all = self.in_subscription(USER_ASSIGNED_IDENTITIES);
        let found = self.list("cannot find the identities", &all, IDENTITIES, &[]).await?;
        Ok(found.iter().map(UserAssigned::read).collect())
    }

    /// # Errors
    /// What Azure refuses.
    pub async fn credentials_of(&self, identity: &UserAssigned) -> Result<Vec<Known>, Refusal> {
        let subject = format!("cannot read the federated credentials of {}", identity.name);
        let all = format!("{}/federatedIdentityCredentials", identity.id);
        Ok(self.list(&subject, &all, IDENTITIES, &[]).await?.iter().map(Known::read).collect())
    }

    /// At the subscription, above it and below it; those of its groups as well.
    ///
    /// # Errors
    /// What Azure refuses.
    pub async fn roles_of(&self, identity: &UserAssigned) -> Result<Vec<Assignment>, Refusal> {
        let subject = format!("cannot read the roles of {}", identity.name);
        let filter = format!("assignedTo('{}')", identity.principal);
        let all = self.in_subscription(ROLE_ASSIGNMENTS);
        let found = self.list(&subject, &all, AUTHORIZATION, &[("$filter", &filter)]).await?;
        Ok(found.iter().map(Assignment::read).collect())
    }

    /// Whether there is an identity of this id, in whatever subscription that is.
    ///
    /// # Errors
    /// What Azure refuses.
    pub async fn has(&self, identity: &str) -> Result<bool, Refusal> {
        Ok(self.get(&format!("cannot read {identity}"), identity, IDENTITIES).await?.is_some())
    }
}
