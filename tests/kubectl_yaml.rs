//! The reader and the writer of manifests against the library that kubectl reads YAML with, through
//! `hack/upstream/yaml`: same values, same refusals, but for the differences that `kubectl_yaml/corpus.rs` lists.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "these are parts of tests")]

use std::{
    borrow::Cow,
    fmt::{Debug, Write as _},
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use hcp_identity::{
    finding::Reason,
    manifest::{Documents, Format, Limits, Writer},
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::{Value, json};

#[path = "kubectl_yaml/corpus.rs"]
mod corpus;

/// What kubectl makes of each document: a value, or why it refuses.
fn kubectl<T: AsRef<str> + Sync>(documents: &[T]) -> Vec<Result<Value, String>> {
    let mut program = Command::new("go")
        .args(["run", "./yaml"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/upstream"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect(
            "this test runs `go`: install Go, of the version in hack/upstream/go.mod or later, and put it on the PATH",
        );
    let mut stdin = program.stdin.take().unwrap();
    // Written from a thread of its own: the program answers before it has read all.
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            for document in documents {
                let document = as_kubectl_cuts_it(document.as_ref());
                writeln!(stdin, "{}", json!(document)).expect("hack/upstream/yaml reads to the end; see its message");
            }
        });
        program.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "`go run ./yaml` in hack/upstream failed: {}; see its message", output.status);
    let answers: Vec<_> =
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(answer).collect();
    assert_eq!(answers.len(), documents.len(), "one answer for each document");
    answers
}

/// kubectl ends every line that it reads, the last one too, which decides how a block scalar there ends.
fn as_kubectl_cuts_it(document: &str) -> Cow<'_, str> {
    if document.ends_with('\n') { document.into() } else { format!("{document}\n").into() }
}

fn answer(line: &[u8]) -> Result<Value, String> {
    let mut answer: Value = serde_json::from_slice(line).unwrap();
    match answer.as_object_mut().unwrap().remove("json") {
        Some(value) => Ok(value),
        None => Err(answer.to_string()),
    }
}

/// What we make of a document.
fn ours(document: &str) -> Result<Value, Reason> {
    let limits = Limits::default();
    let mut documents = Documents::new(document.as_bytes(), limits);
    let mut values = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        let read = document.objects(&limits, &mut |object| values.push(object.node.to_value()));
        read.map_err(|problem| problem.reason)?;
    }
    assert!(values.len() < 2, "{document:?} is more than one document");
    Ok(values.pop().unwrap_or(Value::Null))
}

/// Whether the API server gets the same of us as of kubectl: integers to the last digit, floats as what they stand for.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) if theirs.is_f64() || ours.is_f64() && !theirs.is_i64() => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            // serde_json, which reads the answers, may be off in the last bits.
            (ours - theirs).abs() <= 8.0 * f64::EPSILON * ours.abs()
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let in_theirs = |(key, ours)| theirs.get(key).is_some_and(|theirs| same(ours, theirs));
            ours.len() == theirs.len() && ours.iter().all(in_theirs)
        }
        _ => ours == theirs,
    }
}

/// Fails with every document that kubectl and we do not read alike. Two refusals are alike.
fn assert_read_alike(documents: &[String]) {
    let mut differences = String::new();
    for (document, theirs) in documents.iter().zip(kubectl(documents)) {
        let ours = ours(document);
        let alike = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => same(ours, theirs),
            (ours, theirs) => ours.is_err() && theirs.is_err(),
        };
        if !alike {
            writeln!(differences, "{document:?}\n  we: {ours:?}\n  kubectl: {theirs:?}").unwrap();
        }
    }
    assert!(differences.is_empty(), "of {} documents these differ:\n{differences}", documents.len());
}

/// `count` values, the same ones in every run.
fn generate<T: Debug>(count: usize, strategy: impl Strategy<Value = T>) -> impl Iterator<Item = T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

