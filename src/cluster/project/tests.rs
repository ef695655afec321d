//! What is kept of what the API server tells.

use super::*;
use crate::{
    condition, status,
    testing::{set, workload_identities},
};

/// Nothing else is told of it, as it has no components here.
#[test]
fn what_is_odd_about_workload_identities_is_kept_and_told() {
    let told = |issuer: &str| {
        let mut object = workload_identities();
        set(&mut object, "/spec/issuerURL", json!(issuer));
        status::no_plan(&cluster(&serde_json::from_value(object).unwrap()).problems)
    };
    let (reason, message) = told("https://oidc.example.com/prod");
    assert_eq!(reason, condition::Reason::WorkloadIdentities);
    assert!(message.contains("azure plan") && !message.contains("slash"), "{message}");
    let (reason, message) = told("https://oidc.example.com/prod/");
    assert_eq!(reason, condition::Reason::WorkloadIdentities);
    assert!(message.contains("azure plan") && message.contains("spec.issuerURL: ends with a slash"), "{message}");
    let (reason, message) = told("https://kubernetes.default.svc");
    assert_eq!(reason, condition::Reason::InvalidHostedCluster);
    assert!(message.starts_with("spec.issuerURL: is on a host"), "{message}");
}

fn event(message: &str) -> wire::Event {
    let event = json!({
        "metadata": {"name": "a.1", "namespace": "clusters-prod"},
        "involvedObject": {"kind": "Pod", "name": "a", "uid": "u"},
        "reason": "FailedMount", "message": message, "lastTimestamp": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(event).unwrap()
}

fn why(message: &str) -> (Box<str>, Why) {
    let (_, failed) = failed_mount(&event(message)).unwrap();
    (failed.volume, failed.why)
}

#[test]
fn a_failed_mount_is_kept_as_its_explanation() {
    let (last, failed) =
        failed_mount(&event(include_str!("../../../testdata/explain/secret-not-found/input.txt"))).unwrap();
    assert_eq!(last, "2026-01-01T00:00:00Z".parse().unwrap());
    let why = Why::Explained {
        reason: "SecretNotFound",
        cause: "the vault has no secret of this name",
        next: "compare credentialsSecretName with the vault's secrets",
        command: "az keyvault secret list --vault-name mgmt-vault --query [].name -o tsv".into(),
    };
    assert_eq!(failed, FailedMount { pod: "a".into(), pod_uid: "u".into(), volume: "ingress-cert".into(), why });
}

#[test]
fn a_command_names_the_namespace_of_the_pod() {
    let (volume, why) = why(include_str!("../../../testdata/explain/volumes-timed-out/input.txt"));
    assert!(volume.is_empty(), "several volumes are no volume");
    let Why::Explained { command, .. } = why else { panic!("{why:?}") };
    assert_eq!(&*command, "kubectl get events -n clusters-prod --field-selector reason=FailedMount");
}

#[test]
fn of_a_text_that_nothing_explains_only_names_are_kept() {
    let text = "MountVolume.SetUp failed for volume \"ingress-cert\" : no such luck, RESPONSE 418, password=hunter2";
    let names = "status 418".into();
    assert_eq!(why(text), ("ingress-cert".into(), Why::Unknown { names }));
    assert_eq!(why("hunter2"), (Box::default(), Why::Unknown { names: Box::default() }));
}

#[test]
fn events_of_other_reasons_or_kinds_are_none_of_ours() {
    let other = wire::Event { reason: "BackOff".to_owned(), ..event("x") };
    assert_eq!(failed_mount(&other), None);
    let mut volume = event("x");
    volume.involved_object.kind = "PersistentVolume".to_owned();
    assert_eq!(failed_mount(&volume), None);
}

/// Events of the newer API have no last time.
#[test]
fn without_a_last_time_the_first_counts() {
    let mut event = event("x");
    event.last_timestamp = None;
    event.metadata.creation_timestamp = serde_json::from_value(json!("2026-01-02T00:00:00Z")).unwrap();
    assert_eq!(failed_mount(&event).unwrap().0, "2026-01-02T00:00:00Z".parse().unwrap());
    event.event_time = serde_json::from_value(json!("2026-01-03T00:00:00.000000Z")).unwrap();
    assert_eq!(failed_mount(&event).unwrap().0, "2026-01-03T00:00:00Z".parse().unwrap());
}

/// Of a minter what it mints, and of a volume with a Secret that is looked for, whose it is; no other arguments, which are anybody's.
#[test]
fn of_a_template_is_kept_what_it_signs_in_by() {
    let folder = "/var/run/secrets/openshift/serviceaccount";
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": true});
    let deployment = json!({
        "metadata": {"name": "cloud-network-config-controller"},
        "spec": {"template": {
            "metadata": {"labels": {"app": "cloud-network-config-controller"}},
            "spec": {
                "volumes": [
                    {"name": "cloud-token", "emptyDir": {}},
                    {"name": "other", "secret": {"secretName": "other"}},
                    {"name": "cloud-provider-secret", "secret": {"secretName": "creds"}},
                ],
                "initContainers": [{"name": "setup", "args": ["--token-audience=a"]}],
                "containers": [
                    {"name": "cloud-token", "args": ["--token-audience=a", "--service-account-name=b", "--password=c"]},
                    {
                        "name": "controller", "args": ["--service-account-name=b"],
                        "volumeMounts": [mount("other", "/x"), mount("cloud-token", folder), mount("cloud-provider-secret", "/etc/secret/cloudprovider/")],
                    },
                ],
            },
        }},
    });
    let kept = workload(serde_json::from_value(deployment).unwrap(), &Interest::new(None)).unwrap().template;
    let expected = json!({
        "volumes": [{"name": "cloud-token"}, {"name": "other"}, {"name": "cloud-provider-secret", "secret": {"secretName": "creds"}}],
        "containers": [
            {"name": "cloud-token", "args": ["--token-audience=a", "--service-account-name=b"]},
            {
                "name": "controller",
                "volumeMounts": [{"name": "other"}, mount("cloud-token", folder), mount("cloud-provider-secret", "/etc/secret/cloudprovider/")],
            },
        ],
        "initContainers": [{"name": "setup"}],
    });
    assert_eq!(kept["spec"], expected);
}
