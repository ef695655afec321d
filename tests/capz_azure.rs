//! `capz check --subscription-id`, against the stand-in: what is not in Azure as CAPZ needs it is told, and nothing is changed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation,
};
use serde_json::{Value, json};
use support::subscription::{Ran, STRANGER, SUBSCRIPTION, Subscription, TENANT};

const ISSUER: &str = "https://oidc.example.com/prod/";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const IDENTITIES: &str = "/resourceGroups/mgmt/providers/Microsoft.ManagedIdentity/userAssignedIdentities";
const ACCOUNTS: [(&str, &str); 2] =
    [("capz-federated-identity", "capz-manager"), ("aso-federated-identity", "azureserviceoperator-default")];

/// A subscription with an identity that is as it should be, and manifests that name it.
struct World {
    azure: Subscription,
    client: String,
    principal: String,
}

impl World {
    async fn new(test: &str) -> Self {
        let azure = Subscription::start(&format!("capz-azure-{test}"), &[]).await;
        let somewhere = json!({"location": "westeurope"});
        azure.put("/resourceGroups/mgmt", "2021-04-01", &somewhere).await;
        let made = azure.put(&format!("{IDENTITIES}/capz"), "2024-11-30", &somewhere).await;
        let id = |key: &str| made["properties"][key].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let world = Self { client: id("clientId"), principal: id("principalId"), azure };
        world.write(&world.client, "capz");
        world
    }

    /// Manifests of an AzureClusterIdentity, and of machines whose nodes sign in as another identity.
    #[expect(clippy::disallowed_methods, reason = "the program reads files")]
    fn write(&self, client: &str, machine: &str) {
        let machine = format!("azure:///subscriptions/{SUBSCRIPTION}{IDENTITIES}/{machine}");
        let group = "infrastructure.cluster.x-k8s.io/v1beta1";
        let items = [
            json!({
                "apiVersion": group, "kind": "AzureClusterIdentity",
                "metadata": {"name": "cluster-identity", "namespace": "default"},
                "spec": {"type": "WorkloadIdentity", "clientID": client, "tenantID": TENANT, "allowedNamespaces": {}},
            }),
            json!({
                "apiVersion": group, "kind": "AzureMachine", "metadata": {"name": "node", "namespace": "default"},
                "spec": {"identity": "UserAssigned", "userAssignedIdentities": [{"providerID": machine}]},
            }),
        ];
        let stream: String = items.iter().map(|item| format!("---\n{item}\n")).collect();
        std::fs::write(self.azure.folder.join("prod.yaml"), stream).unwrap();
    }

    async fn trust(&self, name: &str, issuer: &str, account: &str, audience: &str) {
        let path = format!("{IDENTITIES}/capz/federatedIdentityCredentials/{name}");
        let subject = format!("system:serviceaccount:capz-system:{account}");
        let body = json!({"properties": {"issuer": issuer, "subject": subject, "audiences": [audience]}});
        let made = self.azure.put(&path, "2024-11-30", &body).await;
        assert_eq!(made["properties"]["issuer"], issuer, "{made}");
    }

    async fn trust_both(&self) {
        for (name, account) in ACCOUNTS {
            self.trust(name, ISSUER, account, "api://AzureADTokenExchange").await;
        }
    }

    /// Gives it a role on the subscription, or on something in it.
    async fn assign(&self, role: &str, below: &str) {
        let definition =
            format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let path = format!("{below}/providers/Microsoft.Authorization/roleAssignments/{role}");
        let properties = json!({
            "principalId": self.principal, "roleDefinitionId": definition, "principalType": "ServicePrincipal",
        });
        let made = self.azure.put(&path, "2022-04-01", &json!({"properties": properties})).await;
        assert_eq!(made["properties"]["principalId"], *self.principal, "{made}");
    }

    async fn run(&self, more: &[&str]) -> Ran {
        let check = ["capz", "check", "-f", "prod.yaml", "--issuer", ISSUER, "--subscription-id", SUBSCRIPTION];
        self.azure.run(&[&check, more].concat()).await
    }

    /// Severity, reason and place of each finding.
    async fn findings(&self) -> Vec<(String, String)> {
        let ran = self.run(&["-o", "json"]).await;
        let answer: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let told = |finding: &Value| {
            let word = |key: &str| finding[key].as_str().unwrap_or_default();
            (format!("{}[{}]", word("severity"), word("reason")), word("field").to_owned())
        };
        answer["findings"].as_array().unwrap().iter().map(told).collect()
    }

    async fn finds(&self, wanted: &[(&str, &str)]) {
        let wanted: Vec<_> = wanted.iter().map(|(what, field)| ((*what).to_owned(), (*field).to_owned())).collect();
        assert_eq!(self.findings().await, wanted);
    }
}

const MISSING: (&str, &str) = ("error[FederatedCredentialMissing]", "spec.clientID");
const NO_ROLE: (&str, &str) = ("error[RoleMissing]", "spec.clientID");
const FEW_ROLES: (&str, &str) = ("warning[RoleMissing]", "spec.clientID");

