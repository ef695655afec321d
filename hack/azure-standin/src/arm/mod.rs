//! ARM: what provisioning asks of it. Resource groups, storage accounts, managed identities, roles.

mod access;
mod accounts;
mod assignments;
mod built_in;
mod busy;
mod containers;
mod credentials;
mod definitions;
mod groups;
mod identities;
mod kind;
mod page;
mod refusal;
mod replication;
mod store;
mod target;

use std::time::Duration;

use http::{HeaderName, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use self::{
    kind::Kind,
    refusal::Refused,
    store::Tags,
    target::{Target, Wanted},
};
use crate::{
    azure::Azure,
    cloud::Cloud,
    entra::{Bearer, issuer},
    exchange::{Answer, Call, json, with_caller, with_header},
    operation::{Operation, Verb},
    random,
    world::World,
};

pub(crate) use access::Act;
pub(crate) use busy::Busy;
pub(crate) use containers::{NOT_PUBLIC, WEB, dated};
pub(crate) use refusal::failure;
pub use replication::{Delay, Delays, Spreading};
pub(crate) use store::Container;
pub use store::{Assigned, Behaviour, Habits, Store, Subscription};

/// A request that was let in.
pub(super) struct Visit<'a> {
    world: &'a mut World,
    cloud: Cloud,
    call: &'a Call,
    target: &'a Target,
    tenant: &'a str,
    now: Timestamp,
    key: Option<&'a str>,
}

/// Who was let in.
struct Admitted {
    target: Target,
    bearer: Bearer,
    tenant: String,
}

pub(crate) async fn answer(azure: &Azure, cloud: Cloud, call: &Call) -> Answer {
    let now = azure.clock.now();
    let admitted = azure.with_world_mut(|world| admit(azure, world, cloud, call, now));
    match admitted {
        Ok(admitted) => {
            let answer = serve(azure, cloud, call, &admitted).await.unwrap_or_else(Answer::from);
            with_caller(answer, &admitted.bearer.client_id)
        }
        Err(refused) => refused.into(),
    }
}

async fn serve(azure: &Azure, cloud: Cloud, call: &Call, admitted: &Admitted) -> Result<Answer, Refused> {
    let Admitted { target, tenant, .. } = admitted;
    let busy = credentials::begin(azure, call, target)?;
    if busy.is_some() {
        let takes = azure.with_world(|world| world.arm.habits.federated_write_milliseconds);
        tokio::time::sleep(Duration::from_millis(takes)).await;
    }
    let now = azure.clock.now();
    let key = azure.blob_store().map(|store| store.key.reveal());
    azure.with_world_mut(|world| Visit { world, cloud, call, target, tenant, now, key }.perform())
}

/// Authentication, the version, authorization: in this order.
fn admit(azure: &Azure, world: &mut World, cloud: Cloud, call: &Call, now: Timestamp) -> Result<Admitted, Refused> {
    let target = Target::of(&call.method, &call.segments()).ok_or_else(refusal::unknown_path)?;
    let tenant = tenant(world, cloud, &target, call)?;
    let bearer = access::authenticate(azure.signer(), cloud, &tenant, call, now)?;
    check_version(world, call, &target)?;
    let action = action(call, &target);
    let scope = target.id();
    // The roles themselves can be read by everybody.
    let is_public = target.kind == Kind::RoleDefinition && call.method == Method::GET;
    if !is_public && !world.arm.allows(&bearer.object_id, Act::Manage(&action), &scope, now) {
        return Err(refusal::not_authorized(&bearer, &action, &scope));
    }
    Ok(Admitted { target, bearer, tenant })
}

/// The subscription's; of a path without one, the one that issued the token.
fn tenant(world: &World, cloud: Cloud, target: &Target, call: &Call) -> Result<String, Refused> {
    let subscription = target.scope.subscription();
    if !subscription.is_empty() {
        let known = world.arm.subscription(subscription).filter(|known| world.cloud_of(&known.tenant) == cloud);
        return known.map(|known| known.tenant.clone()).ok_or_else(|| refusal::no_subscription(subscription));
    }
    let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = token.and_then(|token| crate::jwt::Token::parse(token).ok());
    let issued_by = token.as_ref().and_then(|token| token.text("iss")).unwrap_or_default();
    let tenant = world.tenants.iter().find(|tenant| issuer(cloud, &tenant.id) == issued_by);
    tenant.map(|tenant| tenant.id.clone()).ok_or_else(|| refusal::no_token(cloud, "common"))
}

