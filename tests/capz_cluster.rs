//! `capz apply` and `capz check` on a cluster of their own, whose issuer the stand-in serves: first as the tutorial of docs/capz.md
//! has it, command by command, then one thing after the other that goes wrong.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "a tutorial is about files and an environment")]

mod support;

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation,
    world::PublicDocument,
};
use serde_json::{Value, json};
use support::{
    cluster::{OwnCluster, kubeconfig, kubectl, succeeds},
    golden, read,
    subscription::{SUBSCRIPTION, Subscription},
    testdata, text,
};

const ISSUER: &str = "https://mgmtoidc.z13.web.core.windows.net";
const DOCUMENTS: [(&str, &str); 2] =
    [("openid-configuration", "/.well-known/openid-configuration"), ("jwks", "/openid/v1/jwks")];
const IDENTITY: [&str; 2] = ["azureclusteridentity", "cluster-identity"];
/// As the tutorial has them, where Azure chooses others.
const CLIENT: &str = "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11";
const OBJECTS: [(&str, &str); 2] =
    [("capz", "33333333-2222-4333-8444-555555555555"), ("nodes", "44444444-2222-4333-8444-555555555555")];
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";

/// A folder in which somebody follows the tutorial, and the world around it.
struct Desk {
    azure: Subscription,
    cluster: Option<OwnCluster>,
    /// Commands that set variables.
    variables: String,
    /// Ids of the tutorial, and those that Azure chose for them.
    ids: Vec<(&'static str, String)>,
}

impl Desk {
    async fn new() -> Self {
        let azure = Subscription::start("capz-tutorial", &["mgmtoidc"]).await;
        Self { azure, cluster: None, variables: String::new(), ids: Vec::new() }
    }

    /// What a command prints, and how it ends.
    fn run(&self, command: &str) -> (i32, String, String) {
        let binary = Path::new(env!("CARGO_BIN_EXE_hcp-identity")).parent().expect("a folder");
        let path = std::env::var("PATH").expect("a PATH");
        let mut shell = self.azure.program("sh");
        shell
            .args(["-c", &self.chosen(&format!("{}{command}", self.variables))])
            .env("PATH", format!("{}:{path}", binary.display()))
            .stdin(Stdio::null());
        if self.cluster.is_some() {
            shell.env("KUBECONFIG", kubeconfig());
        }
        let output = shell.output().expect("sh starts");
        let shown = |bytes| self.ids.iter().fold(text(bytes), |text, (shown, chosen)| text.replace(chosen, shown));
        (output.status.code().expect("it exits"), shown(output.stdout), shown(output.stderr))
    }

    fn chosen(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (shown, chosen)| text.replace(shown, chosen))
    }

    /// Does what a command does that needs `az`, Docker or the internet.
    async fn play(&mut self, command: &str) {
        if command.starts_with("az ") {
            let command = command.replace("$SUBSCRIPTION", SUBSCRIPTION);
            self.play_az(Az::read(&command).unwrap_or_else(|problem| panic!("{command}: {problem}"))).await;
        } else if command == "kind create cluster --config capz/kind.yaml" {
            assert!(self.azure.read("capz/kind.yaml").contains(ISSUER));
            let key = self.azure.folder.join("sa.key");
            let started = OwnCluster::start_with(
                "capz-cluster",
                &["--issuer", ISSUER, "--service-account-key", key.to_str().expect("a path")],
            );
            assert!(self.cluster.replace(started).is_none(), "one cluster");
        } else if command == "clusterctl init --infrastructure azure" {
            apply_files(&["cluster/capz", "cluster/crds/azureclusteridentities.yaml"]);
        } else if command == "clusterctl generate cluster prod --kubernetes-version v1.34.1 > prod.yaml" {
            let case = "capz/wire/what-clusterctl-generates-of-the-default-flavor/input.yaml";
            let stream = self.chosen(&read(&testdata(case)));
            fs::write(self.azure.folder.join("prod.yaml"), stream).expect("a stream");
        } else {
            let of_another_cluster = [
                "kubectl apply -f wired.yaml",
                "clusterctl init --infrastructure azure --kubeconfig mgmt.kubeconfig",
                "clusterctl move --to-kubeconfig mgmt.kubeconfig",
            ];
            assert!(of_another_cluster.contains(&command), "nobody plays {command}");
        }
    }

