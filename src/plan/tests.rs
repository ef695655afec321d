//! The plan and the wiring, each rule by the one line that breaks it, and what has to hold for every pod.

use hcp_identity_api::hosted_cluster::HostedCluster;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::{
    component::{COMPONENTS, Presence},
    finding::{Reason, Severity},
    settings::PARAMETERS,
    testing::{hosted_cluster, set, settings, unset, workload_identities},
};

fn planned(cluster: Value) -> Planned {
    plan(&serde_json::from_value::<HostedCluster>(cluster).unwrap(), &settings())
}

fn tweaked(tweak: impl FnOnce(&mut Value)) -> Planned {
    let mut cluster = hosted_cluster();
    tweak(&mut cluster);
    planned(cluster)
}

fn refuses(tweak: impl FnOnce(&mut Value), reason: Reason, field: &str) {
    let planned = tweaked(tweak);
    assert!(planned.plan.is_none());
    let errors: Vec<_> = planned.problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert!(
        matches!(&errors[..], [one] if one.reason == reason && one.field.to_string().ends_with(field)),
        "{errors:#?}"
    );
}

fn warns(tweak: impl FnOnce(&mut Value), reason: Reason, field: &str) {
    let planned = tweaked(tweak);
    assert!(planned.plan.is_some());
    let found = &planned.problems;
    assert!(
        matches!(&found[..], [one] if one.reason == reason && one.field.to_string().ends_with(field)),
        "{found:#?}"
    );
}

fn all_nine() -> Plan {
    tweaked(|_| {}).plan.unwrap()
}

#[test]
fn the_valid_world_has_nine_classes_and_nothing_to_say() {
    let planned = tweaked(|_| {});
    assert_eq!(planned.problems, []);
    let classes: Vec<_> = planned.plan.unwrap().provider_classes().map(|class| class.metadata.name.unwrap()).collect();
    assert_eq!(classes, COMPONENTS.iter().map(|component| component.class).collect::<Vec<_>>());
}

/// `support/secretproviderclass/secretproviderclass.go`, byte for byte.
#[test]
fn a_class_has_hypershifts_six_parameters_and_its_objects_block() {
    let class =
        all_nine().provider_classes().find(|class| class.metadata.name.as_deref() == Some("managed-azure-network"));
    let spec = class.unwrap().spec;
    assert_eq!(spec.provider, "azure");
    assert_eq!(spec.parameters.keys().collect::<Vec<_>>(), PARAMETERS);
    assert_eq!(
        spec.parameters["objects"],
        "\narray:\n  - |\n    objectName: prod-network\n    objectEncoding: hex\n    objectType: secret\n"
    );
    assert_eq!(spec.parameters["usePodIdentity"], "false");
    assert_eq!(spec.parameters["useVMManagedIdentity"], "true");
    assert_eq!(spec.parameters["userAssignedIdentityID"], *settings().key_vault_user);
    assert_eq!(spec.parameters["keyvaultName"], "mgmt-westeurope-1");
    assert_eq!(spec.parameters["tenantId"], "93b21e64-4824-439a-b893-46c9b2a51082");
}

#[test]
fn no_plan_without_a_vault_or_its_tenant() {
    let vault = "@/controlPlane/managedIdentitiesKeyVault";
    refuses(|c| set(c, &format!("{vault}/name"), json!("")), Reason::EmptyKeyVaultName, "KeyVault.name");
    refuses(|c| set(c, &format!("{vault}/tenantID"), json!("")), Reason::EmptyKeyVaultTenant, "KeyVault.tenantID");
}

#[test]
fn no_plan_without_a_name_and_a_namespace_to_make_the_control_planes_of() {
    refuses(|c| unset(c, "/metadata/namespace"), Reason::MissingNamespace, "metadata.namespace");
    refuses(|c| unset(c, "/metadata/name"), Reason::InvalidName, "metadata.name");
    refuses(|c| set(c, "/metadata/name", json!("../etc")), Reason::InvalidName, "metadata.name");
    refuses(|c| set(c, "/metadata/namespace", json!("a.b")), Reason::InvalidName, "metadata.namespace");
    refuses(|c| set(c, "/metadata/name", json!("x".repeat(55))), Reason::ControlPlaneNamespaceTooLong, "metadata.name");
}

