//! Wire types of hcp-identity: the shape of the Kubernetes objects that it reads and writes, and nothing else.
//!
//! A type here mirrors its upstream schema and holds no rule. Fields that hcp-identity does not use are left out, and
//! unknown fields are tolerated when reading. [`hosted_cluster::HostedCluster`] is `Deserialize` only, so that no
//! client call that writes one can compile.

pub mod azure_cluster_identity;
pub mod control_plane_identity;
pub mod hosted_cluster;
pub mod pod_status;
pub mod secret_provider_class;

/// Implements `kube_core::Resource` for a namespaced custom resource whose coordinates are known at compile time.
///
/// Written out instead of derived: the derive also needs a schema and, for `HostedCluster`, `Serialize`.
macro_rules! namespaced_resource {
    ($type:ty, group: $group:literal, version: $version:literal, kind: $kind:literal, plural: $plural:literal) => {
        impl kube_core::Resource for $type {
            type DynamicType = ();
            type Scope = kube_core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }
            fn api_version((): &()) -> std::borrow::Cow<'_, str> {
                concat!($group, "/", $version).into()
            }
            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }

        impl $type {
            /// `apiVersion` of this kind, as it stands in a manifest.
            pub const API_VERSION: &'static str = concat!($group, "/", $version);
            /// `kind` of this kind, as it stands in a manifest.
            pub const KIND: &'static str = $kind;
        }
    };
}
use namespaced_resource;

/// Implements `Serialize` with `apiVersion` and `kind` in front, as the kinds of `k8s-openapi` do: an object of ours is
/// then a whole manifest wherever it is written, on stdout and in a request body.
macro_rules! serialize_as_manifest {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct as _;
                let mut object = serializer.serialize_struct(Self::KIND, 4)?;
                object.serialize_field("apiVersion", Self::API_VERSION)?;
                object.serialize_field("kind", Self::KIND)?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                object.end()
            }
        }
    };
}
use serialize_as_manifest;

#[cfg(test)]
mod tests {
    use kube_core::Resource;

    use super::{
        azure_cluster_identity::AzureClusterIdentity, control_plane_identity::ControlPlaneIdentity,
        hosted_cluster::HostedCluster, pod_status::SecretProviderClassPodStatus,
        secret_provider_class::SecretProviderClass,
    };

    fn coordinates<R: Resource<DynamicType = ()>>() -> [String; 4] {
        [R::group(&()), R::version(&()), R::kind(&()), R::plural(&())].map(std::borrow::Cow::into_owned)
    }

    /// A wrong group or plural answers 404, which a watch cannot tell from "the CRD is not installed": the daemon would
    /// wait for ever on a cluster full of HostedClusters.
    #[test]
    fn hosted_cluster_is_where_hypershift_serves_it() {
        assert_eq!(
            coordinates::<HostedCluster>(),
            ["hypershift.openshift.io", "v1beta1", "HostedCluster", "hostedclusters"]
        );
    }

    /// With another version the CSI driver never finds the class, and every pod that mounts it hangs in
    /// ContainerCreating although our own write succeeded.
    #[test]
    fn secret_provider_class_is_where_the_csi_driver_looks() {
        assert_eq!(
            coordinates::<SecretProviderClass>(),
            ["secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass", "secretproviderclasses"]
        );
    }

    /// The plural is irregular. A guessed "azureclusteridentitys" answers 404 and CAPZ goes on without credentials.
    #[test]
    fn azure_cluster_identity_is_where_capz_serves_it() {
        assert_eq!(
            coordinates::<AzureClusterIdentity>(),
            ["infrastructure.cluster.x-k8s.io", "v1beta1", "AzureClusterIdentity", "azureclusteridentities"]
        );
    }

    /// The plural ends in "es"; without these the daemon knows of no mount.
    #[test]
    fn pod_statuses_are_where_the_csi_driver_writes_them() {
        assert_eq!(
            coordinates::<SecretProviderClassPodStatus>(),
            ["secrets-store.csi.x-k8s.io", "v1", "SecretProviderClassPodStatus", "secretproviderclasspodstatuses"]
        );
    }

    #[test]
    fn our_own_kind_is_where_the_crd_puts_it() {
        let [group, version, kind, plural] = coordinates::<ControlPlaneIdentity>();
        assert_eq!(
            format!("{plural}.{group} {version} {kind}"),
            "controlplaneidentities.hcpidentity.dev v1alpha1 ControlPlaneIdentity"
        );
    }

    #[test]
    fn what_we_write_is_a_whole_manifest() {
        let class = SecretProviderClass { metadata: Default::default(), spec: Default::default() };
        assert_eq!(
            serde_json::to_string(&class).unwrap(),
            r#"{"apiVersion":"secrets-store.csi.x-k8s.io/v1","kind":"SecretProviderClass","metadata":{},"spec":{"provider":""}}"#
        );
    }

    #[test]
    fn manifest_constants_agree_with_the_resource_impl() {
        assert_eq!(HostedCluster::API_VERSION, HostedCluster::api_version(&()));
        assert_eq!(SecretProviderClass::KIND, SecretProviderClass::kind(&()));
        assert_eq!(AzureClusterIdentity::API_VERSION, "infrastructure.cluster.x-k8s.io/v1beta1");
    }
}
