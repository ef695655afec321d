//! The federated credentials of an identity: at most 20, written one after another, none of them twice.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Visit,
    busy::Writing,
    gone, identities, made_at, ok,
    refusal::{self, Refused},
    replication::Spreading,
    store::Identity,
    target::{Target, Wanted},
};
use crate::{
    azure::Azure,
    exchange::{Answer, Call},
    operation::Verb,
    world::{FederatedCredential, Principal},
};

const TYPE: &str = "userAssignedIdentities/federatedIdentityCredentials";
/// <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations>
const MOST: usize = 20;
const LONGEST: usize = 600;

#[derive(Deserialize)]
struct Body {
    properties: Option<Properties>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    issuer: String,
    subject: String,
    audiences: Vec<String>,
}

/// Begins a write, if this is one and no other goes on with this identity.
pub(super) fn begin<'a>(azure: &'a Azure, call: &Call, target: &Target) -> Result<Option<Writing<'a>>, Refused> {
    let writes = matches!(Verb::of(&call.method), Verb::Write | Verb::Delete);
    if target.kind != super::Kind::FederatedCredential || !writes {
        return Ok(None);
    }
    let identity = format!(
        "/subscriptions/{}/resourcegroups/{}/providers/microsoft.managedidentity/userassignedidentities/{}",
        target.scope.subscription(),
        target.group(),
        target.outer()
    );
    azure.busy().begin(&identity).map(Some).ok_or_else(|| {
        let message = format!(
            "Too many Federated Identity Credentials are written concurrently for the managed identity '{identity}'. \
             Concurrent Federated Identity Credentials writes under the same managed identity are not supported."
        );
        refusal::conflict("ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity", &message)
    })
}

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let identity = parent(visit)?;
    let name = visit.target.name().to_owned();
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => {
            let all = principal(visit, &identity)?.federated_credentials.iter();
            let all = all.map(|one| shown(&identity, one)).collect();
            visit.list(all)
        }
        ("GET", Wanted::One) => {
            let all = &principal(visit, &identity)?.federated_credentials;
            let found = all.iter().find(|one| one.name.eq_ignore_ascii_case(&name));
            found.map(|one| ok(&shown(&identity, one))).ok_or_else(|| not_found(&name))
        }
        ("PUT", Wanted::One) => put(visit, &identity, name),
        ("DELETE", Wanted::One) => {
            let all = &mut principal(visit, &identity)?.federated_credentials;
            let before = all.len();
            all.retain(|one| !one.name.eq_ignore_ascii_case(&name));
            Ok(gone(all.len() < before))
        }
        _ => Err(visit.refuse_method()),
    }
}

fn put(visit: &mut Visit<'_>, identity: &Identity, name: String) -> Result<Answer, Refused> {
    check_name(&name)?;
    let body: Body = visit.body()?;
    let credential = credential(name, body.properties.unwrap_or_default())?;
    let key = spreading_key(identity, &credential);
    let all = &mut principal(visit, identity)?.federated_credentials;
    let known = all.iter().position(|one| one.name.eq_ignore_ascii_case(&credential.name));
    check_place(all, known, &credential, &identity.id)?;
    let answer = made_at(known.is_none(), &shown(identity, &credential));
    match known.and_then(|at| all.get_mut(at)) {
        Some(known) if *known == credential => return Ok(answer),
        Some(known) => *known = credential,
        None => all.push(credential),
    }
    let now = visit.now;
    visit.world.arm.replication.begin(Spreading::FederatedCredentials, &key, now);
    Ok(answer)
}

/// Of what is written and has still to be seen by Entra.
fn spreading_key(identity: &Identity, credential: &FederatedCredential) -> String {
    crate::world::federation_key(&identity.client_id, &credential.name)
}

fn credential(name: String, properties: Properties) -> Result<FederatedCredential, Refused> {
    let Properties { issuer, subject, audiences } = properties;
    if issuer.is_empty() || subject.is_empty() || audiences.is_empty() {
        return Err(bad(
            "The request format was unexpected. Federated Identity Credential must specify 'issuer', 'subject' and \
             'audience'.",
        ));
    }
    if audiences.len() > 1 {
        return Err(bad("Federated identity credentials must have exactly one audience."));
    }
    let is_url = issuer.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some());
    if !is_url || issuer.len() > LONGEST || subject.len() > LONGEST {
        return Err(bad(&format!("Federated Identity Credential '{name}' has an invalid issuer or subject.")));
    }
    Ok(FederatedCredential { name, issuer, subject, audiences })
}

fn check_place(
    all: &[FederatedCredential],
    known: Option<usize>,
    new: &FederatedCredential,
    identity: &str,
) -> Result<(), Refused> {
    let others = all.iter().enumerate().filter(|(at, _)| Some(*at) != known);
    if others.into_iter().any(|(_, one)| one.issuer == new.issuer && one.subject == new.subject) {
        let message = "Issuer and subject combination already exists for this Managed Identity.";
        return Err(refusal::conflict("Conflict", message));
    }
    if known.is_some() || all.len() < MOST {
        return Ok(());
    }
    let message = format!(
        "The number of Federated Identity Credentials of the managed identity '{identity}' exceeds the limit of \
         {MOST}."
    );
    Err(bad(&message))
}

fn check_name(name: &str) -> Result<(), Refused> {
    let fit = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if fit && begins && (3..=120).contains(&name.len()) {
        return Ok(());
    }
    Err(bad(&format!("Federated Identity Credential name '{name}' is invalid.")))
}

fn bad(message: &str) -> Refused {
    refusal::refused(StatusCode::BAD_REQUEST, "BadRequest", message)
}

fn not_found(name: &str) -> Refused {
    refusal::missing("NotFound", &format!("The Federated Identity Credential '{name}' was not found."))
}

/// The identity around, as soon as it has spread.
fn parent(visit: &mut Visit<'_>) -> Result<Identity, Refused> {
    visit.group()?;
    let (key, now) = (identities::key(visit), visit.now);
    let found = visit.world.arm.identities.get(&key).cloned();
    let found = found.filter(|identity| visit.world.arm.replication.is_seen(Spreading::Identities, &identity.id, now));
    found.ok_or_else(|| refusal::no_parent(&visit.call.method, TYPE, &parent_id(visit.target)))
}

fn parent_id(target: &Target) -> String {
    format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{}", target.scope.path(), target.outer())
}

fn principal<'v>(visit: &'v mut Visit<'_>, identity: &Identity) -> Result<&'v mut Principal, Refused> {
    let found = visit.world.principals.iter_mut().find(|one| one.client_id == identity.client_id);
    found.ok_or_else(|| not_found(&identity.name))
}

fn shown(identity: &Identity, credential: &FederatedCredential) -> Value {
    let FederatedCredential { name, issuer, subject, audiences } = credential;
    json!({
        "id": format!("{}/federatedIdentityCredentials/{name}", identity.id),
        "name": name,
        "type": format!("Microsoft.ManagedIdentity/{TYPE}"),
        "properties": {"issuer": issuer, "subject": subject, "audiences": audiences},
    })
}
