//! One control plane as it should be, and what is done about each thing that is not.

use std::sync::Arc;

use hcp_identity_api::hosted_cluster::HostedCluster;
use serde_json::{Value, json};

use super::*;
use crate::{
    component::COMPONENTS,
    observed::{AdmissionTrouble, Class, MANAGER, Mounted, Owner, Phase, Pod, Workload},
    plan::plan,
    testing::{hosted_cluster, set, settings, unset},
    verification::{Standing, Verification},
};

const HYPERSHIFT: &str = "control-plane-operator-manager";

/// A world: the HostedCluster, what is there, and what has been written before.
pub(super) struct World {
    cluster: Value,
    pub(super) observed: Observed,
    ledger: Ledger<LedgerKey>,
    now: Circumstances,
}

impl World {
    /// All nine identities, an empty control plane namespace, the right to write.
    fn empty() -> Self {
        let (pod_patch, capz) = (PodPatch::Workload, AzureClusterIdentityWriting::None);
        Self {
            cluster: hosted_cluster(),
            observed: Observed {
                namespace_exists: true,
                driver_installed: true,
                capz_installed: true,
                ..Observed::default()
            },
            ledger: Ledger::default(),
            now: Circumstances {
                permission: Permission::Write,
                pod_patch,
                fallback: PolicyFallback::None,
                capz,
                check: CredentialCheck::None,
                may_delete: true,
                now: Duration::ZERO,
            },
        }
    }

    /// Classes of ours and a Deployment for every pod of the table, none of it wired.
    pub(super) fn classes_and_workloads() -> Self {
        let mut world = Self::empty();
        for class in world.plan().provider_classes() {
            let id = COMPONENTS.iter().find(|row| Some(row.class) == class.metadata.name.as_deref()).unwrap().id;
            world.observed.classes.insert(id, class_of(&class, MANAGER));
        }
        let mut apps: Vec<_> = COMPONENTS.iter().flat_map(|row| row.pods).map(|pod| pod.app).collect();
        apps.sort_unstable();
        apps.dedup();
        world.observed.workloads = apps.into_iter().map(workload).collect();
        world
    }

    fn plan(&self) -> Plan {
        plan(&serde_json::from_value::<HostedCluster>(self.cluster.clone()).unwrap(), &settings()).plan.unwrap()
    }

    fn diff(&mut self) -> Difference {
        diff(&self.plan(), &self.observed, self.now, &mut self.ledger)
    }

    /// Diffs and plays the API server until nothing is left to be done: the number of writes.
    pub(super) fn settle(&mut self) -> usize {
        let mut writes = 0;
        loop {
            let changes = self.diff().changes;
            if changes.is_empty() {
                return writes;
            }
            for change in changes {
                writes += 1;
                assert!(writes < 100, "never settles");
                self.ledger.wrote(&change.ledger_key(), change.content(), self.now.now);
                self.apply(change);
            }
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::ApplyClass { class, .. } => {
                let id = COMPONENTS.iter().find(|row| Some(row.class) == class.metadata.name.as_deref()).unwrap().id;
                self.observed.classes.insert(id, class_of(&class, MANAGER));
            }
            Change::DeleteClass { name, .. } => {
                self.observed.classes.retain(|id, _| Component::of(*id).class != name);
            }
            Change::ApplyCapzIdentity { .. } => {}
            Change::ApplyWorkload { name, template, .. } => {
                let workload = self.observed.workloads.iter_mut().find(|workload| workload.name == name).unwrap();
                apply_workload(workload, &template);
            }
        }
    }

    pub(super) fn component(&mut self, id: &str) -> ComponentState {
        self.diff().components.into_iter().find(|state| state.id.to_string() == id).unwrap()
    }

    fn workload(&mut self, app: &str) -> &mut Workload {
        self.observed.workloads.iter_mut().find(|workload| &*workload.name == app).unwrap()
    }
}