    async fn play_az(&mut self, az: Az) {
        match az {
            Az::Identity { name, group } => {
                let path = format!(
                    "/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
                );
                let made = self.azure.put(&path, "2024-11-30", &json!({"location": "westeurope"})).await;
                let id = |key: &str| made["properties"][key].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
                let (_, object) = OBJECTS.iter().find(|(known, _)| *known == name).expect("one of the tutorial");
                self.ids.push((object, id("principalId")));
                if name == "capz" {
                    self.ids.push((CLIENT, id("clientId")));
                }
            }
            Az::Contributor { object } => {
                let principal = self.ids.iter().find(|(shown, _)| *shown == object);
                let (_, principal) = principal.unwrap_or_else(|| panic!("{object} is nobody"));
                let path = format!("/providers/Microsoft.Authorization/roleAssignments/{object}");
                let role = format!(
                    "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}"
                );
                let body = json!({"properties": {
                    "principalId": principal, "roleDefinitionId": role, "principalType": "ServicePrincipal",
                }});
                let made = self.azure.put(&path, "2022-04-01", &body).await;
                assert_eq!(made["properties"]["principalId"], **principal, "{made}");
            }
        }
    }

    fn publish(&self, path: &str, body: &str) {
        let document = PublicDocument { url: format!("{ISSUER}{path}"), body: body.to_owned() };
        self.azure.standin.azure().with_world_mut(|world| world.publish(document));
    }

    /// What the website has is published again.
    fn publish_nothing_else(&self) {
        self.azure.standin.azure().with_world_mut(|world| world.documents.clear());
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
        self.run(&format!("hcp-identity capz apply $CLUSTER --client-id {CLIENT} {more}"))
    }
}

/// What the tutorial does with `az`, and nothing else.
#[derive(Debug, PartialEq)]
enum Az {
    Identity { name: String, group: String },
    Contributor { object: String },
}

impl Az {
    /// Reads every word: those of the command, each flag and what it is of.
    fn read(command: &str) -> Result<Self, String> {
        let words: Vec<_> = command.split_whitespace().collect();
        let start = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
        let mut flags = BTreeMap::new();
        for pair in words[start..].chunks(2) {
            let &[flag, value] = pair else { return Err(format!("{pair:?} has no value")) };
            if flags.insert(flag, value.to_owned()).is_some() {
                return Err(format!("{flag} is given twice"));
            }
        }
        let mut take = |flag: &str| flags.remove(flag).ok_or_else(|| format!("{flag} is missing"));
        let read = match words[..start] {
            ["az", "identity", "create"] => Self::Identity { name: take("--name")?, group: take("--resource-group")? },
            ["az", "role", "assignment", "create"] => {
                let fixed = [
                    ("--assignee-principal-type", "ServicePrincipal".to_owned()),
                    ("--role", "Contributor".to_owned()),
                    ("--scope", format!("/subscriptions/{SUBSCRIPTION}")),
                ];
                for (flag, wanted) in fixed {
                    let found = take(flag)?;
                    if found != wanted {
                        return Err(format!("{flag} is {found}, not {wanted}"));
                    }
                }
                Self::Contributor { object: take("--assignee-object-id")? }
            }
            _ => return Err(format!("{:?} is nothing that az does here", &words[..start])),
        };
        if flags.is_empty() { Ok(read) } else { Err(format!("{flags:?} is nothing that this command has")) }
    }
}

