//! Good and broken credentials: whatever the library of HyperShift's components could be given.

use serde_json::{Value, json};

use crate::support::credentials::{around, base64, file, files, good, hex, text, with};

pub(crate) struct Case {
    pub(crate) name: String,
    /// As it is in the vault.
    pub(crate) value: Vec<u8>,
    pub(crate) encoding: &'static str,
    /// A file that takes its place later.
    pub(crate) then: Option<Vec<u8>>,
}

impl Case {
    fn of(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into(), encoding: "utf-8", then: None }
    }
}

pub(crate) fn all() -> Vec<Case> {
    let areas = [members, encodings, spellings, bundles, pem, pkcs12, tenants, endpoints, reloads];
    areas.into_iter().flat_map(|area| area()).collect()
}

fn members() -> Vec<Case> {
    let values: [(&str, Option<Value>); 7] = [
        ("missing", None),
        ("empty", Some(json!(""))),
        ("null", Some(Value::Null)),
        ("a number", Some(json!(7))),
        ("a boolean", Some(json!(true))),
        ("a list", Some(json!(["x"]))),
        ("an object", Some(json!({"x": 1}))),
    ];
    let mut cases = vec![Case::of("good", text(&good()))];
    for name in good().keys() {
        for (what, value) in &values {
            let mut credential = good();
            match value {
                None => drop(credential.shift_remove(name)),
                Some(value) => drop(credential.insert(name.clone(), value.clone())),
            }
            cases.push(Case::of(format!("{name} is {what}"), text(&credential)));
        }
    }
    let claims = [
        json!({"xms_az_tm": 1}),
        json!({"xms_az_tm": null, "xms_az_nwperimid": null}),
        json!({"xms_az_nwperimid": "a"}),
        json!({"xms_az_nwperimid": [null, "a"]}),
        json!({"xms_az_nwperimid": [1]}),
        json!({"xms_az_nwperimid": {}}),
        json!({"another": [{}]}),
        json!("text"),
    ];
    cases.extend(claims.map(|claims| Case::of(format!("claims {claims}"), text(&with("custom_claims", claims)))));
    cases
}

fn encodings() -> Vec<Case> {
    let json = text(&good());
    let lines = |text: String, width: usize| {
        let lines: Vec<_> =
            text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        lines.join("\r\n")
    };
    let stored = [
        ("the text", json.clone()),
        ("hex", hex(&json).into_bytes()),
        ("HEX", hex(&json).to_uppercase().into_bytes()),
        ("hex in lines", lines(hex(&json), 64).into_bytes()),
        ("hex and a line end", format!("{}\n", hex(&json)).into_bytes()),
        ("half a byte of hex", hex(&json).into_bytes().split_off(1)),
        ("base64", base64(&json).into_bytes()),
        ("base64 in lines", lines(base64(&json), 64).into_bytes()),
        ("base64 and a space", format!("{} ", base64(&json)).into_bytes()),
        ("base64 without padding", base64(&json[..json.len() - json.len() % 3 - 2]).trim_end_matches('=').into()),
        ("base64 twice", base64(base64(&json)).into_bytes()),
        ("0x and hex", format!("0x{}", hex(&json)).into_bytes()),
        ("nothing", Vec::new()),
        ("a JSON string", serde_json::to_vec(&String::from_utf8_lossy(&json)).unwrap()),
        ("a certificate", files(&["leaf.key", "leaf.pem"])),
    ];
    let mut cases = Vec::new();
    for (what, value) in stored {
        for encoding in ["utf-8", "hex", "base64"] {
            cases.push(Case { encoding, ..Case::of(format!("{what}, declared {encoding}"), value.clone()) });
        }
    }
    cases
}