fn class_of(class: &SecretProviderClass, manager: &str) -> Class {
    let parameters = class.spec.parameters.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
    let fields = class.spec.parameters.keys().map(|name| name.as_str().into()).chain(["provider".into()]).collect();
    Class {
        version: Version { uid: "u".into(), resource_version: "1".into() },
        made_by_us: manager == MANAGER,
        adopted: manager != MANAGER,
        provider: class.spec.provider.as_str().into(),
        parameters: parameters.collect(),
        owners: vec![Owner { manager: manager.into(), fields }],
        ..Class::default()
    }
}

fn workload(app: &str) -> Workload {
    let mut names: Vec<_> = COMPONENTS
        .iter()
        .flat_map(|row| row.pods)
        .filter(|pod| pod.app == app)
        .flat_map(|pod| pod.containers)
        .map(|c| c.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let containers: Vec<_> = names.into_iter().map(|name| json!({"name": name})).collect();
    Workload {
        name: app.into(),
        version: Version { uid: app.into(), resource_version: "1".into() },
        template: json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": containers}}),
        ..Workload::default()
    }
}

/// What server-side apply by us makes of a template that nobody else has our items in.
fn apply_workload(workload: &mut Workload, applied: &Value) {
    let ours = |item: &Value, list: &[Value], key: &str| list.iter().any(|other| other[key] == item[key]);
    let mut owners = Vec::new();
    let empty = Vec::new();
    let spec = &mut workload.template["spec"];
    let wanted = applied["volumes"].as_array().unwrap_or(&empty);
    let there = spec["volumes"].as_array().cloned().unwrap_or_default();
    let kept = there.into_iter().filter(|volume| {
        !workload.owners.iter().any(|(item, _)| *item == Item::Volume(volume["name"].as_str().unwrap().into()))
    });
    spec["volumes"] = kept.filter(|volume| !ours(volume, wanted, "name")).chain(wanted.iter().cloned()).collect();
    owners.extend(wanted.iter().map(|volume| Item::Volume(volume["name"].as_str().unwrap().into())));
    for container in spec["containers"].as_array_mut().unwrap() {
        let name: Box<str> = container["name"].as_str().unwrap().into();
        let applied = applied["containers"].as_array().and_then(|all| all.iter().find(|one| one["name"] == *name));
        for (list, key) in [("volumeMounts", "mountPath"), ("env", "name")] {
            let wanted = applied.and_then(|applied| applied[list].as_array()).unwrap_or(&empty);
            let item = |value: &Value| {
                let value = value[key].as_str().unwrap().into();
                if list == "env" { Item::Env(name.clone(), value) } else { Item::Mount(name.clone(), value) }
            };
            let there = container[list].as_array().cloned().unwrap_or_default();
            let kept =
                there.into_iter().filter(|value| !workload.owners.iter().any(|(owned, _)| *owned == item(value)));
            container[list] = kept.filter(|value| !ours(value, wanted, key)).chain(wanted.iter().cloned()).collect();
            owners.extend(wanted.iter().map(item));
        }
    }
    workload.owners = owners.into_iter().map(|item| (item, vec![MANAGER.into()])).collect();
}

use crate::observed::Item;

#[test]
fn classes_come_first_and_workloads_when_all_their_classes_are_there() {
    let mut world = World::classes_and_workloads();
    world.observed.classes.clear();
    let first = world.diff();
    assert_eq!(first.changes.len(), 9);
    assert!(first.changes.iter().all(|change| matches!(change, Change::ApplyClass { planned_from: None, .. })));
    assert!(first.components.iter().all(|state| state.reason == Reason::Applying && !state.wired));
    assert_eq!(world.settle(), 9 + 12 - 1, "nine classes, and one write for each of the eleven workloads");
    assert!(world.diff().components.iter().all(|state| state.wired));
    assert_eq!(world.settle(), 0);
}

#[test]
fn a_pod_of_two_components_is_written_once() {
    let mut world = World::classes_and_workloads();
    let kms = world.observed.classes.remove(&Id::Kms).unwrap();
    let changes = world.diff().changes;
    assert!(
        !changes.iter().any(|change| &*change.key().name == "control-plane-operator"),
        "it would be rolled out twice"
    );
    world.observed.classes.insert(Id::Kms, kms);
    let writes = world.diff().changes.into_iter().filter(|change| &*change.key().name == "control-plane-operator");
    assert_eq!(writes.count(), 1);
}

/// What a class that cannot be had holds back is its own pods alone, not those of its neighbour.
#[test]
fn a_blocked_class_does_not_hold_its_neighbour_back() {
    let mut world = World::classes_and_workloads();
    let class = world.observed.classes.get_mut(&Id::Kms).unwrap();
    *class = Class { made_by_us: false, adopted: true, ..class.clone() };
    class.owners[0].manager = HYPERSHIFT.into();
    class.parameters.insert("keyvaultName".into(), "other".into());
    world.settle();
    let operator = world.workload("control-plane-operator").template.to_string();
    assert!(operator.contains("cpo-cert") && !operator.contains("kms-cert"), "{operator}");
    assert_eq!(world.component("kms").reason, Reason::ForeignDrift);
    assert!(world.component("cpo").wired);
}

#[test]
fn equal_content_is_left_alone_whoever_wrote_it() {
    let mut world = World::classes_and_workloads();
    world.settle();
    for class in world.observed.classes.values_mut() {
        class.owners[0].manager = HYPERSHIFT.into();
        (class.made_by_us, class.adopted) = (false, true);
    }
    for workload in &mut world.observed.workloads {
        workload.owners.iter_mut().for_each(|(_, owners)| *owners = vec![HYPERSHIFT.into()]);
    }
    assert_eq!(world.diff().changes, []);
    assert!(world.diff().components.iter().all(|state| state.wired));
}

#[test]
fn foreign_content_is_reported_with_manager_and_field() {
    let mut world = World::classes_and_workloads();
    let class = world.observed.classes.get_mut(&Id::Ingress).unwrap();
    class.owners[0].manager = HYPERSHIFT.into();
    class.parameters.insert("tenantId".into(), "other".into());
    let state = world.component("ingress");
    assert_eq!(state.reason, Reason::ForeignDrift);
    assert!(state.message.contains("tenantId") && state.message.contains(HYPERSHIFT), "{}", state.message);
    assert!(!world.diff().changes.iter().any(|change| change.key().kind == Kind::SecretProviderClass));
}

#[test]
fn what_is_ours_follows_the_hosted_cluster() {
    let mut world = World::classes_and_workloads();
    world.settle();
    set(&mut world.cluster, "@/controlPlane/ingress/credentialsSecretName", json!("renamed"));
    assert_eq!(world.settle(), 2, "the class, then the env of its pod");
    assert!(world.workload("ingress-operator").template.to_string().contains("/mnt/certs/renamed"));
}

/// A pod that is rolled out onto a secret which its class does not name yet would not start.
#[test]
fn a_renamed_secret_reaches_the_pods_when_its_class_has_been_seen() {
    let mut world = World::classes_and_workloads();
    world.settle();
    set(&mut world.cluster, "@/controlPlane/ingress/credentialsSecretName", json!("renamed"));
    let changes = world.diff().changes;
    assert!(matches!(&changes[..], [Change::ApplyClass { .. }]), "{changes:#?}");
    // Refused for good: the pods keep what works.
    let class = world.observed.classes.get_mut(&Id::Ingress).unwrap();
    class.owners[0].manager = HYPERSHIFT.into();
    world.settle();
    assert!(world.workload("ingress-operator").template.to_string().contains("/mnt/certs/prod-ingress"));
}

/// A parameter that another manager has taken over is no longer ours to change.
#[test]
fn a_leaf_that_was_taken_over_is_theirs() {
    let mut world = World::classes_and_workloads();
    let class = world.observed.classes.get_mut(&Id::Disk).unwrap();
    class.owners[0].fields.retain(|field| &**field != "keyvaultName");
    class.owners.push(Owner { manager: "kubectl-edit".into(), fields: vec!["keyvaultName".into()] });
    class.parameters.insert("keyvaultName".into(), "other".into());
    assert_eq!(world.component("disk").reason, Reason::ForeignDrift);
}

#[test]
fn an_identity_that_is_gone_leaves_the_pods_first_and_the_class_last() {
    let mut world = World::classes_and_workloads();
    world.settle();
    unset(&mut world.cluster, "@/controlPlane/imageRegistry");
    world.observed.pods.push(Pod {
        name: "p".into(),
        app: "cluster-image-registry-operator".into(),
        mounts: vec![Id::Registry],
        phase: Phase::Running,
        ..Pod::default()
    });
    assert_eq!(world.settle(), 1, "only the workload");
    assert!(!world.workload("cluster-image-registry-operator").template.to_string().contains("managed-azure"));
    assert!(world.observed.classes.contains_key(&Id::Registry));
    world.observed.pods[0].phase = Phase::Ended;
    assert_eq!(world.settle(), 1, "the class");
    assert!(!world.observed.classes.contains_key(&Id::Registry));
}

/// The watch of pods may lag behind that of workloads: an old ReplicaSet may have made a pod that nobody has told us of.
#[test]
fn a_class_stays_until_the_rollout_that_leaves_it_is_over() {
    let mut world = World::classes_and_workloads();
    unset(&mut world.cluster, "@/controlPlane/imageRegistry");
    world.workload("cluster-image-registry-operator").rolling = true;
    assert!(!world.diff().changes.iter().any(|change| matches!(change, Change::DeleteClass { .. })));
    assert!(world.diff().waiting);
    world.workload("cluster-image-registry-operator").rolling = false;
    assert!(world.diff().changes.iter().any(|change| matches!(change, Change::DeleteClass { .. })));
}

/// What we wrote may be the very volume.
#[test]
fn a_class_stays_while_a_write_to_its_workload_is_unseen() {
    let mut world = World::classes_and_workloads();
    unset(&mut world.cluster, "@/controlPlane/imageRegistry");
    let name = "cluster-image-registry-operator".into();
    world.observed.unseen_writes = vec![ObjectKey { kind: Kind::Deployment, name }];
    assert!(!world.diff().changes.iter().any(|change| matches!(change, Change::DeleteClass { .. })));
    world.observed.unseen_writes.clear();
    assert!(world.diff().changes.iter().any(|change| matches!(change, Change::DeleteClass { .. })));
}

/// What an earlier leader has sent may still wire a pod.
#[test]
fn nothing_is_deleted_right_after_a_start() {
    let mut world = World::classes_and_workloads();
    unset(&mut world.cluster, "@/controlPlane/imageRegistry");
    world.now.may_delete = false;
    world.settle();
    assert!(world.observed.classes.contains_key(&Id::Registry) && world.diff().waiting);
    world.now.may_delete = true;
    world.settle();
    assert!(!world.observed.classes.contains_key(&Id::Registry));
}

#[test]
fn a_class_that_somebody_has_adopted_is_never_deleted() {
    let not_ours: [fn(&mut Class); 3] = [
        |class| class.adopted = true,
        |class| class.made_by_us = false,
        |class| class.owners.push(Owner { manager: HYPERSHIFT.into(), fields: Vec::new() }),
    ];
    for tweak in not_ours {
        let mut world = World::classes_and_workloads();
        unset(&mut world.cluster, "@/controlPlane/imageRegistry");
        tweak(world.observed.classes.get_mut(&Id::Registry).unwrap());
        world.settle();
        assert!(world.observed.classes.contains_key(&Id::Registry));
    }
}

#[test]
fn three_reverts_end_it_and_name_the_other_writer() {
    let mut world = World::classes_and_workloads();
    let fresh = world.workload("ingress-operator").clone();
    world.settle();
    for round in 1..=3 {
        *world.workload("ingress-operator") =
            Workload { owners: vec![(Item::Volume("tmp-dir".into()), vec![HYPERSHIFT.into()])], ..fresh.clone() };
        assert_eq!(world.settle(), usize::from(round < 4), "round {round}");
    }
    *world.workload("ingress-operator") =
        Workload { owners: vec![(Item::Volume("tmp-dir".into()), vec![HYPERSHIFT.into()])], ..fresh };
    assert_eq!(world.settle(), 0);
    let state = world.component("ingress");
    assert_eq!(state.reason, Reason::Contested);
    assert_eq!(&*state.contested[0].1, HYPERSHIFT);
    assert!(state.message.contains("recheck"), "{}", state.message);
}

/// Its operator undoes it within half a second, each time with two rollouts.
#[test]
fn library_gos_deployments_are_not_wired_twice() {
    let mut world = World::classes_and_workloads();
    let disk = "azure-disk-csi-driver-controller";
    world.workload(disk).library_go = true;
    let fresh = world.workload(disk).clone();
    world.settle();
    *world.workload(disk) = fresh;
    assert_eq!(world.settle(), 0);
    assert_eq!(world.component("disk").reason, Reason::Contested);
}

#[test]
fn what_was_written_has_to_be_seen_before_more_is() {
    let mut world = World::classes_and_workloads();
    let class = ObjectKey { kind: Kind::SecretProviderClass, name: Component::of(Id::Ingress).class.into() };
    let workload = ObjectKey { kind: Kind::Deployment, name: "azure-file-csi-driver-controller".into() };
    world.observed.unseen_writes = vec![class, workload];
    let difference = world.diff();
    assert!(difference.waiting);
    let written: Vec<_> = difference.changes.iter().map(|change| change.key().name).collect();
    assert!(!written.iter().any(|name| ["ingress-operator", "azure-file-csi-driver-controller"].contains(&&**name)));
}

#[test]
fn without_permission_everything_is_told_and_nothing_written() {
    for reason in [Reason::Paused, Reason::Observing, Reason::Deleting] {
        let mut world = World::classes_and_workloads();
        world.observed.classes.clear();
        world.now.permission = Permission::Not(reason);
        let difference = world.diff();
        assert_eq!(difference.changes, []);
        assert!(difference.components.iter().all(|state| state.reason == reason), "{:#?}", difference.components);
    }
}

#[test]
fn pods_are_left_alone_where_nobody_is_to_patch_them() {
    let mut world = World::classes_and_workloads();
    world.now.pod_patch = PodPatch::None;
    assert_eq!(world.diff().changes, []);
    assert_eq!(world.component("ingress").reason, Reason::PatchedByNobody);
}

#[test]
fn a_missing_workload_is_waited_for() {
    let mut world = World::classes_and_workloads();
    world.observed.workloads.retain(|workload| &*workload.name != "kube-apiserver");
    world.settle();
    let state = world.component("kms");
    assert_eq!((state.reason, state.wired), (Reason::WaitingForWorkload, false));
    // Its second pod, whose operator is there, is wired all the same.
    assert!(world.workload("control-plane-operator").template.to_string().contains("kms-cert"));
}

#[test]
fn a_foreign_volume_of_our_name_is_left_alone_and_its_writer_named() {
    let mut world = World::classes_and_workloads();
    let workload = world.workload("ingress-operator");
    workload.template["spec"]["volumes"] = json!([{"name": "ingress-cert", "secret": {"secretName": "theirs"}}]);
    workload.owners = vec![(Item::Volume("ingress-cert".into()), vec!["helm".into()])];
    world.settle();
    let state = world.component("ingress");
    assert_eq!(state.reason, Reason::ForeignDrift);
    assert!(state.message.contains("(written by helm)"), "{}", state.message);
}

#[test]
fn mounts_are_counted_and_empty_ones_told() {
    let mut world = World::classes_and_workloads();
    world.settle();
    let pod = |name: &str| Pod {
        name: name.into(),
        app: "ingress-operator".into(),
        mounts: vec![Id::Ingress],
        phase: Phase::Running,
        ..Pod::default()
    };
    world.observed.pods = vec![pod("a"), pod("b")];
    let mounted =
        |pod: &str, mounted| Mounted { pod: pod.into(), component: Id::Ingress, mounted, versions: vec!["v1".into()] };
    world.observed.mounted = vec![mounted("a", true), mounted("b", false), mounted("gone", true)];
    let state = world.component("ingress");
    assert_eq!((state.pods, state.mounted_pods, state.reason), (2, 1, Reason::EmptyMount));
    assert!(state.message.contains("describe pod b"), "{}", state.message);
    world.observed.pods[1].phase = Phase::Pending;
    assert_eq!(world.component("ingress").reason, Reason::WaitingForPod, "the kubelet may be on its way");
    world.observed.mounted[1].mounted = true;
    assert_eq!(world.component("ingress").reason, Reason::Ready);
    world.observed.pods[1].mounts.clear();
    world.observed.pods[1].phase = Phase::Running;
    assert_eq!(world.component("ingress").reason, Reason::NotInjected, "one of before");
    world.observed.pods.clear();
    assert_eq!(world.component("ingress").reason, Reason::WaitingForPod);
}

/// HyperShift takes a seventh parameter away whenever it adopts or changes a class.
#[test]
fn extra_parameters_go_only_onto_classes_that_are_ours_alone() {
    let mut world = World::classes_and_workloads();
    let extra = [("cloudName".to_owned(), "AzureUSGovernmentCloud".to_owned())];
    let with_extra = crate::settings::Settings { extra_parameters: extra.into(), ..(*settings()).clone() };
    let cluster = serde_json::from_value::<HostedCluster>(world.cluster.clone()).unwrap();
    let plan = plan(&cluster, &Arc::new(with_extra)).plan.unwrap();
    world.observed.classes.get_mut(&Id::File).unwrap().adopted = true;
    let difference = diff(&plan, &world.observed, world.now, &mut world.ledger);
    let classes = difference.changes.iter().filter(|change| change.key().kind == Kind::SecretProviderClass);
    assert_eq!(classes.count(), 8);
    let file = difference.components.iter().find(|state| state.id == Id::File).unwrap();
    assert!(file.notes.iter().any(|note| note.contains("cloudName")), "{file:#?}");
}

/// Every credential has this standing, and the vault has its version.
fn checked(world: &mut World, check: CredentialCheck, standing: &Standing) {
    world.now.check = check;
    let verification = Verification {
        standing: standing.clone(),
        created: Some(jiff::Timestamp::UNIX_EPOCH),
        ..Verification::default()
    };
    world.observed.verified = COMPONENTS.iter().map(|row| (row.id, verification.clone())).collect();
}

fn failed() -> Standing {
    Standing::Failed { message: "has ended".into() }
}

#[test]
fn without_checks_nothing_is_asked_of_a_credential() {
    let mut world = World::classes_and_workloads();
    checked(&mut world, CredentialCheck::None, &failed());
    assert_eq!(world.settle(), 11);
    assert_ne!(world.component("ingress").reason, Reason::CredentialFailed);
}

#[test]
fn no_pod_is_wired_to_a_credential_that_failed_or_is_not_known() {
    for (standing, reason) in [(failed(), Reason::CredentialFailed), (Standing::Unknown, Reason::CredentialNotChecked)]
    {
        let mut world = World::classes_and_workloads();
        world.observed.classes.clear();
        checked(&mut world, CredentialCheck::Content, &standing);
        assert_eq!(world.settle(), 9, "the classes, which nobody mounts");
        let state = world.component("ingress");
        assert_eq!((state.reason, state.wired), (reason, false));
        checked(&mut world, CredentialCheck::Content, &Standing::Passed);
        assert_eq!(world.settle(), 11);
        assert!(world.component("ingress").wired);
    }
}

#[test]
fn what_nothing_is_known_of_waits() {
    let mut world = World::classes_and_workloads();
    world.now.check = CredentialCheck::Metadata;
    assert_eq!(world.settle(), 0);
    assert_eq!(world.component("ingress").reason, Reason::CredentialNotChecked);
    checked(&mut world, CredentialCheck::Metadata, &Standing::Unknown);
    assert_eq!(world.settle(), 11, "the vault has a version, and no more is wanted");
}

#[test]
fn what_is_wired_stays_wired_whatever_becomes_of_its_credential() {
    let mut world = World::classes_and_workloads();
    world.settle();
    for standing in [failed(), Standing::Unknown] {
        checked(&mut world, CredentialCheck::SignIn, &standing);
        assert_eq!(world.diff().changes, []);
        let state = world.component("ingress");
        assert!(state.wired && !state.reason.is_good(), "{state:?}");
    }
}

#[test]
fn what_has_passed_before_may_be_wired_while_its_successor_is_looked_at() {
    let mut world = World::classes_and_workloads();
    checked(&mut world, CredentialCheck::Content, &Standing::PassedBefore);
    assert_eq!(world.settle(), 11);
}

/// The pods keep what works: a failed credential reaches none, not by a new name either.
#[test]
fn a_renamed_secret_reaches_the_pods_when_it_has_passed() {
    let mut world = World::classes_and_workloads();
    world.settle();
    set(&mut world.cluster, "@/controlPlane/ingress/credentialsSecretName", json!("renamed"));
    checked(&mut world, CredentialCheck::Content, &failed());
    world.settle();
    assert!(world.workload("ingress-operator").template.to_string().contains("/mnt/certs/prod-ingress"));
    checked(&mut world, CredentialCheck::Content, &Standing::Passed);
    world.settle();
    assert!(world.workload("ingress-operator").template.to_string().contains("/mnt/certs/renamed"));
}

#[test]
fn a_failed_credential_does_not_hold_its_neighbour_back() {
    let mut world = World::classes_and_workloads();
    checked(&mut world, CredentialCheck::Content, &Standing::Passed);
    world.observed.verified.get_mut(&Id::Kms).unwrap().standing = failed();
    world.settle();
    let operator = world.workload("control-plane-operator").template.to_string();
    assert!(operator.contains("cpo-cert") && !operator.contains("kms-cert"), "{operator}");
}

#[test]
fn a_pod_of_two_components_waits_until_both_credentials_are_known() {
    let mut world = World::classes_and_workloads();
    checked(&mut world, CredentialCheck::Content, &Standing::Passed);
    world.observed.verified.remove(&Id::Kms);
    world.settle();
    assert!(!world.workload("control-plane-operator").template.to_string().contains("cpo-cert"), "rolled out twice");
    assert_eq!(world.component("cpo").reason, Reason::CredentialNotChecked);
    checked(&mut world, CredentialCheck::Content, &Standing::Passed);
    world.settle();
    let operator = world.workload("control-plane-operator").template.to_string();
    assert!(operator.contains("cpo-cert") && operator.contains("kms-cert"), "{operator}");
}

/// The pods are what is wired or not: a template is neither written nor missed.
#[test]
fn where_policies_wire_pods_no_template_is_written() {
    let mut world = World::classes_and_workloads();
    world.now.pod_patch = PodPatch::Policy;
    assert_eq!(world.settle(), 0);
    assert_eq!((world.component("ingress").wired, world.component("ingress").reason), (true, Reason::WaitingForPod));
    let pod = Pod { name: "a".into(), app: "ingress-operator".into(), phase: Phase::Running, ..Pod::default() };
    world.observed.pods = vec![pod];
    let state = world.component("ingress");
    assert_eq!((state.wired, state.pods_without, state.reason), (false, 1, Reason::NotInjected));
    assert!(state.message.contains("delete it"), "{}", state.message);
    world.observed.pods[0].mounts = vec![Id::Ingress];
    assert!(world.component("ingress").wired);

    let volumes = json!([{"name": "ingress-cert", "emptyDir": {}}]);
    world.workload("ingress-operator").template["spec"]["volumes"] = volumes;
    assert_eq!(world.component("ingress").reason, Reason::WorkloadConflict, "its policy leaves it alone");
    assert_eq!(world.component("network").reason, Reason::WaitingForPod);
    world.observed.policies =
        Some(AdmissionTrouble { reason: Reason::PoliciesUnsupported, message: "upgrade it".into() });
    assert_eq!(world.component("network").reason, Reason::PoliciesUnsupported);
    world.now.fallback = PolicyFallback::Webhook;
    assert_eq!(world.component("network").reason, Reason::WaitingForPod, "the webhook wires them");
    let message = "no API server asks it".into();
    world.observed.webhook = Some(AdmissionTrouble { reason: Reason::WebhookUnavailable, message });
    assert_eq!(world.component("network").reason, Reason::WebhookUnavailable);
    world.observed.policies = None;
    assert_eq!(world.component("network").reason, Reason::WaitingForPod, "nobody needs it");
    world.now.pod_patch = PodPatch::Webhook;
    assert_eq!(world.component("network").reason, Reason::WebhookUnavailable);
    world.now.pod_patch = PodPatch::None;
    assert_eq!(world.component("network").reason, Reason::PatchedByNobody, "nobody wants either");
}

#[test]
fn a_pod_is_given_what_it_can_mount_and_nobody_knows_to_be_broken() {
    let mut world = World::classes_and_workloads();
    let held = |world: &World| held(&world.plan(), &world.observed.classes, &world.observed.verified);
    assert_eq!(held(&world), BTreeMap::new());
    world.observed.classes.remove(&Id::Kms);
    world.observed.classes.get_mut(&Id::Disk).unwrap().deleting = true;
    world.observed.classes.get_mut(&Id::File).unwrap().parameters.insert("tenantId".into(), "another".into());
    for (id, standing) in [
        (Id::Ingress, Standing::Failed { message: "it has ended".into() }),
        (Id::Network, Standing::Unknown),
        (Id::Registry, Standing::PassedBefore),
    ] {
        world.observed.verified.insert(id, Verification { standing, ..Verification::default() });
    }
    let held = held(&world);
    let reasons: Vec<_> = held.iter().map(|(id, (reason, _))| (*id, *reason)).collect();
    assert_eq!(
        reasons,
        [
            (Id::Ingress, Reason::CredentialFailed),
            (Id::Disk, Reason::Applying),
            (Id::File, Reason::ForeignDrift),
            (Id::Kms, Reason::Applying),
        ]
    );
    assert_eq!(held[&Id::Ingress].1, "it has ended");
    assert!(held[&Id::File].1.contains("differs from the HostedCluster in tenantId"), "{:?}", held[&Id::File]);
}

/// As long as a class that an operator has adopted lacks nothing but what that operator would take away, it can be mounted.
#[test]
fn extra_parameters_that_hypershift_takes_away_hold_nothing_up() {
    let mut world = World::classes_and_workloads();
    world.observed.classes.get_mut(&Id::Ingress).unwrap().adopted = true;
    let mut settings = settings();
    Arc::make_mut(&mut settings).extra_parameters.insert("cloudName".into(), "AzureUSGovernmentCloud".into());
    let cluster = serde_json::from_value::<HostedCluster>(world.cluster.clone()).unwrap();
    let held = held(&plan(&cluster, &settings).plan.unwrap(), &world.observed.classes, &BTreeMap::new());
    assert!(!held.contains_key(&Id::Ingress) && held.contains_key(&Id::Kms), "{held:?}");
}