#[tokio::test]
async fn an_identity_that_is_as_capz_needs_it_has_nothing_wrong_and_nothing_is_changed() {
    let world = World::new("whole").await;
    world.finds(&[MISSING, MISSING, NO_ROLE]).await;
    world.trust_both().await;
    world.finds(&[NO_ROLE]).await;
    world.assign(CONTRIBUTOR, "").await;
    world.azure.standin.azure().journal.clear();
    world.finds(&[]).await;
    assert!(world.azure.changes().is_empty(), "{:?}", world.azure.changes());
    // Without the flag Azure is not asked.
    world.azure.standin.azure().journal.clear();
    assert_eq!(world.azure.run(&["capz", "check", "-f", "prod.yaml"]).await.code, 0);
    assert!(world.azure.standin.azure().journal.entries().is_empty());
}

/// HyperShift's CAPZ signs in as another ServiceAccount, and with roles of its own.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the program reads files")]
async fn an_identity_of_hypershift_is_not_that_of_capz() {
    let world = World::new("hypershift").await;
    let manager = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "capi-provider", "namespace": "default"},
        "spec": {"template": {"spec": {"containers": [{"name": "manager"}]}}},
    });
    let file = world.azure.folder.join("prod.yaml");
    let alone = std::fs::read_to_string(&file).unwrap();
    world.finds(&[MISSING, MISSING, NO_ROLE]).await;
    std::fs::write(&file, format!("{alone}---\n{manager}\n")).unwrap();
    world.finds(&[]).await;
}

#[tokio::test]
async fn credentials_are_compared_byte_by_byte() {
    let world = World::new("exact").await;
    world.trust_both().await;
    world.assign(CONTRIBUTOR, "").await;
    let ((capz, manager), (aso, operator)) = (ACCOUNTS[0], ACCOUNTS[1]);
    let audience = "api://AzureADTokenExchange";
    for (name, issuer, account, of) in [
        (capz, ISSUER.trim_end_matches('/'), manager, audience),
        (capz, ISSUER, "Capz-Manager", audience),
        (aso, ISSUER, operator, "openshift"),
        (aso, ISSUER, "default", audience),
    ] {
        world.trust(name, issuer, account, of).await;
        world.finds(&[MISSING]).await;
        let told = world.run(&[]).await.out;
        let value =
            format!("(value \"issuer {issuer}, subject system:serviceaccount:capz-system:{account}, audience {of}\")");
        assert!(told.contains(&value), "{told}");
        let command = format!(
            "az identity federated-credential update --subscription {SUBSCRIPTION} --resource-group mgmt --identity-name capz --name {name} --issuer {ISSUER} "
        );
        assert!(told.contains(&command), "{told}");
        world.trust_both().await;
    }
    world.finds(&[]).await;
}

#[tokio::test]
async fn roles_that_are_fewer_than_capz_documents_are_a_warning() {
    let world = World::new("roles").await;
    world.trust_both().await;
    world.assign(READER, "").await;
    world.finds(&[FEW_ROLES]).await;
    world.assign(CONTRIBUTOR, "/resourceGroups/mgmt").await;
    world.finds(&[FEW_ROLES]).await;
    let told = world.run(&[]).await.out;
    let command = format!("az role assignment create --assignee-object-id {} ", world.principal);
    assert!(told.contains(&command), "{told}");
}

#[tokio::test]
async fn identities_that_are_not_there_are_told_with_the_command_that_makes_them() {
    let world = World::new("absent").await;
    world.write(STRANGER, "nodes");
    let machine = ("error[IdentityNotInAzure]", "spec.userAssignedIdentities[0].providerID");
    world.finds(&[("error[IdentityNotInAzure]", "spec.clientID"), machine]).await;
    let told = world.run(&[]).await.out;
    let command = format!("az identity create --subscription {SUBSCRIPTION} --resource-group mgmt --name nodes");
    assert!(told.contains(&command) && told.contains("az identity list"), "{told}");
}

#[tokio::test]
async fn a_machine_identity_that_nobody_may_read_takes_no_other_finding_away() {
    let world = World::new("unread").await;
    let (code, message) = ("AuthorizationFailed".to_owned(), "does not have authorization".to_owned());
    let refused = Effect::Refuse { status: 403, code, message, retry_after_seconds: None };
    world.azure.standin.azure().faults.add(Fault::always(Operation::ReadIdentity, refused));
    let machine = ("warning[NotLookedAt]", "spec.userAssignedIdentities[0].providerID");
    world.finds(&[MISSING, MISSING, NO_ROLE, machine]).await;
}

#[tokio::test]
async fn an_azure_that_does_not_answer_is_no_finding() {
    let world = World::new("stranger").await;
    let mut command = world.azure.command();
    command.args(["capz", "check", "-f", "prod.yaml", "--subscription-id", SUBSCRIPTION]);
    let ran = support::subscription::run({
        command.env("AZURE_CLIENT_ID", STRANGER);
        command
    })
    .await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("AuthorizationFailed"), "{ran:?}");
}