/// The daemon gets objects that another CRD version let pass: the plan must not lean on the CRD.
#[test]
fn no_plan_with_an_identity_that_no_class_can_be_made_of() {
    refuses(
        |c| set(c, "@/controlPlane/disk/credentialsSecretName", json!("a\nb")),
        Reason::InvalidFormat,
        "disk.credentialsSecretName",
    );
    refuses(
        |c| set(c, "@/controlPlane/disk/credentialsSecretName", json!("")),
        Reason::Required,
        "disk.credentialsSecretName",
    );
    refuses(
        |c| set(c, "@/controlPlane/disk/objectEncoding", json!("rot13")),
        Reason::UnsupportedValue,
        "disk.objectEncoding",
    );
    refuses(|c| unset(c, "@/controlPlane/disk/objectEncoding"), Reason::Required, "disk.objectEncoding");
    refuses(|c| set(c, "@/controlPlane/disk/clientID", json!("me")), Reason::InvalidFormat, "disk.clientID");
    let authentication = "/spec/platform/azure/azureAuthenticationConfig";
    refuses(|c| unset(c, &format!("{authentication}/managedIdentities")), Reason::UnionMismatch, "managedIdentities");
    refuses(
        |c| set(c, &format!("{authentication}/azureAuthenticationConfigType"), json!("X")),
        Reason::UnsupportedValue,
        "ConfigType",
    );
    refuses(|c| unset(c, &format!("{authentication}/azureAuthenticationConfigType")), Reason::Required, "ConfigType");
    refuses(|c| unset(c, "/spec/platform/azure"), Reason::Required, "platform.azure");
    refuses(|c| unset(c, "/spec"), Reason::Required, "spec.platform.type");
}

#[test]
fn every_problem_is_told_at_once() {
    let planned = tweaked(|c| {
        set(c, "@/controlPlane/managedIdentitiesKeyVault", json!({"name": "", "tenantID": ""}));
        for name in ["ingress", "disk", "file"] {
            set(c, &format!("@/controlPlane/{name}/credentialsSecretName"), json!(""));
        }
        unset(c, "/metadata/namespace");
    });
    assert_eq!(planned.problems.iter().filter(|problem| problem.severity == Severity::Error).count(), 6);
}

