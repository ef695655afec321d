//! A HostedCluster that is wired and mounted, and what is told when its credentials are not as they should be.

use hcp_identity_api::hosted_cluster::HostedCluster;
use jiff::SignedDuration;

use super::*;
use crate::{
    component::Id,
    freshness::{self, Freshness, Limits, Mount},
    observed::{Mounted, Observed, Phase, Pod},
    plan::{Plan, gate, plan},
    settings::daemon::CredentialCheck,
    testing::{hosted_cluster, set, settings, workload_identities},
    verification::{Standing, Verification},
};

fn at(text: &str) -> Timestamp {
    format!("2026-{text}Z").parse().unwrap()
}

struct World {
    plan: Plan,
    states: Vec<ComponentState>,
    credentials: Credentials,
    previous: Option<ControlPlaneIdentityStatus>,
}

impl World {
    fn unchecked() -> Self {
        let cluster = serde_json::from_value::<HostedCluster>(hosted_cluster()).unwrap();
        let plan = plan(&cluster, &settings()).plan.unwrap();
        let states = plan.identities().named.iter().map(|identity| ComponentState {
            wired: true,
            pods: 1,
            mounted_pods: 1,
            mounted_versions: vec!["v1".into()],
            ..ComponentState::new(identity.component, Reason::Ready)
        });
        Self { states: states.collect(), plan, credentials: Credentials::default(), previous: None }
    }

    /// Each credential has passed and is fresh, and ends on the last day of the year.
    fn checked() -> Self {
        let mut world = Self::unchecked();
        let verification = Verification {
            standing: Standing::Passed,
            version: Some("v1".into()),
            created: Some("2026-11-01T00:00:00.123456789Z".parse().unwrap()),
            not_after: Some(at("12-31T00:00:00")),
            ..Verification::default()
        };
        let mount = Mount {
            pod: "pod".into(),
            created: None,
            version: "v1".into(),
            since: "2026-11-01T00:00:00.987654321Z".parse().unwrap(),
            not_after: Some(at("12-31T00:00:00")),
            older_not_after: None,
        };
        let fresh =
            Freshness { reason: Some(Reason::Ready), message: String::new(), mounts: vec![mount], late: Vec::new() };
        world.credentials.check = CredentialCheck::Content;
        world.credentials.verified = world.states.iter().map(|state| (state.id, verification.clone())).collect();
        world.credentials.freshness = world.states.iter().map(|state| (state.id, fresh.clone())).collect();
        world
    }

    fn verified(&mut self, id: Id) -> &mut Verification {
        self.credentials.verified.get_mut(&id).unwrap()
    }

    fn fresh(&mut self, id: Id, reason: Reason, message: &str) {
        let fresh = self.credentials.freshness.get_mut(&id).unwrap();
        (fresh.reason, fresh.message) = (Some(reason), message.to_owned());
    }

    fn tell(&mut self) -> Told {
        let cluster = Cluster { identities: Some(self.plan.identities().clone()), ..Cluster::default() };
        let difference = Difference { components: self.states.clone(), ..Difference::default() };
        let outcome = Outcome::Planned { difference, failures: Vec::new() };
        let told = tell(&cluster, "plane", &outcome, &self.credentials, self.previous.as_ref(), at("11-02T00:00:00"));
        // As the API server gives it back.
        let stored = serde_json::to_value(&told.status).unwrap();
        self.previous = Some(serde_json::from_value(stored).unwrap());
        told
    }
}

