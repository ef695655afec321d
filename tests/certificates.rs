//! The webhook's certificates as it serves them: our own while authorities come and go, and those of files that change.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::HashSet,
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, to_bytes};
use futures::future::join_all;
use hcp_identity::{
    admission::{ControlPlane, ControlPlanes},
    certificates::{Authority, File, Leaf, Lifetimes, Provided, Service},
    cluster::{
        certificates::{Orders, Standing, keep},
        daemon::Applied,
    },
    credential::Secret,
    settings::{SettingsFile, daemon::DaemonSettings},
    webhook::{PATH, serve},
};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use kube::{Client, Config};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

const HOST: &str = "hcp-identity-webhook.hcp-identity.svc";
const SOON: Duration = Duration::from_secs(20);

fn service() -> Service {
    Service { name: "hcp-identity-webhook".to_owned(), namespace: "hcp-identity".to_owned() }
}

struct NoControlPlane;

impl ControlPlanes for NoControlPlane {
    fn control_plane(&self, _: &str) -> ControlPlane {
        ControlPlane::Unknown
    }
}

type Served = watch::Sender<Option<Arc<CertifiedKey>>>;

/// The webhook on a port, with what serves it.
async fn server() -> (SocketAddr, Served, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, served) = watch::channel(None);
    let serving = tokio::spawn(async move {
        let serving = serve(listener, Arc::new(NoControlPlane), served, |_, _| {}, std::future::pending());
        serving.await.expect("TLS");
    });
    (address, sender, serving)
}

/// A handshake and a review by a client that trusts a bundle; the certificate that it saw.
async fn call(address: SocketAddr, bundle: &[u8]) -> Result<CertificateDer<'static>, String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(bundle) {
        roots.add(root.expect("PEM")).expect("a root");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(HOST).expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())?;
    let seen = stream.get_ref().1.peer_certificates().expect("a chain")[0].clone().into_owned();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "n",
            "object": {"metadata": {}, "spec": {"containers": [{"name": "x", "image": "x"}]}},
        },
    });
    let request = Request::post(PATH).header("host", HOST).body(Body::from(review.to_string())).expect("a request");
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let body = to_bytes(Body::new(answer.into_body()), usize::MAX).await.map_err(|error| error.to_string())?;
    connection.abort();
    let is_allowed = String::from_utf8_lossy(&body).contains("\"allowed\":true");
    is_allowed.then_some(seen).ok_or_else(|| String::from_utf8_lossy(&body).into_owned())
}

/// Calls without end until they are told to stop: how many there were, how many certificates were seen, and what failed.
async fn calls(
    address: SocketAddr,
    bundle: &Mutex<Vec<u8>>,
    stop: &AtomicBool,
) -> (usize, HashSet<CertificateDer<'static>>, Vec<String>) {
    let (mut calls, mut seen, mut failed) = (0, HashSet::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let bundle = bundle.lock().expect("no poison").clone();
        calls += 1;
        match call(address, &bundle).await {
            Ok(certificate) => drop(seen.insert(certificate)),
            Err(error) => failed.push(error),
        }
    }
    (calls, seen, failed)
}

