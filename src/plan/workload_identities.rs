//! The other half of the gate: from a HostedCluster whose components exchange tokens of its own to identities, and to the
//! federated credentials without which Entra would take none of those tokens.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use hcp_identity_api::hosted_cluster::{AzurePlatform, Cloud, HostedCluster};

use super::identities::{AZURE, ClusterName, absence, cloud_name, cluster_name, warn_of_tenant};
use crate::{
    component::{COMPONENTS, Component, Id},
    finding::{FieldPath, Problem, Reason},
    names::{self, ClientId, IssuerUrl, Namespace, TenantId},
};

/// What a HostedCluster with workload identities says about them, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadIdentities {
    pub cluster: ClusterName,
    /// The control plane namespace.
    pub namespace: Namespace,
    pub issuer: IssuerUrl,
    pub tenant: TenantId,
    /// `spec.platform.azure.cloud`, with its default.
    pub cloud: Box<str>,
    /// What HyperShift tells the resources of one HostedCluster from those of another by; empty where it has yet to choose it.
    pub infra_id: Box<str>,
    /// In the order of the table, but for those that nothing signs in as.
    pub named: Vec<WorkloadIdentity>,
}

/// The identity of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadIdentity {
    pub component: Id,
    pub client_id: ClientId,
}

/// What an identity has to have for a service account of the hosted cluster to sign in as it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FederatedCredential {
    pub name: String,
    pub issuer: IssuerUrl,
    pub subject: String,
}

/// For whom HyperShift's components have their tokens issued. Azure's own webhook has another one.
pub const AUDIENCE: &str = "openshift";

const ISSUER: &str = "spec.issuerURL";

impl WorkloadIdentities {
    /// The federated credentials that the identity of a component has to have, in the order of the table.
    pub fn federated_credentials(&self, component: Id) -> impl Iterator<Item = FederatedCredential> {
        let federated = &Component::of(component).federated;
        federated.service_accounts.iter().map(|account| FederatedCredential {
            name: format!("{}-{}-fed-id{}", self.prefix(), federated.name, account.suffix),
            issuer: self.issuer.clone(),
            subject: names::service_account(account.namespace, account.name),
        })
    }

    /// The name of a component's identity, in the way of `hypershift create iam azure`; none while there is no infra id, or
    /// where Azure has no such names.
    #[must_use]
    pub fn identity_name(&self, component: Id) -> Option<String> {
        let name = format!("{}-{}-{}", self.prefix(), Component::of(component).federated.name, self.infra_id);
        (!self.infra_id.is_empty() && names::is_identity_name(&name)).then_some(name)
    }

    /// Azure's names have no dots.
    fn prefix(&self) -> String {
        self.cluster.name.replace('.', "-")
    }
}

pub(super) fn check(
    cluster: &HostedCluster,
    azure: &AzurePlatform,
    problems: &mut Vec<Problem>,
) -> Option<WorkloadIdentities> {
    let name = cluster_name(cluster, problems);
    let issuer = issuer(cluster, azure, problems);
    warn_of_signing_key(cluster, problems);
    let tenant = tenant(azure, problems);
    let named: Vec<_> = COMPONENTS.iter().filter_map(|component| identity(component, cluster, problems)).collect();
    warn_of_shared_identities(&named, problems);
    let (cluster_name, namespace) = name?;
    let infra_id = cluster.spec.infra_id.as_str().into();
    Some(WorkloadIdentities {
        cluster: cluster_name,
        namespace,
        issuer: issuer?,
        tenant: tenant?,
        cloud: cloud_name(azure).into(),
        infra_id,
        named,
    })
}

fn issuer(cluster: &HostedCluster, azure: &AzurePlatform, problems: &mut Vec<Problem>) -> Option<IssuerUrl> {
    let (field, value) = (FieldPath::of(ISSUER), cluster.spec.issuer_url.as_str());
    if value.is_empty() {
        let message = "is missing, and its default, https://kubernetes.default.svc, is an issuer that Entra cannot ask for its keys";
        let remedy =
            "name the issuer whose documents are published; it can only be set when a HostedCluster is created";
        problems.push(Problem::error(Reason::IssuerNotPublic, field, message, remedy));
        return None;
    }
    let Ok(issuer) = IssuerUrl::new(value) else {
        let message = "is no issuer that Entra takes";
        let remedy = format!("it must be {}", IssuerUrl::RULE);
        problems.push(Problem::error(Reason::InvalidIssuer, field, message, remedy).with_value(value));
        return None;
    };
    // Azure Stack's own directory is asked where it stands.
    let reaches_inside = azure.cloud.as_ref().is_some_and(|cloud| cloud.is(&Cloud::AzureStackCloud));
    if !is_public(host(value)) && !reaches_inside {
        let message = "is on a host that is not of the internet: Entra could not ask it for its keys";
        let remedy = "publish the issuer's documents where anybody can read them, and name that";
        problems.push(Problem::error(Reason::IssuerNotPublic, field, message, remedy).with_value(value));
        return None;
    }
    if let Some((message, remedy)) = odd_issuer(value) {
        problems.push(Problem::warning(Reason::OddIssuer, field, message, remedy).with_value(value));
    }
    Some(issuer)
}