/// Status and reason of a condition.
fn condition(told: &Told, kind: &str) -> (String, String) {
    let condition = told.status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn is(status: &str, reason: Reason) -> (String, String) {
    (status.to_owned(), reason.to_string())
}

#[test]
fn what_is_not_checked_lowers_nothing() {
    let told = World::unchecked().tell();
    assert_eq!(condition(&told, "Ready"), is("True", Reason::Ready));
    assert_eq!(condition(&told, "Verified"), is("Unknown", Reason::NotChecked));
    assert_eq!(condition(&told, "Fresh"), is("Unknown", Reason::NotChecked));
    assert_eq!(told.status.expires, "");
    assert!(told.status.components.iter().all(|component| component.credential.is_none()));
}

#[test]
fn what_has_passed_and_is_fresh_is_told_and_the_first_end_with_it() {
    let mut world = World::checked();
    world.verified(Id::Disk).not_after = Some(at("12-05T00:00:00"));
    world.verified(Id::File).vault.expires = Some(at("12-04T00:00:00"));
    let told = world.tell();
    for kind in ["Ready", "Verified", "Fresh"] {
        assert_eq!(condition(&told, kind), is("True", Reason::Ready), "{kind}");
    }
    assert_eq!(told.status.expires, "2026-12-04T00:00:00Z");
}

/// Fractions of seconds do not come back from the API server.
#[test]
fn the_same_again_is_the_same_status_and_no_news() {
    let mut world = World::checked();
    world.tell();
    let previous = world.previous.clone();
    let again = world.tell();
    assert_eq!(Some(again.status), previous);
    assert_eq!(again.news, []);
}

#[test]
fn a_failed_credential_is_told_where_it_is_and_of_the_whole() {
    let mut world = World::checked();
    let message = "has no certificate; store one".to_owned();
    world.verified(Id::Kms).standing = Standing::Failed { message: message.clone() };
    let state = world.states.iter_mut().find(|state| state.id == Id::Kms).unwrap();
    (state.reason, state.message) = (Reason::CredentialFailed, message.clone());
    let told = world.tell();
    assert_eq!(condition(&told, "Ready"), is("False", Reason::CredentialFailed));
    assert_eq!(condition(&told, "Verified"), is("False", Reason::CredentialFailed));
    assert_eq!(condition(&told, "Stalled"), is("True", Reason::CredentialFailed));
    assert_eq!(told.news, [News { reason: Reason::CredentialFailed, message: format!("kms: {message}") }]);
    let credential = told.status.components.last().unwrap().credential.clone().unwrap();
    assert_eq!((credential.check.as_str(), credential.message), ("Failed", message));
}

#[test]
fn only_the_vaults_word_is_no_check_of_the_content() {
    let mut world = World::checked();
    world.credentials.check = CredentialCheck::Metadata;
    let told = world.tell();
    assert_eq!(condition(&told, "Verified"), is("Unknown", Reason::NotChecked));
    assert_eq!(condition(&told, "Ready"), is("True", Reason::Ready));
}

#[test]
fn a_credential_on_its_way_lowers_nothing_and_is_noted() {
    let mut world = World::checked();
    world.fresh(Id::Network, Reason::ReloadPending, "reloads soon");
    let told = world.tell();
    assert_eq!(condition(&told, "Ready"), is("True", Reason::Ready));
    assert_eq!(condition(&told, "Fresh"), is("True", Reason::ReloadPending));
    let network = told.status.components.iter().find(|component| component.id == "network").unwrap();
    assert_eq!((network.reason.as_str(), network.message.as_str()), ("ReloadPending", "reloads soon"));
    assert!(told.status.conditions[0].message.contains("network: ReloadPending"), "{:?}", told.status.conditions[0]);
}

#[test]
fn a_credential_that_is_late_is_the_worst_of_its_component() {
    let mut world = World::checked();
    world.fresh(Id::Network, Reason::RotationFailing, "is late");
    let state = world.states.iter_mut().find(|state| state.id == Id::Network).unwrap();
    (state.reason, state.message) = (Reason::WaitingForPod, "has not started".to_owned());
    let told = world.tell();
    assert_eq!(condition(&told, "Fresh"), is("False", Reason::RotationFailing));
    assert_eq!(condition(&told, "Ready"), is("False", Reason::RotationFailing));
    let network = told.status.components.iter().find(|component| component.id == "network").unwrap();
    assert_eq!(network.message, "is late; has not started");
}

#[test]
fn a_vault_that_does_not_tell_is_one_line() {
    let mut world = World::checked();
    let message = "the vault v does not answer".to_owned();
    world.credentials.trouble = Some(Trouble { message: message.clone(), since: at("11-02T00:00:00") });
    let told = world.tell();
    assert_eq!(condition(&told, "Ready"), is("True", Reason::Ready), "what passed before counts");
    assert!(told.status.conditions[0].message.ends_with(&message));
    world.credentials.verified.clear();
    world.credentials.freshness.values_mut().for_each(|fresh| fresh.reason = None);
    for state in &mut world.states {
        (state.reason, state.message) = (Reason::CredentialNotChecked, "not yet".to_owned());
    }
    let told = world.tell();
    assert_eq!(condition(&told, "Ready"), is("False", Reason::CredentialNotChecked));
    assert_eq!(condition(&told, "Verified"), is("Unknown", Reason::CredentialNotChecked));
    assert_eq!(condition(&told, "Fresh"), is("Unknown", Reason::NotChecked));
    assert_eq!(told.status.conditions[0].message.matches(&message).count(), 1);
    assert!(told.status.components.iter().all(|component| component.message == "not yet"));
}

#[test]
fn a_restart_forgets_neither_the_check_nor_the_deadline() {
    let mut world = World::checked();
    let told = world.tell().status;
    let identity = world.plan.identities().named[0].clone();
    let known = remembered(&told, &identity).unwrap();
    assert_eq!((known.standing, known.version.as_deref()), (Standing::Passed, Some("v1")));
    assert_eq!(known.not_after, Some(at("12-31T00:00:00")));
    let mut other = identity;
    other.secret = crate::names::SecretName::new("another").unwrap();
    assert_eq!(remembered(&told, &other), None, "that was another secret's");
}

/// From a status to the next, with the API server between them: the deadline is that of the first sight.
#[test]
fn the_first_sight_of_a_version_is_kept_in_the_status() {
    let mut world = World::checked();
    let before = world.tell().status.components.remove(0);
    let id = world.states[0].id;
    let pod = Pod { name: "pod".into(), mounts: vec![id], phase: Phase::Running, ..Pod::default() };
    let mounted = Mounted { pod: "pod".into(), component: id, mounted: true, versions: vec!["v1".into()] };
    let observed = Observed { pods: vec![pod], mounted: vec![mounted], ..Observed::default() };
    let limits = Limits { driver_poll: SignedDuration::from_hours(1), consumer_reload: SignedDuration::from_hours(6) };
    let known = Verification::default();
    let fresh = freshness::look(id, &observed, &known, Some(&before), limits, at("11-05T00:00:00"));
    assert_eq!(fresh.mounts[0].since, at("11-01T00:00:00"));
    assert_eq!(fresh.mounts[0].not_after, Some(at("12-31T00:00:00")));
}

/// What the daemon says of a HostedCluster with workload identities.
fn told_of_tokens(issuer: &str, tweak: impl FnOnce(&mut Vec<ComponentState>)) -> Told {
    let mut object = workload_identities();
    set(&mut object, "/spec/issuerURL", serde_json::json!(issuer));
    let gated = gate(&serde_json::from_value(object).unwrap());
    let identities = gated.workload_identities.unwrap();
    let ids = identities.named.iter().map(|identity| identity.component);
    let ready = |id| ComponentState { wired: true, pods: 1, mounted_pods: 1, ..ComponentState::new(id, Reason::Ready) };
    let mut states: Vec<_> = ids.map(ready).collect();
    tweak(&mut states);
    let cluster = Cluster { workload_identities: Some(identities), problems: gated.problems, ..Cluster::default() };
    let outcome = Outcome::Federated { components: states, waiting: false };
    tell(&cluster, "plane", &outcome, &Credentials::default(), None, at("11-02T00:00:00"))
}

#[test]
fn a_control_plane_that_is_given_its_tokens_is_ready_and_lists_what_azure_must_have() {
    let told = told_of_tokens("https://oidc.example.com/prod", |_| {});
    assert_eq!(condition(&told, "Ready"), is("True", Reason::WorkloadIdentities));
    assert_eq!(condition(&told, "Wired"), is("True", Reason::Ready));
    assert_eq!(condition(&told, "Mounted"), is("True", Reason::Ready));
    assert_eq!(condition(&told, "Verified"), is("Unknown", Reason::NotChecked));
    assert_eq!(condition(&told, "Stalled"), is("False", Reason::WorkloadIdentities));
    assert_eq!((&*told.status.wired, &*told.status.mounted), ("8/8", "8/8"));
    let disk = told.status.components.iter().find(|component| component.id == "disk").unwrap();
    assert_eq!((&*disk.client_id, &*disk.provider_class, &*disk.secret_name), (CLIENT, "", ""));
    let credentials = disk.federated_credentials.iter().map(|one| (&*one.name, &*one.issuer, &*one.subject));
    let of = |account| format!("system:serviceaccount:openshift-cluster-csi-drivers:azure-disk-csi-driver-{account}");
    let (node, operator, controller) = (of("node-sa"), of("operator"), of("controller-sa"));
    let issuer = "https://oidc.example.com/prod";
    assert_eq!(
        credentials.collect::<Vec<_>>(),
        [
            ("prod-disk-fed-id-node", issuer, &*node),
            ("prod-disk-fed-id-operator", issuer, &*operator),
            ("prod-disk-fed-id-controller", issuer, &*controller),
        ]
    );
    assert!(disk.federated_credentials.iter().all(|one| one.audiences == ["openshift"]));
}

const CLIENT: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_control_plane_that_is_not_given_its_tokens_is_told_by_its_worst_component_and_what_is_odd() {
    let told = told_of_tokens("https://oidc.example.com/prod/", |states| {
        for (id, reason) in [(Id::Ingress, Reason::OtherIdentity), (Id::Disk, Reason::NotFederated)] {
            let state = states.iter_mut().find(|state| state.id == id).unwrap();
            (state.reason, state.message, state.wired) = (reason, "why".to_owned(), false);
        }
    });
    assert_eq!(condition(&told, "Ready"), is("False", Reason::NotFederated));
    assert_eq!(condition(&told, "Wired"), is("False", Reason::NotFederated));
    assert_eq!(condition(&told, "Stalled"), is("True", Reason::NotFederated));
    let message = &told.status.conditions[0].message;
    assert!(message.starts_with("disk: why; ") && message.contains("ends with a slash"), "{message}");
    let news: Vec<_> = told.news.iter().map(|news| news.reason).collect();
    assert_eq!(news, [Reason::NotFederated, Reason::OtherIdentity]);
}