/// Every scalar of the corpus after every tag, as it is and in quotes.
fn scalars() -> impl Iterator<Item = String> {
    corpus::TAGS.into_iter().flat_map(|tag| {
        corpus::SCALARS.iter().flat_map(move |text| {
            let single = text.replace('\'', "''");
            let double = text.replace('\\', "\\\\").replace('"', "\\\"");
            [format!("v: {tag}{text}"), format!("v: {tag}'{single}'"), format!("v: {tag}\"{double}\"")]
        })
    })
}

fn look_alike() -> impl Strategy<Value = String> {
    let words = vec!["yes", "no", "on", "off", "true", "false", "null", ".inf", "-.inf", ".nan", "y", "n"];
    let keyword = (select(words), any::<u8>()).prop_map(|(word, upper)| {
        let case = |(at, c): (usize, char)| if upper >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        word.chars().enumerate().map(case).collect()
    });
    prop_oneof![
        "[-+]?(0|0[xXbBoO])?[-+0-9a-fA-F_]{1,20}",
        "[-+]?(0|0[xXbBoO])?[0-7_]{1,30}",
        "[-+]?[0-9_]{0,22}[.]?[0-9_]{0,5}([eE][-+]?[0-9_]{0,4})?",
        "[-+.~<=0-9a-zA-Z_:]{0,6}",
        "[12][0-9]{3}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9:.Z+-]{0,14})?",
        keyword,
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    let tag = prop_oneof![8 => Just(""), 2 => select(corpus::TAGS.to_vec())];
    let quote = prop_oneof![8 => Just(""), 1 => Just("'"), 1 => Just("\"")];
    (tag, quote, look_alike()).prop_map(|(tag, quote, text)| format!("v: {tag}{quote}{text}{quote}"))
}

/// Block scalars under every header, and plain and quoted ones, of several lines.
fn scalar_of_several_lines() -> impl Strategy<Value = String> {
    let header = (select(vec!["|", ">"]), select(vec!["", "", "1", "2", "4"]), select(vec!["", "-", "+"]));
    let ends = prop_oneof![
        4 => header.prop_map(|(style, indent, chomp)| (format!("{style}{indent}{chomp}\n"), "\n")),
        1 => select(vec![("a ", "\n"), ("'a ", "'\n"), ("\"a ", "\"\n")]).prop_map(|(open, close)| (open.to_owned(), close)),
    ];
    let lines = vec(select(corpus::LINES.to_vec()), 0..7);
    let (end_of_line, next) = (select(vec!["\n", "\r\n"]), select(vec!["", "w: 1\n", "# c\n", "\n\nw: 1"]));
    (ends, lines, end_of_line, next).prop_map(|((open, close), lines, end_of_line, next)| {
        format!("v: {open}{}{close}{next}", lines.join("\n")).replace('\n', end_of_line)
    })
}

/// Lines of every kind at random depths.
fn structure() -> impl Strategy<Value = String> {
    let line = (select(vec!["", "", "  ", "  ", "    ", " "]), select(corpus::STRUCTURE.to_vec()));
    vec(line.prop_map(|(indent, line)| format!("{indent}{line}\n")), 1..8).prop_map(|lines| lines.concat())
}

fn text() -> impl Strategy<Value = String> {
    let pieces = vec(select(corpus::PIECES.to_vec()), 0..6).prop_map(|pieces| pieces.concat());
    prop_oneof![pieces, look_alike(), any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    // A float that is an integer in JSON is read as one.
    let float = any::<f64>().prop_filter("is no integer", |float| float.to_string().parse::<i64>().is_err());
    let leaf = prop_oneof![
        6 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => float.prop_map(Value::from),
        1 => select(vec![Value::Null, true.into(), false.into(), json!({}), json!([])]),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), map(inner)])
}

