//! Federated credentials of an identity: at most 20, written one after another.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Arm, Change, Refusal,
    id::{IDENTITIES, USER_ASSIGNED_IDENTITIES},
    identity::{See, TENANT_FLAG, contradiction},
};
use crate::provision::{Credential, FederatedIdentity, ManagedIdentity, credential_of};

/// What becomes of a credential that has the name of a wanted one, and is another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Differing {
    Update,
    Refuse,
}

/// A credential that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known {
    pub name: String,
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
}

/// What an identity has: what goes, what stays, and what is wanted beside it.
struct Held<'w> {
    /// Where it has them.
    all: String,
    identity: &'w str,
    wanted: &'w [Credential],
    stale: Vec<Known>,
    known: Vec<Known>,
}

/// What is to be done for a wanted credential.
enum Step<'k> {
    Keep,
    Create,
    /// Under the name that it has.
    Update(&'k Known),
}

impl Known {
    pub(super) fn read(known: &Value) -> Self {
        let text = |key: &str| known.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let audiences = known.pointer("/properties/audiences").and_then(Value::as_array).into_iter().flatten();
        Self {
            name: text("/name"),
            issuer: text("/properties/issuer"),
            subject: text("/properties/subject"),
            audiences: audiences.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// Entra compares all three byte by byte.
    fn lets_in(&self, wanted: &Credential) -> bool {
        self.has_pair(wanted) && self.audiences == wanted.audiences
    }

    fn has_pair(&self, wanted: &Credential) -> bool {
        self.issuer == *wanted.issuer && self.subject == wanted.subject
    }

    fn is_called(&self, wanted: &Credential) -> bool {
        self.name.eq_ignore_ascii_case(&wanted.name)
    }
}

/// Azure goes by issuer and subject, which an identity has once: what has them under another name is as good.
fn step<'k>(known: &'k [Known], wanted: &Credential) -> Step<'k> {
    if known.iter().any(|one| one.lets_in(wanted)) {
        return Step::Keep;
    }
    let same = known.iter().find(|one| one.has_pair(wanted)).or_else(|| known.iter().find(|one| one.is_called(wanted)));
    same.map_or(Step::Create, Step::Update)
}

impl Arm {
    /// Gives an identity federated credentials. Of one of ours, those that we have written and that are not wanted any more go.
    pub(super) async fn federate(
        &self,
        id: &str,
        identity: &str,
        wanted: &[Credential],
        differing: Differing,
        ours: Option<&ManagedIdentity>,
        see: See<'_>,
    ) -> Result<(), Refusal> {
        let held = self.held(id, identity, wanted, ours).await?;
        Refusal::all(&held.refusals(differing))?;
        self.carry_out(&held, see).await
    }

    /// What an identity has, beside what it is to have.
    async fn held<'w>(
        &self,
        id: &str,
        identity: &'w str,
        wanted: &'w [Credential],
        ours: Option<&ManagedIdentity>,
    ) -> Result<Held<'w>, Refusal> {
        let all = format!("{id}/federatedIdentityCredentials");
        let subject = subject(identity);
        let look = async || self.list(&subject, &all, IDENTITIES, &[]).await;
        let known = self.patiently(&SPREADING, look).await?;
        let known = known.iter().map(Known::read);
        let (stale, known) = known.partition(|one| is_stale(one, wanted, ours));
        Ok(Held { all, identity, wanted, stale, known })
    }

    async fn carry_out(&self, held: &Held<'_>, see: See<'_>) -> Result<(), Refusal> {
        let Held { all, identity, wanted, stale, known } = held;
        // First what goes: it may be what there is no room for otherwise.
        for one in stale {
            let told = credential_of(&one.name, identity);
            let subject = format!("cannot delete the {told}");
            let delete = async || self.delete(&subject, &format!("{all}/{}", one.name), IDENTITIES).await;
            self.patiently(&SPREADING, delete).await?;
            see(Change::Deleted, told);
        }
        for credential in *wanted {
            let (change, name, before) = match step(known, credential) {
                Step::Keep => (Change::Kept, &*credential.name, None),
                Step::Create => (Change::Created, &*credential.name, None),
                Step::Update(one) => (Change::Updated, &*one.name, Some(&one.issuer)),
            };
            let mut told = credential_of(name, identity);
            if change != Change::Kept {
                self.write(&format!("cannot make the {told}"), &format!("{all}/{name}"), credential).await?;
            }
            // Whose tokens name it still, signs in no more.
            if let Some(before) = before.filter(|before| **before != *credential.issuer) {
                told = format!("{told}, which was of the issuer {before}");
            }
            see(change, told);
        }
        Ok(())
    }

    /// Gives identities of the subscription the federated credentials that HostedClusters need.
    ///
    /// # Guarantees
    /// Nothing is changed but added, and nothing at all where an identity is not there or of another tenant, or where something is in
    /// the way of any.
    ///
    /// # Errors
    /// What Azure refuses, and what is there that is in the way.
    pub async fn apply_credentials(&self, wanted: &[FederatedIdentity], see: See<'_>) -> Result<(), Refusal> {
        const SUBJECT: &str = "cannot find the identities";
        let all = self.in_subscription(USER_ASSIGNED_IDENTITIES);
        let there = self.list(SUBJECT, &all, IDENTITIES, &[]).await?;
        let (mut found, mut missing, mut refused) = (Vec::with_capacity(wanted.len()), Vec::new(), Vec::new());
        for identity in wanted {
            match there.iter().find(|one| is_client(one, &identity.client_id)).and_then(Place::read) {
                Some(place) => {
                    refused.extend(place.refusal(identity));
                    found.push(place);
                }
                None => missing.push(label(identity)),
            }
        }
        if !missing.is_empty() {
            refused.insert(0, Refusal::new(SUBJECT, &not_there(&missing, &self.subscription)));
        }
        Refusal::all(&refused)?;
        let mut all = Vec::with_capacity(wanted.len());
        for (identity, Place { id, name, .. }) in wanted.iter().zip(found) {
            all.push(self.held(id, name, &identity.federated_credentials, None).await?);
        }
        let refused: Vec<_> = all.iter().flat_map(|held| held.refusals(Differing::Refuse)).collect();
        Refusal::all(&refused)?;
        for held in &all {
            self.carry_out(held, see).await?;
        }
        Ok(())
    }

    async fn write(&self, subject: &str, id: &str, credential: &Credential) -> Result<(), Refusal> {
        let Credential { issuer, subject: of, audiences, .. } = credential;
        let body = json!({"properties": {"issuer": issuer, "subject": of, "audiences": audiences}});
        let put = async || self.put(subject, id, IDENTITIES, &body).await;
        self.patiently(&SPREADING, put).await.map(drop)
    }
}

