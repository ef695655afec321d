//! Identities in Azure: whether those that are named are there, are trusted as CAPZ needs it, and may do anything.

use std::{collections::BTreeMap, fmt::Display};

use super::super::machine::IdentityId;
use super::super::plan::{ASO_ACCOUNT, AUDIENCE, CAPZ_ACCOUNT, NAMESPACE, Subscription};
use super::{Checker, identity::Kind};
use crate::{
    finding::{FieldPath, Finding, Problem, Reason, Severity},
    names::service_account,
};

/// A managed identity as Azure has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InAzure {
    pub id: IdentityId,
    /// The id of its object.
    pub principal: String,
    pub credentials: Vec<Trusted>,
    pub roles: Vec<Held>,
}

/// Somebody whose tokens are taken for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trusted {
    pub name: String,
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
}

/// A role, by its GUID, and where it is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    pub role: String,
    pub scope: String,
}

const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
const CREDENTIALS: [(&str, &str); 2] =
    [("capz-federated-identity", CAPZ_ACCOUNT), ("aso-federated-identity", ASO_ACCOUNT)];

/// Holds what was read against Azure. `identity` finds one of the subscription by its client id; `exists` asks for one by its
/// resource id, once each.
///
/// # Errors
/// What asking for identities of the subscription fails with.
pub async fn in_azure<E: Display>(
    checker: &Checker<'_>,
    subscription: &Subscription,
    identity: impl AsyncFn(&str) -> Result<Option<InAzure>, E>,
    exists: impl AsyncFn(&IdentityId) -> Result<bool, E>,
) -> Result<Vec<Finding>, E> {
    let mut findings = Vec::new();
    let issuer = checker.expected_issuer();
    for known in checker.gathered.identities_of_capz() {
        let Kind::WorkloadIdentity(client) = &known.kind else { continue };
        let problems = match identity(client).await? {
            Some(found) => of_identity(&found, issuer, subscription),
            None => vec![no_client(client, subscription)],
        };
        findings.extend(problems.into_iter().map(|problem| known.client.finding(problem)));
    }
    let mut asked = BTreeMap::new();
    for (spot, id) in checker.gathered.machines.iter().flat_map(|machine| &machine.identities) {
        let name = id.to_string().to_ascii_lowercase();
        if !asked.contains_key(&name) {
            asked.insert(name.clone(), exists(id).await);
        }
        findings
            .extend(asked.get(&name).and_then(|answer| of_machine(id, answer)).map(|problem| spot.finding(problem)));
    }
    Ok(findings)
}

fn of_machine<E: Display>(id: &IdentityId, exists: &Result<bool, E>) -> Option<Problem> {
    match exists {
        Ok(true) => None,
        Ok(false) => Some(no_identity(id)),
        Err(why) => {
            let message = format!("is not looked at: {why}");
            let remedy = "ask as somebody who may read the identity";
            Some(Problem::warning(Reason::NotLookedAt, FieldPath::root(), message, remedy))
        }
    }
}

fn untrusted(message: String, remedy: String) -> Problem {
    Problem::error(Reason::FederatedCredentialMissing, FieldPath::root(), message, remedy)
}

fn not_there(message: String, remedy: String, value: &str) -> Problem {
    Problem::error(Reason::IdentityNotInAzure, FieldPath::root(), message, remedy).with_value(value)
}

fn no_client(client: &str, subscription: &Subscription) -> Problem {
    let message = format!("is the client id of no managed identity of the subscription {subscription}");
    let remedy = format!(
        "correct it, or name the subscription that the identity is in: az identity list --subscription {subscription} --query '[].[name,clientId]'"
    );
    not_there(message, remedy, client)
}

fn no_identity(id: &IdentityId) -> Problem {
    let message = "is not there in Azure: no machine can be made with it".to_owned();
    let (subscription, group, name) = id.parts();
    let remedy = format!(
        "make it, or correct the id: az identity create --subscription {subscription} --resource-group {group} --name {name}"
    );
    not_there(message, remedy, &id.to_string())
}

