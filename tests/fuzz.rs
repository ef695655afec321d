//! The fuzz functions on a stable toolchain: over every file that the repository has, and over inputs made of them.
//!
//! `HCP_IDENTITY_FUZZ_SECONDS` says how long inputs are made up for, per function.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

#[path = "../fuzz/fuzz_functions.rs"]
#[expect(unreachable_pub, reason = "the libFuzzer targets reach it")]
mod fuzz_functions;
#[path = "../fuzz/generate.rs"]
mod generate;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};

/// The content of every file in a folder and the folders in it, by name.
#[expect(clippy::disallowed_methods, reason = "the corpora are files")]
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder can be read");
            paths.extend(entries.map(|entry| entry.expect("it has a name").path()));
        } else {
            files.push((path.display().to_string(), std::fs::read(&path).expect("a file can be read")));
        }
    }
    assert!(!files.is_empty(), "{folder} has no files");
    files.sort();
    files
}

fn contents(folder: &str) -> Vec<Vec<u8>> {
    files(folder).into_iter().map(|(_, content)| content).collect()
}

fn withstands_every_file(function: fn(&[u8])) {
    for (name, content) in [files("fuzz/corpus"), files("testdata")].concat() {
        let outcome = std::panic::catch_unwind(|| function(&content));
        assert!(outcome.is_ok(), "{name} breaks a promise, see above");
    }
}

/// Tries inputs until the time is over; how many.
#[expect(clippy::disallowed_methods, reason = "how long to go on is no decision of the product")]
fn withstands(function: fn(&[u8]), corpus: &str, inputs: &BoxedStrategy<Vec<u8>>) -> u32 {
    const BATCH: u32 = 32;
    let seconds = std::env::var("HCP_IDENTITY_FUZZ_SECONDS").ok().map_or(5, |text| text.parse().expect("seconds"));
    let start = Instant::now();
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        max_shrink_time: 30_000,
        max_shrink_iters: u32::MAX,
        ..Config::default()
    };
    let mut tried = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        let run = TestRunner::new(config.clone()).run(inputs, |input| {
            function(&input);
            Ok(())
        });
        match run {
            Ok(()) => tried += BATCH,
            Err(TestError::Abort(reason)) => panic!("no inputs: {reason}"),
            Err(TestError::Fail(reason, input)) => {
                let input = shell_escaped(&input);
                panic!("{reason}\nkeep the input:\nprintf %b '{input}' > fuzz/corpus/{corpus}/what-it-shows.yaml");
            }
        }
    }
    tried
}

/// For `printf %b` of any shell.
fn shell_escaped(bytes: &[u8]) -> String {
    let is_plain = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !b"\\'".contains(&byte);
    bytes
        .iter()
        .map(|byte| match byte {
            b'\n' => "\\n".to_owned(),
            byte if is_plain(*byte) => char::from(*byte).to_string(),
            byte => format!("\\0{byte:03o}"),
        })
        .collect()
}

#[test]
fn the_reader_keeps_its_promises_on_every_file() {
    withstands_every_file(fuzz_functions::manifest);
}

#[test]
fn render_and_validate_keep_their_promises_on_every_file() {
    withstands_every_file(fuzz_functions::render);
}

#[test]
fn admission_keeps_its_promises_on_every_file() {
    withstands_every_file(fuzz_functions::admission);
}

#[test]
fn the_reader_keeps_its_promises_on_what_nobody_wrote() {
    let files = [contents("fuzz/corpus/manifest"), contents("testdata")].concat();
    let inputs = prop_oneof![generate::damaged(files), generate::grown()].boxed();
    println!("{} inputs", withstands(fuzz_functions::manifest, "manifest", &inputs));
}

#[test]
fn render_and_validate_keep_their_promises_on_what_nobody_wrote() {
    let hosted_clusters = contents("fuzz/corpus/render");
    let files = [hosted_clusters.clone(), contents("testdata")].concat();
    let inputs = prop_oneof![generate::damaged(files), generate::worlds(hosted_clusters)].boxed();
    println!("{} inputs", withstands(fuzz_functions::render, "render", &inputs));
}

#[test]
fn admission_keeps_its_promises_on_what_nobody_wrote() {
    let inputs = prop_oneof![generate::damaged(contents("fuzz/corpus/admission")), generate::reviews()].boxed();
    println!("{} inputs", withstands(fuzz_functions::admission, "admission", &inputs));
}
