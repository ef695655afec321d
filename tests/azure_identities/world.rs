//! An Azure with two subscriptions, somebody who owns them, and a cluster that asks for identities. A test is the line that breaks it.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use azure_standin::{
    Settings, Standin,
    arm::{Behaviour, Habits},
    cloud::Cloud,
    operation::Operation,
    signer::Signer,
};
use hcp_identity::{
    arm::{Arm, OldRoles, Refusal},
    azure::Access,
    credential::Secret,
    finding::Finding,
    provision::{Cluster, CredentialsRequests, Given, IdentityPlan, Issuer, Mark, Tags, TechPreview},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::standin::http;

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub const SUBSCRIPTION: &str = "99999999-9999-9999-9999-999999999999";
pub const OTHER_SUBSCRIPTION: &str = "88888888-8888-8888-8888-888888888888";
pub const OWNER: &str = "22222222-2222-2222-2222-222222222222";
pub const STRANGER: &str = "33333333-3333-3333-3333-333333333333";
pub const ISSUER: &str = "https://prodoidc.blob.core.windows.net/Prod";
pub const IDENTITIES: &str = "2024-11-30";
pub const ROLES: &str = "2022-04-01";
const GROUPS: &str = "2021-04-01";
pub const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
/// An action on data.
pub const BLOBS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
pub const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";

static ENTRA: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));

pub struct World {
    pub standin: Standin,
    cloud: Cloud,
    http: reqwest::Client,
    token: String,
}

/// A request of a component.
pub struct Request {
    pub name: &'static str,
    /// `namespace/name` of its Secret.
    pub secret: &'static str,
    pub roles: &'static [&'static str],
    pub permissions: &'static [&'static str],
    pub data_permissions: &'static [&'static str],
    pub accounts: Vec<String>,
}

pub fn requests() -> Vec<Request> {
    let accounts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        Request {
            name: "openshift-ingress-azure",
            secret: "openshift-ingress-operator/cloud-credentials",
            roles: &["Contributor", "DNS Zone Contributor"],
            permissions: &[],
            data_permissions: &[],
            accounts: accounts(&["ingress-operator"]),
        },
        Request {
            name: "openshift-image-registry-azure",
            secret: "openshift-image-registry/installer-cloud-credentials",
            roles: &[],
            permissions: &["Microsoft.Storage/storageAccounts/read", "Microsoft.Storage/storageAccounts/write"],
            data_permissions: &[BLOBS],
            accounts: accounts(&["cluster-image-registry-operator", "registry"]),
        },
    ]
}

pub fn yaml(requests: &[Request]) -> String {
    let documents = requests.iter().map(|request| {
        let (namespace, name) = request.secret.split_once('/').unwrap();
        let bindings: Vec<_> = request.roles.iter().map(|role| json!({"role": role})).collect();
        let document = json!({
            "apiVersion": "cloudcredential.openshift.io/v1",
            "kind": "CredentialsRequest",
            "metadata": {"name": request.name, "namespace": "openshift-cloud-credential-operator"},
            "spec": {
                "secretRef": {"namespace": namespace, "name": name},
                "serviceAccountNames": request.accounts,
                "providerSpec": {
                    "apiVersion": "cloudcredential.openshift.io/v1",
                    "kind": "AzureProviderSpec",
                    "roleBindings": bindings,
                    "permissions": request.permissions,
                    "dataPermissions": request.data_permissions,
                },
            },
        });
        document.to_string()
    });
    documents.collect::<Vec<_>>().join("\n---\n")
}

pub const PROD: Given<'_> = Given {
    name: "prod",
    region: "westeurope",
    oidc_group: None,
    installation_group: None,
    dns_zone_group: Some("dns"),
    network_group: Some("net"),
};

pub fn planned(requests: &[Request], given: &Given<'_>) -> (IdentityPlan, Vec<Finding>) {
    let tags = Tags::from([("team".to_owned(), "a".to_owned())]);
    let cluster = Cluster::new(given, Issuer::new(ISSUER).unwrap(), tags).unwrap();
    let mut findings = Vec::new();
    let mut find = |finding| findings.push(finding);
    let mut reader = CredentialsRequests::new(TechPreview::Off, &mut find);
    reader.read(&"requests.yaml".into(), yaml(requests).as_bytes()).unwrap();
    let plan = reader.plan(&cluster);
    (plan, findings)
}