/// What JSON can look like.
fn spellings() -> Vec<Case> {
    let good_text = String::from_utf8(text(&good())).unwrap();
    let with_member = |member: &str| good_text.replacen('{', &format!("{{{member},"), 1);
    let last = |member: &str| format!("{},{member}}}", good_text.trim_end().trim_end_matches('}').trim_end());
    let nested = |depth: usize| with_member(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let mut cases: Vec<Case> = [
        ("a name twice, the first empty", with_member("\"tenant_id\":\"\"")),
        ("a name twice, the last empty", last("\"tenant_id\":\"\"")),
        ("a name twice, the last null", last("\"client_secret\":null")),
        ("a name twice, the first a number", with_member("\"client_secret\":7")),
        ("escapes in a name", good_text.replace("client_id", "client\\u005fid")),
        ("escapes in a value", good_text.replace("login.", "login\\u002e").replace('+', "\\u002b").replace('/', "\\/")),
        ("half a surrogate pair in an unknown name", with_member(r#""\ud800":1"#)),
        ("half a surrogate pair in a known value", with_member(r#""x":1"#).replace("https://identity", r"\udc00x")),
        ("half a surrogate pair in the tenant", good_text.replace("93b2", r"\ud83d")),
        ("a surrogate pair", with_member(r#""x":"\ud83d\ude00""#)),
        ("a surrogate pair the wrong way round", with_member(r#""x":"\ude00\ud83d""#)),
        ("a backslash before an escape", with_member(r#""x":"\\ud800""#)),
        ("an escape that is none", with_member(r#""x":"\q""#)),
        ("an escape cut short", with_member(r#""x":"\u12""#)),
        ("a control character", with_member("\"x\":\"a\nb\"")),
        ("a control character in a name", with_member("\"a\tb\":1")),
        ("a NUL", with_member("\"x\":\"\u{0}\"")),
        ("a byte order mark", format!("\u{feff}{good_text}")),
        ("white space around", format!("\r\n\t {good_text} \n\n")),
        ("a no-break space", format!("\u{a0}{good_text}")),
        ("a comma too many", last("").replacen("},}", "}", 1)),
        ("something behind", format!("{good_text}x")),
        ("twice", format!("{good_text}{good_text}")),
        ("cut", good_text[..good_text.len() - 3].to_owned()),
        ("a comment", format!("// c\n{good_text}")),
        ("single quotes", good_text.replace('"', "'")),
        ("a name without quotes", good_text.replace("\"client_id\"", "client_id")),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("a number", "7".to_owned()),
        ("a list", format!("[{good_text}]")),
        ("an empty object", "{}".to_owned()),
        ("an empty list", "[]".to_owned()),
        ("an empty string", "\"\"".to_owned()),
        ("a number too large for a float", with_member("\"x\":1e999")),
        ("a number of many digits", with_member(&format!("\"x\":{}", "9".repeat(400)))),
        ("a number with a zero before", with_member("\"x\":01")),
        ("a number with a plus", with_member("\"x\":+1")),
        ("a number that ends in a point", with_member("\"x\":1.")),
        ("NaN", with_member("\"x\":NaN")),
        ("names in camel case", good_text.replace("client_id", "clientId").replace("tenant_id", "tenantId")),
        ("names in capitals", good_text.to_uppercase()),
        ("a capital in a name", good_text.replace("client_id", "Client_id")),
        ("the fields of the system assigned identity", with_member("\"explicit_identities\":[{\"client_id\":\"x\"}]")),
        ("nesting of 200", nested(200)),
        ("nesting of 9000", nested(9_000)),
    ]
    .into_iter()
    .map(|(name, text)| Case::of(name, text))
    .collect();
    let mut not_utf8 = with_member("\"x\":\"@\"").into_bytes();
    not_utf8[6] = 0xff;
    cases.push(Case::of("a value that is not UTF-8", not_utf8.clone()));
    not_utf8[6] = b'@';
    not_utf8[2] = 0xff;
    cases.push(Case::of("a name that is not UTF-8", not_utf8));
    cases.push(Case::of("not UTF-8 at all", vec![0xff, 0xfe, 0x00]));
    cases
}

fn bundles() -> Vec<Case> {
    let bundles: &[&[&str]] = &[
        &["leaf.key", "leaf.pem"],
        &["leaf.pem", "leaf.key"],
        &["leaf.pem", "ca.pem", "leaf.key"],
        &["ca.pem", "leaf.pem", "leaf.key"],
        &["leaf.key", "ca.pem", "leaf.pem"],
        &["leaf.key", "alone.pem"],
        &["leaf.key", "leaf.pem", "leaf.pem"],
        &["leaf.key", "leaf.pem", "renewed.pem"],
        &["leaf.key", "other.pem", "leaf.pem"],
        &["leaf.key", "old.pem"],
        &["leaf.key", "new.pem"],
        &["leaf.pkcs1.key", "leaf.pem"],
        &["leaf.key", "ec.pem", "leaf.pem"],
        &["leaf.key", "ed25519.pem", "leaf.pem"],
        &["leaf.public.key", "leaf.key", "leaf.pem"],
        &["leaf.key", "ec.sec1.key", "leaf.pem"],
        &["leaf.encrypted.key", "leaf.key", "leaf.pem"],
        &["weak.key", "weak.pem"],
        &["primes.key", "primes.pem"],
        &["leaf.key"],
        &["leaf.pem"],
        &["leaf.public.key", "leaf.pem"],
        &["leaf.key", "leaf.key", "leaf.pem"],
        &["leaf.key", "leaf.pkcs1.key", "leaf.pem"],
        &["leaf.key", "other.key", "leaf.pem"],
        &["leaf.key", "ec.key", "leaf.pem"],
        &["leaf.key", "other.pem"],
        &["leaf.key", "ca.pem", "other.pem"],
        &["other.key", "leaf.pem"],
        &["ec.key", "ec.pem"],
        &["ec.sec1.key", "ec.pem"],
        &["ed25519.key", "ed25519.pem"],
        &["x25519.key", "leaf.pem"],
        &["leaf.encrypted.key", "leaf.pem"],
        &["leaf.pkcs1.encrypted.key", "leaf.pem"],
    ];
    bundles.iter().map(|names| Case::of(names.join(" + "), text(&around(files(names))))).collect()
}

/// What PEM can look like.
fn pem() -> Vec<Case> {
    let bundle = String::from_utf8(files(&["leaf.key", "leaf.pem"])).unwrap();
    let block = |label: &str, bytes: &[u8]| {
        let text = base64(bytes);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let (certificate, pkcs1, pkcs8) = (file("leaf.der"), file("leaf.pkcs1.der"), file("leaf.pkcs8.der"));
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
    let longer = |bytes: &[u8]| [bytes, b"\0"].concat();
    let key = String::from_utf8(file("leaf.key")).unwrap();
    let crt = String::from_utf8(file("leaf.pem")).unwrap();
    let bundles = [
        ("line ends of Windows", bundle.replace('\n', "\r\n")),
        ("line ends of the Mac", bundle.replace('\n', "\r")),
        ("no line end at the end", bundle.trim_end().to_owned()),
        ("no line ends at all", bundle.replace('\n', "")),
        ("blanks at the ends of lines", bundle.replace('\n', " \t\n")),
        ("blanks before lines", bundle.replace('\n', "\n ")),
        ("blank lines", bundle.replace('\n', "\n\n")),
        ("words between", format!("Bag Attributes\n  x: y\n{key}subject=/CN=x\n{crt}issuer\n")),
        ("words right before a block", format!("words {bundle}")),
        ("words right after a block", bundle.replace("KEY-----\n-----BEGIN", "KEY----- words\n-----BEGIN")),
        ("a header", key.replacen("KEY-----\n", "KEY-----\nName: x\n\n", 1) + &crt),
        ("a header without a blank line", key.replacen("KEY-----\n", "KEY-----\nName: x\n", 1) + &crt),
        ("a BEGIN without an END", format!("-----BEGIN CERTIFICATE-----\n{bundle}")),
        ("an END without a BEGIN", format!("-----END CERTIFICATE-----\n{bundle}")),
        ("an END of another kind", key.replace("END PRIVATE", "END PUBLIC") + &crt),
        ("four dashes", bundle.replace("-----", "----")),
        ("six dashes", bundle.replace("-----", "------")),
        (
            "lower case",
            bundle.replace("BEGIN CERTIFICATE", "BEGIN certificate").replace("END CERTIFICATE", "END certificate"),
        ),
        ("an empty block", format!("-----BEGIN X-----\n-----END X-----\n{bundle}")),
        ("an empty certificate", format!("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n{bundle}")),
        ("a colon in a label", format!("-----BEGIN a:b-----\n-----END a:b-----\n{bundle}")),
        ("a trusted certificate", key.clone() + &crt.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
        ("an X509 certificate", key.clone() + &crt.replace("CERTIFICATE", "X509 CERTIFICATE")),
        ("base64 that is none", key.clone() + &crt.replace("MII", "M!I")),
        ("a certificate without padding", key.clone() + &crt.replace('=', "")),
        ("PKCS#1 under the name of PKCS#8", block("PRIVATE KEY", &pkcs1) + &crt),
        ("PKCS#8 under the name of PKCS#1", block("RSA PRIVATE KEY", &pkcs8) + &crt),
        ("PKCS#8 with a byte behind", block("PRIVATE KEY", &longer(&pkcs8)) + &crt),
        ("PKCS#1 with a byte behind", block("RSA PRIVATE KEY", &longer(&pkcs1)) + &crt),
        ("PKCS#1 with a byte behind, as PKCS#8", block("PRIVATE KEY", &longer(&pkcs1)) + &crt),
        ("PKCS#8 cut", block("PRIVATE KEY", &cut(&pkcs8)) + &crt),
        ("a certificate with a byte behind", key.clone() + &block("CERTIFICATE", &longer(&certificate))),
        ("a certificate cut", key.clone() + &block("CERTIFICATE", &cut(&certificate))),
        ("a certificate of nothing", format!("{bundle}{}", block("CERTIFICATE", b"nothing"))),
        ("two certificates in one block", key.clone() + &block("CERTIFICATE", &[&*certificate, &certificate].concat())),
        ("a request beside", format!("{bundle}{}", block("CERTIFICATE REQUEST", b"x"))),
    ];
    let mut cases: Vec<Case> =
        bundles.into_iter().map(|(name, bundle)| Case::of(format!("PEM: {name}"), text(&around(bundle)))).collect();
    let encoded = base64(&bundle);
    let secrets = [
        ("PEM as it is", bundle.clone()),
        ("in base64 twice", base64(&encoded)),
        (
            "in base64 of lines",
            encoded.as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n"),
        ),
        ("in base64 for URLs", base64(files(&["triple-des.pfx"])).replace('+', "-").replace('/', "_")),
        ("in base64 without padding", base64(bundle.clone() + " ").trim_end_matches('=').to_owned()),
        ("in base64 without padding at a good length", base64(&bundle[..bundle.len() - bundle.len() % 3])),
        ("in base64 with a blank", format!("{} {}", &encoded[..80], &encoded[80..])),
        ("in base64 with too much padding", format!("{}====", encoded.trim_end_matches('='))),
        ("in base64 with bits left over", base64(b"ab").replace('I', "J")),
        ("in hex", hex(bundle.as_bytes())),
        ("DER of the certificate", base64(&certificate)),
        ("DER of the key", base64(&pkcs8)),
        ("nothing that is anything", base64(b"hunter2")),
        ("a zero", base64(b"\0")),
    ];
    cases.extend(
        secrets.map(|(name, secret)| Case::of(format!("secret: {name}"), text(&with("client_secret", secret)))),
    );
    cases
}

fn pkcs12() -> Vec<Case> {
    let names = [
        "triple-des",
        "rc2",
        "rc2-for-the-key",
        "legacy",
        "modern",
        "sha256-mac",
        "aes",
        "aes-for-the-key",
        "two-key-des",
        "unencrypted",
        "plain-certificate",
        "plain-key",
        "no-mac",
        "named",
        "chain",
        "one-iteration",
        "no-certificate",
        "no-key",
        "utf8-key-name",
        "password",
        "ec",
        "ed25519",
        "converted",
    ];
    let mut cases: Vec<Case> =
        names.map(|name| Case::of(format!("{name}.pfx"), text(&around(file(&format!("{name}.pfx")))))).into();
    let good = file("triple-des.pfx");
    cases.push(Case::of("a pfx with a byte behind", text(&around([&*good, b"\0"].concat()))));
    cases.push(Case::of("a pfx cut", text(&around(&good[..good.len() - 1]))));
    cases.push(Case::of("converted.pem", text(&around(file("converted.pem")))));
    cases
}

fn tenants() -> Vec<Case> {
    let tenants =
        ["contoso.onmicrosoft.com", "common", "a b", "a/b", "a_b", "ä", "-", ".", " ", "93b21e64\n", "adfs", "{}"];
    tenants.map(|tenant| Case::of(format!("tenant {tenant:?}"), text(&with("tenant_id", tenant)))).into()
}

fn endpoints() -> Vec<Case> {
    let endpoints = [
        "https://login.microsoftonline.com",
        "https://westus2.logincredential.microsoft.com/",
        "HTTPS://LOGIN.MICROSOFTONLINE.COM/",
        "https://login.microsoftonline.us/",
        "https://login.example.test:8443/x/y",
        "http://login.microsoftonline.com/",
        "login.microsoftonline.com",
        "login.microsoftonline.com/",
        "login.microsoftonline.com:443",
        "//login.microsoftonline.com/",
        "/login",
        "https",
        "https:",
        "https:/",
        "https://",
        "https:///",
        "https:login",
        "https:login%",
        "https://a b/",
        "https://a/b c",
        "https://a/%zz",
        "https://a/%20",
        "https://a/%",
        "https://a%20b/",
        "https://a%zz/",
        "https://a%c3%a4/",
        "https://a%25b/",
        "https://ä/",
        "https://a:port/",
        "https://a:/",
        "https://a:1:2/",
        "https://[::1]/",
        "https://[::1]:443/",
        "https://[::1/",
        "https://[1.2.3.4]/",
        "https://[::1]x/",
        "https://a[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://user@a/",
        "https://user:pass@a/",
        "https://us er@a/",
        "https://u%zz@a/",
        "https://a@b@c/",
        "https://a/?q=%zz",
        "https://a?",
        "https://a#f",
        "https://a/#%zz",
        "https://a/\n",
        "https://a/\u{7f}",
        " https://a/",
        "https ://a/",
        "1https://a/",
        "ht+tps://a/",
        ":https://a",
        "*",
        "?",
        "#",
        "https://a\\b/",
        "https://a<b>/",
        "https://a\"b/",
        "https://a|b/",
        "https://a^b/",
        "https://a`b/",
        "https://a{b}/",
        "https://a_b~c!d$e&f'g(h)i*j+k,l;m=n/",
        "file:///x",
        "mailto:a@b",
    ];
    endpoints.map(|url| Case::of(format!("endpoint {url:?}"), text(&with("authentication_endpoint", url)))).into()
}

/// A credential that takes the place of one that was valid from January 1st.
fn reloads() -> Vec<Case> {
    let dates = [
        "2026-01-02T00:00:00Z",
        "2026-01-01T00:00:00Z",
        "2025-12-31T23:59:59Z",
        "2026-01-01T00:00:01Z",
        "2026-01-01T00:00:00.001Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T01:00:00+01:00",
        "2026-01-01T01:00:01+01:00",
        "2026-01-01T00:00:00-00:01",
        "2026-01-02t00:00:00z",
        "2026-01-02 00:00:00Z",
        "2026-01-02T00:00:00",
        "2026-01-02",
        "2026-1-02T00:00:00Z",
        "2026-01-02T0:00:00Z",
        "2026-01-02T00:0:00Z",
        "2026-01-02T00:00:0Z",
        "2026-01-02T00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:60:00Z",
        "2026-01-02T23:59:60Z",
        "2026-01-02T00:00:00+24:00",
        "2026-01-02T00:00:00+23:59",
        "2026-01-02T00:00:00+0100",
        "2026-01-02T00:00:00+01",
        "2026-01-02T00:00:00+01:60",
        "2026-01-02T00:00:00+25:00",
        "02026-01-02T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "",
        " 2026-01-02T00:00:00Z",
        "2026-01-02T00:00:00Z ",
        "1767312000",
        "Fri, 02 Jan 2026 00:00:00 GMT",
        "2026-01-02T00:00:00UTC",
        "2026-01-02T+1:00:00Z",
        "2026-01-02T00:00:00.1234567891Z",
    ];
    let good = text(&good());
    let reload = |name: String, then: Vec<u8>| Case { then: Some(then), ..Case::of(name, good.clone()) };
    let mut cases: Vec<Case> = dates
        .iter()
        .map(|date| reload(format!("then not_before {date:?}"), text(&with("not_before", *date))))
        .collect();
    cases.push(reload("then no JSON".to_owned(), b"{".to_vec()));
    cases.push(reload("then no certificate".to_owned(), text(&with("client_secret", ""))));
    cases.push(reload("then the same".to_owned(), good.clone()));
    let mut undated = with("not_before", "soon");
    let later = text(&with("not_before", "2026-01-02T00:00:00Z"));
    cases.push(Case {
        then: Some(later.clone()),
        ..Case::of("an invalid not_before, then a later one", text(&undated))
    });
    undated.insert("not_before".to_owned(), json!(""));
    cases.push(Case { then: Some(later), ..Case::of("an empty not_before, then a later one", text(&undated)) });
    cases
}
