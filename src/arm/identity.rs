//! Managed identities: everything that a plan has of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Arm, Change, Refusal,
    ensure::{marked, tags_of, with},
    federated::Differing,
    id::{IDENTITIES, USER_ASSIGNED_IDENTITIES},
};
use crate::{
    names::{ClientId, TenantId, is_uuid},
    provision::{Identity, IdentityPlan, ManagedIdentity, Mark},
};

/// What becomes of roles that we have assigned and that are not wanted any more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OldRoles {
    #[default]
    Prune,
    Preserve,
}

/// An identity that is there.
pub(super) struct There {
    pub(super) id: String,
    /// The id of its object.
    pub(super) principal: String,
    identity: Identity,
    /// Whether it was made for this cluster.
    is_ours: bool,
}

/// Told of each step that is done.
pub type See<'s> = &'s mut dyn FnMut(Change, String);

impl Arm {
    /// Makes identities, their roles and their federated credentials as a plan has them: its identities, in their order.
    ///
    /// # Guarantees
    /// A misspelt role and a group that is not there are refused before anything is made, and a tenant that is not that of the
    /// identities as soon as there is one. Whatever ends a run, the next one completes it. Nothing is deleted but assignments that
    /// bear our mark, and federated credentials of our form on identities that do.
    ///
    /// # Errors
    /// What Azure refuses.
    pub async fn make_identities(
        &self,
        plan: &IdentityPlan,
        mark: &Mark,
        old_roles: OldRoles,
        tenant: Option<&TenantId>,
        see: See<'_>,
    ) -> Result<Vec<Identity>, Refusal> {
        self.check_groups(plan).await?;
        let mut roles = self.roles(&named_roles(plan)).await?;
        for group in &plan.groups {
            see(self.ensure(group, mark).await?, group.to_string());
        }
        // All identities and roles first: what one needs spreads while the others are made.
        let mut all = Vec::with_capacity(plan.identities.len());
        for wanted in &plan.identities {
            let (change, there) = self.identity(wanted, mark).await?;
            see(change, wanted.to_string());
            there.check_tenant(wanted, tenant)?;
            all.push(there);
            if let Some(role) = &wanted.custom_role {
                let (change, id) = self.custom_role(role, mark).await?;
                see(change, role.to_string());
                roles.add(&role.name, id);
            }
        }
        for (wanted, there) in plan.identities.iter().zip(&all) {
            // One that somebody else may sign in as gets no role.
            if !there.is_ours {
                self.credentials(wanted, there, see).await?;
            }
            self.grant(wanted, there, &roles, mark, old_roles, see).await?;
            if there.is_ours {
                self.credentials(wanted, there, see).await?;
            }
        }
        Ok(all.into_iter().map(|there| there.identity).collect())
    }