#[test]
fn a_typo_in_a_command_of_az_is_seen() {
    let role = "az role assignment create --assignee-object-id 3 --assignee-principal-type ServicePrincipal \
                --role Contributor --scope /subscriptions/99999999-9999-9999-9999-999999999999";
    let identity = "az identity create --name capz --resource-group mgmtoidc-oidc";
    for command in [role, identity] {
        assert!(Az::read(command).is_ok(), "{command}");
        let words: Vec<_> = command.split_whitespace().collect();
        let free = ["3", "capz", "mgmtoidc-oidc"];
        for (at, word) in words.iter().enumerate().filter(|(_, word)| !free.contains(word)) {
            let mut typo = words.clone();
            let doubled = format!("{word}{}", &word[word.len() - 1..]);
            typo[at] = &doubled;
            assert!(Az::read(&typo.join(" ")).is_err(), "{doubled} passes");
            typo.remove(at);
            assert!(Az::read(&typo.join(" ")).is_err(), "{word} is not missed");
        }
        assert!(Az::read(&format!("{command} --verbose yes")).is_err());
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
        "spec": {"clientID": client, "tenantID": "11111111-1111-1111-1111-111111111111", "type": "WorkloadIdentity"},
    });
    let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager", manager, "-f", "-"];
    succeeds(kubectl().args(arguments), &identity.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_becomes_a_management_cluster_without_a_secret() {
    let mut desk = Desk::new().await;
    every_command_does_what_the_tutorial_shows(&mut desk).await;
    let desk = desk;
    nothing_is_found_of_a_cluster_that_is_as_it_should_be(&desk);
    an_issuer_that_entra_would_not_take_is_found(&desk);
    kinds_that_are_not_served_are_said(&desk);
    whoever_may_only_read_may_check(&desk);
    the_key_pair_is_held_against_the_cluster_and_what_is_published(&desk);
    tokens_are_read_and_not_shown(&desk);
    objects_are_held_against_each_other_across_files_and_cluster(&desk);
    fields_of_others_are_not_taken(&desk);
    what_is_rehearsed_is_not_written(&desk);
    where_one_thing_is_refused_nothing_is_written(&desk);
}

async fn every_command_does_what_the_tutorial_shows(desk: &mut Desk) {
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
            let first = command.split_whitespace().next().unwrap_or_default();
            if first.contains('=') {
                desk.variables += &format!("{command}\n");
            }
        } else if block == "```sh" && line != block {
            desk.play(line).await;
        }
    }
    assert!(commands >= 12, "the tutorial shows no commands");
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
    let published = |file: &str| desk.azure.read(&format!("issuer/{file}"));
    let [(discovery, discovery_path), (keys, keys_path)] = DOCUMENTS;
    // As the cluster says itself, and its issuer publishes under another name.
    let with_slash = format!("{ISSUER}/");
    desk.check_is(&format!("--issuer {with_slash}"), 1, &["error[IssuerMismatch]", "error[IssuerMismatch]"]);

    let own_name = format!("\"{ISSUER}\"");
    desk.publish(discovery_path, &published(discovery).replace(&own_name, &format!("\"{with_slash}\"")));
    desk.check_is("", 1, &["error[IssuerMismatch]"]);
    desk.publish_nothing_else();

    desk.publish(keys_path, &published(keys).replace("\"kid\": \"", "\"kid\": \"x"));
    desk.check_is("", 1, &["error[SigningKeyNotPublished]"]);
    let (_, stdout, _) = desk.run("hcp-identity capz check");
    assert!(stdout.contains(&format!("error[SigningKeyNotPublished]: {ISSUER}{keys_path}: keys: ")), "{stdout}");
    desk.publish_nothing_else();

    let faults = &desk.azure.standin.azure().faults;
    let gone = Effect::Status { status: 404, retry_after_seconds: None };
    faults.add(Fault { path_contains: Some(discovery_path.to_owned()), ..Fault::always(Operation::ReadWebsite, gone) });
    desk.check_is("", 1, &["error[IssuerUnreachable]"]);
    faults.clear();
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
    // Without the right to ask for tokens, that is said, and all else is looked at.
    desk.check_is("--as reader", 0, &["note[NotLookedAt]", "note[NotLookedAt]"]);
    let (_, stdout, _) = desk.run("hcp-identity capz check --as reader");
    assert!(stdout.contains("ServiceAccount capz-system/capz-manager: a token of it is not looked at: "), "{stdout}");
    let role =
        ["create", "role", "token-reader", "-n", "capz-system", "--verb=create", "--resource=serviceaccounts/token"];
    succeeds(kubectl().args(role), "");
    let binding =
        ["create", "rolebinding", "token-reader", "-n", "capz-system", "--role=token-reader", "--user=reader"];
    succeeds(kubectl().args(binding), "");
    desk.check_is("--as reader", 0, &[]);
}

