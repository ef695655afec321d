//! What `hack/bench/admission` runs: the webhook by itself, and who asks it as kube-apiserver does.
//!
//!     admission serve PORT FOLDER CLUSTERS                        `hcp_identity::webhook`, on one thread as the daemon has it
//!     admission check PORT FOLDER CLUSTERS                        ends with 1 unless its answers wire pods as `Plan` does
//!     admission open PORT FOLDER CLUSTERS SECONDS N RATE          so many questions a second, come what may
//!     admission closed PORT FOLDER CLUSTERS SECONDS N             the next question as soon as there is an answer
//!
//! FOLDER has the certificates, CLUSTERS is a stream of HostedClusters, N is how many connections there are. What was asked
//! and how long it took is printed as JSON, in seconds.

mod check;
mod client;
#[path = "../cluster/grown.rs"]
mod grown;
mod load;
mod pods;
mod serve;
mod world;

use std::{env, error::Error};

use self::{client::Server, world::World};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [command, port, folder, clusters, rest @ ..] = &arguments[..] else {
        return Err("usage: admission COMMAND PORT FOLDER CLUSTERS...".into());
    };
    let (port, world) = (port.parse()?, World::read(clusters)?);
    let server = || Server::new(port, folder);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if *command != "serve" {
        // Answers are timed, and so looked for at every turn.
        runtime.event_interval(1);
    }
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match (*command, rest) {
            ("serve", []) => serve::serve(port, folder, world).await,
            ("check", []) => check::check(&server()?, &world).await,
            ("open", [seconds, connections, rate]) => {
                load::open(&server()?, &world, seconds.parse()?, connections.parse()?, rate.parse()?).await
            }
            ("closed", [seconds, connections]) => {
                load::closed(&server()?, &world, seconds.parse()?, connections.parse()?).await
            }
            _ => Err(format!("no command is called so: {}", arguments.join(" ")).into()),
        }
    })
}