    async fn check_groups(&self, plan: &IdentityPlan) -> Result<(), Refusal> {
        const SUBJECT: &str = "cannot assign roles";
        for group in &plan.groups {
            self.check_place(group).await?;
        }
        let mut missing = Vec::new();
        for group in &plan.groups_of_others {
            if self.staying(SUBJECT, &self.in_group(group, "")).await?.is_none() {
                missing.push(group.as_str());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let text = format!(
            "there is no resource group {} in the subscription {}; name the one of the cluster's network or DNS zone, or leave the flag out",
            missing.join(", "),
            self.subscription
        );
        Err(Refusal::new(SUBJECT, &text))
    }

    async fn identity(&self, wanted: &ManagedIdentity, mark: &Mark) -> Result<(Change, There), Refusal> {
        let ManagedIdentity { name, resource_group, location, tags, .. } = wanted;
        let subject = format!("cannot make the {wanted}");
        let id = self.in_group(resource_group, &format!("{USER_ASSIGNED_IDENTITIES}/{name}"));
        let may = |refusal: Refusal| refusal.remedied(&["AuthorizationFailed"], CONTRIBUTOR);
        let (change, known) = match self.get(&subject, &id, IDENTITIES).await.map_err(may)? {
            None => {
                let body = json!({"location": location, "tags": marked(tags, mark)});
                let put = async || self.put(&subject, &id, IDENTITIES, &body).await;
                let made = self.patiently(&["ResourceGroupNotFound"], put).await.map_err(may)?;
                (Change::Created, if self.rehearsal.is_some() { of_nobody(&made) } else { made })
            }
            Some(known) => match with(&known, tags) {
                None => (Change::Kept, known),
                Some(tags) => {
                    let known = self.patch(&subject, &id, IDENTITIES, &json!({"tags": tags})).await.map_err(may)?;
                    (Change::Updated, known)
                }
            },
        };
        Ok((change, There::read(&subject, id, &known, mark)?))
    }

    async fn credentials(&self, wanted: &ManagedIdentity, there: &There, see: See<'_>) -> Result<(), Refusal> {
        let (ours, differing) = match there.is_ours {
            true => (Some(wanted), Differing::Update),
            false => (None, Differing::Refuse),
        };
        self.federate(&there.id, &wanted.name, &wanted.federated_credentials, differing, ours, see).await
    }
}

/// An identity that would be made: who it will be is Azure's to say.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn of_nobody(identity: &Value) -> Value {
    json!({"tags": identity.get("tags"), "properties": {"clientId": NOBODY, "tenantId": NOBODY, "principalId": NOBODY}})
}

impl There {
    pub(super) fn is_nobody_yet(&self) -> bool {
        self.principal == NOBODY
    }

    fn check_tenant(&self, wanted: &ManagedIdentity, named: Option<&TenantId>) -> Result<(), Refusal> {
        let Some(named) = named.filter(|_| !self.is_nobody_yet()) else { return Ok(()) };
        let refuse = |why: String| Err(Refusal::new(&format!("cannot use the {wanted}"), &why));
        contradiction(TENANT_FLAG, named, &self.identity.tenant).map_or(Ok(()), refuse)
    }

    fn read(subject: &str, id: String, known: &Value, mark: &Mark) -> Result<Self, Refusal> {
        let text = |key: &str| known.pointer(&format!("/properties/{key}")).and_then(Value::as_str).unwrap_or_default();
        let nameless = || Refusal::new(subject, "Azure does not say who it is; run this again later");
        let client = ClientId::new(text("clientId")).map_err(|_| nameless())?;
        let tenant = TenantId::new(text("tenantId")).map_err(|_| nameless())?;
        let principal = Some(text("principalId")).filter(|id| !id.is_empty()).ok_or_else(nameless)?.to_owned();
        Ok(Self { id, principal, identity: Identity { client, tenant }, is_ours: mark.is_on(&tags_of(known)) })
    }
}

/// The flag that names a tenant, where no manifest does.
pub(super) const TENANT_FLAG: &str = "--tenant-id";

/// What is wrong with a tenant that somebody has named, as Azure says another one. A domain does not tell which one it is of.
pub(super) fn contradiction(field: &str, named: &TenantId, tenant: &str) -> Option<String> {
    let differs = is_uuid(named) && !named.eq_ignore_ascii_case(tenant);
    differs.then(|| {
        format!("it is of the tenant {tenant}, and {field} is {named}; give {tenant} there, and run this again")
    })
}

/// Those that must be there already.
fn named_roles(plan: &IdentityPlan) -> BTreeSet<&str> {
    let made = plan.identities.iter().filter_map(|identity| identity.custom_role.as_ref());
    let made: BTreeSet<_> = made.map(|role| role.name.as_str()).collect();
    let granted = plan.identities.iter().flat_map(|identity| &identity.grants).map(|grant| grant.role.as_str());
    granted.filter(|role| !made.contains(role)).collect()
}

const CONTRIBUTOR: &str = "the caller needs the role \"Managed Identity Contributor\" on the resource group, \"Contributor\" on the subscription to make one, and \"User Access Administrator\" \
                           on the subscription to define and assign roles; a role that was just given takes some minutes to be known";
