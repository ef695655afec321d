//! Azure's own SDKs for Python, unmodified: ARM's providers, and blobs in Azurite.
//!
//! The first run downloads them into a folder of target.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use azure_standin::{Settings, azurite::Azurite, operation::Operation};
use serde_json::{Value, json};

use crate::world::{OWNER, SUBSCRIPTION, TENANT, World, object_of};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk-python")
}

fn built(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn done(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// A virtual environment with exactly what the two files pin.
fn python() -> PathBuf {
    let environment = built("sdk-python-provision");
    let python = environment.join("bin/python");
    if !python.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    }
    for requirements in ["requirements.txt", "provision.txt"] {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
        done(Command::new(&python).args(pip).arg(folder().join(requirements)));
    }
    python
}

fn run(environment: &[(&'static str, String)], task: &Value) -> Value {
    let mut command = Command::new(python());
    command.arg(folder().join("provision.py")).env_clear().envs(environment.iter().cloned());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the client failed: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the SDK reads the authority from a file")]
fn authority(world: &World) -> PathBuf {
    let file = built(&format!("provision-{}.pem", std::process::id()));
    std::fs::write(&file, &world.standin.about().ca_pem).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azures_sdks_provision_twice_and_delete() {
    let azurite = Azurite::start(&built("azurite"), &["oidc"]).unwrap();
    let world = World::with(Settings { blob_store: Some(azurite.store()), ..Settings::default() }).await;
    let mut environment = world.standin.proxy_environment().to_vec();
    environment.push(("REQUESTS_CA_BUNDLE", authority(&world).display().to_string()));
    let task = json!({
        "tenant": TENANT, "subscription": SUBSCRIPTION, "client": OWNER, "object": object_of(OWNER), "secret": "hush",
    });
    let told = tokio::task::spawn_blocking(move || run(&environment, &task)).await.unwrap();
    assert_eq!(told["first"], told["second"]);
    assert_eq!(told["first"]["assignments"], json!(["22222222-2222-2222-2222-222222222222"]));
    assert_eq!(told["first"]["credentials"], json!(["registry"]));
    assert_eq!(told["first"]["keys"], 2);
    assert_eq!(told["missing"], "404 ResourceNotFound");
    assert_eq!(told["twin"], "409 Conflict");
    assert_eq!(told["deleted"], "404 ResourceGroupNotFound");
    let journal = &world.standin.azure().journal;
    assert!(journal.count(Operation::PollOperation) > 1, "{:?}", journal.counts());
    assert_eq!(journal.count(Operation::Unknown), 0);
}
