//! What a management cluster needs to sign in without a secret, before anything of it is made.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    API_VERSION, IdentityId,
    cluster_identity::{CREDENTIAL_FILE, CREDENTIALS_CLOUD, CREDENTIALS_PATH, WORKLOAD_IDENTITY},
};
use crate::{
    names::{ClientId, Namespace, ObjectName, TenantId, is_uuid, service_account},
    provision::{Credential, FederatedIdentity, Issuer, SigningKey},
};

/// The audience of tokens for Entra, in every cloud that CAPZ knows.
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";
/// Where `clusterctl init` puts CAPZ and the Azure Service Operator, and whose tokens they sign in with there.
pub(super) const NAMESPACE: &str = "capz-system";
pub(super) const CAPZ_ACCOUNT: &str = "capz-manager";
pub(super) const ASO_ACCOUNT: &str = "azureserviceoperator-default";

/// How CAPZ signs in for a cluster, and what it needs for that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignIn {
    WorkloadIdentity { issuer: Issuer },
    ServicePrincipal { secret: SecretName },
    ManualServicePrincipal { secret: SecretName },
    ServicePrincipalCertificate { certificate: Certificate },
    UserAssignedMsi,
    CredentialFile { path: String, cloud: String },
}

/// A Secret of Kubernetes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SecretName {
    pub name: ObjectName,
    pub namespace: Namespace,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Certificate {
    Secret(SecretName),
    Path(String),
}

/// What is planned for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The cluster that is to become a management cluster, or is one.
    pub cluster: ObjectName,
    /// Where it and its identity are.
    pub namespace: Namespace,
    pub identity_name: ObjectName,
    pub sign_in: SignIn,
    pub client: Option<ClientId>,
    pub tenant: TenantId,
    pub subscription: Option<Subscription>,
    pub allowed_namespaces: Vec<Namespace>,
    pub machine_identity: Option<IdentityId>,
    pub key_pair: KeyFiles,
}

/// The key pair's files as they are named, and the public key where it has been looked at.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    pub private: String,
    pub public: String,
    pub key: Option<SigningKey>,
}

/// The id of a subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription(Box<str>);

impl Subscription {
    /// # Errors
    /// Where it is no UUID.
    pub fn new(id: &str) -> Result<Self, &'static str> {
        if is_uuid(id) { Ok(Self(id.into())) } else { Err("must be a UUID") }
    }
}

impl std::fmt::Display for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Request {
    /// What the identity of `client` has to have for tokens to be taken; none for types without tokens.
    #[must_use]
    pub fn federated(&self, plan: &Plan) -> Option<FederatedIdentity> {
        let (SignIn::WorkloadIdentity { issuer }, Some(client), Some(tokens)) =
            (&self.sign_in, &self.client, &plan.tokens)
        else {
            return None;
        };
        let credentials = tokens.federated_credentials.iter().map(|credential| Credential {
            name: credential.name.to_owned(),
            issuer: issuer.url().clone(),
            subject: credential.subject.clone(),
            audiences: [credential.audience],
        });
        Some(FederatedIdentity {
            client_id: client.clone(),
            tenant_id: self.tenant.clone(),
            cloud: Box::default(),
            name: None,
            used_by: Vec::new(),
            federated_credentials: credentials.collect(),
        })
    }
}

/// What must exist. Serialised, it is what machines read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    pub role_assignments: Vec<RoleAssignment>,
    /// None until there is a client id.
    pub azure_cluster_identity: Option<Value>,
    /// What the specs of machines need.
    pub machine: Option<Value>,
    /// Arguments that CAPZ's manager needs.
    pub manager_arguments: Vec<&'static str>,
    pub notes: Vec<String>,
}