pub fn plan(requests: &[Request]) -> IdentityPlan {
    let (plan, findings) = planned(requests, &PROD);
    assert_eq!(findings, []);
    plan
}

impl World {
    /// With the groups that a cluster finds.
    pub async fn start() -> Self {
        Self::start_in(Cloud::Public).await
    }

    pub async fn start_in(cloud: Cloud) -> Self {
        let standin =
            Standin::start(Settings { signer: Some(Arc::clone(&ENTRA)), ..Settings::default() }).await.unwrap();
        let secrets = json!([{"value": "hush", "notAfter": "2100-01-01T00:00:00Z"}]);
        let principal = |id: &str| json!({"clientId": id, "objectId": id, "tenant": TENANT, "clientSecrets": secrets});
        let owns = |id: &str| json!({"principalId": OWNER, "role": "Owner", "scope": format!("/subscriptions/{id}")});
        let document = json!({
            "tenants": [{"id": TENANT, "cloud": cloud}],
            "principals": [principal(OWNER), principal(STRANGER)],
            "subscriptions": [{"id": SUBSCRIPTION, "tenant": TENANT}, {"id": OTHER_SUBSCRIPTION, "tenant": TENANT}],
            "roleAssignments": [owns(SUBSCRIPTION), owns(OTHER_SUBSCRIPTION)],
        });
        standin.azure().load(serde_json::from_value(document).unwrap());
        let http = http(&standin);
        let token = sign_in(&http, cloud).await;
        let world = Self { standin, cloud, http, token };
        world.behave(Behaviour::default());
        for group in ["dns", "net"] {
            world.put(&world.group(group), GROUPS, json!({"location": "westeurope"})).await;
        }
        world.standin.azure().journal.clear();
        world
    }

    pub fn behave(&self, behaviour: Behaviour) {
        let habits = Habits { federated_write_milliseconds: 0, ..behaviour.habits };
        self.standin.azure().with_world_mut(|world| world.arm.behave(Behaviour { habits, ..behaviour }));
    }

    pub fn access(&self, client: &str) -> Access {
        let about = self.standin.about();
        Access {
            client_id: Some(client.to_owned()),
            tenant_id: Some(TENANT.to_owned()),
            client_secret: Some(Secret::new(b"hush".to_vec())),
            proxy: Some(format!("http://{}", about.proxy)),
            authorities: Some(about.ca_pem.clone()),
            ..Access::default()
        }
    }

    /// Makes it, as the owner: what was told, and what ended it.
    pub async fn make(&self, plan: &IdentityPlan) -> (Vec<String>, Result<(), Refusal>) {
        self.make_as(OWNER, SUBSCRIPTION, plan, OldRoles::Prune).await
    }

    pub async fn make_as(
        &self,
        client: &str,
        subscription: &str,
        plan: &IdentityPlan,
        old_roles: OldRoles,
    ) -> (Vec<String>, Result<(), Refusal>) {
        let arm = Arm::new(&self.access(client), "", subscription).unwrap();
        let mut told = Vec::new();
        let mut see = |change, what| {
            let change: &str = <&'static str>::from(change);
            told.push(format!("{change}: {what}"));
        };
        let made = arm.make_identities(plan, &Mark::of("prod"), old_roles, None, &mut see).await;
        (told, made.map(drop))
    }

    /// Makes it, which succeeds.
    pub async fn made(&self, plan: &IdentityPlan) -> Vec<String> {
        let (told, done) = self.make(plan).await;
        done.unwrap();
        told
    }

    pub async fn refused(&self, plan: &IdentityPlan) -> String {
        self.make(plan).await.1.unwrap_err().message
    }

    pub fn count(&self, operation: Operation) -> usize {
        self.standin.azure().journal.count(operation)
    }

    /// How often something was changed.
    pub fn writes(&self) -> usize {
        let entries = self.standin.azure().journal.entries();
        entries.iter().filter(|entry| entry.host.starts_with("management.") && entry.method != "GET").count()
    }

