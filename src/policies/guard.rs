//! A policy that refuses a provider class which names a secret, or a vault, that its HostedCluster does not.
//!
//! One identity of the CSI driver reads the secrets of every HostedCluster: who may write a class in one control plane could
//! mount another's credential. Which HostedCluster is whose is told by a binding for each, as it stands in another namespace
//! than its classes.

use serde_json::{Value, json};

use super::{CONTROL_PLANE, OBJECTS, SECRET, metadata, quoted};
use crate::{component::COMPONENTS, plan::Identities};

const NAME: &str = "hcp-identity-secrets";
const VAULT: &str =
    "spec.platform.azure.azureAuthenticationConfig.managedIdentities.controlPlane.managedIdentitiesKeyVault.name";

/// The policy: the same for all HostedClusters.
#[must_use]
pub fn guard() -> Value {
    let (label, value) = CONTROL_PLANE;
    let classes = COMPONENTS.iter().map(|component| quoted(component.class)).collect::<Vec<_>>().join(", ");
    let named = COMPONENTS.iter().rev().fold("''".to_owned(), |others, component| {
        let secret = of_params(&format!("{}.credentialsSecretName", component.field));
        format!("object.metadata.name == {} ? {secret} : {others}", quoted(component.class))
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata(NAME),
        "spec": {
            "paramKind": {"apiVersion": "hypershift.openshift.io/v1beta1", "kind": "HostedCluster"},
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {label: value}},
                "resourceRules": [{
                    "apiGroups": ["secrets-store.csi.x-k8s.io"], "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["secretproviderclasses"],
                }],
            },
            "matchConditions": [{"name": "of-a-component", "expression": format!("object.metadata.name in [{classes}]")}],
            // What guards is not to be passed by breaking it.
            "failurePolicy": "Fail",
            "variables": [
                {"name": "named", "expression": named},
                {"name": "vault", "expression": of_params(VAULT)},
            ],
            "validations": [
                {
                    "expression": format!(
                        "has(object.spec.parameters) && 'objects' in object.spec.parameters && object.spec.parameters['objects'].matches({})",
                        quoted(OBJECTS)
                    ),
                    "message": "parameters.objects is not one secret in the form in which HyperShift writes it",
                },
                {
                    "expression": format!("variables.named != '' && {} == variables.named", SECRET.replace("params.", "object.")),
                    "messageExpression":
                        "'the class ' + object.metadata.name + ' must name the secret that its HostedCluster names, ' + variables.named",
                },
                {
                    "expression": "'keyvaultName' in object.spec.parameters && object.spec.parameters['keyvaultName'] == \
                                   variables.vault",
                    "messageExpression":
                        "'the class ' + object.metadata.name + ' must name the vault that its HostedCluster names, ' + variables.vault",
                },
            ],
        },
    })
}

/// Says that it is this HostedCluster's classes which its control plane namespace may have.
#[must_use]
pub fn guard_binding(identities: &Identities) -> Value {
    let (cluster, plane) = (&identities.cluster, &identities.namespace);
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata(&format!("{NAME}-{plane}")),
        "spec": {
            "policyName": NAME,
            "paramRef": {
                "name": cluster.name, "namespace": cluster.namespace,
                // Nobody makes classes of a HostedCluster that is not there.
                "parameterNotFoundAction": "Deny",
            },
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": plane}}},
            "validationActions": ["Deny"],
        },
    })
}

/// A field of the HostedCluster; empty where it, or what it stands in, is not there.
fn of_params(path: &str) -> String {
    let steps: String = path.split('.').map(|step| format!(".?{step}")).collect();
    format!("params{steps}.orValue('')")
}