/// What tokens of service accounts need to be taken by Entra.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    pub key_pair: KeyPair,
    pub issuer: IssuerDocuments,
    pub federated_credentials: [FederatedCredential; 2],
    /// The configuration of a kind cluster that signs with the pair.
    pub kind: Value,
    /// The Secret in which a cluster made by Cluster API awaits the pair.
    pub secret: PairSecret,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyPair {
    pub private_key: String,
    pub public_key: String,
    #[serde(rename = "keyID")]
    pub key_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerDocuments {
    pub url: String,
    pub discovery_document: String,
    pub key_set: String,
}

#[derive(Debug, Serialize)]
pub struct FederatedCredential {
    pub name: &'static str,
    pub issuer: String,
    pub subject: String,
    pub audience: &'static str,
}

#[derive(Debug, Serialize)]
pub struct RoleAssignment {
    pub identity: String,
    pub role: &'static str,
    pub scope: String,
}

/// The Secret of the pair without what it holds.
#[derive(Debug, Serialize)]
pub struct PairSecret {
    pub namespace: String,
    pub name: String,
    pub keys: [&'static str; 2],
}

/// # Errors
/// Never of a request: where a configuration cannot be written as YAML.
pub fn plan(request: &Request) -> io::Result<Plan> {
    let mut notes = Vec::new();
    let azure_cluster_identity = azure_cluster_identity(request);
    if azure_cluster_identity.is_none() {
        notes.push(
            "the AzureClusterIdentity needs the client id (--client-id), which is known once the identity is made"
                .to_owned(),
        );
    }
    let tokens = match &request.sign_in {
        SignIn::WorkloadIdentity { issuer } => Some(tokens(request, issuer, &mut notes)?),
        SignIn::ServicePrincipalCertificate { certificate: Certificate::Secret(_) } => {
            notes.push(
                "CAPZ reads the certificate from the key `clientSecret` of the Secret, and makes one of `certificate` and `password` for the Azure Service Operator: it needs all of them"
                    .to_owned(),
            );
            None
        }
        _ => None,
    };
    let manager_arguments = match request.sign_in {
        SignIn::CredentialFile { .. } => {
            notes.push(
                "one CAPZ can serve one identity of this type in a cloud: its cache takes all of them for the first"
                    .to_owned(),
            );
            vec!["--disable-controllers-or-webhooks=DisableASOSecretController"]
        }
        _ => Vec::new(),
    };
    Ok(Plan {
        tokens,
        role_assignments: role_assignments(request),
        azure_cluster_identity,
        machine: request.machine_identity.as_ref().map(machine),
        manager_arguments,
        notes,
    })
}

fn tokens(request: &Request, issuer: &Issuer, notes: &mut Vec<String>) -> io::Result<Tokens> {
    let url = issuer.to_string();
    if url.contains(".blob.") {
        notes.push(
            "the issuer is of blobs: it answers Entra only where the storage account and the container allow public access. That of a static website needs neither"
                .to_owned(),
        );
    }
    if request.key_pair.key.is_none() {
        notes.push("the key pair has not been looked at (--private-key, --public-key)".to_owned());
    }
    let credential = |name, account: &str| FederatedCredential {
        name,
        issuer: url.clone(),
        subject: service_account(NAMESPACE, account),
        audience: AUDIENCE,
    };
    Ok(Tokens {
        key_pair: KeyPair {
            private_key: request.key_pair.private.clone(),
            public_key: request.key_pair.public.clone(),
            key_id: request.key_pair.key.as_ref().map(SigningKey::id),
        },
        issuer: IssuerDocuments {
            discovery_document: issuer.below(Issuer::DISCOVERY),
            key_set: issuer.below(Issuer::KEYS),
            url: url.clone(),
        },
        federated_credentials: [
            credential("capz-federated-identity", CAPZ_ACCOUNT),
            credential("aso-federated-identity", ASO_ACCOUNT),
        ],
        kind: kind(request, &url)?,
        secret: PairSecret {
            namespace: request.namespace.to_string(),
            name: pair_secret_name(&request.cluster),
            keys: ["tls.crt", "tls.key"],
        },
    })
}

/// The Secret in which Cluster API awaits the key pair of a cluster.
#[must_use]
pub fn pair_secret_name(cluster: &ObjectName) -> String {
    format!("{cluster}-sa")
}

/// Where kubeadm has the pair in a node.
const PUBLIC_KEY: &str = "/etc/kubernetes/pki/sa.pub";
const PRIVATE_KEY: &str = "/etc/kubernetes/pki/sa.key";

fn kind(request: &Request, issuer: &str) -> io::Result<Value> {
    let configuration = json!({
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": {
                "service-account-issuer": issuer,
                "service-account-key-file": PUBLIC_KEY,
                "service-account-signing-key-file": PRIVATE_KEY,
            },
        },
        "controllerManager": {"extraArgs": {"service-account-private-key-file": PRIVATE_KEY}},
    });
    let mount = |host: &str, container: &str| json!({"hostPath": host, "containerPath": container});
    Ok(json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{
            "role": "control-plane",
            "extraMounts": [
                mount(&request.key_pair.public, PUBLIC_KEY),
                mount(&request.key_pair.private, PRIVATE_KEY),
            ],
            "kubeadmConfigPatches": [crate::manifest::on_lines(&configuration)?],
        }],
    }))
}

