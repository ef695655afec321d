//! What we say that the consumer does with a credential against what it does: Azure/msi-dataplane, the library of
//! HyperShift's components, through `hack/upstream/credential`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use hcp_identity::credential::{Consumer, Expectation, ObjectEncoding, Reason, Secret, Verdict, judge};
use jiff::Timestamp;
use serde_json::{Value, json};
use support::credentials::{NOW, around, base64, file, text};

#[path = "credential_upstream/corpus.rs"]
mod corpus;

use corpus::Case;

/// What the library makes of each.
fn consumer(cases: &[Case]) -> Vec<Value> {
    let mut program = Command::new("go")
        .args(["run", "./credential"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/upstream"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect(
            "this test runs `go`: install Go, of the version in hack/upstream/go.mod or later, and put it on the PATH",
        );
    let mut stdin = program.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            for Case { value, encoding, then, .. } in cases {
                let then = then.as_ref().map(base64);
                let question = json!({"value": base64(value), "encoding": encoding, "then": then});
                writeln!(stdin, "{question}").expect("hack/upstream/credential reads to the end; see its message");
            }
        });
        program.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "`go run ./credential` in hack/upstream failed: {}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let answers: Vec<_> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len(), "one answer for each credential");
    answers
}

fn verdict(value: &[u8], encoding: &str, in_use: Option<Timestamp>) -> Verdict {
    let encoding = match encoding {
        "hex" => ObjectEncoding::Hex,
        "base64" => ObjectEncoding::Base64,
        _ => ObjectEncoding::Utf8,
    };
    let expected = Expectation { in_use, ..Expectation::default() };
    judge(&Secret::new(value.to_vec()), encoding, &expected, NOW.parse().unwrap())
}

/// What we say of a case, in the consumer's words: the outcome, and what becomes of the file that comes later.
fn ours(case: &Case) -> (String, Option<&'static str>) {
    let first = verdict(&case.value, case.encoding, None);
    let reload = case.then.as_ref().filter(|_| first.consumer == Consumer::Accepted).map(|then| {
        let then = verdict(then, "utf-8", first.facts.not_before);
        let has = |verdict: &Verdict, reason| verdict.problems.iter().any(|problem| problem.reason == reason);
        let undated = |verdict: &Verdict| {
            let of_not_before = |problem: &hcp_identity::credential::Problem| {
                problem.reason == Reason::InvalidDate && problem.severity == hcp_identity::finding::Severity::Error
            };
            verdict.problems.iter().any(of_not_before)
        };
        // An empty one is as good as none: the consumer then takes whatever comes.
        let empty = String::from_utf8_lossy(&case.value).contains("\"not_before\": \"\"");
        match then.consumer {
            Consumer::Accepted if empty => "swapped",
            Consumer::Accepted if undated(&then) || undated(&first) => "failed",
            Consumer::Accepted if has(&then, Reason::NotNewer) => "ignored",
            Consumer::Accepted => "swapped",
            Consumer::Rejected | Consumer::Panics => "failed",
        }
    });
    (first.consumer.to_string(), reload)
}

fn assert_judged_alike(cases: &[Case]) {
    let mut differences = String::new();
    for (case, theirs) in cases.iter().zip(consumer(cases)) {
        let (outcome, reload) = ours(case);
        if theirs["outcome"] != outcome.as_str() || theirs.get("reload").and_then(Value::as_str) != reload {
            writeln!(differences, "{}\n  we: {outcome} {reload:?}\n  the consumer: {theirs}", case.name).unwrap();
        }
    }
    assert!(differences.is_empty(), "of {} credentials these differ:\n{differences}", cases.len());
}

#[test]
fn every_credential_of_the_corpus_is_judged_as_the_consumer_does() {
    let cases = corpus::all();
    assert!(cases.len() >= 400, "{} cases", cases.len());
    assert_judged_alike(&cases);
}

/// A file in which one byte is another: what no corpus thinks of.
fn mutations(name: &str, step: usize, around_it: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<Case> {
    let bytes = file(name);
    let mut cases = Vec::new();
    for at in (0..bytes.len()).step_by(step) {
        for flipped in [0x01, 0x80] {
            let mut mutated = bytes.clone();
            mutated[at] ^= flipped;
            let value = text(&around(around_it(mutated)));
            cases.push(Case {
                name: format!("{name}: byte {at} with {flipped:#x} flipped"),
                value,
                encoding: "utf-8",
                then: None,
            });
        }
    }
    cases
}

fn block(label: &str, bytes: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64(bytes)).into_bytes()
}

#[test]
fn damaged_certificates_are_judged_as_the_consumer_does() {
    let key = file("leaf.key");
    assert_judged_alike(&mutations("leaf.der", 1, |der| [key.clone(), block("CERTIFICATE", &der)].concat()));
}

#[test]
fn damaged_keys_are_judged_as_the_consumer_does() {
    let certificate = file("leaf.pem");
    assert_judged_alike(&mutations("leaf.pkcs8.der", 7, |der| {
        [block("PRIVATE KEY", &der), certificate.clone()].concat()
    }));
    assert_judged_alike(&mutations("leaf.pkcs1.der", 7, |der| {
        [block("RSA PRIVATE KEY", &der), certificate.clone()].concat()
    }));
}

#[test]
fn damaged_pkcs12_is_judged_as_the_consumer_does() {
    assert_judged_alike(&mutations("triple-des.pfx", 7, |pfx| pfx));
}
