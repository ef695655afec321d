//! The whole chain: create-all, the issuer on Azurite, a token that a kube-apiserver signs with the key that create-all made, Entra of the
//! stand-in, and a call to Azure Resource Manager. Needs the binaries of hack/cluster.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "files of a user are written")]

mod support;

use std::{fs, process::Command};

use azure_standin::signer::Signer;
use serde_json::{Value, json};
use support::{
    cluster::{OwnCluster, kubectl, succeeds},
    subscription::{REQUEST, Ran, SUBSCRIPTION, Subscription, TENANT, run},
    testdata, text,
};

const ISSUER: &str = "https://chain.blob.core.windows.net/chain";
const NAMESPACE: &str = "openshift-image-registry";
const SCOPE: &str = "https://management.azure.com/.default";
/// What the registry of this cluster may not do.
const CONTRIBUTES: &str = "    roleBindings: [{role: Contributor}]\n";

async fn create_all(azure: &Subscription, more: &[&str]) -> Ran {
    create_all_of(azure, "chain", "requests", &[&["--output-dir", "out"], more].concat()).await
}

/// For the CredentialsRequests of a folder.
async fn create_all_of(azure: &Subscription, name: &str, requests: &str, more: &[&str]) -> Ran {
    let flags = [
        "azure",
        "create-all",
        "--name",
        name,
        "--region",
        "westeurope",
        "--subscription-id",
        SUBSCRIPTION,
        "--tenant-id",
        TENANT,
        "--credentials-requests-dir",
        requests,
    ];
    azure.run(&[&flags, more].concat()).await
}

/// What kubectl prints, in a thread of its own: the stand-in goes on meanwhile.
async fn kube(arguments: &[&str], input: &str) -> String {
    let (arguments, input): (Vec<_>, _) = (arguments.iter().map(ToString::to_string).collect(), input.to_owned());
    let run = move || succeeds(kubectl().args(arguments), &input);
    tokio::task::spawn_blocking(run).await.unwrap().trim().to_owned()
}

async fn token(service_account: &str, audience: &str) -> String {
    kube(&["create", "token", service_account, "--namespace", NAMESPACE, "--audience", audience], "").await
}

/// A token for Azure Resource Manager, or what Entra says.
async fn exchange(http: &reqwest::Client, client_id: &str, assertion: &str) -> Result<String, String> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", SCOPE),
    ];
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    let answer: Value = {
        let answer = http.post(url).form(&form).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    text("access_token").ok_or_else(|| text("error_description").unwrap())
}

