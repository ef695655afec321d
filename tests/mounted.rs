//! A mounted credential against the stand-in's Entra: it notices what the driver does to a mount, which the components' library does
//! not, and takes nothing into use with which it could not sign in.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are parts of tests"
)]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use azure_core::credentials::TokenCredential as _;
use azure_standin::{
    Settings, Standin,
    authority::{Authority, ClientCertificate, Validity},
    operation::Operation,
};
use hcp_identity::mounted::{InUse, MountError, MountedCredential, Options};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::credentials::{TENANT, base64};
use tokio::sync::watch;

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(20);
const SCOPE: &str = "https://management.azure.com/.default";
/// Three identities that are told apart by who signs in.
const CLIENTS: [&str; 3] = [
    "11111111-2222-4333-8444-000000000001",
    "11111111-2222-4333-8444-000000000002",
    "11111111-2222-4333-8444-000000000003",
];

/// Keys take their time.
static CERTIFICATE: LazyLock<ClientCertificate> = LazyLock::new(|| {
    let now = Timestamp::now().as_second();
    let validity = Validity { not_before: now - 86_400, not_after: now + 90 * 86_400 };
    Authority::new("authority").unwrap().client("identity.test", validity).unwrap()
});

/// What the driver mounts for one of the identities.
fn credential(client: &str) -> String {
    let at = |days: i64| (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string();
    json!({
        "authentication_endpoint": "https://login.microsoftonline.com/", "client_id": client, "tenant_id": TENANT,
        "client_secret": base64(CERTIFICATE.bundle().reveal()),
        "not_before": at(-1), "not_after": at(80), "renew_after": at(40), "cannot_renew_after": at(200),
    })
    .to_string()
}

/// A mount as the driver makes it: a link to a link to a folder with a time in its name.
struct Mount {
    folder: PathBuf,
    generation: u32,
}

impl Mount {
    fn new(name: &str, content: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mounted-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        let mut mount = Self { folder, generation: 0 };
        mount.swap(content);
        symlink("..data/creds", mount.path()).unwrap();
        mount
    }

    fn path(&self) -> PathBuf {
        self.folder.join("creds")
    }

    fn swap(&mut self, content: &str) {
        let before = self.folder.join(format!("..{}", self.generation));
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let next = self.folder.join(&name);
        fs::create_dir_all(&next).unwrap();
        fs::write(next.join("creds"), content).unwrap();
        symlink(&name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        drop(fs::remove_dir_all(before));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

async fn entra() -> Standin {
    let standin = Standin::start(Settings::default()).await.unwrap();
    let principal = |client: &&str| json!({"clientId": client, "objectId": client, "tenant": TENANT, "certificates": [CERTIFICATE.certificate_pem]});
    let principals: Vec<_> = CLIENTS.iter().map(principal).collect();
    let world = json!({"tenants": [{"id": TENANT, "domain": "t.onmicrosoft.com", "cloud": "public"}], "principals": principals});
    standin.azure().load(serde_json::from_value(world).unwrap());
    standin
}

fn options(standin: &Standin, backstop: Duration) -> Options {
    Options { backstop, client_options: support::standin::client_options(standin) }
}

async fn changed(in_use: &mut watch::Receiver<InUse>) -> InUse {
    tokio::time::timeout(LIMIT, in_use.changed()).await.expect("the change is noticed").unwrap();
    in_use.borrow_and_update().clone()
}

/// Who has signed in, one after the other.
fn signed_in(standin: &Standin) -> Vec<String> {
    let entries = standin.azure().journal.entries();
    let tokens = entries.iter().filter(|entry| entry.operation == Operation::EntraToken && entry.status == Some(200));
    tokens.map(|entry| entry.caller.clone().unwrap_or_default()).collect()
}

/// The components' library on the same mount, with the same backstop.
struct GoLibrary {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl GoLibrary {
    fn open(path: &Path) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/upstream");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream-mounted");
        let built =
            Command::new("go").args(["build", "-o"]).arg(&program).arg("./mounted").current_dir(folder).status();
        assert!(built.expect("this test runs `go`").success());
        let mut command = Command::new(program);
        let mut child = command.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut this = Self { child, stdin, stdout };
        assert_eq!(this.line(), "ready");
        this
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Whether it uses another credential than when it was asked last.
    fn is_changed(&mut self) -> bool {
        writeln!(self.stdin).unwrap();
        self.line() == "changed"
    }
}

impl Drop for GoLibrary {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_is_noticed_at_once_where_the_components_library_does_not_notice() {
    let standin = entra().await;
    let mut mount = Mount::new("swap", &credential(CLIENTS[0]));
    let mounted = MountedCredential::open(mount.path(), options(&standin, HOUR)).unwrap();
    let mut go = GoLibrary::open(&mount.path());
    let mut in_use = mounted.in_use();
    let first = mounted.get_token(&[SCOPE], None).await.unwrap();
    let again = mounted.get_token(&[SCOPE], None).await.unwrap();
    assert_eq!(first.token.secret(), again.token.secret(), "a token is kept");
    assert_eq!(signed_in(&standin), [CLIENTS[0]]);

    let swapped = Instant::now();
    mount.swap(&credential(CLIENTS[1]));
    let now = changed(&mut in_use).await;
    println!("noticed {} ms after the swap", swapped.elapsed().as_millis());
    assert_eq!((now.taken, now.refused, now.facts.client_id.as_deref()), (2, None, Some(CLIENTS[1])));
    let other = mounted.get_token(&[SCOPE], None).await.unwrap();
    assert_ne!(first.token.secret(), other.token.secret());
    assert_eq!(signed_in(&standin), CLIENTS[..2]);
    // And again: a watch on the file itself has ended with the first.
    mount.swap(&credential(CLIENTS[2]));
    assert_eq!(changed(&mut in_use).await.facts.client_id.as_deref(), Some(CLIENTS[2]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!go.is_changed(), "the components' library notices swaps now: say so in docs/rust-credential.md");

    // That it would have told is shown by what it does notice: a file that is written in place.
    let opened = mount.path().canonicalize().unwrap();
    let mut in_place = GoLibrary::open(&mount.path());
    let deadline = Instant::now() + LIMIT;
    while !in_place.is_changed() {
        assert!(Instant::now() < deadline, "it does not notice a write in place");
        let later = credential(CLIENTS[2]).replace(&not_before(-1), &not_before(0));
        fs::write(&opened, later).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The day of a date of `credential`.
fn not_before(days: i64) -> String {
    let at = Timestamp::now() + SignedDuration::from_hours(24 * days);
    format!("\"not_before\":\"{}", at.strftime("%Y-%m-%d"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_valid_is_told_and_the_credential_before_stays() {
    let standin = entra().await;
    let mut mount = Mount::new("invalid", &credential(CLIENTS[0]));
    let mounted = MountedCredential::open(mount.path(), options(&standin, HOUR)).unwrap();
    let mut in_use = mounted.in_use();
    let expired = credential(CLIENTS[1]).replace("\"not_after\":\"2", "\"not_after\":\"1");
    for invalid in ["", "{", &expired] {
        mount.swap(invalid);
        let now = changed(&mut in_use).await;
        assert!(matches!(now.refused, Some(MountError::Invalid { .. })), "{invalid}: {:?}", now.refused);
        assert_eq!((now.taken, now.facts.client_id.as_deref()), (1, Some(CLIENTS[0])));
    }
    fs::remove_file(mount.path()).unwrap();
    assert!(matches!(changed(&mut in_use).await.refused, Some(MountError::Unreadable { .. })));
    mounted.get_token(&[SCOPE], None).await.expect("the one before signs in");
    assert_eq!(signed_in(&standin), [CLIENTS[0]]);
    symlink("..data/creds", mount.path()).unwrap();
    mount.swap(&credential(CLIENTS[1]));
    let taken =
        tokio::time::timeout(LIMIT, in_use.wait_for(|now| now.taken == 2)).await.expect("it is taken").unwrap().clone();
    assert_eq!(taken.refused, None);
    mounted.get_token(&[SCOPE], None).await.unwrap();
    assert_eq!(signed_in(&standin), CLIENTS[..2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backstop_sees_what_no_watch_sees() {
    let standin = entra().await;
    // The watch is on the folder of the link, and the file changes in another.
    let elsewhere = Mount::new("elsewhere", &credential(CLIENTS[0]));
    let mount = Mount::new("backstop", "");
    fs::remove_file(mount.path()).unwrap();
    symlink(elsewhere.path(), mount.path()).unwrap();
    let change = |client: &str| fs::write(elsewhere.path(), credential(client)).unwrap();

    let far = MountedCredential::open(mount.path(), options(&standin, HOUR)).unwrap();
    let near = MountedCredential::open(mount.path(), options(&standin, Duration::from_millis(100))).unwrap();
    let mut in_use = near.in_use();
    change(CLIENTS[1]);
    tokio::time::timeout(LIMIT, in_use.wait_for(|now| now.taken == 2)).await.expect("the backstop sees it").unwrap();
    assert_eq!(far.in_use().borrow().taken, 1);
}

#[tokio::test]
async fn without_a_valid_credential_there_is_none() {
    let mount = Mount::new("none", "{}");
    let refused = MountedCredential::open(mount.path(), Options::default()).unwrap_err();
    let words = refused.to_string();
    assert!(words.contains(&mount.path().display().to_string()) && words.contains("client_secret"), "{words}");
    let missing = MountedCredential::open(mount.path().with_file_name("other"), Options::default()).unwrap_err();
    assert!(missing.to_string().contains("see that the pod mounts it"), "{missing}");
}

/// Of a key, of the certificate's text, and of the assertion: nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_shown_has_the_key_in_it() {
    let standin = entra().await;
    let mut mount = Mount::new("canary", &credential(CLIENTS[0]));
    let mounted = MountedCredential::open(mount.path(), options(&standin, HOUR)).unwrap();
    let mut in_use = mounted.in_use();
    let key = base64(CERTIFICATE.bundle().reveal());
    let mut shown = vec![format!("{mounted:?}"), format!("{:?}", in_use.borrow())];
    let token = mounted.get_token(&[SCOPE], None).await.unwrap();
    shown.push(format!("{token:?}"));
    // A key where a client id should be, and one that does not fit.
    for broken in [credential(&key), credential(CLIENTS[0]).replace("\"not_before\"", "\"not_befor\"")] {
        mount.swap(&broken);
        let refused = changed(&mut in_use).await.refused;
        shown.push(format!("{refused:?} {}", refused.as_ref().map(ToString::to_string).unwrap_or_default()));
    }
    let canaries: Vec<_> = key.as_bytes().chunks(24).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    for text in &shown {
        assert!(!canaries.iter().any(|canary| text.contains(canary)), "{text}");
        assert!(!text.contains(token.token.secret()), "{text}");
    }
}