#[test]
fn oddities_are_warned_of() {
    warns(
        |c| set(c, "@/controlPlane/file/credentialsSecretName", json!("PROD-disk")),
        Reason::SharedSecret,
        "file.credentialsSecretName",
    );
    for name in ["ab", "https://x.vault.azure.net", &"x".repeat(25)] {
        warns(
            |c| set(c, "@/controlPlane/managedIdentitiesKeyVault/name", json!(name)),
            Reason::ImplausibleKeyVaultName,
            "KeyVault.name",
        );
    }
    warns(
        |c| set(c, "@/controlPlane/managedIdentitiesKeyVault/tenantID", json!("contoso")),
        Reason::TenantNotUUID,
        "KeyVault.tenantID",
    );
    warns(|c| set(c, "/spec/platform/azure/tenantID", json!("contoso")), Reason::TenantNotUUID, "azure.tenantID");
    warns(|c| unset(c, "@/controlPlane/file/clientID"), Reason::MissingClientID, "controlPlane");
    warns(|c| set(c, "@/dataPlane/diskMSIClientID", json!("")), Reason::DataPlaneClientIDEmpty, "diskMSIClientID");
    warns(
        |c| set(c, "/spec/platform/azure/cloud", json!("AzureGermanCloud")),
        Reason::CloudWithoutCapzType,
        "azure.cloud",
    );
    let kms = "/spec/secretEncryption/kms/azure";
    warns(
        |c| set(c, &format!("{kms}/activeKey/keyVaultName"), json!("a_b")),
        Reason::ImplausibleKeyVaultName,
        "activeKey.keyVaultName",
    );
    warns(
        |c| set(c, &format!("{kms}/activeKey/keyVaultName"), json!("Mgmt-westeurope-1")),
        Reason::SharedKeyVault,
        "activeKey.keyVaultName",
    );
    warns(
        |c| set(c, &format!("{kms}/keyVaultAccess"), json!("Private")),
        Reason::KeyVaultAccessIgnored,
        "keyVaultAccess",
    );
    warns(
        |c| set(c, "/spec/secretEncryption/type", json!("aescbc")),
        Reason::KmsIdentityUnused,
        "secretEncryption.kms",
    );
    warns(|c| unset(c, "/spec/secretEncryption/kms"), Reason::KmsIdentityUnused, "spec.secretEncryption");
    warns(|c| unset(c, "/spec/secretEncryption/kms/azure"), Reason::KmsIdentityUnused, "secretEncryption.kms");
    warns(|c| unset(c, "/spec/secretEncryption/kms/azure/kms"), Reason::KmsIdentityUnused, "kms.azure");
    warns(|c| set(c, "/spec/secretEncryption/kms/provider", json!("AWS")), Reason::KmsIdentityUnused, "kms.provider");
    warns(|c| set(c, "/spec/platform/azure/tenantID", json!("")), Reason::EmptyTenantID, "azure.tenantID");
}

#[test]
fn a_private_vault_behind_swift_is_nothing_odd() {
    let planned = tweaked(|c| {
        set(c, "/spec/secretEncryption/kms/azure/keyVaultAccess", json!("Private"));
        set(c, "/spec/platform/azure/private", json!({"type": "Swift"}));
    });
    assert_eq!(planned.problems, []);
}

#[test]
fn what_is_not_for_us_has_no_plan_and_says_why() {
    let workload = planned(workload_identities());
    assert_eq!((workload.plan, workload.problems[0].reason), (None, Reason::WorkloadIdentities));
    let aws = tweaked(|c| set(c, "/spec/platform", json!({"type": "AWS"})));
    assert_eq!((aws.plan, aws.problems[0].reason), (None, Reason::NotAzure));
    assert!([workload.problems, aws.problems].concat().iter().all(|problem| problem.severity == Severity::Note));
}

/// A pod with every container that a row asks for, and nothing else.
fn pod_of(app: &str) -> Value {
    let containers: Vec<_> = COMPONENTS
        .iter()
        .flat_map(|component| component.pods)
        .filter(|pod| pod.app == app)
        .flat_map(|pod| pod.containers)
        .map(|container| container.name)
        .collect();
    let mut containers: Vec<_> = containers.into_iter().map(|name| json!({"name": name, "image": "x"})).collect();
    containers.dedup();
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": containers}})
}

fn wire(template: &Value) -> Result<Value, Vec<Reason>> {
    let mut wired = template.clone();
    match all_nine().wire(&Template::new(template)) {
        Ok(Wired::NotOurs) => {}
        Ok(Wired::Missing(additions)) => additions.iter().for_each(|addition| addition.apply(&mut wired["spec"])),
        Err(problems) => return Err(problems.into_iter().map(|problem| problem.reason).collect()),
    }
    Ok(wired)
}

#[test]
fn every_row_wires_its_pods_and_a_second_pass_adds_nothing() {
    for app in consumer_apps(&settings()) {
        let wired = wire(&pod_of(app)).unwrap();
        assert_ne!(wired, pod_of(app));
        assert_eq!(all_nine().wire(&Template::new(&wired)), Ok(Wired::Missing(vec![])), "{app}");
    }
}

