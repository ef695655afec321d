//! What `hack/bench/daemon` needs beside the daemon: the world that it works in, and the clients that it is compared with.
//!
//!     cluster create SCALE         HostedClusters, their namespaces and their workloads
//!     cluster reset SCALE          as it was made: no provider class, no wiring, no status, no Lease
//!     cluster verify SCALE         ends with 1 unless everything is as `hcp-identity render` has it
//!     cluster loop SCALE CLIENTS   the daemon's writes and nothing else, by so many clients
//!     cluster idle                 one watch of nothing
//!     cluster busy SCALE RATE      changes Deployments that are nobody's business, so many a second, until SIGINT
//!
//! The cluster is that of KUBECONFIG.

mod clients;
mod golden;
mod grown;
mod world;

use std::{env, error::Error};

use kube::Client;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// As the daemon: one thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (command, numbers) = arguments.split_first().ok_or("usage: cluster COMMAND [SCALE [NUMBER]]")?;
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse()).collect::<std::result::Result<_, _>>()?;
    let client = Client::try_default().await?;
    match (command.as_str(), &numbers[..]) {
        ("create", [scale]) => world::create(&client, *scale).await,
        ("reset", [scale]) => world::reset(&client, *scale).await,
        ("verify", [scale]) => world::verify(&client, *scale).await,
        ("loop", [scale, clients]) => clients::write(&client, *scale, *clients).await,
        ("idle", []) => clients::idle(client).await,
        ("busy", [scale, rate]) => clients::busy(&client, *scale, *rate).await,
        _ => Err(format!("no command is called so: {}", arguments.join(" ")).into()),
    }
}
