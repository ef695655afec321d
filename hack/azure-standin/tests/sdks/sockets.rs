//! What is seen only over sockets: the proxy, the control interface, cut connections, issuers elsewhere.

use std::net::SocketAddr;

use azure_standin::{
    Settings, Standin, StartError,
    exchange::Call,
    fault::{Effect, Fault},
    operation::Operation,
    signer::Signer,
};
use http::Method;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{TENANT, WORKLOAD, World, empty};

/// Sends a request as it stands and reads until the connection ends.
pub async fn send(address: SocketAddr, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let text = format!("{request}\r\nHost: standin\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or(Value::Null)
}

const METADATA: &str =
    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net";

#[tokio::test]
async fn the_proxy_leads_to_the_metadata_service() {
    let world = World::start().await;
    let proxy = world.standin.about().proxy;
    let answer = send(proxy, &format!("GET {METADATA} HTTP/1.1\r\nMetadata: true"), "").await;
    assert_eq!(body(&answer)["client_id"], WORKLOAD);
}

#[tokio::test]
async fn the_proxy_has_no_tunnel_to_what_is_not_azure() {
    let world = World::start().await;
    let proxy = world.standin.about().proxy;
    for host in ["example.com", "no-such.vault.azure.net"] {
        let answer = send(proxy, &format!("CONNECT {host}:443 HTTP/1.1"), "").await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    }
    let answer = send(proxy, "GET http://example.com/ HTTP/1.1", "").await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
}

#[tokio::test]
async fn a_cut_connection_has_no_answer_and_a_torn_one_half() {
    let world = World::start().await;
    let plain = world.standin.about().plain;
    let request = format!("GET {} HTTP/1.1\r\nMetadata: true", METADATA.trim_start_matches("http://169.254.169.254"));
    let faults = &world.standin.azure().faults;
    faults.add(Fault::times(Operation::MetadataToken, 1, Effect::Cut));
    assert_eq!(send(plain, &request, "").await, "");
    faults.add(Fault::times(Operation::MetadataToken, 1, Effect::Torn));
    let torn = send(plain, &request, "").await;
    assert!(torn.starts_with("HTTP/1.1 200 OK") && body(&torn) == Value::Null, "{torn}");
    assert_eq!(body(&send(plain, &request, "").await)["client_id"], WORKLOAD);
}

#[tokio::test]
async fn the_control_interface_turns_the_clock() {
    let world = World::start().await;
    let control = world.standin.about().control;
    let stopped = send(control, "PUT /clock HTTP/1.1", "stopAt: 2026-01-01T00:00:00Z").await;
    assert_eq!(body(&stopped)["now"], "2026-01-01T00:00:00Z");
    let moved = send(control, "PUT /clock HTTP/1.1", "{\"advanceSeconds\": 60}").await;
    assert_eq!(body(&moved)["now"], "2026-01-01T00:01:00Z");
    let reset = send(control, "PUT /clock HTTP/1.1", "reset: {}").await;
    assert_ne!(body(&reset)["now"], "2026-01-01T00:01:00Z");
}

#[tokio::test]
async fn the_control_interface_orders_faults_and_counts() {
    let world = World::start().await;
    let (control, plain) = (world.standin.about().control, world.standin.about().plain);
    let fault = "operation: metadata-token\ntimes: 1\neffect: {status: {status: 429, retryAfterSeconds: 3}}\n";
    let faults = send(control, "POST /faults HTTP/1.1", fault).await;
    assert_eq!(body(&faults)[0]["operation"], "metadata-token", "{faults}");
    let path = METADATA.trim_start_matches("http://169.254.169.254");
    let throttled = send(plain, &format!("GET {path} HTTP/1.1\r\nMetadata: true"), "").await;
    assert!(throttled.starts_with("HTTP/1.1 429") && throttled.contains("retry-after: 3\r\n"), "{throttled}");
    assert_eq!(body(&send(control, "GET /faults HTTP/1.1", "").await), json!([]));
    assert_eq!(body(&send(control, "GET /counts HTTP/1.1", "").await), json!({"metadata-token": 1}));
    let requests = body(&send(control, "GET /requests HTTP/1.1", "").await);
    assert_eq!(requests[0]["status"], 429);
    send(control, "DELETE /requests HTTP/1.1", "").await;
    assert_eq!(body(&send(control, "GET /counts HTTP/1.1", "").await), json!({}));
}

#[tokio::test]
async fn the_control_interface_makes_the_world() {
    let standin = empty(Settings::default()).await;
    let control = standin.about().control;
    let document = "tenants:\n- id: t\nvaults:\n- name: kv-new\n  tenant: t\n  secrets:\n  - name: a\n    value: b\n";
    assert!(send(control, "PUT /world HTTP/1.1", document).await.starts_with("HTTP/1.1 204"));
    let call = Call::new(Method::GET, "https://kv-new.vault.azure.net/").unwrap();
    assert!(standin.azure().service(call.channel, &call.host, &call.path).is_some());
    let refused = send(control, "PUT /world HTTP/1.1", "vault: []\n").await;
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("vault"), "{refused}");
    assert!(send(control, "DELETE /world HTTP/1.1", "").await.starts_with("HTTP/1.1 204"));
    assert!(standin.azure().service(call.channel, &call.host, &call.path).is_none());
    let about = body(&send(control, "GET / HTTP/1.1", "").await);
    assert_eq!(about["caPem"], standin.about().ca_pem);
    assert!(send(control, "GET /other HTTP/1.1", "").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn the_control_interface_is_for_this_machine_only() {
    let settings = Settings { control: "0.0.0.0:0".parse().unwrap(), ..Settings::default() };
    let refused = Standin::start(settings).await.err().unwrap();
    assert!(matches!(refused, StartError::ControlForAll(_)), "{refused}");
}

#[tokio::test]
async fn what_is_stopped_does_not_answer() {
    let standin = empty(Settings::default()).await;
    let plain = standin.about().plain;
    standin.stop().await;
    assert!(TcpStream::connect(plain).await.is_err());
}

/// An issuer that is somewhere else, over TLS: a second stand-in plays it.
#[tokio::test]
async fn an_issuer_elsewhere_is_asked_for_its_keys() {
    let elsewhere = empty(Settings::default()).await;
    let issuer = format!("https://localhost:{}/issuer", elsewhere.about().tls.port());
    let keys = format!("{issuer}/keys");
    let cluster = Signer::generate().unwrap();
    let discovery = json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    let documents = json!({"documents": [
        {"url": format!("{issuer}/.well-known/openid-configuration"), "body": discovery},
        {"url": keys, "body": cluster.key_set().to_string()},
    ]});
    elsewhere.azure().load(serde_json::from_str(&documents.to_string()).unwrap());

    let trusted = CertificateDer::from_pem_slice(elsewhere.about().ca_pem.as_bytes()).unwrap();
    for (trusted, expected) in [(vec![trusted], 200), (vec![], 400)] {
        let standin = empty(Settings { trusted, ..Settings::default() }).await;
        let federated = json!([{"issuer": issuer, "subject": "s", "audiences": ["a"]}]);
        let principal =
            json!({"clientId": WORKLOAD, "objectId": "o", "tenant": TENANT, "federatedCredentials": federated});
        let document = json!({"tenants": [{"id": TENANT}], "principals": [principal]});
        standin.azure().load(serde_json::from_str(&document.to_string()).unwrap());
        let now = standin.azure().clock.now().as_second();
        let claims = json!({"iss": issuer, "sub": "s", "aud": "a", "nbf": now, "exp": now + 60});
        assert_eq!(exchange(&standin, &cluster.sign(&claims).unwrap()).await, expected);
    }
}

async fn exchange(standin: &Standin, assertion: &str) -> u16 {
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    let call = Call::new(Method::POST, &url).unwrap().with_form(&[
        ("grant_type", "client_credentials"),
        ("client_id", WORKLOAD),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", "https://vault.azure.net/.default"),
    ]);
    match standin.azure().answer(&call).await {
        azure_standin::azure::Outcome::Answered(answer) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}