/// The reason that `explain` finds in a text.
fn explained(text_of_entra: &str) -> String {
    let output = support::pipe(support::hcp_identity().args(["explain", "-", "-o", "json"]), text_of_entra.as_bytes());
    let answer: Value = serde_json::from_str(&text(output.stdout)).unwrap();
    answer["explanation"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// The key of the cluster, to sign what no kube-apiserver would.
fn signer(azure: &Subscription) -> Signer {
    let key = azure.folder.join("out/serviceaccount-signer.private");
    let openssl = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"];
    let output = Command::new("openssl").args(openssl).arg(key).output().unwrap();
    Signer::from_pkcs8(&output.stdout).unwrap()
}

/// Every manifest that is written for the CredentialsRequests of a release is what the API server knows, field by field.
async fn manifests(azure: &Subscription) {
    let crd = testdata("cluster/authentication.yaml");
    kube(&["apply", "--server-side", "-f", crd.to_str().unwrap()], "").await;
    kube(&["wait", "--for=condition=Established", "crd/authentications.config.openshift.io", "--timeout=60s"], "")
        .await;
    for namespace in ["openshift-cluster-csi-drivers", "openshift-ingress-operator"] {
        kube(&["create", "namespace", namespace], "").await;
    }
    let requests = testdata("azure/a-self-managed-cluster/credentials-requests");
    for (folder, more) in [("golden", &[][..]), ("dry", &["--dry-run"])] {
        let flags = [&["--output-dir", folder], more].concat();
        let ran = create_all_of(azure, "golden", requests.to_str().unwrap(), &flags).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let written = azure.folder.join(folder).join("manifests");
        let apply = ["apply", "--server-side", "--validate=strict", "-o", "json", "-f", written.to_str().unwrap()];
        let applied: Value = serde_json::from_str(&kube(&apply, "").await).unwrap();
        let applied = applied["items"].as_array().unwrap();
        assert_eq!((applied.len(), azure.files(&format!("{folder}/manifests")).len()), (6, 6), "{applied:?}");
        let of_kind = |kind: &str| applied.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
        assert_eq!(
            of_kind("Authentication")[0]["spec"],
            json!({"serviceAccountIssuer": ISSUER.replace("chain", "golden")})
        );
        let known =
            of_kind("Secret").iter().filter(|secret| secret["data"]["azure_client_id"].as_str() > Some("")).count();
        assert_eq!((of_kind("Secret").len(), known), (5, if folder == "golden" { 4 } else { 0 }));
    }
    // That the API server is as strict as this takes it to be.
    for manifest in ["openshift-ingress-operator-cloud-credentials-credentials", "cluster-authentication-02-config"] {
        let yaml = azure.read(&format!("golden/manifests/{manifest}.yaml")) + "more: true\n";
        let run = move || {
            support::pipe(kubectl().args(["apply", "--server-side", "--validate=strict", "-f", "-"]), yaml.as_bytes())
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        assert!(!output.status.success() && text(output.stderr).contains("more"), "{manifest}");
    }
}

/// CAPZ on the same cluster: what `capz apply` has made lets the tokens of both of its managers in.
async fn cluster_api(azure: &Subscription, http: &reqwest::Client) {
    let identity = "/resourceGroups/chain/providers/Microsoft.ManagedIdentity/userAssignedIdentities/capz";
    let made = azure.put(identity, "2024-11-30", &json!({"location": "westeurope"})).await;
    let client_id = made["properties"]["clientId"].as_str().unwrap();

    tokio::task::spawn_blocking(support::cluster::install_crds).await.unwrap();
    let capz = |more: &[&str]| {
        let mut command = azure.command();
        command.args(["capz", "apply", "--cluster-name", "chain", "--issuer", ISSUER, "--tenant-id", TENANT]);
        command.args(["--client-id", client_id, "--subscription-id", SUBSCRIPTION, "--federate", "--kubeconfig"]);
        command.arg(support::cluster::kubeconfig()).env("NO_PROXY", "127.0.0.1").args(more);
        command
    };
    let rehearsed = run(capz(&["--dry-run=server"])).await;
    assert!(
        rehearsed.out.starts_with("planned: FederatedIdentityCredential capz-federated-identity (dry run)\n"),
        "{rehearsed:?}"
    );
    let applied = run(capz(&[])).await;
    let expected = [
        "created: FederatedIdentityCredential capz-federated-identity of capz",
        "created: FederatedIdentityCredential aso-federated-identity of capz",
        "created: AzureClusterIdentity default/cluster-identity",
    ];
    assert_eq!(applied.out.lines().collect::<Vec<_>>(), expected, "{applied:?}");
    let again = run(capz(&[])).await;
    assert!(again.out.lines().all(|line| line.starts_with("kept: ") || line.starts_with("unchanged: ")), "{again:?}");

    kube(&["create", "namespace", "capz-system"], "").await;
    for account in ["capz-manager", "azureserviceoperator-default"] {
        kube(&["create", "serviceaccount", account, "-n", "capz-system"], "").await;
        let token =
            kube(&["create", "token", account, "-n", "capz-system", "--audience", "api://AzureADTokenExchange"], "")
                .await;
        exchange(http, client_id, &token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_cluster_is_let_in_by_what_create_all_has_made() {
    let azure = Subscription::start("chain", &["chain", "golden"]).await;
    fs::create_dir(azure.folder.join("requests")).unwrap();
    fs::write(azure.folder.join("requests/registry.yaml"), REQUEST.replace(CONTRIBUTES, "")).unwrap();
    let ran = create_all(&azure, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");

    let key = azure.folder.join("out/serviceaccount-signer.private");
    let arguments = ["--issuer", ISSUER, "--service-account-key", key.to_str().unwrap()];
    let _cluster = OwnCluster::start_with("chain-cluster", &arguments);
    for namespace in [NAMESPACE, "openshift-cloud-credential-operator"] {
        kube(&["create", "namespace", namespace], "").await;
    }
    manifests(&azure).await;
    // Those of the cluster itself stand in their place then.
    let written = azure.folder.join("out/manifests");
    kube(&["apply", "--server-side", "--validate=strict", "-f", written.to_str().unwrap()], "").await;
    let secret = "jsonpath={.data.azure_client_id}";
    let encoded = kube(&["get", "secret", "installer-cloud-credentials", "-n", NAMESPACE, "-o", secret], "").await;
    let client_id = {
        use base64::Engine as _;
        String::from_utf8(base64::prelude::BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
    };

    let http = azure.http();
    for service_account in ["registry", "cluster-image-registry-operator"] {
        kube(&["create", "serviceaccount", service_account, "-n", NAMESPACE], "").await;
        let granted = exchange(&http, &client_id, &token(service_account, "openshift").await).await.unwrap();
        let group = |name: &str| {
            format!(
                "https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}?api-version=2021-04-01"
            )
        };
        let status =
            async |name: &str| http.get(group(name)).bearer_auth(&granted).send().await.unwrap().status().as_u16();
        assert_eq!(status("chain").await, 200, "what the request asks for");
        assert_eq!(status("chain-oidc").await, 403, "and no more");
    }

    cluster_api(&azure, &http).await;

    // What goes wrong in the field, in Entra's words, and whether explain knows it.
    kube(&["create", "serviceaccount", "other", "-n", NAMESPACE], "").await;
    let refused = async |assertion: String| exchange(&http, &client_id, &assertion).await.unwrap_err();
    let signer = signer(&azure);
    let now = azure.standin.azure().clock.now().as_second();
    let keys: Value = serde_json::from_str(&azure.read("out/jwks")).unwrap();
    let header = json!({"alg": "RS256", "kid": keys["keys"][0]["kid"]});
    let signed = |issuer: &str| {
        let subject = format!("system:serviceaccount:{NAMESPACE}:registry");
        let claims =
            json!({"iss": issuer, "sub": subject, "aud": ["openshift"], "iat": now, "nbf": now, "exp": now + 600});
        signer.sign_with(&header, &claims).unwrap()
    };
    exchange(&http, &client_id, &signed(ISSUER)).await.unwrap();
    let stranger = Signer::generate().unwrap();
    let claims = json!({
        "iss": ISSUER, "sub": format!("system:serviceaccount:{NAMESPACE}:registry"), "aud": ["openshift"],
        "iat": now, "nbf": now, "exp": now + 600,
    });
    for (assertion, code, reason) in [
        (token("registry", "api://AzureADTokenExchange").await, "AADSTS700212", "FederatedAudienceUnknown"),
        (token("other", "openshift").await, "AADSTS700213", "FederatedSubjectUnknown"),
        (signed(&format!("{ISSUER}/")), "AADSTS700211", "FederatedIssuerUnknown"),
        (signed(&ISSUER.replace("/chain", "/Chain")), "AADSTS7002138", "FederatedCaseDiffers"),
        (stranger.sign(&claims).unwrap(), "AADSTS7000272", "FederatedKeyUnknown"),
    ] {
        let said = refused(assertion).await;
        assert!(said.starts_with(&format!("{code}:")), "{code}: {said}");
        assert_eq!(explained(&said), reason, "{said}");
    }

    let again = create_all(&azure, &[]).await;
    let is_kept = |line: &str| ["kept: ", "key id: ", "issuer: "].iter().any(|begins| line.starts_with(begins));
    assert!(again.out.lines().all(is_kept), "{}", again.out);
    azure.standin.azure().journal.clear();
    let delete =
        ["azure", "delete", "--name", "chain", "--subscription-id", SUBSCRIPTION, "--delete-oidc-resource-group"];
    let shown = azure.run(&[&delete[..], &["--dry-run"]].concat()).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
    let deleted = azure.run(&delete).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    assert_eq!(shown.out.replace("planned: delete ", "deleted: "), deleted.out);
    let nothing = azure.run(&delete).await;
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""), "{nothing:?}");
    let said = refused(signed(ISSUER)).await;
    assert!(said.starts_with("AADSTS700016"), "{said}");
}
