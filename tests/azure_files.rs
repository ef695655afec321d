//! The files that a cluster which signs its own tokens needs: golden cases, and what goes into them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "golden cases are files")]

mod support;

use std::{fs, io::BufReader, path::Path, sync::Arc};

use hcp_identity::{
    clouds,
    names::{ClientId, TenantId},
    provision::{
        CredentialsRequests, File, Identity, Issuer, KeySet, KeySetError, Readers, SigningKey, TechPreview, discovery,
        issuer_files,
    },
};
use serde_json::{Value, json};
use support::{cases, golden, read, testdata};

fn cluster(case: &Path) -> Value {
    serde_json::from_str(&read(&case.join("cluster.json"))).expect("JSON")
}

fn key(case: &str) -> SigningKey {
    SigningKey::read(read(&testdata("azure").join(case).join("serviceaccount-signer.public")).as_bytes())
        .expect("a key")
}

fn issuer(cluster: &Value) -> Issuer {
    let text = |field: &str| cluster[field].as_str().expect("a string");
    let cloud = clouds::CLOUDS.iter().find(|cloud| cloud.name == text("cloud")).expect("a cloud");
    Issuer::of_container(text("storageAccount"), text("container"), cloud.blobs.unwrap()).expect("an issuer")
}

/// The files of a case, and what is found on the way.
fn files(case: &Path) -> (Vec<File>, String) {
    let cluster = cluster(case);
    let text = |field: &str| cluster[field].as_str().expect("a string");
    let tenant = TenantId::new(text("tenant")).unwrap();
    let keys = read(&case.join("published-jwks"));
    let key = SigningKey::read(read(&case.join("serviceaccount-signer.public")).as_bytes()).expect("a key");
    let keys =
        if keys.is_empty() { KeySet::of(&key) } else { KeySet::read(keys.as_bytes()).unwrap().with(&key).unwrap() };
    let mut files = issuer_files(&issuer(&cluster), &tenant, &keys).unwrap().to_vec();

    let mut found = String::new();
    let mut tell = |finding| found.push_str(&format!("{finding}\n"));
    let preview = if cluster["techPreview"] == true { TechPreview::On } else { TechPreview::Off };
    let mut requests = CredentialsRequests::new(preview, &mut tell);
    for source in sources(&case.join("credentials-requests")) {
        let name: Arc<str> = source.file_name().unwrap().to_string_lossy().into();
        requests.read(&name, BufReader::new(fs::File::open(source).unwrap())).unwrap();
    }
    let identity = cluster["client"].as_str().map(|client| Identity { client: ClientId::new(client).unwrap(), tenant });
    for request in requests.finish() {
        files.push(request.secret(identity.as_ref(), text("region"), text("subscription")).unwrap());
    }
    (files, found)
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut sources: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    sources.sort();
    sources
}

fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            names.extend(self::names(&entry.path()).iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn golden_cases() {
    for case in cases("azure") {
        let (files, found) = files(&case);
        let expected = case.join("expected");
        fs::create_dir_all(expected.join("manifests")).unwrap();
        for file in &files {
            golden(&expected.join(&file.path), &file.text);
            assert_eq!(file.readers == Readers::Owner, file.path.starts_with("manifests/"), "{}", file.path);
        }
        golden(&case.join("expected.stderr"), &found);
        let mut written: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        written.sort();
        assert_eq!(names(&expected), written, "{}", case.display());
    }
}

#[test]
fn an_old_key_stays_until_it_is_told_to_go() {
    let (old, new) = (key("a-self-managed-cluster"), key("a-key-that-was-published-stays"));
    let both = KeySet::of(&old).with(&new).unwrap();
    assert_eq!(both.ids(), [new.id(), old.id()]);
    let read = KeySet::read(both.text().unwrap().as_bytes()).unwrap();
    assert_eq!(read, both);
    assert_eq!(read.clone().with(&new).unwrap(), both, "a second time is no change");
    assert_eq!(read.clone().with(&old).unwrap().ids(), [old.id(), new.id()]);
    assert_eq!(read.without(&old.id()), KeySet::of(&new));
}

#[test]
fn what_others_have_published_of_a_key_is_kept() {
    let key = key("a-self-managed-cluster");
    let other = json!({"kty": "EC", "kid": "curve", "crv": "P-256", "x": "AA", "y": "AA", "x5t": "AA"});
    let document = json!({"keys": [other], "more": 1}).to_string();
    let text = KeySet::read(document.as_bytes()).unwrap().with(&key).unwrap().text().unwrap();
    let set: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(set["keys"][1], other);
}

#[test]
fn a_set_that_cannot_be_added_to_is_refused() {
    let key = key("a-self-managed-cluster");
    let refused = |document: Value| KeySet::read(document.to_string().as_bytes()).unwrap_err();
    assert_eq!(KeySet::read(b"{").unwrap_err(), KeySetError::NoKeySet);
    assert_eq!(KeySet::read("[".repeat(100_000).as_bytes()).unwrap_err(), KeySetError::NoKeySet);
    assert_eq!(refused(json!([])), KeySetError::NoKeySet);
    assert_eq!(refused(json!({"keys": {}})), KeySetError::NoKeySet);
    assert_eq!(refused(json!({"keys": [{"kid": "a"}, {"kid": ""}]})), KeySetError::NoKey(1));
    assert_eq!(refused(json!({"keys": [1]})), KeySetError::NoKey(0));
    assert_eq!(refused(json!({"keys": [{"kid": "a"}, {"kid": "a"}]})), KeySetError::Twice("a".into()));
    assert_eq!(refused(json!({"keys": [{"kid": "a", "d": "AQAB"}]})), KeySetError::Private(0, "d"));
    let mut forged: Value = serde_json::from_str(&KeySet::of(&key).text().unwrap()).unwrap();
    forged["keys"][0]["n"] = "AQAB".into();
    let forged = KeySet::read(forged.to_string().as_bytes()).unwrap();
    assert_eq!(forged.with(&key).unwrap_err(), KeySetError::OtherKey(key.id()));
}

#[test]
fn a_public_key_that_signs_nothing_is_refused() {
    let refused = |file: &[u8]| SigningKey::read(file).unwrap_err().to_string();
    let openssl = |arguments: &[&str], input: &[u8]| {
        support::pipe(std::process::Command::new("openssl").args(arguments), input).stdout
    };
    let small = openssl(&["genrsa", "1024"], b"");
    assert_eq!(refused(b""), "has no PEM block");
    assert_eq!(refused(&small), "has a PEM block of another kind than `PUBLIC KEY`");
    assert_eq!(
        refused(&openssl(&["pkey", "-pubout"], &small)),
        "is a key of 1024 bits, and Entra takes none of less than 2048"
    );
    let curve = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"");
    assert_eq!(refused(&openssl(&["pkey", "-pubout"], &curve)), "is no RSA key");
}

