//! Why a component is left out of a HostedCluster, where HyperShift does not run it or cannot.

use hcp_identity_api::hosted_cluster::{AzureKms, HostedCluster, SecretEncryptionType, annotations};

use super::{LeftOut, azure_kms};
use crate::finding::{Reason, Severity};

pub(super) fn never(_: &HostedCluster) -> Option<LeftOut> {
    None
}

pub(super) fn no_machine_management(cluster: &HostedCluster) -> Option<LeftOut> {
    let annotations = cluster.metadata.annotations.as_ref()?;
    annotations.contains_key(annotations::DISABLE_MACHINE_MANAGEMENT).then_some(LeftOut {
        severity: Severity::Note,
        reason: Reason::MachineManagementDisabled,
        field: "metadata.annotations",
        message: "HyperShift runs no capi-provider with the annotation hypershift.openshift.io/disable-machine-management",
        remedy: "remove the annotation if HyperShift is to manage the node pools",
    })
}

pub(super) fn no_ingress(cluster: &HostedCluster) -> Option<LeftOut> {
    let message = "HyperShift runs no ingress-operator without the capability Ingress";
    capability_disabled(cluster, "Ingress", message)
}

pub(super) fn no_registry(cluster: &HostedCluster) -> Option<LeftOut> {
    let message = "HyperShift runs no cluster-image-registry-operator without the capability ImageRegistry";
    capability_disabled(cluster, "ImageRegistry", message)
}

fn capability_disabled(cluster: &HostedCluster, capability: &str, message: &'static str) -> Option<LeftOut> {
    let left_out = LeftOut {
        severity: Severity::Note,
        reason: Reason::CapabilityDisabled,
        field: "spec.capabilities.disabled",
        message,
        remedy: "nothing is to be done, unless the capability is wanted",
    };
    cluster.spec.capabilities.disabled.iter().any(|name| name == capability).then_some(left_out)
}

/// HyperShift's condition for the mount into control-plane-operator is only that `spec.secretEncryption.kms` is there
/// (`v2/controlplaneoperator/deployment.go`): without a class that pod cannot start, whatever the reason.
pub(super) fn kms_left_out(cluster: &HostedCluster) -> Option<LeftOut> {
    let warning = |field, message| {
        let (severity, reason) = (Severity::Warning, Reason::KmsIdentityUnused);
        let remedy = "name a managed identity in spec.secretEncryption.kms.azure.kms with the type kms, or remove kms";
        Some(LeftOut { severity, reason, field, message, remedy })
    };
    let encryption = cluster.spec.secret_encryption.as_ref()?;
    let uses_kms = encryption.encryption_type.as_ref()?.is(&SecretEncryptionType::Kms);
    let Some(kms) = &encryption.kms else {
        let missing = warning("spec.secretEncryption", "the type is kms, and spec.secretEncryption.kms is missing");
        return missing.filter(|_| uses_kms);
    };
    if !uses_kms {
        return warning(
            "spec.secretEncryption.kms",
            "the type is not kms; but HyperShift mounts it into control-plane-operator wherever kms is set, and that pod \
             waits until something writes the class",
        );
    }
    if kms.provider != "Azure" {
        return warning(
            "spec.secretEncryption.kms.provider",
            "the KMS provider is not Azure; but HyperShift mounts it into control-plane-operator wherever kms is set, and \
             that pod waits until something writes the class",
        );
    }
    match &kms.azure {
        None => warning("spec.secretEncryption.kms", "the KMS provider is Azure, and kms.azure is missing"),
        Some(azure) if azure.kms.is_none() => warning(
            "spec.secretEncryption.kms.azure",
            "no managed identity is named for KMS, and the control plane uses managed identities; HyperShift mounts the \
             class into control-plane-operator all the same, and that pod waits until something writes it",
        ),
        Some(_) => None,
    }
}

/// Nothing of the CRD holds the kind of the KMS identity to that of the others.
pub(super) fn kms_not_federated(cluster: &HostedCluster) -> Option<LeftOut> {
    kms_in_use(cluster)?.workload_identity.is_none().then_some(LeftOut {
        severity: Severity::Warning,
        reason: Reason::KmsIdentityUnused,
        field: "spec.secretEncryption.kms.azure",
        message: "no workload identity is named for KMS, and the control plane uses workload identities",
        remedy: "name one in spec.secretEncryption.kms.azure.workloadIdentity, in the place of kms",
    })
}

pub(super) fn kms_in_use(cluster: &HostedCluster) -> Option<&AzureKms> {
    let used = cluster.spec.secret_encryption.as_ref()?.encryption_type.as_ref()?.is(&SecretEncryptionType::Kms);
    azure_kms(cluster).filter(|_| used)
}
