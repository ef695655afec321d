//! A control plane as HyperShift's operators leave it, and what is said when something in it is otherwise.

use serde_json::json;

use super::*;
use crate::{
    component::{COMPONENTS, Id, Operator},
    observed::{CapzIdentity, Configuration, FailedMount, Why},
    plan,
    testing::{settings, workload_identities},
};

const OTHER_TENANT: &str = "f3a1b5d2-7c44-4e0e-8e75-1d2f3c4b5a60";

struct World {
    identities: WorkloadIdentities,
    observed: Observed,
}

impl World {
    /// As HyperShift's operators leave it.
    fn new() -> Self {
        let cluster = serde_json::from_value(workload_identities()).unwrap();
        let identities = plan::gate(&cluster).workload_identities.unwrap();
        let mut world = Self { identities, observed: Observed::default() };
        world.observed.capz_installed = true;
        let node_pool = world.client(Id::NodePool);
        let spec = json!({"type": "WorkloadIdentity", "clientID": node_pool, "tenantID": *world.identities.tenant});
        let owner = Owner { manager: "hypershift-operator".into(), fields: vec!["clientID".into()] };
        world.observed.capz_identity = Some(CapzIdentity { spec, owners: vec![owner], ..CapzIdentity::default() });
        for identity in world.identities.named.clone() {
            let row = Component::of(identity.component);
            let app = row.pods[0].app;
            let template = world.template(row, &identity.client_id);
            world.observed.workloads.push(Workload { name: app.into(), template, ..Workload::default() });
            let pod = Pod { name: format!("{app}-1").into(), app: app.into(), ..Pod::default() };
            world.observed.pods.push(Pod { phase: Phase::Running, uid: app.into(), ..pod });
        }
        world.observed.configuration = Some(world.configuration());
        world
    }

    /// Everything that says to pods as whom they sign in.
    fn configuration(&self) -> Configuration {
        let mut configuration = Configuration::default();
        for identity in &self.identities.named {
            for place in Component::of(identity.component).federated.token.told_by {
                let values = [&*identity.client_id, &*self.identities.tenant];
                let annotations = place.annotations().iter().zip(values);
                let sighted = Sighted {
                    managers: vec!["control-plane-operator".into()],
                    keys: place.keys().iter().map(|key| (*key).into()).collect(),
                    annotations: annotations.map(|(name, value)| ((*name).into(), value.into())).collect(),
                };
                configuration.objects.insert(*place, Some(sighted));
            }
        }
        configuration
    }

    /// One of them.
    fn object(&mut self, place: Place) -> &mut Option<Sighted> {
        self.observed.configuration.as_mut().unwrap().objects.get_mut(&place).unwrap()
    }

    fn template(&self, row: &Component, client_id: &str) -> Value {
        let token = &row.federated.token;
        let env = |variable: TokenEnv| {
            let value = match variable {
                TokenEnv::ClientId => client_id,
                TokenEnv::TenantId => &self.identities.tenant,
                TokenEnv::TokenFile => TOKEN_FILE,
            };
            json!({"name": variable.to_string(), "value": value})
        };
        let env: Vec<_> =
            TokenEnv::ALL.into_iter().filter(|_| token.told_by.contains(&Place::Environment)).map(env).collect();
        let secret = token.told_by.iter().filter_map(|place| place.secret()).zip(token.secret_folder);
        let (secrets, folders): (Vec<_>, Vec<_>) = secret.unzip();
        let of_secrets = folders.iter().map(|folder| json!({"name": "secret", "mountPath": folder}));
        let mounts = [json!({"name": token.volume, "mountPath": TOKEN_FOLDER})].into_iter().chain(of_secrets);
        let mounts: Value = mounts.collect();
        let volumes = secrets.iter().map(|secret| json!({"name": "secret", "secret": {"secretName": secret}}));
        let volumes = [json!({"name": token.volume})].into_iter().chain(volumes);
        let containers = row.pods[0].containers.iter();
        let containers = containers
            .map(|container| json!({"name": container.name, "env": env.clone(), "volumeMounts": mounts.clone()}));
        let account = row.federated.service_accounts.last().unwrap();
        let arguments = json!([
            "--token-audience=openshift",
            format!("--service-account-namespace={}", account.namespace),
            format!("--service-account-name={}", account.name),
        ]);
        json!({
            "metadata": {"labels": {"app": row.pods[0].app}},
            "spec": {
                "volumes": volumes.collect::<Value>(),
                "containers": containers.collect::<Value>(),
                "initContainers": [{"name": token.minter, "args": arguments}],
            },
        })
    }