#[test]
fn a_pod_of_no_row_or_of_no_label_is_not_ours() {
    for mut pod in [pod_of("ingress-operator"), json!({}), json!({"metadata": {"labels": {"app": 7}}})] {
        pod["metadata"]["labels"]["app"] = json!("another");
        assert_eq!(all_nine().wire(&Template::new(&pod)), Ok(Wired::NotOurs));
    }
}

fn conflict(change: impl FnOnce(&mut Value), reason: Reason) {
    let mut pod = pod_of("ingress-operator");
    change(&mut pod["spec"]);
    assert_eq!(wire(&pod), Err(vec![reason]), "{pod}");
}

const SOURCE: &str = r#"{"driver":"secrets-store.csi.k8s.io","readOnly":true,"volumeAttributes":{"secretProviderClass":"managed-azure-ingress"}}"#;

#[test]
fn a_volume_of_our_name_with_another_source_is_a_conflict() {
    let csi: Value = serde_json::from_str(SOURCE).unwrap();
    let volume =
        |source: Value| move |spec: &mut Value| spec["volumes"] = json!([{"name": "ingress-cert", "csi": source}]);
    let with = |pointer: &str, value: Value| {
        let mut csi = csi.clone();
        set(&mut csi, pointer, value);
        csi
    };
    conflict(|spec| spec["volumes"] = json!([{"name": "ingress-cert", "emptyDir": {}}]), Reason::VolumeConflict);
    conflict(volume(with("/driver", json!("other"))), Reason::VolumeConflict);
    conflict(volume(with("/readOnly", json!(false))), Reason::VolumeConflict);
    conflict(volume(with("/nodePublishSecretRef", json!({"name": "x"}))), Reason::VolumeConflict);
    conflict(volume(with("/volumeAttributes/secretProviderClass", json!("managed-azure-kms"))), Reason::VolumeConflict);
    let mut same = pod_of("ingress-operator");
    volume(with("/nodePublishSecretRef", Value::Null))(&mut same["spec"]);
    assert!(wire(&same).is_ok());
}

#[test]
fn a_mount_in_our_place_is_a_conflict() {
    let mounts = |value: Value| move |spec: &mut Value| spec["containers"][0]["volumeMounts"] = json!([value]);
    conflict(mounts(json!({"name": "other", "mountPath": "/mnt/certs"})), Reason::MountPathConflict);
    conflict(mounts(json!({"name": "other", "mountPath": "/mnt/certs//"})), Reason::MountPathConflict);
    conflict(mounts(json!({"name": "ingress-cert", "mountPath": "/mnt/certs"})), Reason::MountConflict);
    let part = json!({"name": "ingress-cert", "mountPath": "/mnt/certs", "readOnly": true, "subPathExpr": "x"});
    conflict(mounts(part), Reason::MountConflict);
    let mut beside = pod_of("ingress-operator");
    mounts(json!({"name": "other", "mountPath": "/mnt"}))(&mut beside["spec"]);
    assert!(wire(&beside).is_ok());
}

#[test]
fn an_environment_variable_of_our_name_with_another_meaning_is_a_conflict() {
    let name = "MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH";
    let env = |value: Value| move |spec: &mut Value| spec["containers"][0]["env"] = json!([value]);
    conflict(env(json!({"name": name, "value": "/mnt/certs/prod-other"})), Reason::EnvConflict);
    conflict(env(json!({"name": name})), Reason::EnvConflict);
    conflict(
        env(json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})),
        Reason::EnvConflict,
    );
    let mut equal = pod_of("ingress-operator");
    env(json!({"name": name, "value": "/mnt/certs/prod-ingress", "valueFrom": null}))(&mut equal["spec"]);
    assert!(wire(&equal).is_ok());
}

