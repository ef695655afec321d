//! Credentials that are checked, in a vault of `hack/azure-standin`: what the daemon does and says while one is bad.

use std::{fs, time::Duration};

use azure_standin::{
    Settings, Standin,
    authority::{Authority, ClientCertificate, Validity},
    fault::{Effect, Fault},
    operation::Operation,
    vault::store::NewVersion,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{
    cluster::wait_until,
    stage::{CLASS, DEPLOYMENT, Daemon, HOSTED_CLUSTER, Stage, component, condition},
};

const TENANT: &str = "93b21e64-4824-439a-b893-46c9b2a51082";
const READER: &str = "44444444-4444-4444-4444-444444444444";
const NAMED: [&str; 9] = [
    "cloud-provider",
    "nodepool-management",
    "control-plane-operator",
    "image-registry",
    "ingress",
    "network",
    "disk",
    "file",
    "kms",
];
const CANARY: &str = "PRIVATE KEY";

/// A stage with a vault that the daemon may read.
pub(super) struct World {
    pub(super) stage: Stage,
    standin: Standin,
    vault: String,
    certificate: ClientCertificate,
}

impl World {
    pub(super) async fn new(name: &str) -> Self {
        Self::with_role(name, "secretsUser").await
    }

    async fn with_role(name: &str, role: &str) -> Self {
        let stage = Stage::new(name).await;
        let standin = Standin::start(Settings::default()).await.expect("a stand-in");
        let cluster = stage.hosted_cluster("prod", |_| {});
        let azure = &cluster["spec"]["platform"]["azure"]["azureAuthenticationConfig"]["managedIdentities"];
        let vault = azure["controlPlane"]["managedIdentitiesKeyVault"]["name"].as_str().expect("a vault").to_owned();
        let document = json!({
            "tenants": [{"id": TENANT}],
            "principals": [{"clientId": READER, "objectId": READER, "tenant": TENANT, "onMachine": true}],
            "vaults": [{"name": vault, "tenant": TENANT, "permissions": [{"objectId": READER, "role": role}]}],
        });
        standin.azure().load(serde_json::from_value(document).expect("a world"));
        let authority = Authority::new("authority").expect("an authority");
        let validity = Validity { not_before: 1_577_836_800, not_after: 4_102_444_800 };
        let certificate = authority.client("identity.test", validity).expect("a certificate");
        Self { stage, standin, vault, certificate }
    }

    pub(super) async fn daemon(&self, arguments: &[&str]) -> Daemon {
        let file = self.stage.file("ca.pem");
        fs::write(&file, &self.standin.about().ca_pem).expect("a CA");
        let proxy = self.standin.proxy_environment();
        let mut environment: Vec<_> = proxy.iter().map(|(name, value)| (*name, value.as_str())).collect();
        environment.push(("SSL_CERT_FILE", file.to_str().expect("text")));
        let mut daemon = self.stage.start(&self.stage.kubeconfig.clone(), arguments, &environment);
        daemon.until_ready().await;
        daemon
    }

    fn credential(&self, number: usize) -> Value {
        #[expect(clippy::disallowed_methods, reason = "the daemon goes by the machine's clock")]
        let now = Timestamp::now();
        let date = |days: i64| (now + SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "client_id": format!("0000000{number}-aaaa-4bbb-8ccc-00000000000{number}"),
            "tenant_id": TENANT,
            "authentication_endpoint": "https://login.microsoftonline.com/",
            "client_secret": BASE64_STANDARD.encode(self.certificate.bundle().reveal()),
            "not_before": date(-1), "not_after": date(90), "renew_after": date(46), "cannot_renew_after": date(180),
        })
    }

    /// In the encoding that the HostedCluster names.
    fn store(&self, secret: &str, value: &str) {
        self.store_version(secret, value, None);
    }

    pub(super) fn store_version(&self, secret: &str, value: &str, name_of_version: Option<&str>) {
        let azure = self.standin.azure();
        let (now, name) = (azure.clock.now(), format!("prod-{secret}"));
        let value = match secret {
            "network" => value.bytes().map(|byte| format!("{byte:02x}")).collect(),
            "disk" => BASE64_STANDARD.encode(value),
            _ => value.to_owned(),
        };
        let version = NewVersion { version: name_of_version.map(str::to_owned), ..NewVersion::of(value) };
        assert!(azure.with_world_mut(|world| world.set_secret(&self.vault, &name, version, now)));
    }

    fn store_all(&self) {
        for (index, secret) in NAMED.iter().enumerate() {
            self.store(secret, &self.credential(index + 1).to_string());
        }
    }

    /// Good ones, of this version; that of ingress is newer.
    pub(super) fn store_versions(&self, version: &str, of_ingress: &str) {
        for (index, secret) in NAMED.iter().enumerate() {
            let version = if *secret == "ingress" { of_ingress } else { version };
            self.store_version(secret, &self.credential(index + 1).to_string(), Some(version));
        }
    }

    pub(super) async fn recheck(&self, value: &str) {
        let patch = json!({"metadata": {"annotations": {"hcpidentity.dev/recheck": value}}});
        let api = self.stage.api(&self.stage.namespace, HOSTED_CLUSTER);
        api.patch("prod", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("a HostedCluster");
    }

    /// The status when the component has this reason, and what is said of that.
    async fn reason(&self, id: &str, reason: &str) -> (Value, String) {
        let fits = |status: &Value| component(status, id)["reason"] == reason;
        let status = wait_until(reason, async || self.stage.status("prod").await.filter(fits)).await;
        let message = component(&status, id)["message"].as_str().unwrap_or_default().to_owned();
        (status, message)
    }

    async fn rollouts(&self) -> Vec<i64> {
        self.stage.generations(&self.stage.plane("prod"), DEPLOYMENT).await.into_values().collect()
    }
}

/// Pods are wired when their credentials have passed, and stay so whatever becomes of these.
#[tokio::test]
async fn no_pod_is_wired_to_a_credential_that_fails_and_none_is_unwired() {
    let world = World::new("v-gate").await;
    world.stage.create_small_world("prod").await;
    let daemon = world.daemon(&["--credential-check", "content"]).await;
    let (status, message) = world.reason("ingress", "CredentialFailed").await;
    assert!(message.contains("prod-ingress"), "{message}");
    assert_eq!(condition(&status, "Verified")["status"], "False");
    let classes = world.stage.generations(&world.stage.plane("prod"), CLASS).await;
    assert_eq!(classes.len(), 9, "a class is no pod");
    assert!(world.rollouts().await.iter().all(|generation| *generation == 1), "none is wired");

    world.store_all();
    let mut broken = world.credential(5);
    broken.as_object_mut().expect("an object").remove("not_before");
    world.store("ingress", &broken.to_string());
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.recheck("1").await;
    world.reason("cpo", "WaitingForPod").await;
    let (_, message) = world.reason("ingress", "CredentialFailed").await;
    assert!(message.contains("not_before") && message.contains("nil pointer"), "{message}");
    let ingress = world.stage.get(&world.stage.plane("prod"), DEPLOYMENT, "ingress-operator").await.expect("it");
    assert_eq!(ingress.metadata.generation, Some(1), "the others do not wait for it, and it does for itself");

    world.store("ingress", &world.credential(5).to_string());
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.recheck("2").await;
    let (status, _) = world.reason("ingress", "WaitingForPod").await;
    assert_eq!(condition(&status, "Verified")["status"], "True", "{status:#}");
    assert!(status["expires"].as_str().is_some_and(|expires| !expires.is_empty()), "{status:#}");
    assert!(component(&status, "ingress")["credential"]["version"].is_string(), "{status:#}");
    let rolled_out = world.rollouts().await;
    let read = world.standin.azure().journal.count(Operation::GetSecret);
    assert_eq!(read, 10, "nine, and the one that changed");

    world.standin.azure().faults.add(Fault::times(
        Operation::ListSecrets,
        1000,
        Effect::Status { status: 429, retry_after_seconds: Some(60) },
    ));
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.recheck("3").await;
    let throttled = wait_until("it is told once", async || {
        let status = world.stage.status("prod").await?;
        let message = condition(&status, "Verified")["message"].as_str().unwrap_or_default().to_owned();
        (message.starts_with("9 of 9; ") && message.contains(&world.vault)).then_some(status)
    })
    .await;
    assert_eq!(condition(&throttled, "Verified")["status"], "True", "what was known stays known: {throttled:#}");
    assert_eq!(world.rollouts().await, rolled_out);
    for text in [daemon.log(), daemon.metrics(), throttled.to_string()] {
        let key = world.certificate.key_pem.reveal();
        let lines = key.lines().filter(|line| line.len() == 64);
        let encoded = BASE64_STANDARD.encode(world.certificate.bundle().reveal());
        assert!(!text.contains(CANARY) && !text.contains(&encoded[..64]), "{text}");
        lines.for_each(|line| assert!(!text.contains(line), "{text}"));
    }
    let metrics = daemon.metrics();
    assert!(metrics.contains("hcp_identity_credential_not_after_seconds{"), "{metrics}");
}

/// The identity may list and not read, and the pods are wired all the same where the vault lists their secrets.
#[tokio::test]
async fn metadata_is_enough_where_no_more_is_wanted_and_no_value_is_read() {
    let world = World::with_role("v-metadata", "reader").await;
    world.store_all();
    world.stage.create_small_world("prod").await;
    let _daemon = world.daemon(&["--credential-check", "metadata"]).await;
    let (status, _) = world.reason("ingress", "WaitingForPod").await;
    assert_eq!(condition(&status, "Verified")["status"], "Unknown", "{status:#}");
    world.reason("cpo", "WaitingForPod").await;
    assert!(world.standin.azure().journal.count(Operation::ListSecrets) > 0);
    assert_eq!(world.standin.azure().journal.count(Operation::GetSecret), 0);
}

/// Without checks nobody asks a vault.
#[tokio::test]
async fn without_checks_no_vault_is_asked() {
    let world = World::new("v-none").await;
    world.stage.create_small_world("prod").await;
    let _daemon = world.daemon(&["--credential-check", "none"]).await;
    let (status, _) = world.reason("ingress", "WaitingForPod").await;
    assert_eq!(condition(&status, "Verified")["reason"], "NotChecked");
    assert_eq!(world.standin.azure().journal.entries().len(), 0);
}
