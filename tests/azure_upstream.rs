//! What `src/provision` makes, read by those who have to: kube-apiserver's reader of keys, go-oidc as the verifier of tokens,
//! Kubernetes' type of a Secret, through `hack/upstream/issuer`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use hcp_identity::{
    names::{ClientId, TenantId},
    provision::{CredentialsRequests, Identity, Issuer, KeyPair, KeySet, PRIVATE, PUBLIC, TechPreview, issuer_files},
};
use serde_json::{Value, json};
use support::{hcp_identity, read, testdata};

const TENANT: &str = "93b21e64-4824-439a-b893-46c9b2a51082";
const CLIENT: &str = "11111111-2222-4333-8444-555555555555";

fn pair(pair: &KeyPair, claimed: &str) -> Value {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    json!({"private": text(pair.private().expose()), "public": text(&pair.public().pem()), "claimed": claimed})
}

fn upstream(question: &Value) -> Value {
    let mut program = Command::new("go")
        .args(["run", "."])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/upstream/issuer"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test runs `go`: install Go, of the version in hack/upstream/issuer/go.mod or later, and put it on the PATH");
    serde_json::to_writer(program.stdin.take().unwrap(), question).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "`go run .` in hack/upstream/issuer failed: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn tokens_of_a_published_key_are_taken_and_no_others() {
    let [old, new, stranger] = [(); 3].map(|()| KeyPair::generate().expect("randomness"));
    let keys = KeySet::of(old.public()).with(new.public()).unwrap();
    for url in ["https://a.blob.core.windows.net/Mine", "https://a.z6.web.core.windows.net/", "https://id.example"] {
        let issuer = Issuer::new(url).unwrap();
        let [discovery, key_set, ..] = issuer_files(&issuer, &TenantId::new(TENANT).unwrap(), &keys).unwrap();
        let slash = url.strip_suffix('/').map_or_else(|| format!("{url}/"), str::to_owned);
        let answer = upstream(&json!({
            "issuer": url,
            "discovery": discovery.text,
            "keySet": key_set.text,
            "pairs": [
                pair(&old, ""),
                pair(&new, ""),
                pair(&stranger, ""),
                pair(&new, &slash),
                pair(&new, &url.to_uppercase()),
            ],
        }));
        let told = |at: usize, field: &str| answer["pairs"][at][field].clone();
        for (at, pair) in [&old, &new, &stranger].into_iter().enumerate() {
            assert_eq!(told(at, "id"), pair.public().id(), "{url}");
            assert_eq!(told(at, "bits"), 4096);
        }
        assert_eq!([told(0, "refused"), told(1, "refused")], ["", ""], "{url}");
        for (at, why) in [(2, "failed to verify signature"), (3, "different provider"), (4, "different provider")] {
            let refused = told(at, "refused");
            assert!(refused.as_str().is_some_and(|words| words.contains(why)), "{url} {at}: {refused}");
        }
    }
}

/// The files themselves, as the command writes them.
#[test]
fn what_create_all_writes_is_taken_by_those_who_have_to_read_it() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azure-upstream");
    let requests = testdata("azure/a-self-managed-cluster/credentials-requests");
    let mut command = hcp_identity();
    command.args(["azure", "create-all", "--dry-run", "--name", "golden", "--region", "westeurope"]);
    command.args(["--subscription-id", CLIENT, "--tenant-id", TENANT, "--credentials-requests-dir"]);
    let written = command.arg(requests).arg("--output-dir").arg(&out).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let file = |name: &str| read(&out.join(name));
    let pair = json!({"private": file(PRIVATE), "public": file(PUBLIC), "claimed": ""});
    let secrets = [
        "azure-ad-pod-identity-webhook-config",
        "openshift-cluster-csi-drivers-azure-disk-credentials-credentials",
        "openshift-cluster-csi-drivers-azure-file-credentials-credentials",
        "openshift-image-registry-installer-cloud-credentials-credentials",
        "openshift-ingress-operator-cloud-credentials-credentials",
    ];
    let answer = upstream(&json!({
        "issuer": "https://golden.blob.core.windows.net/golden",
        "discovery": file("openid-configuration"),
        "keySet": file("jwks"),
        "pairs": [pair],
        "secrets": secrets.map(|name| file(&format!("manifests/{name}.yaml"))),
    }));
    assert_eq!((&answer["pairs"][0]["refused"], &answer["pairs"][0]["bits"]), (&json!(""), &json!(4096)), "{answer}");
    let names = answer["secrets"].as_array().unwrap().iter().map(|secret| secret["metadata"]["name"].as_str().unwrap());
    let expected = [
        "azure-credentials",
        "azure-disk-credentials",
        "azure-file-credentials",
        "installer-cloud-credentials",
        "cloud-credentials",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn secrets_are_secrets_to_a_strict_reader() {
    let identity = Identity { client: ClientId::new(CLIENT).unwrap(), tenant: TenantId::new(TENANT).unwrap() };
    let issuer = Issuer::new("https://id.example").unwrap();
    let key = KeyPair::generate().expect("randomness");
    let files = issuer_files(&issuer, &identity.tenant, &KeySet::of(key.public())).unwrap();
    let mut secrets = vec![files[3].text.clone()];
    for case in [
        "a-self-managed-cluster/credentials-requests/0000_60_csi.yml",
        "values-that-yaml-takes-for-something-else/credentials-requests/numbers.yaml",
    ] {
        let mut none = |finding| unreachable!("{finding}");
        let mut requests = CredentialsRequests::new(TechPreview::Off, &mut none);
        requests.read(&case.into(), read(&testdata("azure").join(case)).as_bytes()).unwrap();
        for request in requests.finish() {
            // What a reader of YAML would like to make of these is a boolean and a number.
            secrets.push(request.secret(Some(&identity), "no", "1e3").unwrap().text);
            secrets.push(request.secret(None, "off", "0755").unwrap().text);
        }
    }
    let answer = upstream(&json!({
        "issuer": "https://id.example",
        "discovery": files[0].text,
        "keySet": files[1].text,
        "secrets": secrets,
    }));
    let read = |at: usize| &answer["secrets"][at];
    assert_eq!(answer["secrets"].as_array().unwrap().len(), 7);
    assert_eq!(read(0)["metadata"]["name"], "azure-credentials");
    assert_eq!(read(0)["metadata"]["namespace"], "openshift-cloud-credential-operator");
    assert_eq!(read(0)["stringData"], json!({"azure_tenant_id": TENANT}));
    let string_data = |client: &str, tenant: &str, region: &str, subscription: &str, token: &str| {
        json!({
            "azure_client_id": client,
            "azure_tenant_id": tenant,
            "azure_region": region,
            "azure_subscription_id": subscription,
            "azure_federated_token_file": token,
        })
    };
    const TOKEN: &str = "/var/run/secrets/openshift/serviceaccount/token";
    assert_eq!(read(1)["stringData"], string_data(CLIENT, TENANT, "no", "1e3", TOKEN));
    assert_eq!(read(2)["stringData"], string_data("", "", "off", "0755", TOKEN));
    assert_eq!(read(3)["stringData"]["azure_federated_token_file"], "/var/run/secrets/tokens/azure");
    assert_eq!([&read(5)["metadata"]["name"], &read(5)["metadata"]["namespace"]], ["1e3", "1234"]);
    assert!((0..7).all(|at| read(at)["type"] == "Opaque" && read(at)["kind"] == "Secret"));
}
