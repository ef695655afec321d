//! The command line as a contract: exit codes, where things come from and go to.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use support::{KEY_VAULT_USER, hcp_identity, pipe, read, testdata, text};

const OTHER_USER: &str = "11111111-2222-4333-8444-555555555555";

fn valid() -> PathBuf {
    testdata("render").join("a-hosted-cluster-with-all-nine-identities/input.yaml")
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    (status.code().expect("it exits"), text(stdout), text(stderr))
}

/// A folder of this test's own, with these files.
#[expect(clippy::disallowed_methods, reason = "these tests are about files")]
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(folder.join("deeper")).expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.join(name), content).expect("a file");
    }
    folder
}

#[test]
fn usage_and_files_that_are_not_there_are_exit_code_2_and_print_nothing() {
    for arguments in [&["render", "--no-such-flag"][..], &["no-such-command"], &[], &["render", "-o", "xml"]] {
        let (exit, stdout, stderr) = run(hcp_identity().args(arguments));
        assert_eq!((exit, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
    }
    let (exit, stdout, stderr) =
        run(hcp_identity().args(["render", "-f", "one-missing", "-f"]).arg(valid()).args(["-f", "another-missing"]));
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.contains("one-missing") && stderr.contains("another-missing"), "{stderr}");
    assert_eq!(run(hcp_identity().args(["validate", "-f", "-", "-f", "-"])).0, 2);
}

#[test]
fn a_folder_is_read_by_name_and_not_deeper() {
    let hosted_cluster = read(&valid());
    let deeper = hosted_cluster.replace("name: prod", "name: deeper");
    let files =
        [("b.yml", hosted_cluster.as_str()), ("a.json", "{}{}"), ("c.txt", "ignored: ["), ("deeper/d.yaml", &deeper)];
    let (exit, stdout, stderr) = run(hcp_identity().args(["render", "-f"]).arg(folder("by-name", &files)));
    assert_eq!(exit, 1, "{stderr}");
    assert_eq!(stderr.matches("error[NotAKubernetesObject]").count(), 2, "{stderr}");
    assert_eq!(stdout.matches("name: managed-azure-").count(), 9);
    assert!(!stdout.contains("deeper"));
    let (exit, _, stderr) = run(hcp_identity().args(["validate", "-f"]).arg(folder("empty", &[])));
    assert_eq!(exit, 2);
    assert!(stderr.contains("has no .yaml, .yml or .json file"), "{stderr}");
}

#[test]
fn standard_input_is_the_default_and_has_a_name() {
    for arguments in [&["render"][..], &["render", "-f", "-"]] {
        let output = pipe(hcp_identity().args(arguments), read(&valid()).as_bytes());
        assert_eq!(text(output.stdout).matches("kind: SecretProviderClass").count(), 9);
    }
    let output = pipe(hcp_identity().arg("validate"), b"a: b");
    assert!(text(output.stdout).starts_with("error[NotAKubernetesObject]: stdin:1:1: document 1: "));
}

/// Flag, then our variable, then the file, then HyperShift's variable; an empty variable is none.
#[test]
fn the_key_vault_user_comes_from_the_first_that_has_one() {
    let settings = folder("settings", &[("s.yaml", &format!("keyVaultUserClientID: {OTHER_USER}\n"))]).join("s.yaml");
    let user = |flag: Option<&str>, ours: &str, file: bool, hypershifts: &str| {
        let mut command = hcp_identity();
        command.env("HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID", ours).env("ARO_HCP_KEY_VAULT_USER_CLIENT_ID", hypershifts);
        command.args(["render", "-f"]).arg(valid());
        flag.map(|flag| command.args(["--key-vault-user-client-id", flag]));
        if file {
            command.arg("--settings").arg(&settings);
        }
        let (exit, stdout, stderr) = run(&mut command);
        let line = stdout.lines().find(|line| line.contains("userAssignedIdentityID"));
        line.map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).ok_or((exit, stderr))
    };
    let (a, b) = (KEY_VAULT_USER, "99999999-2222-4333-8444-555555555555");
    assert_eq!(user(Some(a), b, true, b).as_deref(), Ok(a));
    assert_eq!(user(None, a, true, b).as_deref(), Ok(a));
    assert_eq!(user(None, "", true, b).as_deref(), Ok(OTHER_USER));
    assert_eq!(user(None, "", false, a).as_deref(), Ok(a));
    for (flag, ours) in [(None, ""), (Some(""), a), (Some("me"), a), (None, "me")] {
        let (exit, stderr) = user(flag, ours, false, "").expect_err("no user");
        assert_eq!(exit, 2);
        assert!(stderr.contains("key vault user client id"), "{stderr}");
    }
}