/// What is said of an identity that was made a moment ago, or whose credentials somebody else is writing.
const SPREADING: [&str; 3] = [
    "ParentResourceNotFound",
    "ResourceNotFound",
    "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
];

/// One as we write them, down to its name, of a service account that is not wanted any more.
fn is_stale(known: &Known, wanted: &[Credential], ours: Option<&ManagedIdentity>) -> bool {
    ours.is_some_and(|identity| known.lets_in(&identity.credential(&known.name)))
        && !wanted.iter().any(|one| known.is_called(one))
}

fn is_client(known: &Value, client: &str) -> bool {
    let known = known.pointer("/properties/clientId").and_then(Value::as_str);
    known.is_some_and(|known| known.eq_ignore_ascii_case(client))
}

/// An identity, as the subscription lists it.
struct Place<'k> {
    id: &'k str,
    name: &'k str,
    tenant: &'k str,
}

impl<'k> Place<'k> {
    fn read(known: &'k Value) -> Option<Self> {
        let text = |key| known.pointer(key).and_then(Value::as_str);
        Some(Self { id: text("/id")?, name: text("/name")?, tenant: text("/properties/tenantId")? })
    }

    /// Why it cannot be used for a HostedCluster, or whoever else names it.
    fn refusal(&self, wanted: &FederatedIdentity) -> Option<Refusal> {
        let users: BTreeSet<_> = wanted.used_by.iter().map(|used| used.hosted_cluster.as_str()).collect();
        let users: Vec<_> = users.into_iter().collect();
        let field = match users.is_empty() {
            true => TENANT_FLAG.to_owned(),
            false => format!("spec.platform.azure.tenantID of HostedCluster {}", users.join(", ")),
        };
        let why = contradiction(&field, &wanted.tenant_id, self.tenant)?;
        Some(Refusal::new(&format!("cannot use the identity {}", self.name), &why))
    }
}

fn label(identity: &FederatedIdentity) -> String {
    let name = identity.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{}{name}", identity.client_id)
}

fn not_there(missing: &[String], subscription: &str) -> String {
    format!(
        "the subscription {subscription} has none with the client id {}; name the subscription that they are in (--subscription-id), or correct \
         the HostedCluster: az identity list --query '[].[name,clientId]' lists those that there are",
        missing.join(", ")
    )
}

fn subject(identity: &str) -> String {
    format!("cannot make the federated credentials of {identity}")
}

impl Held<'_> {
    /// Why nothing may be written.
    fn refusals(&self, differing: Differing) -> Vec<Refusal> {
        let mut all: Vec<_> = self.lack_of_room().into_iter().collect();
        if differing == Differing::Refuse {
            all.extend(self.wanted.iter().filter_map(|wanted| match step(&self.known, wanted) {
                Step::Update(known) => Some(in_the_way(known, wanted)),
                Step::Keep | Step::Create => None,
            }));
        }
        all.iter().map(|why| Refusal::new(&subject(self.identity), why)).collect()
    }

    fn lack_of_room(&self) -> Option<String> {
        let (has, most) = (self.known.len(), FederatedIdentity::MOST_CREDENTIALS);
        let more = self.wanted.iter().filter(|one| matches!(step(&self.known, one), Step::Create)).count();
        (has + more > most).then(|| {
            format!(
                "it has {has} and needs {more} more, and Azure lets an identity have {most}; delete what nobody uses, and run this again"
            )
        })
    }
}

fn in_the_way(known: &Known, wanted: &Credential) -> String {
    let Known { name, issuer, subject, audiences } = known;
    format!(
        "{name} lets in somebody else: it has the issuer {issuer:?}, the subject {subject:?} and the audiences {audiences:?}; wanted is {} with {:?}, {:?} \
         and {:?}; delete {name} if nobody uses it, and run this again",
        wanted.name, &*wanted.issuer, wanted.subject, wanted.audiences
    )
}