/// An authority of six seconds and certificates of two, over a client that trusts what it was told to up to half a second ago.
#[tokio::test]
async fn authorities_and_certificates_of_seconds_come_and_go_and_no_call_fails() {
    let second = Duration::from_secs(1);
    let lifetimes = Lifetimes { authority: 6 * second, overlap: second, leaf: 2 * second, skew: Duration::ZERO };
    let (address, served, serving) = server().await;
    let mut authority = Authority::new(Timestamp::now(), &lifetimes).expect("an authority");
    let (bundle, stop) = (Mutex::new(authority.bundle()), AtomicBool::new(false));
    let keeps = async {
        let (mut leaf, mut trusted, mut told) = (None::<Leaf>, None, Vec::new());
        let (mut authorities, end) = (1, tokio::time::Instant::now() + 12 * second);
        while tokio::time::Instant::now() < end {
            let now = Timestamp::now();
            if let Some(next) = authority.next(now, &lifetimes, trusted).expect("a step") {
                authorities += usize::from(next.not_after() != authority.not_after());
                trusted = next.has_next().then_some(now);
                authority = next;
            }
            if leaf.as_ref().is_none_or(|leaf| leaf.is_due(&authority, now)) {
                let new = Leaf::new(&authority, &service(), now, &lifetimes).expect("a certificate");
                served.send_replace(Some(Arc::clone(&new.certified)));
                leaf = Some(new);
            }
            // The client hears of it later.
            told.push((tokio::time::Instant::now() + second / 2, authority.bundle()));
            while told.first().is_some_and(|(when, _)| *when <= tokio::time::Instant::now()) {
                *bundle.lock().expect("no poison") = told.remove(0).1;
            }
            tokio::time::sleep(second / 20).await;
        }
        stop.store(true, Ordering::Relaxed);
        authorities
    };
    let load = async {
        // There is nothing to be served with before the first turn.
        tokio::time::sleep(second / 4).await;
        join_all((0..4).map(|_| calls(address, &bundle, &stop))).await
    };
    let (authorities, load) = tokio::join!(keeps, load);
    let count: usize = load.iter().map(|(calls, ..)| calls).sum();
    let failed: Vec<_> = load.iter().flat_map(|(.., failed)| failed).collect();
    let seen: HashSet<_> = load.iter().flat_map(|(_, seen, _)| seen).collect();
    assert!(failed.is_empty(), "{} of {count} failed: {:?}", failed.len(), failed.first());
    assert!(count > 200 && authorities >= 3 && seen.len() >= 8, "{count}, {authorities}, {}", seen.len());
    serving.abort();
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_the_client() {
    let (address, served, serving) = server().await;
    let lifetimes = Lifetimes { leaf: Duration::from_secs(60), ..Lifetimes::default() };
    let then = Timestamp::now() - Duration::from_secs(120);
    let authority = Authority::new(then, &lifetimes).expect("an authority");
    let leaf = Leaf::new(&authority, &service(), then, &lifetimes).expect("a certificate");
    served.send_replace(Some(leaf.certified));
    let refused = call(address, &authority.bundle()).await.expect_err("it has expired");
    assert!(refused.contains("certificate expired"), "{refused}");
    serving.abort();
}

/// An authority of somebody else's.
struct Elses {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Elses {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { issuer: Issuer::new(params, key), pem: pem("CERTIFICATE", certificate.der()) }
    }

    /// A certificate for a name and its key, in PEM.
    fn issue(&self, name: &str, ends: time::OffsetDateTime, key: &KeyPair) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        params.not_after = ends;
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", key.serialized_der()))
    }

    fn good(&self) -> (String, String) {
        self.issue(HOST, rcgen::date_time_ymd(2100, 1, 1), &KeyPair::generate().expect("a key"))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let base64 = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A volume of the kubelet's: files are links through `..data`, which is renamed over.
struct Volume {
    folder: PathBuf,
    generation: u32,
}

impl Volume {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), folder.join(file)).expect("a link");
        }
        Self { folder, generation: 0 }
    }

    fn swap(&mut self, (chain, key): &(String, String)) {
        self.generation += 1;
        let data = format!("..{}", self.generation);
        fs::create_dir(self.folder.join(&data)).expect("a folder");
        fs::write(self.folder.join(&data).join("tls.crt"), chain).expect("a file");
        fs::write(self.folder.join(&data).join("tls.key"), key).expect("a file");
        symlink(&data, self.folder.join("..data_tmp")).expect("a link");
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).expect("a link");
        drop(fs::remove_dir_all(self.folder.join(format!("..{}", self.generation - 1))));
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// What keeps the certificate of a folder, as the daemon does; looks without a sign are an hour away.
fn keep_files(folder: &Path, served: Served) -> (watch::Receiver<Standing>, JoinHandle<()>) {
    let text = format!(
        "podPatch: webhook\nwebhook: {{certificates: cert-manager, certificateFolder: {}}}\n",
        folder.display()
    );
    let settings = DaemonSettings::new(SettingsFile::parse(&text).expect("settings")).expect("valid settings");
    let (sender, applied) = watch::channel(Arc::new(Applied { settings, epoch: 0 }));
    let (told, standing) = watch::channel(Standing::default());
    let orders = Orders { interval: Duration::from_secs(3600), ..Orders::new("hcp-identity", Timestamp::now) };
    let keeping = tokio::spawn(async move {
        let nowhere = Client::try_from(Config::new("http://127.0.0.1:1".parse().expect("a URL"))).expect("a client");
        keep(nowhere, orders, applied, served, move |standing: &Standing| drop(told.send_replace(standing.clone())))
            .await;
        drop(sender);
    });
    (standing, keeping)
}

async fn until(standing: &mut watch::Receiver<Standing>, wanted: impl FnMut(&Standing) -> bool) {
    tokio::time::timeout(SOON, standing.wait_for(wanted)).await.expect("in time").expect("it is kept");
}

