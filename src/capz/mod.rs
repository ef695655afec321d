//! Cluster API Provider Azure (CAPZ): what a management cluster without secrets needs, and the manifests of its clusters.
//!
//! Pure. Source: kubernetes-sigs/cluster-api-provider-azure, `api/v1beta1` and `docs/book/src/topics/workload-identity.md`.

mod check;
mod cluster_identity;
mod edit;
mod key_pair;
mod machine;
mod plan;
mod wire;

pub use check::{
    ACCOUNTS, Answer, Asked, Checker, Claims, Held, InAzure, KINDS, Kind, Signing, Summary, Trusted, in_azure,
    of_published, tokens,
};
pub use cluster_identity::is_tenant;
pub use key_pair::{NoPair, pair, pair_secret};
pub use machine::{IdentityId, NoIdentity};
pub use plan::{
    Certificate, KeyFiles, Plan, Request, SecretName, SignIn, Subscription, Tokens, pair_secret_name, plan,
};
pub use wire::{Wired, Wiring, wire};

/// The group and the version of CAPZ's kinds.
const GROUP: &str = "infrastructure.cluster.x-k8s.io";
const API_VERSION: &str = "infrastructure.cluster.x-k8s.io/v1beta1";
