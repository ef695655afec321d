//! What HyperShift's operators give the pods of a control plane that signs in with tokens: `support/controlplane-component/token-minter-container.go`
//! and `v2/kas/kms/azure.go` of openshift/hypershift, `managed/controller.yaml` of openshift/cluster-network-operator, and the
//! overlays of openshift/csi-operator.

use strum::Display;

/// What HyperShift's operators give a pod so that it can sign in with tokens.
#[derive(Debug)]
pub struct Token {
    /// The container that mints them, or the init container where those can stay.
    pub minter: &'static str,
    /// The volume that it writes them to.
    pub volume: &'static str,
    /// What says to the row's containers as whom they sign in.
    pub told_by: &'static [Place],
    /// Where they mount the Secret of it, if they read it from a folder that is known.
    pub secret_folder: Option<&'static str>,
    /// Who writes that, and when they do not.
    pub written_by: &'static str,
}

/// What says as whom a pod signs in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// The environment of its containers.
    Environment,
    /// A Secret with a `cloud.conf`, and who writes it.
    Config(&'static str, Operator),
    /// A Secret with a key for each of it.
    Keys(&'static str, Operator),
    /// The ServiceAccount of the control plane namespace that it runs as.
    ServiceAccount(&'static str, Operator),
}

/// An operator of HyperShift's.
#[derive(Clone, Copy, Debug, Display, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[strum(serialize_all = "kebab-case")]
pub enum Operator {
    ControlPlaneOperator,
    HypershiftOperator,
}

impl Place {
    /// Keys that its Secret cannot do without.
    #[must_use]
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Config(..) => &["cloud.conf"],
            Self::Keys(..) => &["azure_client_id", "azure_tenant_id", "azure_federated_token_file"],
            Self::Environment | Self::ServiceAccount(..) => &[],
        }
    }

    /// Annotations of its ServiceAccount: the client id, and the tenant.
    #[must_use]
    pub fn annotations(self) -> &'static [&'static str] {
        match self {
            Self::ServiceAccount(..) => &["azure.workload.identity/client-id", "azure.workload.identity/tenant-id"],
            Self::Environment | Self::Config(..) | Self::Keys(..) => &[],
        }
    }

    /// Who writes the object, if it is one.
    #[must_use]
    pub fn operator(self) -> Option<Operator> {
        match self {
            Self::Environment => None,
            Self::Config(_, by) | Self::Keys(_, by) | Self::ServiceAccount(_, by) => Some(by),
        }
    }

    /// The name of its Secret.
    #[must_use]
    pub fn secret(self) -> Option<&'static str> {
        if let Self::Config(name, _) | Self::Keys(name, _) = self { Some(name) } else { None }
    }

    #[must_use]
    pub fn service_account(self) -> Option<&'static str> {
        if let Self::ServiceAccount(name, _) = self { Some(name) } else { None }
    }
}

/// What Azure's SDKs read of the environment to sign in with a token.
#[derive(Clone, Copy, Debug, Display, Eq, PartialEq)]
pub enum TokenEnv {
    #[strum(serialize = "AZURE_CLIENT_ID")]
    ClientId,
    #[strum(serialize = "AZURE_TENANT_ID")]
    TenantId,
    #[strum(serialize = "AZURE_FEDERATED_TOKEN_FILE")]
    TokenFile,
}

impl TokenEnv {
    pub const ALL: [Self; 3] = [Self::ClientId, Self::TenantId, Self::TokenFile];
}

/// Where each minter writes its token, and where who signs in mounts the volume with it.
pub const TOKEN_FILE: &str = "/var/run/secrets/openshift/serviceaccount/token";
pub const TOKEN_FOLDER: &str = "/var/run/secrets/openshift/serviceaccount";

/// What a minter is told of its tokens; without it, the minter has a default.
#[derive(Clone, Copy, Debug, Display, Eq, PartialEq)]
pub enum MinterFlag {
    #[strum(serialize = "--token-audience")]
    Audience,
    #[strum(serialize = "--service-account-namespace")]
    Namespace,
    #[strum(serialize = "--service-account-name")]
    Name,
}

impl MinterFlag {
    pub const ALL: [Self; 3] = [Self::Audience, Self::Namespace, Self::Name];

    /// The value of it in one argument.
    #[must_use]
    pub fn value(self, argument: &str) -> Option<&str> {
        argument.strip_prefix(&*self.to_string())?.strip_prefix('=')
    }
}
