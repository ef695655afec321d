//! Each rule of the CRD by the one line that breaks it. The verdicts are those of the real CRD on a real kube-apiserver
//! where the comment says so.

use serde_json::{Value, json};

use super::check;
use crate::{
    finding::Reason,
    testing::{hosted_cluster, set, unset, workload_identities},
};

/// What the CRD says after a tweak: the reasons and fields of all problems.
fn verdict(mut cluster: Value, tweak: impl FnOnce(&mut Value)) -> Vec<(Reason, String)> {
    tweak(&mut cluster);
    check(&cluster).into_iter().map(|problem| (problem.reason, problem.field.to_string())).collect()
}

fn accepts(tweak: impl FnOnce(&mut Value)) {
    assert_eq!(verdict(hosted_cluster(), tweak), []);
}

fn refuses(tweak: impl FnOnce(&mut Value), reason: Reason, field: &str) {
    let found = verdict(hosted_cluster(), tweak);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, reason);
    assert!(found[0].1.ends_with(field), "{found:?}");
}

const INGRESS: &str = "@/controlPlane/ingress";

fn ingress(key: &str, value: Value) -> impl FnOnce(&mut Value) {
    let pointer = format!("{INGRESS}/{key}");
    move |cluster| set(cluster, &pointer, value)
}

#[test]
fn both_valid_worlds_are_accepted() {
    accepts(|_| {});
    assert_eq!(verdict(workload_identities(), |_| {}), []);
}

/// Checked on the real CRD.
#[test]
fn an_identity_without_object_encoding_is_refused() {
    refuses(|c| unset(c, "@/controlPlane/ingress/objectEncoding"), Reason::Required, "ingress.objectEncoding");
}

/// Checked on the real CRD.
#[test]
fn an_empty_client_id_is_refused_and_an_upper_case_one_is_not() {
    refuses(ingress("clientID", json!("")), Reason::TooShort, "ingress.clientID");
    accepts(ingress("clientID", json!("0A1B2C3D-0000-4444-8888-0123456789AB")));
    accepts(|c| unset(c, "@/controlPlane/ingress/clientID"));
}

#[test]
fn a_client_id_that_is_no_uuid_is_refused() {
    refuses(ingress("clientID", json!("x".repeat(36))), Reason::InvalidFormat, "ingress.clientID");
    refuses(ingress("clientID", json!("x".repeat(37))), Reason::TooLong, "ingress.clientID");
    refuses(ingress("clientID", json!(7)), Reason::InvalidType, "ingress.clientID");
}

/// Checked on the real CRD: the dot and the 128 characters.
#[test]
fn a_secret_name_that_key_vault_cannot_have_is_refused() {
    let field = "ingress.credentialsSecretName";
    refuses(ingress("credentialsSecretName", json!("a.b")), Reason::InvalidFormat, field);
    refuses(ingress("credentialsSecretName", json!("x".repeat(128))), Reason::TooLong, field);
    refuses(ingress("credentialsSecretName", json!("")), Reason::TooShort, field);
    refuses(ingress("credentialsSecretName", json!("a\n")), Reason::InvalidFormat, field);
    refuses(|c| unset(c, "@/controlPlane/ingress/credentialsSecretName"), Reason::Required, field);
    accepts(ingress("credentialsSecretName", json!("x".repeat(127))));
    accepts(ingress("credentialsSecretName", json!("-")));
}

#[test]
fn an_encoding_is_one_of_three() {
    for encoding in ["utf-8", "hex", "base64"] {
        accepts(ingress("objectEncoding", json!(encoding)));
    }
    for encoding in ["", "UTF-8", "utf8"] {
        refuses(ingress("objectEncoding", json!(encoding)), Reason::UnsupportedValue, "ingress.objectEncoding");
    }
}

#[test]
fn every_identity_but_the_registrys_is_required() {
    for name in ["cloudProvider", "nodePoolManagement", "controlPlaneOperator", "ingress", "network", "disk", "file"] {
        refuses(|c| unset(c, &format!("@/controlPlane/{name}")), Reason::Required, name);
    }
    // Checked on the real CRD.
    accepts(|c| unset(c, "@/controlPlane/imageRegistry"));
}