fn check_version(world: &World, call: &Call, target: &Target) -> Result<(), Refused> {
    let version = call.query("api-version").filter(|version| !version.is_empty()).ok_or_else(refusal::no_version)?;
    let row = target.kind.row();
    if row.versions.contains(&version) {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let location = body["location"].as_str().map(str::to_owned).or_else(|| world.arm.location(target));
    Err(refusal::unknown_version(row, version, location.as_deref()))
}

fn action(call: &Call, target: &Target) -> String {
    let name = target.kind.row().full_name();
    match (Verb::of(&call.method), &target.wanted) {
        (_, Wanted::Action(action)) if target.names.is_empty() => format!("Microsoft.Storage/{action}/read"),
        (_, Wanted::Action(action)) => format!("{name}/{action}/action"),
        (Verb::Write, _) => format!("{name}/write"),
        (Verb::Delete, _) => format!("{name}/delete"),
        _ => format!("{name}/read"),
    }
}

impl Visit<'_> {
    fn perform(mut self) -> Result<Answer, Refused> {
        match self.target.kind {
            Kind::Subscription => self.subscription(),
            Kind::ResourceGroup => groups::perform(&mut self),
            Kind::Resource => groups::resources(&mut self),
            Kind::Operation | Kind::StorageOperation => groups::poll(&mut self),
            Kind::StorageAccount => accounts::perform(&mut self),
            Kind::BlobService => containers::service(&mut self),
            Kind::Container => containers::perform(&mut self),
            Kind::Identity => identities::perform(&mut self),
            Kind::FederatedCredential => credentials::perform(&mut self),
            Kind::RoleDefinition => definitions::perform(&mut self),
            Kind::RoleAssignment => assignments::perform(&mut self),
        }
    }

    fn subscription(&self) -> Result<Answer, Refused> {
        if self.call.method != Method::GET {
            return Err(refusal::not_allowed(&self.call.method));
        }
        let id = self.target.scope.subscription();
        let body = serde_json::json!({
            "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": self.tenant,
            "displayName": "stand-in", "state": "Enabled", "authorizationSource": "RoleBased",
        });
        Ok(ok(&body))
    }

    fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.call.body).map_err(|error| refusal::unreadable(&error.to_string()))
    }

    /// The resource group that the target is in, which has to be there.
    fn group(&mut self) -> Result<store::Group, Refused> {
        let name = self.target.group();
        let path = groups::path(self.target.scope.subscription(), name).to_lowercase();
        let group = self.world.arm.groups.get(&path).cloned().ok_or_else(|| refusal::no_group(name))?;
        let is_write = matches!(Verb::of(&self.call.method), Verb::Write);
        if group.going && is_write {
            self.world.arm.look(&store::End::GroupDeleted(path));
            return Err(groups::going(name));
        }
        Ok(group)
    }

    fn refuse_method(&self) -> Refused {
        refusal::not_allowed(&self.call.method)
    }

    /// A page of a list.
    fn list(&self, all: Vec<Value>) -> Result<Answer, Refused> {
        page::answer(self.call, self.cloud, self.world.arm.habits.page_size, all)
    }
}

/// The operation that a request is, for faults and for the journal.
pub(crate) fn operation(call: &Call) -> Operation {
    let Some(target) = Target::of(&call.method, &call.segments()) else { return Operation::Unknown };
    let verb = match target.wanted {
        Wanted::All => Verb::List,
        Wanted::Action(_) => Verb::Act,
        Wanted::One => Verb::of(&call.method),
    };
    kind::operation(target.kind, verb)
}

/// The headers that only ARM has.
pub(crate) fn dressed(answer: Answer) -> Answer {
    let answer = with_header(answer, HeaderName::from_static("x-ms-correlation-request-id"), &random::uuid());
    let left = HeaderName::from_static("x-ms-ratelimit-remaining-subscription-global-reads");
    with_header(answer, left, "3749")
}

/// A refusal that a test orders.
pub(crate) fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    refusal::refused(status, code, message).into()
}

fn ok(body: &Value) -> Answer {
    json(StatusCode::OK, body)
}

fn made(is_new: bool, body: &Value) -> Answer {
    json(if is_new { StatusCode::CREATED } else { StatusCode::OK }, body)
}

/// Of Microsoft.ManagedIdentity, which says in `Location` where a new thing is: its id, without a host.
fn made_at(is_new: bool, body: &Value) -> Answer {
    let answer = made(is_new, body);
    match body["id"].as_str() {
        Some(id) if is_new => with_header(answer, header::LOCATION, id),
        _ => answer,
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

fn gone(was_there: bool) -> Answer {
    empty(if was_there { StatusCode::OK } else { StatusCode::NO_CONTENT })
}

/// At most 50.
fn checked(tags: Option<Tags>) -> Result<Option<Tags>, Refused> {
    match tags {
        Some(tags) if tags.len() > 50 => Err(refusal::too_many_tags(tags.len())),
        tags => Ok(tags),
    }
}

/// The location that a body has, in its short form.
fn location(target: &Target, given: Option<&str>) -> Result<&'static str, Refused> {
    let given = given.ok_or_else(refusal::no_location)?;
    kind::location(given).ok_or_else(|| refusal::no_such_location(target.kind.row(), given))
}
