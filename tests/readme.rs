//! Every command of the README, run as written, prints what the README shows.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use support::{
    golden, read, text,
    transcript::{commands, with_outputs},
};

/// `cargo run` stands in the README because a newcomer has no binary yet; the test has one.
const CARGO_RUN: &str = "cargo run --quiet --";

fn output_of(command: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(script) = command.strip_prefix("hack/") {
        // This is what runs the test.
        assert!(root.join("hack").join(script).is_file(), "there is no hack/{script}");
        return String::new();
    }
    let command = command.replace(CARGO_RUN, env!("CARGO_BIN_EXE_hcp-identity"));
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(root)
        .env_remove("HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID")
        .stdin(Stdio::null())
        .output()
        .expect("sh starts");
    text(output.stdout)
}

#[test]
fn every_command_prints_what_the_readme_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = read(&path);
    let outputs: Vec<_> = commands(&readme).iter().map(|command| output_of(command)).collect();
    assert!(outputs.len() >= 3, "the README shows no commands");
    golden(&path, &with_outputs(&readme, &outputs));
}