/// Checked on the real CRD: the empty name, the tenant that is no UUID and the empty data plane ids are accepted.
#[test]
fn vault_and_data_plane_are_free_text_of_255_characters() {
    accepts(|c| set(c, "@/controlPlane/managedIdentitiesKeyVault/name", json!("")));
    accepts(|c| set(c, "@/controlPlane/managedIdentitiesKeyVault/tenantID", json!("contoso.example")));
    accepts(|c| set(c, "@/dataPlane/diskMSIClientID", json!("")));
    accepts(|c| set(c, "@/dataPlane/fileMSIClientID", json!("ä".repeat(255))));
    refuses(|c| set(c, "@/dataPlane/fileMSIClientID", json!("ä".repeat(256))), Reason::TooLong, "fileMSIClientID");
    let vault = "@/controlPlane/managedIdentitiesKeyVault";
    refuses(|c| unset(c, &format!("{vault}/name")), Reason::Required, "managedIdentitiesKeyVault.name");
    refuses(|c| unset(c, &format!("{vault}/tenantID")), Reason::Required, "managedIdentitiesKeyVault.tenantID");
    refuses(|c| unset(c, vault), Reason::Required, "managedIdentitiesKeyVault");
    refuses(|c| unset(c, "@/dataPlane"), Reason::Required, "managedIdentities.dataPlane");
}

#[test]
fn a_null_is_a_field_that_is_not_there() {
    accepts(ingress("clientID", Value::Null));
    accepts(|c| set(c, "@/controlPlane/imageRegistry", Value::Null));
    refuses(ingress("objectEncoding", Value::Null), Reason::Required, "ingress.objectEncoding");
}

const AUTHENTICATION: &str = "/spec/platform/azure/azureAuthenticationConfig";

#[test]
fn the_authentication_union_follows_its_type() {
    let kind = format!("{AUTHENTICATION}/azureAuthenticationConfigType");
    let both = verdict(hosted_cluster(), |c| set(c, &kind, json!("WorkloadIdentities")));
    let reasons: Vec<_> = both.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [Reason::UnionMismatch, Reason::UnionMismatch], "{both:?}");
    let missing = |c: &mut Value| unset(c, &format!("{AUTHENTICATION}/managedIdentities"));
    refuses(missing, Reason::UnionMismatch, "managedIdentities");
    let extra = |c: &mut Value| {
        let identities = workload_identities();
        let identities = identities.pointer(&format!("{AUTHENTICATION}/workloadIdentities")).unwrap();
        set(c, &format!("{AUTHENTICATION}/workloadIdentities"), identities.clone());
    };
    refuses(extra, Reason::UnionMismatch, "workloadIdentities");
    refuses(|c| unset(c, &kind), Reason::Required, "azureAuthenticationConfigType");
    let unknown = verdict(hosted_cluster(), |c| set(c, &kind, json!("Passwords")));
    assert!(unknown.iter().any(|(reason, _)| *reason == Reason::UnsupportedValue));
}

#[test]
fn workload_identities_need_seven_client_ids() {
    for name in ["cloudProvider", "disk", "file", "imageRegistry", "ingress", "network", "nodePoolManagement"] {
        let identity = format!("{AUTHENTICATION}/workloadIdentities/{name}");
        let missing = verdict(workload_identities(), |c| unset(c, &identity));
        assert!(matches!(&missing[..], [(Reason::Required, field)] if field.ends_with(name)), "{missing:?}");
        let no_uuid = verdict(workload_identities(), |c| set(c, &format!("{identity}/clientID"), json!("x")));
        assert!(matches!(&no_uuid[..], [(Reason::TooShort, _)]), "{no_uuid:?}");
    }
}

#[test]
fn private_link_with_workload_identities_needs_the_control_plane_operators() {
    let private = |cluster: &mut Value| {
        set(cluster, "/spec/platform/azure/topology", json!("Private"));
        let link = json!({"type": "PrivateLink", "privateLink": {"natSubnetID": "x"}});
        set(cluster, "/spec/platform/azure/private", link);
    };
    let found = verdict(workload_identities(), private);
    assert!(
        matches!(&found[..], [(Reason::PrivateLinkIdentityRequired, field)] if field.ends_with("controlPlaneOperator"))
    );
    let with_identity = |cluster: &mut Value| {
        private(cluster);
        let identity = json!({"clientID": "00000000-0000-0000-0000-000000000002"});
        set(cluster, &format!("{AUTHENTICATION}/workloadIdentities/controlPlaneOperator"), identity);
    };
    assert_eq!(verdict(workload_identities(), with_identity), []);
    accepts(private);
}