    fn client(&self, id: Id) -> String {
        self.identities.named.iter().find(|identity| identity.component == id).unwrap().client_id.to_string()
    }

    fn workload(&mut self, id: Id) -> &mut Workload {
        let app = Component::of(id).pods[0].app;
        self.observed.workloads.iter_mut().find(|workload| *workload.name == *app).unwrap()
    }

    fn states(&self) -> Vec<ComponentState> {
        federated(&self.identities, &self.observed, Sight { settings: None, capz: true, configuration: true })
    }

    fn state(&self, id: Id) -> ComponentState {
        self.states().into_iter().find(|state| state.id == id).unwrap()
    }

    /// One component is not as it should be, and all others are.
    fn only(&self, id: Id, reason: Reason) -> String {
        for state in self.states() {
            let wanted = if state.id == id { reason } else { Reason::Ready };
            assert_eq!(state.reason, wanted, "{}: {}", state.id, state.message);
        }
        self.state(id).message
    }
}

#[test]
fn what_hypershift_writes_is_as_it_should_be() {
    let states = World::new().states();
    let named: Vec<_> = COMPONENTS.iter().map(|row| row.id).filter(|id| *id != Id::Cpo).collect();
    assert_eq!(states.iter().map(|state| state.id).collect::<Vec<_>>(), named, "cpo's is optional, and not named");
    for state in states {
        assert_eq!((state.reason, &*state.message), (Reason::Ready, ""), "{}", state.id);
        assert_eq!((state.wired, state.pods, state.mounted_pods), (true, 1, 1), "{}", state.id);
    }
}

#[test]
fn a_minter_may_be_a_container_and_ids_may_be_in_upper_case() {
    let mut world = World::new();
    let spec = &mut world.workload(Id::NodePool).template["spec"];
    let minter = spec["initContainers"].take();
    spec["containers"].as_array_mut().unwrap().push(minter[0].clone());
    let client = &mut spec["containers"][0]["env"][0]["value"];
    *client = json!(client.as_str().unwrap().to_uppercase());
    world.only(Id::NodePool, Reason::Ready);
}

#[test]
fn each_row_misses_its_minter_and_its_volume() {
    for id in World::new().identities.named.iter().map(|identity| identity.component) {
        let token = &Component::of(id).federated.token;
        let mut world = World::new();
        let spec = &mut world.workload(id).template["spec"];
        (spec["initContainers"], spec["volumes"]) = (json!([]), json!([{"name": "other"}]));
        let message = world.only(id, Reason::NotFederated);
        let name = Component::of(id).pods[0].app;
        let lacks = format!(
            "Deployment {name} lacks the container {}, which mints its tokens, the volume {}, which they are written \
             to; {}",
            token.minter, token.volume, token.written_by
        );
        assert_eq!(message, lacks);
        assert!(!world.state(id).wired);
    }
}

