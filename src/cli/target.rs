//! Which cluster: the flags that kubectl has.

use std::path::PathBuf;

use crate::cluster::client::Target;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct TargetArgs {
    /// Kubeconfig file; otherwise KUBECONFIG, ~/.kube/config, or the service account of the pod.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// User to impersonate.
    #[arg(long = "as", value_name = "USER")]
    impersonate: Option<String>,
}

impl TargetArgs {
    /// Whether any of it is given.
    #[cfg(feature = "provision")]
    pub(super) fn is_given(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.impersonate.is_some()
    }

    pub(super) fn target(&self) -> Target {
        let Self { kubeconfig, context, impersonate } = self.clone();
        Target { kubeconfig, context, impersonate }
    }
}
