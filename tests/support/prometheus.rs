//! What a reader of OpenMetrics 1.0 and this project's own rules would find in a scrape.

use std::collections::{BTreeMap, BTreeSet};

/// Labels by which remote-write configurations of management clusters route.
const ROUTED: [&str; 2] = ["namespace", "hostedcontrolplane"];

#[derive(Default)]
struct Judge {
    family: String,
    types: BTreeMap<String, String>,
    helps: BTreeSet<String>,
    samples: BTreeSet<String>,
    problems: Vec<String>,
}

/// All that is wrong with a scrape.
pub fn problems(text: &str) -> Vec<String> {
    let mut judge = Judge::default();
    let body = text.strip_suffix("# EOF\n");
    if body.is_none() {
        judge.problems.push("it does not end with # EOF".into());
    }
    for line in body.unwrap_or(text).lines() {
        if judge.line(line).is_none() {
            judge.problems.push(format!("not understood: {line}"));
        }
    }
    judge.problems
}

impl Judge {
    fn line(&mut self, line: &str) -> Option<()> {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ')?;
            let first = self.helps.insert(name.to_owned());
            self.check(first && !words.is_empty(), "no help, or twice", line);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ')?;
            self.check(self.helps.contains(name), "no help before its type", line);
            let first = self.types.insert(name.to_owned(), kind.to_owned()).is_none();
            self.check(first, "a family twice", line);
            self.check(!name.ends_with("_total"), "a family has no _total, its samples have", line);
            self.family = name.to_owned();
        } else {
            self.sample(line)?;
        }
        Some(())
    }

    fn sample(&mut self, line: &str) -> Option<()> {
        let (series, value) = line.rsplit_once(' ')?;
        value.parse::<f64>().ok()?;
        let first = self.samples.insert(series.to_owned());
        self.check(first, "twice", line);
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, self::labels(labels.strip_suffix('}')?)?),
            None => (series, Vec::new()),
        };
        let is = |wanted| self.types.get(&self.family).is_some_and(|kind| kind == wanted);
        let (histogram, counter) = (is("histogram"), is("counter"));
        let suffix = name.strip_prefix(&self.family);
        let expected = match suffix {
            Some("_bucket") => histogram && labels.iter().any(|label| label == "le"),
            Some("_sum" | "_count") => histogram,
            Some("_total") => counter,
            Some("") => !histogram && !counter,
            _ => false,
        };
        self.check(expected, "not a sample of the family before it", line);
        self.check(labels.iter().all(|label| !ROUTED.contains(&label.as_str())), "a label that routes", line);
        Some(())
    }

    fn check(&mut self, good: bool, problem: &str, line: &str) {
        if !good {
            self.problems.push(format!("{problem}: {line}"));
        }
    }
}

/// The names of labels, with their values read over.
fn labels(mut text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let valid = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if name.is_empty() || !name.chars().all(valid) {
            return None;
        }
        names.push(name.to_owned());
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, character)| {
            let ends = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            ends
        });
        text = &rest[end?.0 + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
    Some(names)
}