#[test]
fn each_row_has_its_token_where_its_containers_look_for_it() {
    for id in World::new().identities.named.iter().map(|identity| identity.component) {
        let row = Component::of(id);
        let (app, container, volume) = (row.pods[0].app, row.pods[0].containers[0].name, row.federated.token.volume);
        let lacks = format!(
            "Deployment {app} lacks the mount of the volume {volume} at {TOKEN_FOLDER} in the container {container}; {}",
            row.federated.token.written_by
        );
        for (field, other) in [("mountPath", "/elsewhere"), ("name", "another-volume")] {
            let mut world = World::new();
            let mount = &mut world.workload(id).template["spec"]["containers"][0]["volumeMounts"][0];
            mount[field] = json!(other);
            assert_eq!(world.only(id, Reason::NotFederated), lacks);
        }
        let mut world = World::new();
        let mount = &mut world.workload(id).template["spec"]["containers"][0]["volumeMounts"][0];
        mount["mountPath"] = json!(format!("{TOKEN_FOLDER}/"));
        world.only(id, Reason::Ready);
    }
}

#[test]
fn a_secret_that_is_read_from_a_folder_has_to_be_mounted_there() {
    let secret = "cloud-network-config-controller-creds";
    let lacks = format!(
        "Deployment cloud-network-config-controller lacks the mount of the Secret {secret} at /etc/secret/cloudprovider in \
         the container controller; "
    );
    let mut world = World::new();
    let spec = &mut world.workload(Id::Network).template["spec"];
    spec["containers"][0]["volumeMounts"].as_array_mut().unwrap().truncate(1);
    let message = world.only(Id::Network, Reason::NotFederated);
    assert!(message.starts_with(&lacks), "{message}");
    let mut world = World::new();
    let volume = &mut world.workload(Id::Network).template["spec"]["volumes"][1];
    volume["secret"]["secretName"] = json!("cloud-credentials");
    let message = world.only(Id::Network, Reason::NotFederated);
    assert!(message.starts_with(&lacks), "{message}");
    // Of what a volume of another kind is made, is not known.
    world.workload(Id::Network).template["spec"]["volumes"][1] = json!({"name": "secret", "projected": {}});
    world.only(Id::Network, Reason::Ready);
}

#[test]
fn a_minter_of_tokens_that_no_federated_credential_lets_in_is_told() {
    let minting = |id: Id, arguments: &[&str], reason: Reason| {
        let mut world = World::new();
        world.workload(id).template["spec"]["initContainers"][0]["args"] = json!(arguments);
        world.only(id, reason)
    };
    let other = minting(Id::Ingress, &["--token-audience=api://AzureADTokenExchange"], Reason::OtherIdentity);
    let has = "Deployment ingress-operator has --token-audience=\"api://AzureADTokenExchange\" in the container \
               cloud-token-minter, and openshift is wanted; ";
    assert!(other.starts_with(has), "{other}");
    let other = minting(Id::Registry, &["--service-account-name=node-ca"], Reason::OtherIdentity);
    assert!(other.contains("=\"node-ca\"") && other.contains("registry or cluster-image-registry-operator is wanted"));
    let other = minting(Id::Kms, &["--service-account-namespace=default"], Reason::OtherIdentity);
    assert!(other.contains("and kube-system is wanted"), "{other}");
    // Others have defaults, or stand where they are not seen; and each account of the row has a federated credential.
    for arguments in [
        &[][..],
        &["--token-audience", "other", "--kubeconfig=/etc/kubernetes/kubeconfig"],
        &["--service-account-name=$(ACCOUNT)"],
        &["--service-account-name=azure-disk-csi-driver-operator"],
    ] {
        minting(Id::Disk, arguments, Reason::Ready);
    }
}

#[test]
fn who_runs_as_another_identity_is_told_with_both_and_who_wrote_it() {
    let old = "99999999-0000-0000-0000-000000000000";
    let mut world = World::new();
    let wanted = world.client(Id::Kms);
    let workload = world.workload(Id::Kms);
    workload.template["spec"]["containers"][1]["env"][0]["value"] = json!(old);
    let item = Item::Env("azure-kms-provider-backup".into(), "AZURE_CLIENT_ID".into());
    workload.owners = vec![(item, vec!["kubectl-edit".into()])];
    let message = world.only(Id::Kms, Reason::OtherIdentity);
    let has = format!(
        "Deployment kube-apiserver has AZURE_CLIENT_ID=\"{old}\" in the container azure-kms-provider-backup (written by \
         kubectl-edit), and {wanted} is wanted; "
    );
    assert!(message.starts_with(&has), "{message}");
}

