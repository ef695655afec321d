//! The stand-in as a program.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azure-standin"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn world() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks/world.yaml").display().to_string()
}

fn first_line(child: &mut Child) -> Value {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn it_serves_the_world_of_a_file_until_it_is_told_to_end() {
    let mut child = program(&["--world", &world()]).spawn().unwrap();
    let about = first_line(&mut child);
    let plain = about["plain"].as_str().unwrap().parse().unwrap();
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net";
    let answer = crate::sockets::send(plain, &format!("GET {path} HTTP/1.1\r\nMetadata: true"), "").await;
    assert!(answer.contains("22222222-2222-2222-2222-222222222222"), "{answer}");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_does_not_start_without_what_it_was_told() {
    for (arguments, text) in [
        (["--world", "/no/such/file"], "azure-standin: /no/such/file: "),
        (["--control", "0.0.0.0:0"], "azure-standin: the control interface listens on loopback only"),
    ] {
        let output = program(&arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && told.starts_with(text), "{told}");
    }
}
