//! What `capz check` looks at in Azure. Nothing is changed.

use anyhow::{Error, Result};

use crate::{
    arm::{Arm, Assignment, Known, UserAssigned},
    capz::{Checker, Held, IdentityId, InAzure, Subscription, Trusted, in_azure},
    cli::azure::{Where, block_on},
};

pub(super) fn look(place: &Where, subscription: &Subscription, checker: &mut Checker<'_>) -> Result<()> {
    let arm = place.reach()?;
    let findings = block_on(async {
        let all = arm.user_assigned().await?;
        let identity = async |client: &str| {
            let Some(found) = all.iter().find(|one| one.client.eq_ignore_ascii_case(client)) else {
                return Ok(None);
            };
            Ok(Some(InAzure {
                id: IdentityId::new(&found.id)?,
                principal: found.principal.clone(),
                credentials: trusted(&arm, found).await?,
                roles: held(&arm, found).await?,
            }))
        };
        let exists = async |id: &IdentityId| Ok(arm.has(&id.to_string()).await?);
        in_azure::<Error>(checker, subscription, identity, exists).await
    })??;
    checker.add(findings);
    Ok(())
}

async fn trusted(arm: &Arm, identity: &UserAssigned) -> Result<Vec<Trusted>> {
    let trusted = |known: Known| Trusted {
        name: known.name,
        issuer: known.issuer,
        subject: known.subject,
        audiences: known.audiences,
    };
    Ok(arm.credentials_of(identity).await?.into_iter().map(trusted).collect())
}

async fn held(arm: &Arm, identity: &UserAssigned) -> Result<Vec<Held>> {
    let held = |one: Assignment| Held { role: one.role, scope: one.scope };
    Ok(arm.roles_of(identity).await?.into_iter().map(held).collect())
}
