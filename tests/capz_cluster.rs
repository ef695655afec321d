//! `capz apply` and `capz check` on a cluster of their own, whose issuer the stand-in serves: first as the tutorial of docs/capz.md
//! has it, command by command, then one thing after the other that goes wrong.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "a tutorial is about files and an environment")]

mod support;

use std::{
    cell::OnceCell,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use azure_standin::{Settings, Standin, world::PublicDocument};
use serde_json::{Value, json};
use support::{
    cluster::{OwnCluster, kubeconfig, kubectl, succeeds},
    golden, read, testdata, text,
};

const ISSUER: &str = "https://oidc.example.com/mgmt/";
const DOCUMENTS: [(&str, &str); 2] =
    [("openid-configuration", ".well-known/openid-configuration"), ("jwks", "openid/v1/jwks")];
const IDENTITY: [&str; 2] = ["azureclusteridentity", "cluster-identity"];

/// A folder in which somebody follows the tutorial, and the world around it.
struct Desk {
    folder: PathBuf,
    standin: Standin,
    cluster: OnceCell<OwnCluster>,
}

impl Desk {
    async fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capz-tutorial");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("an old folder goes");
        }
        fs::create_dir_all(&folder).expect("a folder");
        let standin = Standin::start(Settings::default()).await.expect("a stand-in");
        fs::write(folder.join("ca.pem"), &standin.about().ca_pem).expect("a CA");
        Self { folder, standin, cluster: OnceCell::new() }
    }

    /// What a command prints, and how it ends.
    fn run(&self, command: &str) -> (i32, String, String) {
        let binary = Path::new(env!("CARGO_BIN_EXE_hcp-identity")).parent().expect("a folder");
        let path = std::env::var("PATH").expect("a PATH");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", binary.display()))
            .env("SSL_CERT_FILE", self.folder.join("ca.pem"))
            .envs(self.standin.proxy_environment())
            .stdin(Stdio::null());
        if self.cluster.get().is_some() {
            shell.env("KUBECONFIG", kubeconfig());
        }
        let output = shell.output().expect("sh starts");
        (output.status.code().expect("it exits"), text(output.stdout), text(output.stderr))
    }

    /// Does what a command does that needs Azure, Docker or the internet.
    fn play(&self, command: &str) {
        if command.starts_with("az storage blob upload") {
            let (file, path) = DOCUMENTS.iter().find(|(file, _)| command.contains(file)).expect("a document");
            self.publish(path, &read(&self.folder.join("capz").join(file)));
        } else if command.starts_with("az identity federated-credential create") {
            assert!(
                self.planned_credentials().any(|words| words.iter().all(|word| command.contains(word))),
                "{command}"
            );
        } else if command == "kind create cluster --config capz/kind.yaml" {
            assert!(read(&self.folder.join("capz/kind.yaml")).contains(ISSUER));
            let key = self.folder.join("sa.key");
            let started = OwnCluster::start_with(
                "capz-cluster",
                &["--issuer", ISSUER, "--service-account-key", key.to_str().expect("a path")],
            );
            assert!(self.cluster.set(started).is_ok(), "one cluster");
        } else if command == "clusterctl init --infrastructure azure" {
            apply_files(&["cluster/capz", "cluster/crds/azureclusteridentities.yaml"]);
        } else if command.starts_with("clusterctl generate cluster") {
            let case = "capz/wire/what-clusterctl-generates-of-the-default-flavor/input.yaml";
            fs::copy(testdata(case), self.folder.join("prod.yaml")).expect("a stream");
        } else {
            let others = ["az ", "clusterctl ", "kubectl apply -f wired.yaml"];
            assert!(others.iter().any(|known| command.starts_with(known)), "nobody plays {command}");
        }
    }

    /// The words that each federated credential of the plan is made with.
    fn planned_credentials(&self) -> impl Iterator<Item = Vec<String>> {
        let plan = "hcp-identity capz plan --cluster-name mgmt --tenant-id contoso.com -o json";
        let (_, stdout, stderr) = self.run(&format!("{plan} --issuer {ISSUER}"));
        let plan: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let credentials = plan["tokens"]["federatedCredentials"].as_array().expect("credentials").clone();
        let word = |credential: &Value, key: &str| format!(" {}", credential[key].as_str().expect("a word"));
        let words = move |one: Value| ["name", "issuer", "subject", "audience"].map(|key| word(&one, key)).to_vec();
        credentials.into_iter().map(words)
    }

    fn publish(&self, path: &str, body: &str) {
        let document = PublicDocument { url: format!("{ISSUER}{path}"), body: body.to_owned() };
        self.standin.azure().with_world_mut(|world| world.publish(document));
    }

    /// The findings of a check: severity and reason, in order; and how it ends.
    fn check(&self, more: &str) -> (i32, Vec<String>) {
        let (exit, stdout, stderr) = self.run(&format!("hcp-identity capz check -o json {more}"));
        let answer: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let findings = answer["findings"].as_array().expect("findings").iter();
        (exit, findings.map(|one| format!("{}[{}]", word(one, "severity"), word(one, "reason"))).collect())
    }

    fn check_is(&self, more: &str, exit: i32, findings: &[&str]) {
        assert_eq!(self.check(more), (exit, findings.iter().map(ToString::to_string).collect()), "{more}");
    }

    fn apply(&self, more: &str) -> (i32, String, String) {
        let key_pair = "--private-key sa.key --public-key sa.pub";
        let ids = "--tenant-id 99999999-2222-4333-8444-555555555555 --client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11";
        self.run(&format!("hcp-identity capz apply --cluster-name mgmt --issuer {ISSUER} {ids} {key_pair} {more}"))
    }
}

