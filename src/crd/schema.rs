//! The schema of a HostedCluster's identities, as data.
//!
//! Source: `cmd/install/assets/crds/hypershift-operator/zz_generated.crd-manifests/hostedclusters-Hypershift-Default.crd.yaml`
//! of openshift/hypershift, generated from `api/hypershift/v1beta1/{hostedcluster_types,azure}.go`.

use super::{Field, List, Object, Presence, Rule, Schema, Text, rules};
use crate::{
    clouds,
    names::{is_dns_label, is_secret_name, is_uuid},
};

pub(super) static HOSTED_CLUSTER: Object =
    object(&[optional("metadata", Schema::Object(&METADATA)), optional("spec", Schema::Object(&SPEC))]);

/// Not of the CRD, but what the API server takes of any object's metadata.
static METADATA: Object = object(&[
    optional("name", ANY_TEXT),
    optional("namespace", ANY_TEXT),
    optional("annotations", Schema::TextMap),
    optional("labels", Schema::TextMap),
]);

static SPEC: Object = object(&[
    required("platform", Schema::Object(&PLATFORM)),
    optional("capabilities", Schema::Object(&CAPABILITIES)),
    optional("secretEncryption", Schema::Object(&SECRET_ENCRYPTION)),
    // Their types alone: what the CRD says of them is not looked at.
    optional("issuerURL", ANY_TEXT),
    optional("infraID", ANY_TEXT),
    optional("serviceAccountSigningKey", Schema::Object(&SECRET_REFERENCE)),
]);

static SECRET_REFERENCE: Object = object(&[optional("name", ANY_TEXT)]);

static CAPABILITIES: Object =
    object(&[optional("disabled", Schema::List(&List { items: Schema::Text(&CAPABILITY), min: 0, max: usize::MAX }))]);

static CAPABILITY: Text =
    Text { format: Some((rules::is_capability, "spelt as HyperShift spells it: Ingress, ImageRegistry")), ..Text::ANY };

static PLATFORM_TYPE: Text = Text { format: Some((rules::is_platform, "spelt Azure")), ..Text::ANY };

static PLATFORM: Object =
    object(&[required("type", Schema::Text(&PLATFORM_TYPE)), optional("azure", Schema::Object(&AZURE))]);

static AZURE: Object = with_rules(
    &[
        required("azureAuthenticationConfig", Schema::Object(&AUTHENTICATION)),
        optional("cloud", one_of(&CLOUDS)),
        required("location", UP_TO_255),
        // Required, with the default "default".
        optional(
            "resourceGroup",
            Schema::Text(&Text {
                max: 90,
                format: Some((rules::is_resource_group, rules::RESOURCE_GROUP)),
                ..Text::ANY
            }),
        ),
        required("securityGroupID", UP_TO_255),
        required("subnetID", Schema::Text(&Text { min: 1, max: 355, ..Text::ANY })),
        required("subscriptionID", UP_TO_255),
        required("tenantID", UP_TO_255),
        required("vnetID", UP_TO_255),
        optional("topology", one_of(&Text { values: &["Public", "PublicAndPrivate", "Private"], ..Text::ANY })),
        optional("private", Schema::Object(&PRIVATE)),
        optional("containerRegistry", Schema::Object(&CONTAINER_REGISTRY)),
    ],
    &[rules::private_follows_topology, rules::private_link_needs_an_identity],
);

pub(super) static CLOUDS: Text = Text { values: &clouds::NAMES, ..Text::ANY };

static PRIVATE: Object = with_rules(
    &[
        required("type", one_of(&Text { values: &["PrivateLink", "Swift"], ..Text::ANY })),
        optional("privateLink", Schema::Object(&PRIVATE_LINK)),
        optional("swift", Schema::Object(&SWIFT)),
    ],
    &[rules::private_link_union, rules::swift_union],
);

static PRIVATE_LINK: Object = Object {
    fields: &[
        optional("natSubnetID", ANY_TEXT),
        optional("additionalAllowedSubscriptions", Schema::List(&List { items: ANY_TEXT, min: 1, max: 50 })),
    ],
    rules: &[],
    min_properties: 1,
};

/// The identity with which worker nodes pull images.
static CONTAINER_REGISTRY: Object = object(&[required("credentials", Schema::Object(&REGISTRY_CREDENTIALS))]);

static REGISTRY_CREDENTIALS: Object = with_rules(
    &[
        required("type", one_of(&Text { values: &["ManagedIdentity"], ..Text::ANY })),
        optional("managedIdentity", Schema::Object(&USER_ASSIGNED_IDENTITY)),
    ],
    &[rules::registry_credentials_union],
);

static USER_ASSIGNED_IDENTITY: Object = object(&[required("resourceID", Schema::Text(&IDENTITY_RESOURCE_ID))]);

static IDENTITY_RESOURCE_ID: Text = Text {
    min: 131,
    max: 345,
    format: Some((rules::is_identity_resource_id, rules::IDENTITY_RESOURCE_ID)),
    values: &[],
};

static SWIFT: Object = object(&[required(
    "podNetworkInstance",
    Schema::Text(&Text { min: 1, max: 63, format: Some((is_dns_label, "a DNS label")), ..Text::ANY }),
)]);