#[test]
fn private_connectivity_follows_topology_and_type() {
    let topology = "/spec/platform/azure/topology";
    refuses(|c| set(c, topology, json!("Private")), Reason::UnionMismatch, "azure.private");
    let private = |value: Value| {
        move |c: &mut Value| {
            set(c, topology, json!("Private"));
            set(c, "/spec/platform/azure/private", value);
        }
    };
    accepts(private(json!({"type": "Swift", "swift": {"podNetworkInstance": "x"}})));
    let other_member = json!({"type": "Swift", "privateLink": {"natSubnetID": "x"}});
    let both: Vec<_> = verdict(hosted_cluster(), private(other_member)).into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(both, [Reason::UnionMismatch, Reason::UnionMismatch]);
    refuses(private(json!({"type": "Swift"})), Reason::UnionMismatch, "private.swift");
    for link in [json!({}), json!({"unknown": 1})] {
        refuses(private(json!({"type": "PrivateLink", "privateLink": link})), Reason::TooFewProperties, "privateLink");
    }
    let subscriptions = |count: usize| json!({"additionalAllowedSubscriptions": vec!["x"; count]});
    let link = |count| private(json!({"type": "PrivateLink", "privateLink": subscriptions(count)}));
    accepts(link(50));
    refuses(link(0), Reason::TooShort, "additionalAllowedSubscriptions");
    refuses(link(51), Reason::TooLong, "additionalAllowedSubscriptions");
}

/// Checked on the real CRD: all six clouds are accepted.
#[test]
fn a_cloud_is_one_of_six_or_the_default() {
    for cloud in super::schema::CLOUDS.values {
        accepts(|c| set(c, "/spec/platform/azure/cloud", json!(cloud)));
    }
    accepts(|c| unset(c, "/spec/platform/azure/cloud"));
    refuses(|c| set(c, "/spec/platform/azure/cloud", json!("Azure")), Reason::UnsupportedValue, "azure.cloud");
}

#[test]
fn azure_needs_its_resources_named() {
    for name in
        ["location", "securityGroupID", "subnetID", "subscriptionID", "tenantID", "vnetID", "azureAuthenticationConfig"]
    {
        refuses(|c| unset(c, &format!("/spec/platform/azure/{name}")), Reason::Required, name);
    }
    accepts(|c| unset(c, "/spec/platform/azure/resourceGroup"));
    for bad in ["", "x", "a.", "a b", "ä", &"x".repeat(91)] {
        let found = verdict(hosted_cluster(), |c| set(c, "/spec/platform/azure/resourceGroup", json!(bad)));
        assert_eq!(found.len(), 1, "{bad:?}: {found:?}");
    }
}

#[test]
fn platform_and_capabilities_are_spelt_as_hypershift_does() {
    refuses(|c| set(c, "/spec/platform/type", json!("azure")), Reason::InvalidFormat, "platform.type");
    accepts(|c| set(c, "/spec/platform/type", json!("KubeVirt")));
    let disabled = |name: &str| {
        let value = json!({"disabled": [name]});
        move |c: &mut Value| set(c, "/spec/capabilities", value)
    };
    refuses(disabled("ingress"), Reason::InvalidFormat, "capabilities.disabled[0]");
    accepts(disabled("Ingress"));
    accepts(disabled("CapabilityOfTomorrow"));
}