fn apply_files(names: &[&str]) {
    for name in names {
        // Kinds first: what is of them waits until they are served.
        succeeds(kubectl().args(["apply", "--server-side", "-f"]).arg(testdata(name)), "");
    }
    succeeds(kubectl().args(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]), "");
}

fn get(arguments: &[&str], path: &str) -> String {
    succeeds(kubectl().arg("get").args(arguments).args(["-o", &format!("jsonpath={path}")]), "")
}

/// As somebody else would, with kubectl.
fn set_client(manager: &str, client: &str) {
    let identity = json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1",
        "kind": "AzureClusterIdentity",
        "metadata": {"name": "cluster-identity"},
        "spec": {"clientID": client, "tenantID": "99999999-2222-4333-8444-555555555555", "type": "WorkloadIdentity"},
    });
    let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager", manager, "-f", "-"];
    succeeds(kubectl().args(arguments), &identity.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_becomes_a_management_cluster_without_a_secret() {
    let desk = Desk::new().await;
    every_command_does_what_the_tutorial_shows(&desk);
    nothing_is_found_of_a_cluster_that_is_as_it_should_be(&desk);
    an_issuer_that_entra_would_not_take_is_found(&desk);
    kinds_that_are_not_served_are_said(&desk);
    whoever_may_only_read_may_check(&desk);
    objects_are_held_against_each_other_across_files_and_cluster(&desk);
    fields_of_others_are_not_taken(&desk);
    what_is_rehearsed_is_not_written(&desk);
    where_one_thing_is_refused_nothing_is_written(&desk);
}

fn every_command_does_what_the_tutorial_shows(desk: &Desk) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/capz.md");
    let document = read(&path);
    let mut actual = String::new();
    let (mut block, mut commands) = ("", 0);
    for line in document.lines() {
        match line {
            "```console" | "```sh" | "```" => block = line,
            // What a command printed when the tutorial was written.
            _ if block == "```console" && !line.starts_with("$ ") => continue,
            _ => {}
        }
        actual += &format!("{line}\n");
        if let Some(command) = line.strip_prefix("$ ").filter(|_| block == "```console") {
            actual += &desk.run(command).1;
            commands += 1;
        } else if block == "```sh" && line != block {
            desk.play(line);
        }
    }
    assert!(commands >= 6, "the tutorial shows no commands");
    golden(&path, &actual);
}

fn nothing_is_found_of_a_cluster_that_is_as_it_should_be(desk: &Desk) {
    desk.check_is(&format!("--issuer {ISSUER}"), 0, &[]);
    // The cluster's own issuer is expected where none is given.
    desk.check_is("", 0, &[]);
    let (_, _, stderr) = desk.run("hcp-identity capz check");
    assert_eq!(stderr, "10 objects: 1 AzureClusterIdentity, 0 clusters, 0 errors, 0 warnings\n");
}