static AUTHENTICATION: Object = with_rules(
    &[
        required(
            "azureAuthenticationConfigType",
            one_of(&Text { values: &["ManagedIdentities", "WorkloadIdentities"], ..Text::ANY }),
        ),
        optional("managedIdentities", Schema::Object(&MANAGED_IDENTITIES)),
        optional("workloadIdentities", Schema::Object(&WORKLOAD_IDENTITIES)),
    ],
    &[rules::managed_identities_union, rules::workload_identities_union],
);

static MANAGED_IDENTITIES: Object = object(&[
    required("controlPlane", Schema::Object(&CONTROL_PLANE)),
    required("dataPlane", Schema::Object(&DATA_PLANE)),
]);

static CONTROL_PLANE: Object = object(&[
    required("managedIdentitiesKeyVault", Schema::Object(&KEY_VAULT)),
    required("cloudProvider", MANAGED_IDENTITY),
    required("nodePoolManagement", MANAGED_IDENTITY),
    required("controlPlaneOperator", MANAGED_IDENTITY),
    optional("imageRegistry", MANAGED_IDENTITY),
    required("ingress", MANAGED_IDENTITY),
    required("network", MANAGED_IDENTITY),
    required("disk", MANAGED_IDENTITY),
    required("file", MANAGED_IDENTITY),
]);

static KEY_VAULT: Object = object(&[required("name", UP_TO_255), required("tenantID", UP_TO_255)]);

static DATA_PLANE: Object = object(&[
    required("imageRegistryMSIClientID", UP_TO_255),
    required("diskMSIClientID", UP_TO_255),
    required("fileMSIClientID", UP_TO_255),
]);

const MANAGED_IDENTITY: Schema = Schema::Object(&Object {
    fields: &[
        optional("clientID", CLIENT_ID),
        required("credentialsSecretName", Schema::Text(&SECRET_NAME)),
        // The description says "default utf-8"; the CRD has no default.
        required("objectEncoding", one_of(&Text { values: &["utf-8", "hex", "base64"], ..Text::ANY })),
    ],
    rules: &[],
    min_properties: 0,
});

static SECRET_NAME: Text = Text {
    min: 1,
    max: 127,
    format: Some((is_secret_name, "1 to 127 letters, digits and hyphens: the name of a Key Vault secret")),
    values: &[],
};

static WORKLOAD_IDENTITIES: Object = object(&[
    required("cloudProvider", WORKLOAD_IDENTITY),
    required("disk", WORKLOAD_IDENTITY),
    required("file", WORKLOAD_IDENTITY),
    required("imageRegistry", WORKLOAD_IDENTITY),
    required("ingress", WORKLOAD_IDENTITY),
    required("network", WORKLOAD_IDENTITY),
    required("nodePoolManagement", WORKLOAD_IDENTITY),
    optional("controlPlaneOperator", WORKLOAD_IDENTITY),
]);

const WORKLOAD_IDENTITY: Schema =
    Schema::Object(&Object { fields: &[required("clientID", CLIENT_ID)], rules: &[], min_properties: 0 });

const CLIENT_ID: Schema = Schema::Text(&Text {
    min: 36,
    max: 36,
    format: Some((is_uuid, "a UUID such as 00000000-0000-0000-0000-000000000000")),
    values: &[],
});

static SECRET_ENCRYPTION: Object = object(&[
    required("type", one_of(&Text { values: &["kms", "aescbc"], ..Text::ANY })),
    optional("kms", Schema::Object(&KMS)),
]);

static KMS: Object = object(&[
    required("provider", one_of(&Text { values: &["IBMCloud", "AWS", "Azure"], ..Text::ANY })),
    optional("azure", Schema::Object(&AZURE_KMS)),
]);

static AZURE_KMS: Object = with_rules(
    &[
        required("activeKey", KMS_KEY),
        optional("backupKey", KMS_KEY),
        optional("kms", MANAGED_IDENTITY),
        optional("workloadIdentity", WORKLOAD_IDENTITY),
        optional("keyVaultType", one_of(&Text { values: &["KeyVault", "ManagedHSM"], ..Text::ANY })),
        optional("keyVaultAccess", one_of(&Text { values: &["Public", "Private", ""], ..Text::ANY })),
    ],
    &[rules::backup_key_in_the_same_vault, rules::one_kms_identity],
);

const KMS_KEY: Schema = Schema::Object(&Object {
    fields: &[
        required("keyVaultName", FROM_1_TO_255),
        required("keyName", FROM_1_TO_255),
        required("keyVersion", FROM_1_TO_255),
    ],
    rules: &[],
    min_properties: 0,
});

const ANY_TEXT: Schema = Schema::Text(&Text::ANY);
const UP_TO_255: Schema = Schema::Text(&Text { max: 255, ..Text::ANY });
const FROM_1_TO_255: Schema = Schema::Text(&Text { min: 1, max: 255, ..Text::ANY });

const fn object(fields: &'static [Field]) -> Object {
    with_rules(fields, &[])
}

const fn with_rules(fields: &'static [Field], rules: &'static [Rule]) -> Object {
    Object { fields, rules, min_properties: 0 }
}

const fn required(name: &'static str, schema: Schema) -> Field {
    Field { name, presence: Presence::Required, schema }
}

const fn optional(name: &'static str, schema: Schema) -> Field {
    Field { name, presence: Presence::Optional, schema }
}

const fn one_of(values: &'static Text) -> Schema {
    Schema::Text(values)
}
