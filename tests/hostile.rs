//! Input that nobody means well with, through the built binary, with little memory and its neighbours unharmed.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::process::{Command, Stdio};

use support::{KEY_VAULT_USER, read, testdata, text};

/// Far less than the inputs would take if they were expanded or held.
const MEMORY_KIB: u32 = 400_000;

/// Runs `render` with a bound on its memory over what `write` sends; stdout, stderr and the exit code.
fn render(
    write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()> + Send + 'static,
) -> (String, String, i32) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY_KIB}; exec \"$0\" render"), env!("CARGO_BIN_EXE_hcp-identity")])
        .env_clear()
        .env("HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID", KEY_VAULT_USER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || write(&mut stdin));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends").expect("all input is read");
    (text(output.stdout), text(output.stderr), output.status.code().expect("it is not killed"))
}

fn hosted_cluster() -> String {
    read(&testdata("render").join("a-hosted-cluster-with-all-nine-identities/input.yaml"))
}

/// A bad document between two good ones: the good ones are rendered, the bad one is refused with this reason.
fn refused_alone(bad: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()> + Send + 'static, reason: &str) {
    let first = hosted_cluster();
    let last = first.replace("name: prod", "name: last");
    let (stdout, stderr, exit) = render(move |out| {
        write!(out, "{first}\n---\n")?;
        bad(out)?;
        write!(out, "\n---\n{last}")
    });
    assert_eq!(exit, 1, "{stderr}");
    assert_eq!(stdout.matches("kind: SecretProviderClass").count(), 18, "{stderr}");
    let errors: Vec<_> = stderr.lines().filter(|line| line.starts_with("error[")).collect();
    assert!(matches!(errors[..], [one] if one.starts_with(&format!("error[{reason}]"))), "{errors:?}");
}

fn bytes(bytes: Vec<u8>) -> impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()> + Send + 'static {
    move |out| out.write_all(&bytes)
}

#[test]
fn a_document_of_a_hundred_megabytes_is_refused() {
    refused_alone(
        |out| {
            let lines = "key: value\n".repeat(1 << 16);
            (0..150).try_for_each(|_| out.write_all(lines.as_bytes()))
        },
        "DocumentTooLarge",
    );
}

#[test]
fn a_line_of_a_hundred_megabytes_is_refused() {
    refused_alone(
        |out| {
            let part = vec![b'x'; 1 << 20];
            (0..100).try_for_each(|_| out.write_all(&part))
        },
        "DocumentTooLarge",
    );
}

#[test]
fn an_object_that_would_take_gigabytes_is_refused() {
    refused_alone(|out| (0..40).try_for_each(|_| out.write_all("- 1\n".repeat(1 << 18).as_bytes())), "ObjectTooLarge");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [{}]\n", [format!("*a{}", level - 1).as_str(); 9].join(", "));
    }
    refused_alone(bytes(bomb.into_bytes()), "TooManyAliases");
}

#[test]
fn nesting_ten_thousand_deep_is_refused() {
    refused_alone(bytes("[".repeat(10_000).into_bytes()), "InvalidYaml");
    refused_alone(bytes("{\"a\":".repeat(10_000).into_bytes()), "InvalidYaml");
    refused_alone(bytes("- ".repeat(10_000).into_bytes()), "InvalidYaml");
}

#[test]
fn nul_bytes_invalid_utf8_and_duplicate_keys_are_refused() {
    refused_alone(bytes(b"kind: HostedCluster\0\n".to_vec()), "InvalidEncoding");
    refused_alone(bytes(b"kind: \xc3\x28\n".to_vec()), "InvalidEncoding");
    refused_alone(bytes(b"kind: A\nspec:\n  a: 1\n  a: 2\n".to_vec()), "DuplicateKey");
}

#[test]
fn too_many_workloads_are_findings_and_the_rest_is_wired() {
    let (stdout, stderr, exit) = render(|out| {
        out.write_all(hosted_cluster().as_bytes())?;
        let ballast = "x".repeat(1 << 20);
        (0..80).try_for_each(|number| {
            write!(
                out,
                "\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{number}, namespace: clusters-prod}}\n\
                 spec:\n  template:\n    metadata: {{labels: {{app: ingress-operator}}, annotations: {{ballast: {ballast}}}}}\n    \
                 spec: {{containers: [{{name: ingress-operator}}]}}\n"
            )
        })
    });
    assert_eq!(exit, 1);
    let refused = stderr.matches("error[HeldWorkloadsTooLarge]").count();
    assert!((16..=18).contains(&refused), "{refused}");
    assert_eq!(stdout.matches("kind: Deployment").count(), 80 - refused);
}

/// Control characters of an input never reach the terminal.
#[test]
fn findings_do_not_carry_escape_sequences() {
    let (_, stderr, exit) = render(|out| {
        out.write_all(b"apiVersion: hypershift.openshift.io/v1beta1\nkind: HostedCluster\nmetadata: {name: \"\\e]0;x\\a\\u202e\", namespace: \"n\\r\"}\nspec: {platform: {type: \"Azure\", azure: \"\\e[2J\"}}\n")
    });
    assert_eq!(exit, 1);
    assert!(stderr.chars().all(|c| c == '\n' || !c.is_control()) && !stderr.contains('\u{202e}'), "{stderr:?}");
}

/// Each of its values is a finding; millions of findings are not held, and the last one, an error, still counts.
#[test]
fn a_document_of_millions_of_findings_is_counted_in_bounded_memory() {
    let (_, stderr, exit) = render(|out| {
        let part = "{}".repeat(1 << 17);
        (0..8).try_for_each(|_| out.write_all(part.as_bytes()))
    });
    assert_eq!(exit, 1);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with("error[NotAKubernetesObject]")).count(), 10_000);
    assert!(lines.iter().any(|line| line.starts_with("error[TooManyFindings]") && line.contains("1038576 more")));
}
