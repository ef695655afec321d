//! What the commands that talk to a cluster once have in common.

use std::{future::Future, sync::Arc};

use anyhow::{Context as _, Result};
use kube::Client;

use super::target::TargetArgs;
use crate::cluster::{
    client::{Heard, Retries, connect},
    metrics::Metrics,
};

/// Runs a command with a client.
pub(super) fn with_client<T, F: Future<Output = Result<T>>>(
    target: &TargetArgs,
    command: impl FnOnce(Client) -> F,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let client =
            connect(&target.target(), Retries::OfTheClient, &Heard::default(), &Arc::new(Metrics::default())).await?;
        command(client).await
    })
}
