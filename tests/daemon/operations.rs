//! What whoever runs the daemon sees of it: probes, metrics, logs, settings, and what it says when it cannot start.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hcp_identity::cluster::access::Role;
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use crate::support::{
    audit,
    cluster::{kubeconfig, kubectl, succeeds, wait_until},
    prometheus,
    proxy::{NOTHING, Proxy},
    read,
    stage::{CLASS, Daemon, LEASE, STATUS, Stage, condition, free_port, is_settled},
};
use crate::webhook::certificate_of_files;

#[tokio::test]
async fn it_is_ready_when_every_first_list_is_in_and_lives_before() {
    let stage = Stage::new("o-ready").await;
    let proxy = Proxy::new(|request| request.contains("watch=true") && request.contains("/pods"), NOTHING);
    let mut daemon = stage.daemon_behind(&proxy, &[]);
    let answer = wait_until("only pods are missing", async || {
        let answer = daemon.get("/readyz");
        answer.ends_with("\r\n\r\npods: no list yet\n").then_some(answer)
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    proxy.hold(NOTHING);
    daemon.until_ready().await;
}

/// What it may not read is said where somebody looks.
#[tokio::test]
async fn without_any_role_it_lives_and_says_what_it_may_not() {
    let stage = Stage::with_roles("denied-all", &[]).await;
    let mut daemon = stage.start(&stage.kubeconfig, &[], &[]);
    wait_until("it says so to probes", async || {
        let answer = daemon.get("/readyz");
        let forbidden = answer.lines().filter(|line| line.contains(": no list yet") && line.contains("is forbidden"));
        (answer.starts_with("HTTP/1.1 503") && forbidden.count() == 9).then_some(())
    })
    .await;
    assert!(daemon.log().contains("cannot watch resource"), "{}", daemon.log());
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(daemon.child.try_wait().expect("its state").is_none(), "it has ended: {}", daemon.log());
}

/// Only where they give pods an identity; and whether they can be read is nothing to HostedClusters.
#[tokio::test]
async fn service_accounts_are_waited_for_where_pods_get_an_identity() {
    // Its certificate would be told to API servers otherwise, beside that of another test.
    const IDENTIFY: [&str; 7] = [
        "--workload-identity-webhook",
        "--workload-identity-tenant-id",
        "tenant",
        "--listen-webhook",
        "127.0.0.1:0",
        "--webhook-certificates",
        "files",
    ];
    let unread = |daemon: &Daemon| {
        let answer = daemon.get("/readyz");
        let (_, words) = answer.split_once("\r\n\r\n")?;
        Some(words.lines().filter(|line| line.contains(": no list yet")).map(str::to_owned).collect::<Vec<_>>())
    };
    let others: Vec<_> = Role::iter().filter(|role| *role != Role::WorkloadIdentityWebhook).collect();
    let stage = Stage::with_roles("denied-identities", &others).await;
    stage.create_small_world("prod").await;
    drop(stage.daemon(&["--mode", "observe"]).await);
    let daemon = stage.start(&stage.kubeconfig, &IDENTIFY, &[]);
    wait_until("ServiceAccounts alone are missing", async || {
        let unread = unread(&daemon)?;
        (unread.len() == 1 && unread[0].starts_with("serviceaccounts: no list yet: ")).then_some(())
    })
    .await;
    wait_until("provider classes are written", async || {
        (!stage.list(&stage.plane("prod"), CLASS).await.is_empty()).then_some(())
    })
    .await;
    drop(daemon);
    let stage = Stage::new("o-identities").await;
    let daemon = stage.start(&stage.kubeconfig, &IDENTIFY, &[]);
    wait_until("nothing is missing", async || unread(&daemon)?.is_empty().then_some(())).await;
}

#[tokio::test]
async fn metrics_are_as_prometheus_wants_them() {
    let stage = Stage::new("o-metrics").await;
    stage.create_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let answer = daemon.metrics();
    let (head, text) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert_eq!(prometheus::problems(text), Vec::<String>::new(), "{text}");
    let cluster = format!("hosted_cluster=\"{}/prod\"", stage.namespace);
    for line in ["hcp_identity_hosted_cluster_ready{", "hcp_identity_component_wired{", "hcp_identity_component_pods{"]
    {
        assert!(text.lines().any(|sample| sample.starts_with(line) && sample.contains(&cluster)), "{line}: {text}");
    }
}

#[test]
fn metrics_that_prometheus_would_not_want_are_found() {
    let bad = [
        ("x 1\n", "not a sample"),
        ("# HELP x X.\n# TYPE x counter\nx 1\n", "not a sample"),
        ("# HELP x_total X.\n# TYPE x_total counter\nx_total 1\n", "_total"),
        ("# TYPE x gauge\nx 1\n", "no help"),
        ("# HELP x X.\n# TYPE x gauge\nx{namespace=\"a\"} 1\n", "routes"),
        ("# HELP x X.\n# TYPE x gauge\nx 1\nx 2\n", "twice"),
        ("# HELP x X.\n# TYPE x gauge\nx{a=\"b\"c\"} 1\n", "not understood"),
        ("# HELP x X.\n# TYPE x gauge\nx one\n", "not understood"),
        ("# HELP x X.\n# TYPE x gauge\nx 1", "does not end"),
    ];
    for (text, problem) in bad {
        let found = prometheus::problems(text).join("\n");
        assert!(found.contains(problem), "{problem} is not found in {text:?}: {found:?}");
    }
}

#[tokio::test]
async fn every_line_of_the_log_is_json_and_each_write_has_one() {
    let stage = Stage::new("o-log").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    let changes = daemon.changes();
    let changed: Vec<Value> = daemon.log_lines().into_iter().filter(|line| line["message"] == "changed").collect();
    assert_eq!(u64::try_from(changed.len()).ok(), Some(changes), "{changed:#?}");
    let mut objects: Vec<_> = changed.iter().map(|line| line["object"].to_string()).collect();
    objects.sort();
    objects.dedup();
    assert_eq!(objects.len(), 9 + 11, "{objects:#?}");
    for line in daemon.log_lines() {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

/// Keeping the Lease is no news of anything.
#[tokio::test]
async fn where_nothing_happens_nothing_is_looked_at() {
    let stage = Stage::new("o-idle").await;
    stage.create_cluster("prod", |_| {}).await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    let mut daemon = stage.daemon_behind(&proxy, &[]);
    daemon.until_ready().await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    // Other tests change HostedClusters meanwhile.
    proxy.hold(|request| !request.contains("/leases"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let looks = daemon.metric("hcp_identity_reconcile_duration_seconds_count", "");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(daemon.leads());
    assert_eq!(daemon.metric("hcp_identity_reconcile_duration_seconds_count", ""), looks);
}

/// A settings file as the kubelet mounts it from a ConfigMap.
struct Mounted {
    folder: PathBuf,
    generation: u32,
}

impl Mounted {
    fn new(folder: PathBuf, text: &str) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        symlink("..data/settings.yaml", folder.join("settings.yaml")).expect("a link");
        let mut mounted = Self { folder, generation: 0 };
        mounted.swap(text);
        mounted
    }

    fn swap(&mut self, text: &str) {
        self.generation += 1;
        let name = format!("..{}", self.generation);
        fs::create_dir_all(self.folder.join(&name)).expect("a folder");
        fs::write(self.folder.join(&name).join("settings.yaml"), text).expect("a file");
        let link = self.folder.join("..data_tmp");
        symlink(&name, &link).expect("a link");
        fs::rename(link, self.folder.join("..data")).expect("a swap");
    }

    fn flag(&self) -> String {
        format!("--settings={}", self.folder.join("settings.yaml").display())
    }
}

#[tokio::test]
async fn new_settings_are_in_use_at_once_and_invalid_ones_never() {
    let stage = Stage::new("o-reload").await;
    stage.create_cluster("prod", |_| {}).await;
    let mut settings = Mounted::new(stage.file("mounted"), "mode: observe");
    let daemon = stage.daemon(&[&settings.flag(), "--pod-uid=a2b5"]).await;
    stage.ready_reason("prod", "Observing").await;
    assert_eq!(daemon.writes(), 0);

    settings.swap("mode: enforce");
    let swapped = Instant::now();
    let classes = async || stage.list(&stage.plane("prod"), CLASS).await.len();
    wait_until("nine classes", async || (classes().await == 9).then_some(())).await;
    // Far less than the minute of the backstop; a busy machine takes its time.
    assert!(swapped.elapsed() < Duration::from_secs(8), "{:?}", swapped.elapsed());
    stage.ready_reason("prod", "WaitingForWorkload").await;
    assert_eq!(daemon.metric("hcp_identity_settings_valid", ""), 1.0);

    settings.swap("mode: maybe");
    let line = wait_until("it is told", async || {
        daemon.log_lines().into_iter().find(|line| line["level"] == "ERROR" && line["why"].is_string())
    })
    .await;
    assert!(line["why"].as_str().is_some_and(|why| why.contains("maybe")), "{line}");
    assert_eq!(daemon.metric("hcp_identity_settings_valid", ""), 0.0);
    let event = wait_until("an event of its pod", async || {
        let events = stage.list(&stage.namespace, ("events.k8s.io", "v1", "Event")).await;
        events.into_iter().find(|event| event.data["reason"] == "InvalidSettings")
    })
    .await;
    assert_eq!(event.data["regarding"]["name"], daemon.identity.as_str());
    assert_eq!(event.data["regarding"]["uid"], "a2b5");
    assert!(event.data["note"].as_str().is_some_and(|note| note.contains("maybe")), "{:?}", event.data);
    stage.api(&stage.plane("prod"), CLASS).delete("managed-azure-ingress", &Default::default()).await.expect("deleted");
    wait_until("what was in use still is", async || (classes().await == 9).then_some(())).await;

    settings.swap("mode: observe");
    stage.ready_reason("prod", "WaitingForWorkload").await;
    wait_until("they are valid again", async || {
        (daemon.metric("hcp_identity_settings_valid", "") == 1.0).then_some(())
    })
    .await;
    assert_eq!(daemon.metric("hcp_identity_settings_loads_total", ""), 3.0);
}

#[tokio::test]
async fn a_flag_stays_whatever_the_file_says_and_the_log_level_follows_the_file() {
    let stage = Stage::new("o-flag").await;
    stage.create_cluster("prod", |_| {}).await;
    let mut settings = Mounted::new(stage.file("mounted"), "mode: observe");
    let daemon = stage.daemon(&[&settings.flag(), "--mode", "observe"]).await;
    let debugs = async || daemon.log_lines().iter().filter(|line| line["level"] == "DEBUG").count();
    let in_use = async |count: usize| {
        let told = async || {
            let lines = daemon.log_lines();
            (lines.iter().filter(|line| line["message"] == "new settings are in use").count() == count).then_some(())
        };
        wait_until("the new settings are in use", told).await;
    };
    stage.ready_reason("prod", "Observing").await;
    assert_eq!(debugs().await, 0);

    settings.swap("mode: enforce\nlogLevel: debug");
    in_use(1).await;
    wait_until("debug lines", async || (debugs().await > 0).then_some(())).await;
    settings.swap("mode: enforce");
    in_use(2).await;
    let before = debugs().await;
    // Longer than from one look at the Lease to the next.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(debugs().await, before, "debug goes on");
    assert_eq!(daemon.writes(), 0, "the flag says observe");
}

/// Starts a daemon that cannot start. It says why to a person, in one line.
fn cannot_start(stage: &Stage, kubeconfig: &Path, arguments: &[&str]) -> String {
    let listen = ["--listen-health", "127.0.0.1:0", "--listen-metrics", "127.0.0.1:0"];
    // Of two, the last counts.
    let listen = if arguments.iter().any(|argument| argument.contains("listen")) { &[][..] } else { &listen[..] };
    let arguments = [&["run"], arguments, listen].concat();
    let output = stage.command(kubeconfig, &arguments).output().expect("it runs");
    let words = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
    let lines: Vec<_> = words.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("hcp-identity: "), "{arguments:?}: {words}");
    assert!(output.stdout.is_empty());
    words
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_one_line() {
    let stage = Stage::new("o-start").await;
    let says = |words: &str, names: &[&str]| {
        names.iter().for_each(|name| assert!(words.contains(name), "{name} is not in {words}"));
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for flag in ["--listen-health", "--listen-metrics"] {
        let other = if flag == "--listen-health" { "--listen-metrics" } else { "--listen-health" };
        let words = cannot_start(&stage, &stage.kubeconfig, &[flag, &address, other, "127.0.0.1:0"]);
        says(&words, &["cannot listen on", &address]);
    }

    let missing = stage.file("no-kubeconfig");
    says(&cannot_start(&stage, &missing, &[]), &["cannot use the kubeconfig", "no-kubeconfig"]);

    let unreachable = stage.file("unreachable");
    let nobody = format!("https://127.0.0.1:{}", free_port());
    stage.write_kubeconfig(&unreachable, Some(&nobody), "token");
    says(&cannot_start(&stage, &unreachable, &[]), &["cannot talk to the API server", "refused"]);

    let invalid = stage.file("invalid.yaml");
    fs::write(&invalid, "mode: maybe\n").expect("a file");
    let invalid = format!("--settings={}", invalid.display());
    says(&cannot_start(&stage, &stage.kubeconfig, &[&invalid]), &["cannot read the settings", "maybe"]);
    says(&cannot_start(&stage, &stage.kubeconfig, &["--settings=nowhere.yaml"]), &["nowhere.yaml"]);
    says(&cannot_start(&stage, &stage.kubeconfig, &["--log-level", "a=b=c"]), &["logLevel", "a=b=c"]);
    says(&cannot_start(&stage, &stage.kubeconfig, &["--listen-health", "nowhere"]), &["listen.health", "nowhere"]);
}

/// What rustls refuses and says cryptically.
#[tokio::test]
async fn a_server_whose_certificate_is_its_own_ca_is_explained() {
    let stage = Stage::new("o-ca").await;
    let (key, certificate) = (stage.file("server.key"), stage.file("server.crt"));
    let extensions = ["subjectAltName=IP:127.0.0.1", "basicConstraints=critical,CA:TRUE"];
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own"]);
    make.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    make.args(extensions.iter().flat_map(|extension| ["-addext", extension]));
    succeeds(&mut make, "");
    let port = free_port().to_string();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")]);
    server.arg("-key").arg(&key).arg("-cert").arg(&certificate);
    let mut server =
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("openssl starts");
    wait_until("openssl listens", async || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok()).await;

    let path = stage.file("own-ca");
    stage.write_kubeconfig(&path, Some(&format!("https://127.0.0.1:{port}")), "token");
    let mut config: Value = serde_json::from_str(&read(&path)).expect("JSON");
    config["clusters"][0]["cluster"]["certificate-authority"] = certificate.display().to_string().into();
    fs::write(&path, config.to_string()).expect("a kubeconfig");
    let words = cannot_start(&stage, &path, &[]);
    server.kill().and_then(|()| server.wait()).expect("openssl ends");
    assert!(words.contains("give it a certificate that a CA has signed"), "{words}");
}

/// The two roles of `mode: observe` are all that it asks for.
#[tokio::test]
async fn observing_asks_for_no_other_write() {
    let stage = Stage::with_roles("o-observe", &[Role::Observe, Role::Leader]).await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let daemon = stage.daemon(&["--mode", "observe"]).await;
    let status = stage.ready_reason("prod", "Observing").await;
    assert_eq!(condition(&status, "Wired")["status"], "False", "{status:#}");
    assert_eq!(stage.list(&stage.namespace, STATUS).await.len(), 1);
    let metrics = daemon.metrics();
    let writes = metrics.lines().filter(|line| line.starts_with("hcp_identity_kubernetes_writes_total{"));
    let others: Vec<_> = writes
        .filter(|line| !line.contains("kind=\"controlplaneidentities") && !line.contains("kind=\"events\""))
        .collect();
    assert_eq!(others, Vec::<&str>::new());
    let requests = audit::of_stages(&kubeconfig().with_file_name("audit.log"));
    let own: Vec<_> = requests.filter(|request| request.user == stage.namespace).collect();
    assert!(own.iter().any(|request| request.verb == "watch"), "the audit log is not that of this cluster");
    let denied: Vec<_> = own.iter().filter(|request| request.code == 403).collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

/// A server that does not know streaming lists: they are read in pages, and all of them.
#[tokio::test]
async fn lists_that_are_not_streamed_are_read_in_pages() {
    let stage = Stage::new("o-pages").await;
    let names = ["one", "two", "three"];
    for name in names {
        stage.create_cluster(name, |_| {}).await;
    }
    let (certificates, _) = certificate_of_files(&stage);
    let every_kind = [
        &["--azure-cluster-identity", "apply", "--workload-identity-webhook", "--workload-identity-tenant-id"][..],
        &["tenant", "--listen-webhook", "127.0.0.1:0"],
        &certificates.each_ref().map(String::as_str),
    ]
    .concat();
    let daemon = stage.daemon(&every_kind).await;
    for name in names {
        stage.ready_reason(name, "WaitingForWorkload").await;
    }
    assert_eq!(daemon.stop().0, 0);

    let proxy = Proxy::new(NOTHING, |request| request.contains("sendInitialEvents"));
    let mut daemon = stage.daemon_behind(&proxy, &every_kind);
    daemon.until_ready().await;
    daemon.until_leading().await;
    let paged = daemon.log_lines().into_iter().filter(|line| line["message"].to_string().contains("in pages"));
    assert_eq!(paged.count(), 11, "each kind is told once: {}", daemon.log());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(daemon.writes(), 0, "a page was missed: {}", daemon.log());
    let namespace = stage.plane("two");
    stage.api(&namespace, CLASS).delete("managed-azure-ingress", &Default::default()).await.expect("deleted");
    wait_until("it is there again", async || stage.get(&namespace, CLASS, "managed-azure-ingress").await).await;
}

/// A token of the daemon's that lives as long as a Secret does.
fn bound_token(stage: &Stage, secret: &str) -> String {
    let namespace = stage.namespace.as_str();
    succeeds(kubectl().args(["-n", namespace, "create", "secret", "generic", secret]), "");
    let bound = ["--bound-object-kind", "Secret", "--bound-object-name", secret];
    let token = succeeds(kubectl().args(["-n", namespace, "create", "token", "hcp-identity"]).args(bound), "");
    token.trim().to_owned()
}

/// As the kubelet does it, except that the token before ends as soon as there is another.
#[tokio::test]
async fn a_token_that_was_rotated_is_taken_from_its_file() {
    let stage = Stage::new("o-token").await;
    let (file, path) = (stage.file("token"), stage.file("token.kubeconfig"));
    fs::write(&file, bound_token(&stage, "first")).expect("a token");
    stage.write_kubeconfig(&path, None, "");
    let mut config: Value = serde_json::from_str(&read(&path)).expect("JSON");
    config["users"][0]["user"] = json!({"tokenFile": file});
    fs::write(&path, config.to_string()).expect("a kubeconfig");
    let mut daemon = stage.daemon_at(&path, &[]).await;
    daemon.until_leading().await;

    fs::write(&file, bound_token(&stage, "second")).expect("a token");
    succeeds(kubectl().args(["-n", &stage.namespace, "delete", "secret", "first"]), "");
    wait_until("the old one is refused", async || {
        (daemon.metric("hcp_identity_kubernetes_requests_total", "code=\"401\"") > 0.0).then_some(())
    })
    .await;
    stage.create_small_world("prod").await;
    wait_until("it goes on", async || stage.status("prod").await.filter(is_settled)).await;
    assert!(daemon.child.try_wait().expect("a child").is_none(), "it has ended: {}", daemon.log());
}

#[tokio::test]
async fn another_ca_of_the_api_server_ends_it_to_be_started_again() {
    let stage = Stage::new("o-ca").await;
    let (file, path) = (stage.file("ca.crt"), stage.file("ca.kubeconfig"));
    let mut config: Value = serde_json::from_str(&read(&stage.kubeconfig)).expect("JSON");
    let cluster = config["clusters"][0]["cluster"].as_object_mut().expect("a cluster");
    let ca = read(Path::new(cluster["certificate-authority"].as_str().expect("a path")));
    fs::write(&file, &ca).expect("a CA");
    cluster.insert("certificate-authority".to_owned(), json!(file));
    fs::write(&path, config.to_string()).expect("a kubeconfig");
    let mut daemon = stage.daemon_at(&path, &[]).await;
    daemon.until_leading().await;

    // The same again is no other.
    fs::write(&file, &ca).expect("a CA");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(daemon.child.try_wait().expect("a child").is_none(), "it has ended: {}", daemon.log());
    fs::write(&file, ca.repeat(2)).expect("a CA");
    let ended = wait_until("it ends", async || daemon.child.try_wait().expect("a child")).await;
    assert!(ended.success(), "{ended}: {}", daemon.log());
    assert!(daemon.log().contains("the API server's CA has changed"), "{}", daemon.log());
    let lease = stage.get(&stage.namespace, LEASE, "hcp-identity").await;
    assert_eq!(lease.expect("a Lease").data["spec"]["holderIdentity"], "", "handed back");
}