#[test]
fn a_missing_container_is_a_finding_and_an_init_container_is_no_substitute() {
    conflict(|spec| spec["containers"][0]["name"] = json!("renamed"), Reason::MissingContainer);
    let mut init = pod_of("ingress-operator");
    init["spec"]["initContainers"] = json!([{"name": "ingress-operator", "restartPolicy": "Always"}]);
    let wired = wire(&init).unwrap();
    assert_eq!(wired["spec"]["initContainers"], init["spec"]["initContainers"]);
    conflict(
        |spec| {
            spec["initContainers"] = spec["containers"].take();
            spec["containers"] = json!([{"name": "side"}]);
        },
        Reason::MissingContainer,
    );
}

#[test]
fn the_backup_sidecar_is_wired_only_where_it_is() {
    let mut pod = pod_of("kube-apiserver");
    let wired = wire(&pod).unwrap();
    assert!(wired["spec"]["containers"].as_array().unwrap().iter().all(|c| c.get("volumeMounts").is_some()));
    pod["spec"]["containers"].as_array_mut().unwrap().remove(1);
    assert!(wire(&pod).is_ok());
}

/// Each of these would be refused by the API server, or wired by chance.
#[test]
fn every_element_of_a_list_is_looked_at() {
    let csi: Value = serde_json::from_str(SOURCE).unwrap();
    let ours = json!({"name": "ingress-cert", "csi": csi});
    let two_sources = json!({"name": "ingress-cert", "csi": csi, "emptyDir": {}});
    conflict(|spec| spec["volumes"] = json!([two_sources]), Reason::VolumeConflict);
    conflict(|spec| spec["volumes"] = json!([ours, {"name": "ingress-cert", "emptyDir": {}}]), Reason::InvalidPodSpec);
    let mounts = json!([
        {"name": "ingress-cert", "mountPath": "/mnt/certs", "readOnly": true},
        {"name": "other", "mountPath": "/mnt//certs"},
    ]);
    conflict(|spec| spec["containers"][0]["volumeMounts"] = mounts, Reason::MountPathConflict);
    conflict(
        |spec| {
            let again = spec["containers"][0].clone();
            spec["containers"].as_array_mut().unwrap().push(again);
        },
        Reason::InvalidPodSpec,
    );
    let number = json!([{"name": "MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH", "value": 5}]);
    conflict(|spec| spec["containers"][0]["env"] = number, Reason::EnvConflict);
}

/// The wire types are lenient enough, and the schema strict enough, that no wrong type anywhere hides another finding.
#[test]
fn a_wrong_type_anywhere_hides_nothing_else() {
    fn pointers(value: &Value, path: &str, all: &mut Vec<String>) {
        all.push(path.to_owned());
        if let Value::Object(map) = value {
            map.iter().for_each(|(key, value)| pointers(value, &format!("{path}/{key}"), all));
        }
    }
    let mut all = Vec::new();
    pointers(&hosted_cluster(), "", &mut all);
    for pointer in all.iter().filter(|pointer| pointer.starts_with("/spec") || pointer.starts_with("/metadata")) {
        for wrong in [json!(true), json!(7), json!([{}]), json!("x"), json!({"x": 1}), Value::Null] {
            let mut cluster = hosted_cluster();
            set(&mut cluster, pointer, wrong.clone());
            let node = crate::testing::node(&cluster.to_string());
            let problems = crate::input::inspect(&node, crate::input::Rules::All).problems;
            assert!(
                problems.iter().all(|problem| !problem.field.steps().is_empty()),
                "{pointer}: {wrong}: {problems:?}"
            );
        }
    }
}

/// The doors keep identities and make a plan of them later: it is the same plan.
#[test]
fn what_is_held_and_planned_later_is_the_plan() {
    let Gated { identities, problems, .. } = gate(&serde_json::from_value(hosted_cluster()).unwrap());
    let planned = tweaked(|_| {});
    assert_eq!((Some(Plan::new(identities.unwrap(), settings())), problems), (planned.plan, planned.problems));
}