fn role_assignments(request: &Request) -> Vec<RoleAssignment> {
    let subscription = request.subscription.as_ref().map_or("SUBSCRIPTION", |subscription| &subscription.0);
    let contributor = |identity: String| RoleAssignment {
        identity,
        role: "Contributor",
        scope: format!("/subscriptions/{subscription}"),
    };
    let client = request.client.as_ref().map_or("CLIENT", |client| client);
    let nodes = request.machine_identity.as_ref().map(|identity| contributor(identity.to_string()));
    std::iter::once(contributor(client.to_owned())).chain(nodes).collect()
}

fn machine(identity: &IdentityId) -> Value {
    json!({"identity": "UserAssigned", "userAssignedIdentities": [{"providerID": identity.provider_id()}]})
}

/// A credential file has its own client.
fn azure_cluster_identity(request: &Request) -> Option<Value> {
    let client = match (&request.client, &request.sign_in) {
        (Some(client), _) => client,
        (None, SignIn::CredentialFile { .. }) => "",
        (None, _) => return None,
    };
    let allowed = if request.allowed_namespaces.is_empty() {
        json!([request.namespace])
    } else {
        json!(request.allowed_namespaces)
    };
    let mut spec = Map::from_iter([
        ("type".to_owned(), request.sign_in.name().into()),
        ("allowedNamespaces".to_owned(), json!({"list": allowed})),
        ("clientID".to_owned(), client.into()),
        ("tenantID".to_owned(), json!(request.tenant)),
    ]);
    let mut set = |field: &str, value| drop(spec.insert(field.to_owned(), value));
    match &request.sign_in {
        SignIn::WorkloadIdentity { .. } | SignIn::UserAssignedMsi => {}
        SignIn::ServicePrincipal { secret }
        | SignIn::ManualServicePrincipal { secret }
        | SignIn::ServicePrincipalCertificate { certificate: Certificate::Secret(secret) } => {
            set("clientSecret", json!(secret));
        }
        SignIn::ServicePrincipalCertificate { certificate: Certificate::Path(path) } => {
            set("certPath", path.as_str().into());
        }
        SignIn::CredentialFile { path, cloud } => {
            set(CREDENTIALS_PATH, path.as_str().into());
            set(CREDENTIALS_CLOUD, cloud.as_str().into());
        }
    }
    Some(json!({
        "apiVersion": API_VERSION,
        "kind": super::cluster_identity::KIND,
        "metadata": {
            "name": request.identity_name,
            "namespace": request.namespace,
            // Without it `clusterctl move` leaves the identity behind.
            "labels": {"clusterctl.cluster.x-k8s.io/move-hierarchy": "true"},
        },
        "spec": spec,
    }))
}

impl SignIn {
    fn name(&self) -> &'static str {
        match self {
            Self::WorkloadIdentity { .. } => WORKLOAD_IDENTITY,
            Self::ServicePrincipal { .. } => "ServicePrincipal",
            Self::ManualServicePrincipal { .. } => "ManualServicePrincipal",
            Self::ServicePrincipalCertificate { .. } => "ServicePrincipalCertificate",
            Self::UserAssignedMsi => "UserAssignedMSI",
            Self::CredentialFile { .. } => CREDENTIAL_FILE,
        }
    }
}
