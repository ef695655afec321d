//! What several tests share: the built binary, golden cases on disk, and the one way to bless them.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]
#![allow(unreachable_pub, reason = "this is a module of each of them")]

#[cfg(feature = "test-cluster")]
pub mod audit;
#[cfg(feature = "test-cluster")]
pub mod cluster;
#[cfg(feature = "test-cluster")]
pub mod events;
pub mod prometheus;
#[cfg(feature = "test-cluster")]
pub mod proxy;
#[cfg(feature = "test-cluster")]
pub mod stage;
#[cfg(any(feature = "mounted", feature = "provision"))]
pub mod standin;
#[cfg(feature = "provision")]
pub mod subscription;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

pub mod credentials;
pub mod transcript;
pub mod workload_identity;

pub const KEY_VAULT_USER: &str = "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11";

/// The binary with an environment of its own.
pub fn hcp_identity() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hcp-identity"));
    command.env_clear().env("HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID", KEY_VAULT_USER).stdin(Stdio::null());
    command
}

/// Runs the binary on standard input.
pub fn pipe(command: &mut Command, input: &[u8]) -> Output {
    use std::io::Write as _;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    output
}

pub fn testdata(area: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(area)
}

#[expect(clippy::disallowed_methods, reason = "golden cases are files")]
pub fn cases(area: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(testdata(area)).expect("the area is a folder of testdata");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{area} has no cases");
    cases
}

#[expect(clippy::disallowed_methods, reason = "golden cases are files")]
pub fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Compares with what is on disk. `cargo xtask bless` writes it instead; the diff is then read by a person.
#[expect(clippy::disallowed_methods, reason = "golden cases are files, and blessing is asked for by a variable")]
pub fn golden(path: &Path, actual: &str) {
    if std::env::var_os("HCP_IDENTITY_BLESS").is_some() {
        let done = if actual.is_empty() && path.exists() {
            std::fs::remove_file(path)
        } else if actual.is_empty() {
            Ok(())
        } else {
            std::fs::write(path, actual)
        };
        done.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let expected = read(path);
    assert!(
        expected == actual,
        "{} differs; if this is meant, run `cargo xtask bless` and read the diff\n--- expected\n{expected}--- actual\n{actual}",
        path.display()
    );
}

/// The arguments that a case adds, one a line in its file `arguments`.
pub fn arguments(case: &Path) -> Vec<String> {
    read(&case.join("arguments")).lines().map(str::to_owned).collect()
}

/// Runs a command over the input of a case, in its folder: stdout, stderr, exit code.
pub fn run_case(command: &str, case: &Path, more: &[&str]) -> (String, String, i32) {
    let mut program = hcp_identity();
    program.current_dir(case).args([command, "-f", "input.yaml"]).args(arguments(case)).args(more);
    let output = program.output().expect("it starts");
    (text(output.stdout), text(output.stderr), output.status.code().expect("it exits"))
}

pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("output is UTF-8")
}

/// What a case must have ended with, told by the findings that it expects.
pub fn expected_exit(findings: &str) -> i32 {
    i32::from(findings.lines().any(|line| line.starts_with("error[")))
}