fn an_issuer_that_entra_would_not_take_is_found(desk: &Desk) {
    let published = |file: &str| read(&desk.folder.join("capz").join(file));
    let [(discovery, discovery_path), (keys, keys_path)] = DOCUMENTS;
    // As the cluster says itself, and its issuer publishes under another name.
    let without_slash = ISSUER.trim_end_matches('/');
    desk.check_is(&format!("--issuer {without_slash}"), 1, &["error[IssuerMismatch]", "error[IssuerMismatch]"]);

    let own_name = format!("\"{ISSUER}\"");
    desk.publish(discovery_path, &published(discovery).replace(&own_name, &format!("\"{without_slash}\"")));
    desk.check_is("", 1, &["error[IssuerMismatch]"]);
    desk.publish(discovery_path, &published(discovery));

    desk.publish(keys_path, &published(keys).replace("\"kid\": \"", "\"kid\": \"x"));
    desk.check_is("", 1, &["error[SigningKeyNotPublished]"]);
    let (_, stdout, _) = desk.run("hcp-identity capz check");
    assert!(stdout.contains(&format!("error[SigningKeyNotPublished]: {ISSUER}{keys_path}: keys: ")), "{stdout}");

    let documents = desk.standin.azure().with_world_mut(|world| std::mem::take(&mut world.documents));
    desk.check_is("", 1, &["error[IssuerUnreachable]"]);
    desk.standin.azure().with_world_mut(|world| world.documents = documents);
    desk.publish(keys_path, &published(keys));
    desk.check_is("", 0, &[]);
}

fn kinds_that_are_not_served_are_said(desk: &Desk) {
    let kind = "azuremachinepools.infrastructure.cluster.x-k8s.io";
    succeeds(kubectl().args(["delete", "crd", kind]), "");
    let (exit, stdout, _) = desk.run("hcp-identity capz check");
    let wanted = format!("note[NotLookedAt]: cluster: {kind}/v1beta1 is not served, and not looked at; ");
    assert_eq!((exit, stdout.lines().count()), (0, 1), "{stdout}");
    assert!(stdout.starts_with(&wanted), "{stdout}");
    apply_files(&["cluster/capz/crds.yaml"]);
}

/// A check that wrote anything would be denied.
fn whoever_may_only_read_may_check(desk: &Desk) {
    // Every authenticated user may ask what there is, and nobody else what the issuer is.
    let (exit, nobody) = desk.check("--as nobody");
    assert_eq!(exit, 0, "{nobody:?}");
    assert_eq!(nobody.len(), 12, "one a kind: {nobody:?}");
    assert!(nobody.iter().all(|finding| finding == "warning[NotLookedAt]"), "{nobody:?}");
    let rules = "azureclusteridentities,azureclusters,azureclustertemplates,azuremanagedcontrolplanes,\
                 azuremanagedcontrolplanetemplates,azuremachinetemplates,azuremachinepools,azuremachines";
    let rule =
        |resources: &[&str], group: &str| json!({"apiGroups": [group], "resources": resources, "verbs": ["list"]});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "capz-reader"},
        "rules": [
            rule(&rules.split(',').collect::<Vec<_>>(), "infrastructure.cluster.x-k8s.io"),
            rule(&["kubeadmcontrolplanes"], "controlplane.cluster.x-k8s.io"),
            rule(&["deployments"], "apps"),
            rule(&["serviceaccounts", "namespaces"], ""),
        ],
    });
    succeeds(kubectl().args(["apply", "-f", "-"]), &role.to_string());
    for role in ["capz-reader", "system:service-account-issuer-discovery"] {
        let name = format!("reads-{}", role.replace(':', "-"));
        succeeds(
            kubectl().args(["create", "clusterrolebinding", &name, "--clusterrole", role, "--user", "reader"]),
            "",
        );
    }
    desk.check_is("--as reader", 0, &[]);
}

fn objects_are_held_against_each_other_across_files_and_cluster(desk: &Desk) {
    succeeds(kubectl().args(["create", "namespace", "team-b"]), "");
    let reference = json!({"kind": "AzureClusterIdentity", "name": "cluster-identity", "namespace": "default"});
    let cluster = json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "AzureCluster",
        "metadata": {"name": "foreign", "namespace": "team-b"}, "spec": {"identityRef": reference},
    });
    fs::write(desk.folder.join("foreign.yaml"), cluster.to_string()).expect("a file");
    // Of the file alone nothing can be told.
    desk.check_is("-f foreign.yaml", 0, &[]);
    desk.check_is("-f foreign.yaml --context test", 1, &["error[NamespaceNotAllowed]"]);
    succeeds(kubectl().args(["apply", "-f", "-"]), &cluster.to_string());
    let (exit, stdout, _) = desk.run("hcp-identity capz check");
    assert_eq!(exit, 1);
    let place = "error[NamespaceNotAllowed]: cluster: AzureCluster team-b/foreign: spec.identityRef: ";
    assert!(stdout.starts_with(place), "{stdout}");
    let nameless = cluster.to_string().replace("\"cluster-identity\"", "\"nobody\"");
    fs::write(desk.folder.join("nameless.yaml"), nameless).expect("a file");
    desk.check_is("-f nameless.yaml", 0, &[]);
    desk.check_is("-f nameless.yaml --context test", 1, &["error[NamespaceNotAllowed]", "error[IdentityNotFound]"]);
    succeeds(kubectl().args(["delete", "namespace", "team-b", "--wait=false"]), "");
    succeeds(kubectl().args(["delete", "azurecluster", "-n", "team-b", "foreign"]), "");
}