#[tokio::test]
async fn files_are_swapped_and_no_call_fails() {
    let elses = Elses::new();
    let mut volume = Volume::new("certificates-swapped");
    let (address, served, serving) = server().await;
    volume.swap(&elses.good());
    let mut taken = served.subscribe();
    let (mut standing, keeping) = keep_files(&volume.folder, served);
    until(&mut standing, |standing| standing.not_after.is_some()).await;
    let (bundle, stop) = (Mutex::new(elses.pem.clone().into_bytes()), AtomicBool::new(false));
    let swaps = async {
        for _ in 0..15 {
            taken.mark_unchanged();
            volume.swap(&elses.good());
            tokio::time::timeout(SOON, taken.changed()).await.expect("the swap is seen").expect("it is kept");
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (load, ()) = tokio::join!(join_all((0..4).map(|_| calls(address, &bundle, &stop))), swaps);
    let count: usize = load.iter().map(|(calls, ..)| calls).sum();
    let failed: Vec<_> = load.iter().flat_map(|(.., failed)| failed).collect();
    let seen: HashSet<_> = load.iter().flat_map(|(_, seen, _)| seen).collect();
    assert!(failed.is_empty(), "{} of {count} failed: {:?}", failed.len(), failed.first());
    assert!(count > 50 && seen.len() >= 10, "{count} calls, {} certificates", seen.len());
    assert!(standing.borrow().trouble.is_none());
    keeping.abort();
    serving.abort();
}

#[tokio::test]
async fn files_that_cannot_be_served_change_nothing_and_are_told() {
    let elses = Elses::new();
    let mut volume = Volume::new("certificates-bad");
    let (address, served, serving) = server().await;
    let (mut standing, keeping) = keep_files(&volume.folder, served);
    until(&mut standing, |standing| standing.trouble.as_ref().is_some_and(|told| told.contains("cannot read"))).await;
    assert_eq!(standing.borrow().not_after, None);
    call(address, elses.pem.as_bytes()).await.expect_err("there is nothing to serve");

    volume.swap(&elses.good());
    until(&mut standing, |standing| standing.trouble.is_none()).await;
    let good = call(address, elses.pem.as_bytes()).await.expect("it is served");
    let key = KeyPair::generate().expect("a key");
    let ends = rcgen::date_time_ymd(2100, 1, 1);
    let other_key = (elses.good().0, elses.good().1);
    let huge = ("x".repeat(300 << 10), String::new());
    for (files, told) in [
        (elses.issue(HOST, rcgen::date_time_ymd(2026, 1, 1), &key), "has expired at 2026-01-01T00:00:00Z"),
        (
            elses.issue("another.hcp-identity.svc", ends, &key),
            "is for another.hcp-identity.svc, but API servers ask for",
        ),
        (other_key, "is not that of the first certificate"),
        (huge, "has more than 262144 bytes"),
        ((String::new(), String::new()), "is not one or more certificates in PEM"),
    ] {
        volume.swap(&files);
        until(&mut standing, |standing| standing.trouble.as_ref().is_some_and(|trouble| trouble.contains(told))).await;
        assert_eq!(call(address, elses.pem.as_bytes()).await.expect("the one before"), good);
    }
    volume.swap(&elses.good());
    until(&mut standing, |standing| standing.trouble.is_none()).await;
    assert_ne!(call(address, elses.pem.as_bytes()).await.expect("the new one"), good);
    keeping.abort();
    serving.abort();
}

/// Every form that openssl and cert-manager write keys in.
#[test]
fn keys_of_every_usual_form_are_taken() {
    let elses = Elses::new();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("a key");
    for (key, form) in [(KeyPair::generate().expect("a key"), "EC PRIVATE KEY"), (rsa, "RSA PRIVATE KEY")] {
        let (chain, pkcs8) = elses.issue(HOST, rcgen::date_time_ymd(2100, 1, 1), &key);
        let output = support::pipe(Command::new("openssl").args(["pkey", "-traditional"]), pkcs8.as_bytes());
        let traditional = support::text(output.stdout);
        assert!(traditional.contains(form), "{traditional}");
        for key in [pkcs8, traditional] {
            let (chain, key) = (Secret::new(chain.clone().into_bytes()), Secret::new(key.into_bytes()));
            let file = |path, content| File { path: Path::new(path), content };
            Provided::new(file("tls.crt", &chain), file("tls.key", &key), &service(), Timestamp::now()).expect(form);
        }
    }
}