/// Forms that Entra takes and that people come to grief with, because it compares them byte by byte.
fn odd_issuer(url: &str) -> Option<(&'static str, &'static str)> {
    if url.ends_with("/openid-configuration") || url.ends_with("/openid/v1/jwks") {
        return Some((
            "is where a document of the issuer is, and not the issuer: Entra looks for .well-known/openid-configuration below it",
            "leave out what comes after the issuer",
        ));
    }
    if host(url).bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some((
            "has a host in upper case, which Entra does not take for the same in lower case",
            "write it as the discovery document does, which is lower case as a rule",
        ));
    }
    url.ends_with('/').then_some((
        "ends with a slash, which issuers of ccoctl and HyperShift have not; Entra does not take it for the same without one",
        "see that the discovery document and all federated credentials have it as well",
    ))
}

/// The host of an issuer, without its port.
fn host(url: &str) -> &str {
    let authority = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
    let port = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
    &authority[..port.unwrap_or(authority.len())]
}

/// Whether a host can be one of the internet, as far as its name tells.
fn is_public(host: &str) -> bool {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return !(address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified());
    }
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        let local = address.is_unique_local() || address.is_unicast_link_local();
        return !(local || address.is_loopback() || address.is_unspecified());
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let last = host.rsplit_once('.').map(|(_, last)| last);
    last.is_some_and(|last| !["svc", "local", "localhost", "internal"].contains(&last))
}

/// HyperShift uploads the documents of AWS's issuers only.
fn warn_of_signing_key(cluster: &HostedCluster, problems: &mut Vec<Problem>) {
    let key = cluster.spec.service_account_signing_key.as_ref();
    if key.is_none_or(|key| key.name.is_empty()) {
        let message =
            "is missing: HyperShift makes a key that the issuer does not publish, unless somebody fetches it and does";
        let remedy = "give the Secret of the key whose public half the issuer publishes";
        let field = FieldPath::of("spec.serviceAccountSigningKey");
        problems.push(Problem::warning(Reason::SigningKeyNotGiven, field, message, remedy));
    }
}

fn tenant(azure: &AzurePlatform, problems: &mut Vec<Problem>) -> Option<TenantId> {
    warn_of_tenant(AZURE, &azure.tenant_id, problems);
    let refuse = |_| {
        let message = "is empty: no component could sign in";
        let field = FieldPath::of(AZURE).key("tenantID");
        problems.push(Problem::error(Reason::EmptyTenantID, field, message, "give the tenant id").with_value(""));
    };
    TenantId::new(azure.tenant_id.as_str()).map_err(refuse).ok()
}

fn identity(component: &Component, cluster: &HostedCluster, problems: &mut Vec<Problem>) -> Option<WorkloadIdentity> {
    let federated = &component.federated;
    if let Some(left_out) = (federated.left_out)(cluster) {
        problems.push(absence("federated credential", component.id, &left_out));
        return None;
    }
    let value = (federated.identity)(cluster)?.client_id.as_str();
    let field = FieldPath::of(federated.field).key("clientID");
    let refuse = |unfit| {
        let (reason, message) = if value.is_empty() {
            (Reason::Required, "names no identity")
        } else {
            (Reason::InvalidFormat, "is no client id")
        };
        problems.push(Problem::error(reason, field, message, format!("it {unfit}")).with_value(value));
    };
    let client_id = ClientId::new(value).map_err(refuse).ok()?;
    Some(WorkloadIdentity { component: component.id, client_id })
}