fn fields_of_others_are_not_taken(desk: &Desk) {
    let another = "77777777-7c33-4b0a-9c27-0d3b1e5a4c11";
    set_client("gitops", another);
    for dry_run in ["", "--dry-run", "--dry-run=server"] {
        let (exit, stdout, stderr) = desk.apply(dry_run);
        assert_eq!(exit, 1, "{stderr}");
        let told = "error[OwnedByAnother]: cluster: AzureClusterIdentity default/cluster-identity: spec.clientID: belongs to \"gitops\"";
        assert!(stderr.starts_with(told), "{stderr}");
        assert_eq!(stdout.is_empty(), dry_run.is_empty(), "{stdout}");
    }
    assert_eq!(get(&IDENTITY, "{.spec.clientID}"), another);
    let (exit, stdout, stderr) = desk.apply("--force-conflicts");
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert_eq!(stdout, "unchanged: Secret default/mgmt-sa\nupdated: AzureClusterIdentity default/cluster-identity\n");
    assert_eq!(get(&IDENTITY, "{.spec.clientID}"), "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11");
}

fn what_is_rehearsed_is_not_written(desk: &Desk) {
    let version = || get(&IDENTITY, "{.metadata.resourceVersion}");
    let before = version();
    let (exit, stdout, _) =
        desk.apply("--allowed-namespace default --allowed-namespace team-a --dry-run=server -o json");
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    let steps = json!([
        {"change": "unchanged", "kind": "Secret", "namespace": "default", "name": "mgmt-sa"},
        {"change": "updated", "kind": "AzureClusterIdentity", "namespace": "default", "name": "cluster-identity"},
    ]);
    assert_eq!((exit, &answer["steps"], &answer["findings"]), (0, &steps, &json!([])));
    assert_eq!(version(), before);
    // Nothing that is applied is printed.
    let private = read(&desk.folder.join("sa.key"));
    assert!(!private.lines().any(|line| stdout.contains(line)));
}

fn where_one_thing_is_refused_nothing_is_written(desk: &Desk) {
    let (exit, stdout, stderr) = desk.apply("--namespace nowhere");
    assert_eq!((exit, stdout.as_str(), stderr.lines().count()), (1, "", 2), "{stderr}");
    assert!(
        stderr
            .starts_with("error[RefusedByCluster]: cluster: Secret nowhere/mgmt-sa: namespaces \"nowhere\" not found")
    );
    // A cluster that signs with another key pair keeps it.
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs-sa", "namespace": "default"},
        "type": "cluster.x-k8s.io/secret", "data": {"tls.crt": "YQ==", "tls.key": "YQ=="},
    });
    succeeds(kubectl().args(["create", "--field-manager", "kubectl", "-f", "-"]), &secret.to_string());
    let theirs = "hcp-identity capz apply --cluster-name theirs --identity-name theirs --tenant-id contoso.com \
                  --client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11 --private-key sa.key --public-key sa.pub";
    let (exit, _, stderr) = desk.run(&format!("{theirs} --issuer {ISSUER}"));
    assert_eq!(exit, 1, "{stderr}");
    let of_key = |key: &str| format!("Secret default/theirs-sa: data[\"{key}\"]: belongs to \"kubectl\"");
    assert!(stderr.contains(&of_key("tls.key")) && stderr.contains(&of_key("tls.crt")), "{stderr}");
    let there = succeeds(kubectl().args(["get", "azureclusteridentities", "-o", "name"]), "");
    assert!(!there.contains("theirs"), "{there}");
    // Before there is an identity there is nothing to apply.
    let (exit, _, stderr) = desk
        .run(&format!("{} --issuer {ISSUER}", theirs.replace("--client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11 ", "")));
    assert_eq!(exit, 2);
    assert!(stderr.contains("--client-id"), "{stderr}");
}
