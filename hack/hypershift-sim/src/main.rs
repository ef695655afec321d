//! Runs HyperShift's writers for one HostedCluster of a cluster until it is interrupted: a JSON line for each write.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures::future;
use hypershift_sim::{Azure, ControlPlane, Operator, Writer, resource};
use kube::{Api, Client, api::DynamicObject};
use serde_json::{Value, json};

const USAGE: &str = "\
hypershift-sim NAMESPACE NAME [--cpo head|4.19] [--azure wired|classes-only|absent] [--image IMAGE] [--replicas N]
               [--key-vault-user-client-id ID] [--resync SECONDS]

Writes the control plane of that HostedCluster as HyperShift does, to the cluster of KUBECONFIG, until it is interrupted.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command line")]
            {
                eprintln!("hypershift-sim: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Vec<String>) -> Result<()> {
    let [namespace, name, options @ ..] = &arguments[..] else { bail!("no HostedCluster is named\n{USAGE}") };
    let client = Client::try_default().await.context("no cluster")?;
    let kind = resource(&json!({"apiVersion": "hypershift.openshift.io/v1beta1", "kind": "HostedCluster"}));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let hosted_cluster = api.get(name).await.with_context(|| format!("no HostedCluster {namespace}/{name}"))?;
    let mut plane = ControlPlane::new(serde_json::to_value(hosted_cluster)?, "00000000-0000-0000-0000-000000000000");
    let resync = configure(&mut plane, options)?;
    plane.create(&client).await?;
    let running = future::join_all(plane.operators(&client).into_iter().map(|operator| narrate(operator, resync)));
    tokio::select! {
        _ = running => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

fn configure(plane: &mut ControlPlane, options: &[String]) -> Result<Duration> {
    let mut resync = Duration::from_secs(60);
    for option in options.chunks(2) {
        let [flag, value] = option else { bail!("{} needs a value\n{USAGE}", option[0]) };
        match (flag.as_str(), value.as_str()) {
            ("--cpo", "head") => plane.cpo = Writer::CpoHead,
            ("--cpo", "4.19") => plane.cpo = Writer::Cpo419,
            ("--azure", "wired") => plane.azure = Azure::Wired,
            ("--azure", "classes-only") => plane.azure = Azure::ClassesOnly,
            ("--azure", "absent") => plane.azure = Azure::Absent,
            ("--image", image) => image.clone_into(&mut plane.image),
            ("--replicas", replicas) => plane.replicas = replicas.parse().context("--replicas")?,
            ("--key-vault-user-client-id", id) => id.clone_into(&mut plane.key_vault_user),
            ("--resync", seconds) => resync = Duration::from_secs(seconds.parse().context("--resync")?),
            _ => bail!("{flag} {value} is not known\n{USAGE}"),
        }
    }
    Ok(resync)
}

/// Runs one operator and tells of its writes as they happen.
async fn narrate(operator: Operator, resync: Duration) {
    let object = format!("{}/{}", operator.kind(), operator.name());
    let mut operator = operator.telling(move |write| {
        let line: Value = json!({
            "object": object,
            "verb": write.verb.to_string(),
            "changed": write.changed(),
            "generation": write.after.generation,
            "resourceVersion": write.after.resource_version,
        });
        #[expect(clippy::print_stdout, reason = "this is a command line")]
        {
            println!("{line}");
        }
    });
    operator.run(resync).await;
}