fn of_identity(found: &InAzure, issuer: Option<&str>, subscription: &Subscription) -> Vec<Problem> {
    let credentials = issuer.into_iter().flat_map(|issuer| {
        CREDENTIALS.into_iter().filter_map(move |(name, account)| credential(found, name, issuer, account))
    });
    credentials.chain(role(found, subscription)).collect()
}

/// What keeps the tokens of a service account from being taken: Entra compares all three byte by byte.
fn credential(found: &InAzure, name: &str, issuer: &str, account: &str) -> Option<Problem> {
    let wanted = Trusted {
        name: name.to_owned(),
        issuer: issuer.to_owned(),
        subject: service_account(NAMESPACE, account),
        audiences: vec![AUDIENCE.to_owned()],
    };
    if found.credentials.iter().any(|known| known.lets_in() == wanted.lets_in()) {
        return None;
    }
    let likeness = |known: &&Trusted| (known.subject != wanted.subject, known.issuer != wanted.issuer);
    let known = found.credentials.iter().filter(|known| known.is_meant_for(&wanted)).min_by_key(likeness);
    let (verb, name) = known.map_or(("create", name), |known| ("update", &known.name));
    let (subscription, group, identity) = found.id.parts();
    let by_hand = format!(
        "az identity federated-credential {verb} --subscription {subscription} --resource-group {group} --identity-name {identity} \
         --name {name} --issuer {issuer} --subject {} --audiences {AUDIENCE}",
        wanted.subject
    );
    Some(match known {
        None => {
            let message = format!("is of {identity}, which has no federated credential for {}", wanted.lets_in());
            untrusted(message, format!("hcp-identity capz apply --federate, or {by_hand}"))
        }
        Some(known) => {
            let message =
                format!("is of {identity}, whose federated credential {name} should be for {}", wanted.lets_in());
            let remedy = format!("{by_hand}; where another cluster uses that one, create one of another name");
            untrusted(message, remedy).with_value(known.lets_in())
        }
    })
}

impl Trusted {
    fn lets_in(&self) -> String {
        format!("issuer {}, subject {}, audience {}", self.issuer, self.subject, self.audiences.join(" "))
    }

    fn is_meant_for(&self, wanted: &Self) -> bool {
        self.subject.eq_ignore_ascii_case(&wanted.subject) || self.name == wanted.name
    }
}

fn role(found: &InAzure, subscription: &Subscription) -> Option<Problem> {
    let all = format!("/subscriptions/{subscription}");
    let is_whole = |held: &&Held| !held.scope.to_ascii_lowercase().starts_with(&format!("{all}/").to_ascii_lowercase());
    let is_enough = |held: &Held| [CONTRIBUTOR, OWNER].iter().any(|role| held.role.eq_ignore_ascii_case(role));
    if found.roles.iter().filter(is_whole).any(is_enough) {
        return None;
    }
    let (_, _, name) = found.id.parts();
    let remedy = format!(
        "az role assignment create --assignee-object-id {} --assignee-principal-type ServicePrincipal --role Contributor --scope {all}",
        found.principal
    );
    let (severity, message) = if found.roles.is_empty() {
        let message = format!(
            "is of {name}, which has no role on {all}: Azure refuses all that CAPZ asks for (AuthorizationFailed)"
        );
        (Severity::Error, message)
    } else {
        let roles: Vec<_> = found.roles.iter().map(|held| format!("{} on {}", held.role, held.scope)).collect();
        let message = format!(
            "is of {name}, which is neither Contributor nor Owner of {all}, as CAPZ documents it, but has the roles {}",
            roles.join(", ")
        );
        (Severity::Warning, message)
    };
    Some(Problem { severity, ..Problem::error(Reason::RoleMissing, FieldPath::root(), message, remedy) })
}