fn the_key_pair_is_held_against_the_cluster_and_what_is_published(desk: &Desk) {
    desk.check_is("--private-key sa.key --public-key sa.pub --cluster-name mgmt", 0, &[]);
    desk.run("openssl genrsa -out other.key 2048 && openssl rsa -in other.key -pubout -out other.pub");
    let other = "--private-key other.key --public-key other.pub";
    desk.check_is(other, 1, &["error[SigningKeyMissing]", "error[SigningKeyNotPublished]"]);
    let (exit, stdout, stderr) = desk.run("hcp-identity capz check --private-key other.key --public-key sa.pub");
    assert_eq!((exit, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("do not belong together"), "{stderr}");
    // The Secret in which a cluster awaits the pair.
    desk.check_is("--cluster-name other", 1, &["error[SigningKeyMissing]"]);
    desk.check_is("--cluster-name mgmt --namespace kube-system", 1, &["error[SigningKeyMissing]"]);
    let (_, stdout, _) = desk.run("hcp-identity capz check --cluster-name other");
    assert!(stdout.starts_with("error[SigningKeyMissing]: cluster: Secret default/other-sa: is not there"), "{stdout}");
    desk.check_is("--cluster-name mgmt --as reader", 0, &["warning[NotLookedAt]"]);
    let (exit, _, stderr) = desk.run("hcp-identity capz check -f wired.yaml --cluster-name mgmt");
    assert_eq!(exit, 2);
    assert!(stderr.contains("--cluster-name is for a cluster"), "{stderr}");
}

/// Nothing that can sign in is shown, whatever is asked.
fn tokens_are_read_and_not_shown(desk: &Desk) {
    let everything = "--private-key sa.key --public-key sa.pub --cluster-name mgmt --subscription-id $SUBSCRIPTION";
    for more in ["", "-o json", "--issuer https://elsewhere.example.com", "--as reader"] {
        let (_, stdout, stderr) = desk.run(&format!("hcp-identity capz check {everything} {more}"));
        assert!(!stdout.contains("eyJ") && !stderr.contains("eyJ"), "{more}");
    }
}

fn objects_are_held_against_each_other_across_files_and_cluster(desk: &Desk) {
    succeeds(kubectl().args(["create", "namespace", "team-b"]), "");
    let reference = json!({"kind": "AzureClusterIdentity", "name": "cluster-identity", "namespace": "default"});
    let cluster = json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "AzureCluster",
        "metadata": {"name": "foreign", "namespace": "team-b"}, "spec": {"identityRef": reference},
    });
    fs::write(desk.azure.folder.join("foreign.yaml"), cluster.to_string()).expect("a file");
    // Of the file alone nothing can be told.
    desk.check_is("-f foreign.yaml", 0, &[]);
    desk.check_is("-f foreign.yaml --context test", 1, &["error[NamespaceNotAllowed]"]);
    succeeds(kubectl().args(["apply", "-f", "-"]), &cluster.to_string());
    let (exit, stdout, _) = desk.run("hcp-identity capz check");
    assert_eq!(exit, 1);
    let place = "error[NamespaceNotAllowed]: cluster: AzureCluster team-b/foreign: spec.identityRef: ";
    assert!(stdout.starts_with(place), "{stdout}");
    let nameless = cluster.to_string().replace("\"cluster-identity\"", "\"nobody\"");
    fs::write(desk.azure.folder.join("nameless.yaml"), nameless).expect("a file");
    desk.check_is("-f nameless.yaml", 0, &[]);
    // What the file has stands for what the cluster has.
    desk.check_is("-f nameless.yaml --context test", 1, &["error[IdentityNotFound]"]);
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
    assert_eq!(get(&IDENTITY, "{.spec.clientID}"), desk.chosen(CLIENT));
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
    let private = desk.azure.read("sa.key");
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