#[test]
fn the_registry_identity_of_worker_nodes_is_a_resource_id() {
    let registry = |credentials: Value| {
        move |c: &mut Value| set(c, "/spec/platform/azure/containerRegistry", json!({"credentials": credentials}))
    };
    let id = format!(
        "/subscriptions/5f1e0f7a-2d7c-4c53-8f53-4f0e3c9a7d21/resourceGroups/{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull",
        "g".repeat(20)
    );
    accepts(registry(json!({"type": "ManagedIdentity", "managedIdentity": {"resourceID": id}})));
    refuses(registry(json!({"type": "ManagedIdentity"})), Reason::UnionMismatch, "credentials.managedIdentity");
    refuses(registry(json!({})), Reason::Required, "credentials.type");
    let other = json!({"type": "ManagedIdentity", "managedIdentity": {"resourceID": id.replace("pull", "a/b")}});
    refuses(registry(other), Reason::InvalidFormat, "managedIdentity.resourceID");
    let short = json!({"type": "ManagedIdentity", "managedIdentity": {"resourceID": "/x"}});
    refuses(registry(short), Reason::TooShort, "managedIdentity.resourceID");
}

const KMS: &str = "/spec/secretEncryption/kms/azure";

/// Checked on the real CRD: both and neither are refused, each with a message of its own.
#[test]
fn kms_has_exactly_one_identity() {
    let workload = json!({"clientID": "00000000-0000-0000-0000-000000000001"});
    let both = |c: &mut Value| set(c, &format!("{KMS}/workloadIdentity"), workload);
    refuses(both, Reason::IdentityConflict, "kms.azure");
    refuses(|c| unset(c, &format!("{KMS}/kms")), Reason::IdentityConflict, "kms.azure");
    refuses(|c| unset(c, &format!("{KMS}/kms/objectEncoding")), Reason::Required, "azure.kms.objectEncoding");
}

/// Checked on the real CRD.
#[test]
fn the_backup_key_is_in_the_vault_of_the_active_one() {
    let backup = |vault: &str| {
        let key = json!({"keyVaultName": vault, "keyName": "k", "keyVersion": "1"});
        move |c: &mut Value| set(c, &format!("{KMS}/backupKey"), key)
    };
    accepts(backup("prod-kms"));
    refuses(backup("elsewhere"), Reason::KeyVaultMismatch, "backupKey.keyVaultName");
    refuses(|c| unset(c, &format!("{KMS}/activeKey/keyVersion")), Reason::Required, "activeKey.keyVersion");
    refuses(|c| set(c, &format!("{KMS}/activeKey/keyName"), json!("")), Reason::TooShort, "activeKey.keyName");
}

/// Checked on the real CRD.
#[test]
fn kms_details_under_aescbc_are_accepted() {
    accepts(|c| set(c, "/spec/secretEncryption/type", json!("aescbc")));
    refuses(|c| set(c, "/spec/secretEncryption/type", json!("aes")), Reason::UnsupportedValue, "secretEncryption.type");
    refuses(|c| unset(c, "/spec/secretEncryption/type"), Reason::Required, "secretEncryption.type");
    refuses(|c| unset(c, "/spec/secretEncryption/kms/provider"), Reason::Required, "kms.provider");
    accepts(|c| unset(c, "/spec/secretEncryption"));
}

#[test]
fn key_vault_type_and_access_are_enums() {
    for value in ["Public", "Private", ""] {
        accepts(|c| set(c, &format!("{KMS}/keyVaultAccess"), json!(value)));
    }
    accepts(|c| set(c, &format!("{KMS}/keyVaultType"), json!("ManagedHSM")));
    refuses(|c| set(c, &format!("{KMS}/keyVaultType"), json!("")), Reason::UnsupportedValue, "keyVaultType");
    refuses(|c| set(c, &format!("{KMS}/keyVaultAccess"), json!("private")), Reason::UnsupportedValue, "keyVaultAccess");
}

#[test]
fn wrong_types_are_refused_wherever_they_are_and_all_at_once() {
    let found = verdict(hosted_cluster(), |c| {
        set(c, INGRESS, json!("prod-ingress"));
        set(c, "@/controlPlane/disk/objectEncoding", json!(["hex"]));
        set(c, "/spec/capabilities", json!({"disabled": ["Ingress", 1]}));
        set(c, "/metadata/annotations", json!({"a": true}));
        unset(c, "@/controlPlane/network");
    });
    let reasons: Vec<_> = found.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == Reason::InvalidType).count(), 4, "{found:?}");
    assert_eq!(reasons.len(), 5);
}