#[test]
fn what_is_no_pod_spec_is_refused() {
    for (list, value) in [
        ("volumes", json!({})),
        ("containers", json!("x")),
        ("containers", json!([])),
        ("volumes", json!([{"emptyDir": {}}])),
    ] {
        conflict(|spec| spec[list] = value, Reason::InvalidPodSpec);
    }
    conflict(|spec| spec["containers"][0]["env"] = json!([7]), Reason::InvalidPodSpec);
}

/// Names that wiring looks for, so that arbitrary pods get in its way often enough.
fn names() -> BoxedStrategy<String> {
    let ours: Vec<String> = COMPONENTS
        .iter()
        .flat_map(|component| component.pods)
        .flat_map(|pod| {
            let mount = pod.mount.iter().flat_map(|mount| [mount.volume, mount.path]);
            pod.containers.iter().map(|container| container.name).chain(mount).chain(pod.env.iter().map(|env| env.name))
        })
        .map(str::to_owned)
        .chain(["other".to_owned(), "/other".to_owned()])
        .collect();
    select(ours).boxed()
}

fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z]{1,6}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

fn pods() -> BoxedStrategy<Value> {
    let apps: Vec<String> = consumer_apps(&settings()).into_iter().map(str::to_owned).collect();
    let item = (names(), names(), anything(), any::<bool>()).prop_map(|(name, path, other, read_only)| {
        json!({"name": name, "mountPath": path, "readOnly": read_only, "someFieldOfTomorrow": other})
    }).boxed();
    let container = (names(), vec(item.clone(), 0..3), vec(item.clone(), 0..2), anything())
        .prop_map(|(name, mounts, env, other)| json!({"name": name, "volumeMounts": mounts, "env": env, "more": other}))
        .boxed();
    (select(apps), any::<bool>(), vec(container.clone(), 0..3), vec(container, 0..2), vec(item, 0..3), anything())
        .prop_map(
            |(app, whole, containers, init, volumes, other): (
                String,
                bool,
                Vec<Value>,
                Vec<Value>,
                Vec<Value>,
                Value,
            )| {
                let mut pod = pod_of(&app);
                let list = pod["spec"]["containers"].as_array_mut().unwrap();
                if !whole {
                    list.clear();
                }
                list.extend(containers);
                pod["spec"]["initContainers"] = init.into();
                pod["spec"]["volumes"] = volumes.into();
                pod["spec"]["fieldOfTomorrow"] = other;
                pod
            },
        )
        .boxed()
}

/// Whether `after` is `before` with elements appended to lists and lists added: nothing changed, moved or lost.
fn only_appended(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let kept =
                before.iter().all(|(key, value)| after.get(key).is_some_and(|after| only_appended(value, after)));
            let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
            kept && added.into_iter().all(|(key, _)| ["volumes", "volumeMounts", "env"].contains(&key.as_str()))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() <= after.len() && before.iter().zip(after).all(|(before, after)| only_appended(before, after))
        }
        (before, after) => before == after,
    }
}

proptest! {
    #[test]
    fn wiring_only_appends_and_is_idempotent(pod in pods()) {
        if let Ok(wired) = wire(&pod) {
            prop_assert!(only_appended(&pod, &wired), "{pod}\n{wired}");
            prop_assert_eq!(&wired["spec"]["initContainers"], &pod["spec"]["initContainers"]);
            prop_assert_eq!(wire(&wired), Ok(wired.clone()));
        }
    }

    #[test]
    fn wiring_answers_for_anything(spec in anything(), labels in anything()) {
        let _answer = wire(&json!({"metadata": {"labels": labels}, "spec": spec.clone()}));
        let _answer = wire(&json!({"metadata": {"labels": {"app": "ingress-operator"}}, "spec": spec}));
    }
}

#[test]
fn optional_containers_are_the_exception() {
    let optional = COMPONENTS
        .iter()
        .flat_map(|c| c.pods)
        .flat_map(|pod| pod.containers)
        .filter(|c| c.presence == Presence::IfPresent);
    assert_eq!(optional.map(|container| container.name).collect::<Vec<_>>(), ["azure-kms-provider-backup"]);
}