fn map(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    btree_map(text(), values, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn written(object: &Value) -> String {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Format::Yaml);
    writer.write(object).unwrap();
    writer.finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_scalar_means_what_it_means_to_kubectl() {
    assert_read_alike(&scalars().chain(generate(5_000, scalar())).collect::<Vec<_>>());
}

#[test]
fn a_document_means_what_it_means_to_kubectl() {
    let documents = corpus::DOCUMENTS.iter().map(|document| (*document).to_owned());
    assert_read_alike(&documents.chain(generate(5_000, scalar_of_several_lines())).collect::<Vec<_>>());
}

/// go-yaml drops what comes after the first value and cannot belong to it, so most of this it reads and we do not.
#[test]
fn of_any_structure_that_we_read_kubectl_reads_the_same() {
    let documents: Vec<String> = generate(20_000, structure()).collect();
    let mut read = 0;
    for (document, theirs) in documents.iter().zip(kubectl(&documents)) {
        let Ok(ours) = ours(document) else { continue };
        read += 1;
        let alike = theirs.as_ref().is_ok_and(|theirs| same(&ours, theirs));
        assert!(alike, "{document:?}\n  we: {ours:?}\n  kubectl: {theirs:?}");
    }
    assert!(read > 2_000, "only {read} documents say something");
}

#[test]
fn what_is_written_is_what_kubectl_and_we_read() {
    let objects: Vec<Value> = generate(5_000, map(value())).collect();
    let documents: Vec<String> = objects.iter().map(written).collect();
    let mut differences = String::new();
    for ((object, document), theirs) in objects.iter().zip(&documents).zip(kubectl(&documents)) {
        let ours = ours(document);
        let read = |value: &Value| same(object, value);
        if !ours.as_ref().is_ok_and(read) || !theirs.as_ref().is_ok_and(read) {
            writeln!(differences, "{object}\n  as {document:?}\n  we: {ours:?}\n  kubectl: {theirs:?}").unwrap();
        }
    }
    assert!(differences.is_empty(), "of {} objects these differ:\n{differences}", objects.len());
}

#[test]
fn what_kubectl_reads_and_we_refuse_is_on_a_list() {
    let aliases = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 16), ["*a"; 150].join(", "));
    let nesting = format!("a: {}{}\n", "[".repeat(101), "]".repeat(101));
    let refused = corpus::REFUSED.iter().copied().chain([
        ("aliases that expand past the limit", Reason::TooManyAliases, &*aliases),
        ("nesting past the limit", Reason::InvalidYaml, &*nesting),
    ]);
    let documents: Vec<_> = refused.clone().map(|(.., document)| document).collect();
    for ((why, reason, document), theirs) in refused.zip(kubectl(&documents)) {
        assert!(theirs.is_ok(), "{why}: kubectl does not read {document:?}: {theirs:?}");
        assert_eq!(ours(document), Err(reason), "{why}: {document:?}");
    }
}

#[test]
fn what_kubectl_refuses_we_refuse() {
    for (document, theirs) in corpus::REFUSED_BY_BOTH.iter().zip(kubectl(corpus::REFUSED_BY_BOTH)) {
        assert!(theirs.is_err(), "kubectl reads {document:?}: {theirs:?}");
        assert!(ours(document).is_err(), "we read {document:?}");
    }
}

#[test]
fn syntax_that_parsers_do_not_see_alike_is_on_a_list() {
    let documents: Vec<_> = corpus::SYNTAX.iter().map(|(_, document, ..)| *document).collect();
    for ((why, document, we, they), theirs) in corpus::SYNTAX.iter().zip(kubectl(&documents)) {
        let value = |json: &Option<&str>| json.map(|json| serde_json::from_str::<Value>(json).unwrap());
        assert_eq!(ours(document).ok(), value(we), "{why}: we, of {document:?}");
        assert_eq!(theirs.ok(), value(they), "{why}: kubectl, of {document:?}");
        assert_ne!(we, they, "{why}: {document:?} is no difference");
    }
}