#[test]
fn a_settings_file_with_errors_is_refused_with_all_of_them() {
    for (content, wanted) in [
        ("keyVaultUserClientId: x", &["keyVaultUserClientId"][..]),
        ("a: [", &["cannot read the settings file"]),
        (
            "components: {ingress: {mountPath: x}, disk: {app: \"-\"}}\nsecretProviderClass: {extraParameters: {tenantId: x}}",
            &["components.ingress.mountPath", "components.disk.app", "tenantId"],
        ),
    ] {
        let settings = folder("bad-settings", &[("s.yaml", content)]).join("s.yaml");
        let (exit, stdout, stderr) =
            run(hcp_identity().args(["render", "-f"]).arg(valid()).arg("--settings").arg(settings));
        assert_eq!((exit, stdout.as_str()), (2, ""), "{content}");
        assert!(wanted.iter().all(|wanted| stderr.contains(wanted)), "{content}: {stderr}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = hcp_identity()
        .args(["render", "-f"])
        .arg(valid())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    // Whether the pipe was closed before or after the writing is up to the scheduler; neither is a failure.
    assert_eq!(output.status.code(), Some(0));
    assert!(!text(output.stderr).contains("hcp-identity:"));
}

#[test]
fn output_to_a_pipe_is_not_coloured() {
    let (_, stdout, stderr) = run(hcp_identity()
        .args(["validate", "-f"])
        .arg(testdata("validate").join("every-error-of-a-document-at-once/input.yaml")));
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'));
}

/// The help of a command and of all below it, by its words.
fn helps(words: &[String]) -> Vec<(String, String)> {
    let (exit, help, stderr) = run(hcp_identity().args(words).arg("--help"));
    assert_eq!((exit, stderr.as_str()), (0, ""), "{words:?}");
    let below = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    // What is said of a command goes on in lines that stand deeper.
    let lines = below.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names = lines.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_whitespace().next());
    let mut all: Vec<_> =
        names.filter(|name| *name != "help").flat_map(|name| helps(&[words, &[name.to_owned()]].concat())).collect();
    all.push((words.join(" "), help));
    all
}

/// The options of a command, each with what is said of it.
fn options(help: &str) -> Vec<(&str, String)> {
    let options = help.split("\nOptions:\n").nth(1).unwrap_or_default().split("\nExamples:").next().unwrap_or_default();
    let mut told = Vec::<(&str, String)>::new();
    for line in options.lines().map(str::trim_start) {
        match (line.split_whitespace().find_map(|word| word.strip_prefix("--")), told.last_mut()) {
            (Some(name), _) if line.starts_with('-') => {
                let said =
                    line.split_once("  ").filter(|(option, _)| option.contains("--")).map_or("", |(_, said)| said);
                told.push((name.split(['[', '=', '.']).next().unwrap_or(name), said.to_owned()));
            }
            (_, Some((_, said))) => *said += line,
            _ => {}
        }
    }
    told
}

#[test]
fn completions_know_every_option_of_every_command_in_every_shell() {
    let helps = helps(&[]);
    assert!(helps.iter().any(|(words, _)| words == "azure create-oidc-issuer"), "no nested commands");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (exit, script, _) = run(hcp_identity().args(["completions", shell]));
        assert_eq!(exit, 0, "{shell}");
        for (words, help) in &helps {
            assert!(words.split(' ').all(|word| script.contains(word)), "{shell}: {words}");
            for (option, _) in options(help) {
                assert!(script.contains(option), "{shell}: {words} --{option}");
            }
        }
    }
}