#[test]
fn what_is_missing_in_the_environment_is_told_with_its_value() {
    let mut world = World::new();
    let env = &mut world.workload(Id::NodePool).template["spec"]["containers"][0]["env"];
    env.as_array_mut().unwrap().truncate(2);
    let message = world.only(Id::NodePool, Reason::NotFederated);
    assert!(
        message.contains(&format!("AZURE_FEDERATED_TOKEN_FILE={TOKEN_FILE} in the container manager")),
        "{message}"
    );
    let env = &mut world.workload(Id::NodePool).template["spec"]["containers"][0]["env"];
    *env = json!([
        {"name": "AZURE_CLIENT_ID", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}},
        {"name": "AZURE_TENANT_ID", "value": OTHER_TENANT},
        {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/elsewhere"},
    ]);
    let message = world.only(Id::NodePool, Reason::OtherIdentity);
    assert!(message.contains("AZURE_TENANT_ID=") && message.contains("\"/elsewhere\""), "{message}");
    assert!(!message.contains("AZURE_CLIENT_ID"), "what stands in a Secret is not known: {message}");
}

#[test]
fn cluster_api_signs_in_as_the_node_pools_identity() {
    let tweaked = |field: &str, value: &str| {
        let mut world = World::new();
        world.observed.capz_identity.as_mut().unwrap().spec[field] = json!(value);
        world.only(Id::NodePool, Reason::OtherIdentity)
    };
    let message = tweaked("clientID", "old");
    let has = "AzureClusterIdentity prod has spec.clientID: \"old\" (written by hypershift-operator), and ";
    assert!(message.starts_with(has), "{message}");
    assert!(tweaked("tenantID", "old").contains("spec.tenantID"));
    assert!(tweaked("type", "UserAssignedIdentityCredential").contains("WorkloadIdentity is wanted"));
    let mut world = World::new();
    world.observed.capz_identity = None;
    assert!(world.only(Id::NodePool, Reason::NotFederated).contains("AzureClusterIdentity prod is missing"));
    world.observed.capz_installed = false;
    world.only(Id::NodePool, Reason::CapzNotInstalled);
    let unseen = federated(
        &world.identities,
        &world.observed,
        Sight { settings: Some(&settings()), capz: false, configuration: true },
    );
    let unseen = unseen.into_iter().find(|state| state.id == Id::NodePool).unwrap();
    assert_eq!((unseen.reason, unseen.wired), (Reason::Ready, true));
    assert!(unseen.message.contains("is not looked at"), "{}", unseen.message);
}

#[test]
fn what_is_not_there_yet_is_waited_for() {
    let mut world = World::new();
    world.workload(Id::Ingress).rolling = true;
    assert!(world.only(Id::Ingress, Reason::WaitingForPod).contains("earlier template"));
    world.observed.pods.retain(|pod| &*pod.app != "ingress-operator");
    assert!(world.only(Id::Ingress, Reason::WaitingForPod).contains("no pod of it"));
    // Its label is there, and not its container.
    world.workload(Id::Ingress).template["spec"]["containers"] = json!([{"name": "other"}]);
    let message = world.only(Id::Ingress, Reason::WaitingForWorkload);
    assert!(message.contains("app=ingress-operator and the container ingress-operator"), "{message}");
    assert!(!world.state(Id::Ingress).wired);
}