    pub fn group(&self, name: &str) -> String {
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}")
    }

    pub fn identity(&self, name: &str) -> String {
        format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}", self.group("prod-oidc"))
    }

    pub async fn call(&self, method: Method, path: &str, version: &str, body: &Value) -> (u16, Value) {
        let join = if path.contains('?') { '&' } else { '?' };
        let manager = self.cloud.names().manager;
        let mut request = self.http.request(method, format!("https://{manager}{path}{join}api-version={version}"));
        request = request.bearer_auth(&self.token);
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, bytes) = (answer.status().as_u16(), answer.bytes().await.unwrap());
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub async fn put(&self, path: &str, version: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::PUT, path, version, &body).await;
        assert!(status < 300, "{status} {answer}");
        answer
    }

    pub async fn get(&self, path: &str, version: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, version, &Value::Null).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    pub async fn delete(&self, path: &str, version: &str) {
        let (status, answer) = self.call(Method::DELETE, path, version, &Value::Null).await;
        assert!(status < 300, "{status} {answer}");
    }

    async fn list(&self, path: &str, version: &str) -> Vec<Value> {
        self.get(path, version).await["value"].as_array().unwrap().clone()
    }

    pub async fn principal(&self, identity: &str) -> String {
        let identity = self.get(&self.identity(identity), IDENTITIES).await;
        identity["properties"]["principalId"].as_str().unwrap().to_owned()
    }

    /// As by hand, but for the description: the id.
    pub async fn assign(&self, scope: &str, role: &str, principal: &str, description: Option<&str>) -> String {
        let name = format!("aaaaaaaa-aaaa-aaaa-aaaa-{:012}", self.count(Operation::WriteRoleAssignment));
        let definition =
            format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"properties": {"principalId": principal, "roleDefinitionId": definition, "description": description}});
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        self.put(&path, ROLES, body).await;
        path
    }

    pub async fn credentials(&self, identity: &str) -> Vec<Value> {
        self.list(&format!("{}/federatedIdentityCredentials", self.identity(identity)), IDENTITIES).await
    }

    /// Everything that is there, but for what Azure chooses at random.
    pub async fn shown(&self) -> Value {
        let root = format!("/subscriptions/{SUBSCRIPTION}");
        let groups = self.list(&format!("{root}/resourcegroups"), GROUPS).await;
        let groups: Vec<_> =
            groups.iter().map(|group| json!([group["name"], group["location"], group["tags"]])).collect();
        let mut names = BTreeMap::new();
        let mut identities = Vec::new();
        let all = format!("{root}/providers/Microsoft.ManagedIdentity/userAssignedIdentities");
        for identity in self.list(&all, IDENTITIES).await {
            let name = identity["name"].as_str().unwrap();
            names.insert(identity["properties"]["principalId"].as_str().unwrap().to_owned(), name.to_owned());
            let credentials: Vec<_> = self.credentials(name).await.iter().map(without_id).collect();
            identities.push(json!([name, identity["location"], identity["tags"], credentials]));
        }
        let roles =
            format!("{root}/providers/Microsoft.Authorization/roleDefinitions?$filter=type%20eq%20'CustomRole'");
        let roles: Vec<_> = self.list(&roles, ROLES).await.iter().map(without_dates).collect();
        let assignments = self.list(&format!("{root}/providers/Microsoft.Authorization/roleAssignments"), ROLES).await;
        let assignments: Vec<_> = assignments
            .iter()
            .map(|one| &one["properties"])
            .filter(|one| one["principalId"] != OWNER)
            .map(|one| {
                let principal = one["principalId"].as_str().unwrap();
                let role = one["roleDefinitionId"].as_str().unwrap().rsplit('/').next();
                json!([names.get(principal), role, one["scope"], one["description"]])
            })
            .collect();
        let mut assignments: Vec<_> = assignments.iter().map(Value::to_string).collect();
        assignments.sort();
        json!({"groups": groups, "identities": identities, "roles": roles, "assignments": assignments})
    }
}

fn without_id(credential: &Value) -> Value {
    json!([credential["name"], credential["properties"]])
}

fn without_dates(role: &Value) -> Value {
    let properties = &role["properties"];
    let of = |key: &str| properties[key].clone();
    json!([role["name"], of("roleName"), of("description"), of("permissions"), of("assignableScopes")])
}

async fn sign_in(http: &reqwest::Client, cloud: Cloud) -> String {
    let (login, manager) = (cloud.login(), cloud.names().manager);
    let form = format!(
        "grant_type=client_credentials&client_id={OWNER}&client_secret=hush&scope=https%3A%2F%2F{manager}%2F.default"
    );
    let url = format!("https://{login}/{TENANT}/oauth2/v2.0/token");
    let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.unwrap().bytes().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}