#[test]
fn help_says_something_of_every_option() {
    let mut seen = 0;
    for (words, help) in helps(&[]) {
        for (option, said) in options(&help) {
            assert!(said.split_whitespace().count() > 1, "{words} --{option}: {said:?}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} options");
}

/// Where help is wrapped.
const WIDTH: usize = 100;

#[test]
fn help_has_examples_and_exit_codes() {
    let helps = helps(&[]);
    assert!(helps.iter().any(|(words, help)| words.is_empty() && help.contains("Exit codes:")));
    for (words, help) in helps.iter().filter(|(_, help)| !help.contains("\nCommands:\n")) {
        let examples = help.split_once("Examples:").unwrap_or_else(|| panic!("{words} has no examples")).1;
        assert!(!examples.contains('…'), "{words}: an example is to be copied: {examples}");
        if words.starts_with("azure") || words.starts_with("capz") {
            assert!(!examples.contains(" ... "), "{words}: an example is to be copied: {examples}");
            for (line, next) in examples.lines().zip(examples.lines().skip(1)) {
                let word = next.split_whitespace().next().unwrap_or_default();
                let fits = word.is_empty() || line.len() + 1 + word.len() <= WIDTH || line.ends_with('\\');
                assert!(fits, "{words}: an example is too wide, and cannot be copied: {line}");
            }
        }
    }
}

#[test]
fn the_id_of_a_key_may_begin_with_a_hyphen_and_a_flag_is_none() {
    let id = format!("-{}", "a".repeat(42));
    for (value, says) in
        [(id.as_str(), "there is no "), ("--dry-run", "invalid value '--dry-run'"), ("-o", "invalid value '-o'")]
    {
        let flags =
            ["--name", "prod", "--region", "westeurope", "--subscription-id", OTHER_USER, "--tenant-id", OTHER_USER];
        let folder = folder("no-key", &[]);
        let mut command = hcp_identity();
        command.args(["azure", "create-oidc-issuer"]).args(flags).args(["--retire-key", value]).current_dir(folder);
        let (exit, stdout, stderr) = run(&mut command);
        assert!((exit, stdout.as_str()) == (2, "") && stderr.contains(says), "{value}: {stderr}");
    }
}

#[test]
fn a_pipe_with_a_name_is_read_once_and_whole() {
    let folder = folder("fifo", &[]);
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts").success());
    for _ in 0..5 {
        let child =
            hcp_identity().args(["render", "-f"]).arg(&pipe).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let written = Command::new("cp").arg(valid()).arg(&pipe).status().expect("cp starts");
        let output = child.expect("it starts").wait_with_output().expect("it ends");
        assert!(written.success());
        assert_eq!(text(output.stdout).matches("kind: SecretProviderClass").count(), 9);
    }
}

#[test]
#[cfg(unix)]
fn a_link_to_nowhere_in_a_folder_is_no_silent_gap() {
    let folder = folder("links", &[("a.yaml", &read(&valid()))]);
    std::os::unix::fs::symlink("/no/such/file", folder.join("b.yaml")).expect("a link");
    let (exit, stdout, stderr) = run(hcp_identity().args(["render", "-f"]).arg(&folder));
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.contains("b.yaml"), "{stderr}");
}

#[test]
fn findings_are_whole_json_also_where_reading_fails() {
    let folder = folder("half", &[("a.yaml", "a: b")]);
    let (exit, stdout, stderr) = run(hcp_identity()
        .args(["validate", "-o", "json", "-f"])
        .arg(folder.join("a.yaml"))
        .arg("-f")
        .arg("/proc/self/mem"));
    assert_eq!(exit, 2, "{stderr}");
    let findings: serde_json::Value = serde_json::from_str(&stdout).expect("whole JSON");
    assert_eq!(findings["findings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_reader_that_leaves_does_not_hide_findings() {
    let bad = "a: b\n---\n".repeat(20_000);
    let mut child = hcp_identity()
        .arg("validate")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, bad.as_bytes()).expect("all input is read");
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn an_input_without_hosted_clusters_is_told() {
    let output = pipe(hcp_identity().arg("validate"), b"apiVersion: v1\nkind: Namespace\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(output.stderr).contains("there is no HostedCluster"));
}

/// A variable is a flag as well, and an empty one is told like any other.
#[test]
fn a_flag_that_is_a_choice_says_what_may_be_chosen() {
    for (flag, word, choices) in [
        ("mode", "enforced", "enforce, observe"),
        ("credential-check", "sign-in", "none, metadata, content, signIn"),
        ("rotation", "", "observe, restart"),
    ] {
        let variable = format!("HCP_IDENTITY_{}", flag.to_uppercase().replace('-', "_"));
        for command in
            [hcp_identity().args(["run", &format!("--{flag}"), word]), hcp_identity().arg("run").env(variable, word)]
        {
            let (exit, stdout, stderr) = run(command);
            assert_eq!((exit, stdout.as_str()), (2, ""));
            assert!(stderr.contains(&format!("[possible values: {choices}]")), "{stderr}");
        }
    }
}