#[test]
fn a_pod_without_its_secret_is_told_by_its_kubelet() {
    let mut world = World::new();
    let pod = world.observed.pods.iter_mut().find(|pod| &*pod.app == "cloud-controller-manager").unwrap();
    pod.phase = Phase::Pending;
    let (pod, pod_uid) = (pod.name.clone(), pod.uid.clone());
    let why = Why::Unknown { names: Box::default() };
    world.observed.failed_mounts = vec![FailedMount { pod, pod_uid, volume: "cloud-config".into(), why }];
    let message = world.only(Id::CloudProvider, Reason::WaitingForPod);
    assert!(message.contains("volume cloud-config of cloud-controller-manager-1 cannot be mounted"), "{message}");
    assert_eq!(world.state(Id::CloudProvider).mounted_pods, 0);
}

const CLOUD_CONFIG: Place = Place::Config("azure-cloud-config", Operator::ControlPlaneOperator);
const INGRESS: Place = Place::Keys("azure-ingress-credentials", Operator::HypershiftOperator);
const ACCOUNT: Place = Place::ServiceAccount("azure-cloud-controller-manager", Operator::ControlPlaneOperator);

#[test]
fn a_secret_that_is_missing_or_lacks_a_key_is_told() {
    let mut world = World::new();
    *world.object(CLOUD_CONFIG) = None;
    let message = world.only(Id::CloudProvider, Reason::NotFederated);
    assert_eq!(message, "Secret azure-cloud-config is missing; control-plane-operator writes it: see its log");
    let mut world = World::new();
    let ingress = world.object(INGRESS).as_mut().unwrap();
    ingress.keys.retain(|key| &**key != "azure_federated_token_file");
    ingress.keys.push("azure_client_secret".into());
    let message = world.only(Id::Ingress, Reason::NotFederated);
    let lacks =
        "Secret azure-ingress-credentials (written by control-plane-operator) lacks azure_federated_token_file; ";
    assert!(message.starts_with(lacks), "{message}");
    // Without a word of who wrote it, its keys are not known.
    let ingress = world.object(INGRESS).as_mut().unwrap();
    ingress.keys.clear();
    world.only(Id::Ingress, Reason::Ready);
}

#[test]
fn a_service_account_of_another_identity_is_told() {
    for annotation in ACCOUNT.annotations() {
        let mut world = World::new();
        let account = world.object(ACCOUNT).as_mut().unwrap();
        account.annotations.insert((*annotation).into(), "other".into());
        let message = world.only(Id::CloudProvider, Reason::OtherIdentity);
        let has = format!("ServiceAccount azure-cloud-controller-manager has {annotation}: \"other\" (written by ");
        assert!(message.starts_with(&has), "{message}");
        let account = world.object(ACCOUNT).as_mut().unwrap();
        account.annotations.remove(*annotation);
        assert!(world.only(Id::CloudProvider, Reason::OtherIdentity).contains("has azure.workload.identity/"));
    }
}

#[test]
fn what_was_not_looked_at_is_said_with_the_reason_and_lowers_nothing() {
    let mut world = World::new();
    let configuration = world.observed.configuration.as_mut().unwrap();
    configuration.objects.remove(&ACCOUNT);
    configuration.trouble = Some("may not get serviceaccounts".to_owned());
    let message = world.only(Id::CloudProvider, Reason::Ready);
    let unseen = "not looked at: ServiceAccount azure-cloud-controller-manager, as may not get serviceaccounts";
    assert_eq!(message, unseen);
    world.observed.configuration = None;
    let message = world.only(Id::CloudProvider, Reason::Ready);
    assert!(message.ends_with("as its turn has not come"), "{message}");
    let sight = Sight { settings: None, capz: true, configuration: false };
    let state = federated(&world.identities, &world.observed, sight).swap_remove(0);
    let unseen = "not looked at: Secret azure-cloud-config, ServiceAccount azure-cloud-controller-manager, as configurationCheck \
                  is none";
    assert_eq!((&*state.message, state.wired), (unseen, true));
}