#[test]
fn an_issuer_is_an_https_url_and_kept_as_it_is() {
    for bad in [
        "",
        "https://",
        "http://a",
        "https://a?b",
        "https://a#b",
        "https://u@a",
        "https://a b",
        "https://ä",
        "https:///a",
    ] {
        assert!(Issuer::new(bad).is_err(), "{bad}");
    }
    for (url, keys) in [
        ("https://a.example/B", "https://a.example/B/openid/v1/jwks"),
        ("https://a.example/b/", "https://a.example/b/openid/v1/jwks"),
        ("https://a.example", "https://a.example/openid/v1/jwks"),
    ] {
        let issuer = Issuer::new(url).unwrap();
        let document: Value = serde_json::from_str(&discovery(&issuer).unwrap()).unwrap();
        assert_eq!((&document["issuer"], &document["jwks_uri"]), (&json!(url), &json!(keys)));
    }
    let of = |account: &str, container: &str| Issuer::of_container(account, container, "blob.core.windows.net");
    for (account, container) in [
        ("ab", "abc"),
        ("my-cluster", "abc"),
        ("Abc", "abc"),
        (&"a".repeat(25), "abc"),
        ("abc", "ab"),
        ("abc", "a--b"),
        ("abc", "-ab"),
        ("abc", "$web"),
        ("abc", "A/b"),
    ] {
        assert!(of(account, container).is_err(), "{account} {container}");
    }
    assert!(of("my-cluster", "abc").unwrap_err().to_string().contains("--storage-account-name"));
    assert_eq!(of("abc", "a-b").unwrap().to_string(), "https://abc.blob.core.windows.net/a-b");
}

#[test]
fn a_bomb_in_a_folder_is_refused_and_its_neighbours_are_read() {
    let good = read(&testdata("azure").join("identities-that-are-known/credentials-requests/ingress.yaml"));
    let bomb = {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (at, letter) in ('b'..='k').enumerate() {
            let before = char::from(b'a' + u8::try_from(at).unwrap());
            text.push_str(&format!("{letter}: &{letter} [{}]\n", vec![format!("*{before}"); 10].join(", ")));
        }
        text
    };
    let huge = format!("a: {}\n", "x".repeat(2 << 20));
    let deep = "[".repeat(10_000);
    for bad in [bomb, huge, deep] {
        let stream = format!("{bad}\n---\n{good}");
        let mut findings = Vec::new();
        let mut tell = |finding: hcp_identity::finding::Finding| findings.push(finding);
        let mut requests = CredentialsRequests::new(TechPreview::Off, &mut tell);
        requests.read(&"stream".into(), stream.as_bytes()).unwrap();
        assert_eq!(requests.finish().len(), 1);
        assert!(findings.iter().filter(|finding| finding.is_error()).count() == 1, "{findings:?}");
    }
}