fn warn_of_shared_identities(named: &[WorkloadIdentity], problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for WorkloadIdentity { component, client_id } in named {
        let other = *first.entry(client_id.to_ascii_lowercase()).or_insert(*component);
        if other == *component {
            continue;
        }
        let message = format!("is the identity of {other} as well: each of them may do what the other may");
        let field = FieldPath::of(Component::of(*component).federated.field).key("clientID");
        let remedy = "give each component an identity of its own";
        problems
            .push(Problem::warning(Reason::SharedIdentity, field, message, remedy).with_value(client_id.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        finding::Severity,
        plan::{Gated, gate},
        testing::{set, unset, workload_identities},
    };

    fn tweaked(tweak: impl FnOnce(&mut Value)) -> Gated {
        let mut cluster = workload_identities();
        tweak(&mut cluster);
        gate(&serde_json::from_value(cluster).unwrap())
    }

    /// What is said beside the note that there are no provider classes.
    fn says(tweak: impl FnOnce(&mut Value), severity: Severity, reason: Reason, field: &str) {
        let gated = tweaked(tweak);
        assert!(gated.identities.is_none());
        assert_eq!(gated.workload_identities.is_none(), severity == Severity::Error);
        let said: Vec<_> = gated.problems.iter().filter(|said| said.reason != Reason::WorkloadIdentities).collect();
        assert!(
            matches!(&said[..], [one] if (one.severity, one.reason) == (severity, reason) && one.field.to_string().ends_with(field)),
            "{said:#?}"
        );
    }

    fn of_issuer(issuer: &str) -> impl FnOnce(&mut Value) {
        let issuer = json!(issuer);
        move |cluster| set(cluster, "/spec/issuerURL", issuer)
    }

    const IDENTITIES: &str = "/spec/platform/azure/azureAuthenticationConfig/workloadIdentities";

    fn named(name: &str) -> String {
        format!("{IDENTITIES}/{name}/clientID")
    }

    #[test]
    fn the_valid_world_has_all_but_the_optional_identity() {
        let Gated { workload_identities, problems, .. } = tweaked(|_| {});
        assert_eq!(problems.iter().map(|problem| problem.reason).collect::<Vec<_>>(), [Reason::WorkloadIdentities]);
        let named: Vec<_> = workload_identities.unwrap().named.iter().map(|one| one.component.to_string()).collect();
        assert_eq!(named, ["cloud-provider", "nodepool", "ingress", "network", "disk", "file", "registry", "kms"]);
        let optional = json!({"clientID": "00000000-0000-0000-0000-00000000000a"});
        let with_all = tweaked(|c| set(c, &format!("{IDENTITIES}/controlPlaneOperator"), optional));
        assert_eq!(with_all.workload_identities.unwrap().named.len(), COMPONENTS.len());
    }

    #[test]
    fn names_and_subjects_are_those_of_hypershift() {
        let identities = tweaked(|c| set(c, "/metadata/name", json!("a.b"))).workload_identities.unwrap();
        let disk = Id::Disk;
        assert_eq!(identities.identity_name(disk).as_deref(), Some("a-b-disk-prod-x7k2p"));
        let credentials: Vec<_> = identities.federated_credentials(disk).map(|one| (one.name, one.subject)).collect();
        let subject =
            |name: &str| format!("system:serviceaccount:openshift-cluster-csi-drivers:azure-disk-csi-driver-{name}");
        let expected = [("node", "node-sa"), ("operator", "operator"), ("controller", "controller-sa")];
        assert_eq!(credentials, expected.map(|(end, name)| (format!("a-b-disk-fed-id-{end}"), subject(name))));
    }

    #[test]
    fn an_identity_has_no_name_that_azure_cannot_have() {
        for infra_id in [json!(""), json!("x".repeat(120)), json!("a.b"), json!("ä")] {
            let identities = tweaked(|c| set(c, "/spec/infraID", infra_id.clone())).workload_identities.unwrap();
            assert_eq!(identities.identity_name(Id::Disk), None, "{infra_id}");
        }
    }

    #[test]
    fn an_issuer_that_entra_cannot_ask_is_refused() {
        says(|c| unset(c, "/spec/issuerURL"), Severity::Error, Reason::IssuerNotPublic, "spec.issuerURL");
        for issuer in [
            "https://kubernetes.default.svc",
            "https://kubernetes.default.svc.cluster.local/",
            "https://localhost:6443",
            "https://10.0.0.1/x",
            "https://127.0.0.1:8443",
            "https://[::1]:8443/x",
            "https://[fd00::1]",
            "https://issuer.internal.",
        ] {
            says(of_issuer(issuer), Severity::Error, Reason::IssuerNotPublic, "spec.issuerURL");
        }
        let inside = tweaked(|c| {
            set(c, "/spec/platform/azure/cloud", json!("AzureStackCloud"));
            set(c, "/spec/issuerURL", json!("https://issuer.stack.local"));
        });
        assert!(inside.workload_identities.is_some());
        for issuer in [
            "http://a.example",
            "https://",
            "https:///x",
            "a.example",
            "https://a.example/?x",
            "https://a.example/#x",
            "https://u@a.example",
            "https://a.example/ x",
        ] {
            says(of_issuer(issuer), Severity::Error, Reason::InvalidIssuer, "spec.issuerURL");
        }
    }

    #[test]
    fn forms_that_people_come_to_grief_with_are_warned_of() {
        for issuer in [
            "https://a.example/x/",
            "https://A.example/x",
            "https://a.example/.well-known/openid-configuration",
            "https://a.example/openid/v1/jwks",
        ] {
            says(of_issuer(issuer), Severity::Warning, Reason::OddIssuer, "spec.issuerURL");
        }
        for issuer in
            ["https://a.example", "https://a.example:8443/X/$web", "https://8.8.8.8/x", "https://[2001:db8::1]:8443/x"]
        {
            let gated = tweaked(of_issuer(issuer));
            assert_eq!(
                (gated.problems.len(), gated.workload_identities.unwrap().issuer.to_string()),
                (1, issuer.to_owned())
            );
        }
    }

    #[test]
    fn a_key_that_nobody_publishes_is_warned_of() {
        let field = "spec.serviceAccountSigningKey";
        says(|c| unset(c, "/spec/serviceAccountSigningKey"), Severity::Warning, Reason::SigningKeyNotGiven, field);
        says(
            |c| set(c, "/spec/serviceAccountSigningKey/name", json!("")),
            Severity::Warning,
            Reason::SigningKeyNotGiven,
            field,
        );
    }

    #[test]
    fn without_a_tenant_nobody_signs_in() {
        let tenant = "/spec/platform/azure/tenantID";
        says(|c| set(c, tenant, json!("")), Severity::Error, Reason::EmptyTenantID, "azure.tenantID");
        says(|c| set(c, tenant, json!("contoso")), Severity::Warning, Reason::TenantNotUUID, "azure.tenantID");
    }

    #[test]
    fn identities_are_named_by_client_ids_of_their_own() {
        says(|c| set(c, &named("disk"), json!("")), Severity::Error, Reason::Required, "disk.clientID");
        says(|c| set(c, &named("disk"), json!("me")), Severity::Error, Reason::InvalidFormat, "disk.clientID");
        let same = "00000000-0000-0000-0000-00000000000A";
        let twice = |c: &mut Value| {
            set(c, &named("disk"), json!(same));
            set(c, &named("file"), json!(same.to_ascii_lowercase()));
        };
        says(twice, Severity::Warning, Reason::SharedIdentity, "file.clientID");
        let authentication = "/spec/platform/azure/azureAuthenticationConfig";
        let missing = |c: &mut Value| unset(c, &format!("{authentication}/workloadIdentities"));
        says(missing, Severity::Error, Reason::UnionMismatch, "workloadIdentities");
    }

    #[test]
    fn what_hyper_shift_does_not_run_needs_no_credential() {
        let note = Severity::Note;
        let disabled = "capabilities.disabled";
        let disable = |name: &str| {
            let capabilities = json!({"disabled": [name]});
            move |c: &mut Value| set(c, "/spec/capabilities", capabilities)
        };
        says(disable("Ingress"), note, Reason::CapabilityDisabled, disabled);
        says(disable("ImageRegistry"), note, Reason::CapabilityDisabled, disabled);
        let annotate = |c: &mut Value| {
            set(c, "/metadata/annotations", json!({"hypershift.openshift.io/disable-machine-management": "true"}));
        };
        says(annotate, note, Reason::MachineManagementDisabled, "metadata.annotations");
        let without = tweaked(disable("Ingress")).workload_identities.unwrap();
        assert!(!without.named.iter().any(|one| one.component == Id::Ingress));
    }

    #[test]
    fn kms_signs_in_as_the_others_do() {
        let kms = "/spec/secretEncryption/kms/azure";
        let managed = |c: &mut Value| {
            unset(c, &format!("{kms}/workloadIdentity"));
            set(c, &format!("{kms}/kms"), json!({"credentialsSecretName": "s", "objectEncoding": "utf-8"}));
        };
        says(managed, Severity::Warning, Reason::KmsIdentityUnused, "kms.azure");
        let unused = tweaked(|c| set(c, "/spec/secretEncryption/type", json!("aescbc"))).workload_identities.unwrap();
        assert!(!unused.named.iter().any(|one| one.component == Id::Kms));
    }
}
