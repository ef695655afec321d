//! What HyperShift's own CRD says of a HostedCluster's Azure identities, so that nothing has to be applied to find out.
//!
//! The schema is data (`schema.rs`), the CEL rules of the CRD are functions (`rules.rs`), and this file walks both as the
//! API server does: a null is a field that is not there, lengths are counted in characters, unknown fields are let be.
//! It covers `spec.platform.azure` and `spec.secretEncryption`; what the CRD says of the rest of a HostedCluster, and
//! its rules about changes (immutability), are not looked at.

mod rules;
mod schema;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::finding::{FieldPath, Problem, Reason};

/// A node of the schema.
#[derive(Debug)]
enum Schema {
    Object(&'static Object),
    Text(&'static Text),
    /// A list whose elements are all alike.
    List(&'static List),
    /// String to string, as annotations are.
    TextMap,
}

#[derive(Debug)]
struct Object {
    fields: &'static [Field],
    rules: &'static [Rule],
    min_properties: usize,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    presence: Presence,
    schema: Schema,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    Required,
    /// Optional, or required with a default.
    Optional,
}

#[derive(Debug)]
struct List {
    items: Schema,
    min: usize,
    max: usize,
}

/// A pattern of the CRD: as a function, and in words.
type Format = (fn(&str) -> bool, &'static str);

/// What a string must be like. Lengths are in characters.
#[derive(Debug)]
struct Text {
    min: usize,
    max: usize,
    format: Option<Format>,
    /// An enum of the CRD. Empty: any value.
    values: &'static [&'static str],
}

/// A CEL rule of the CRD: looks at an object, says what it refuses. Not asked about objects that lack what it needs.
type Rule = fn(&Map<String, Value>, &FieldPath) -> Option<Problem>;

/// Everything that the CRD refuses about the identities of a HostedCluster.
#[must_use]
pub fn check(hosted_cluster: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(hosted_cluster, &Schema::Object(&schema::HOSTED_CLUSTER), &FieldPath::root(), &mut problems);
    problems
}

fn walk(value: &Value, schema: &Schema, path: &FieldPath, problems: &mut Vec<Problem>) {
    match (schema, value) {
        (Schema::Object(object), Value::Object(map)) => walk_object(map, object, path, problems),
        (Schema::Object(_), other) => problems.push(wrong_type(other, "an object", path)),
        (Schema::Text(text), Value::String(value)) => problems.extend(text.problem(value, path)),
        (Schema::Text(_), other) => problems.push(wrong_type(other, "a string", path)),
        (Schema::List(list), Value::Array(items)) => walk_list(items, list, path, problems),
        (Schema::List(_), other) => problems.push(wrong_type(other, "a list", path)),
        (Schema::TextMap, Value::Object(map)) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_string() && !value.is_null()) {
                problems.push(wrong_type(value, "a string", &path.key(key)));
            }
        }
        (Schema::TextMap, other) => problems.push(wrong_type(other, "an object of strings", path)),
    }
}

fn walk_object(map: &Map<String, Value>, object: &Object, path: &FieldPath, problems: &mut Vec<Problem>) {
    for field in object.fields {
        match present(map, field.name) {
            Some(value) => walk(value, &field.schema, &path.key(field.name), problems),
            None if field.presence == Presence::Optional => {}
            None => {
                let remedy = format!("add it{}", field.schema.hint());
                problems.push(Problem::error(Reason::Required, path.key(field.name), "is missing", remedy));
            }
        }
    }
    // Of the schema's own: the API server prunes the others before it counts.
    if object.fields.iter().filter(|field| present(map, field.name).is_some()).count() < object.min_properties {
        let message = "has no fields, and needs one";
        problems.push(Problem::error(Reason::TooFewProperties, path.clone(), message, "add one, or remove it"));
    }
    problems.extend(object.rules.iter().filter_map(|rule| rule(map, path)));
}

fn walk_list(items: &[Value], list: &List, path: &FieldPath, problems: &mut Vec<Problem>) {
    let outside = |reason, bound: String| {
        let message = format!("has {} elements, and {bound}", items.len());
        Problem::error(reason, path.clone(), message, "shorten or fill the list, or remove it")
    };
    if items.len() < list.min {
        problems.push(outside(Reason::TooShort, format!("needs at least {}", list.min)));
    }
    if items.len() > list.max {
        problems.push(outside(Reason::TooLong, format!("may have at most {}", list.max)));
    }
    for (index, item) in items.iter().enumerate() {
        walk(item, &list.items, &path.index(index), problems);
    }
}

impl Schema {
    /// What belongs there, to complete "add it".
    fn hint(&self) -> String {
        match self {
            Self::Text(Text { values, .. }) if !values.is_empty() => format!(": {}", one_of(values)),
            Self::Text(Text { format: Some((_, rule)), .. }) => format!(": {rule}"),
            _ => String::new(),
        }
    }
}

impl Text {
    const ANY: Self = Self { min: 0, max: usize::MAX, format: None, values: &[] };

    fn problem(&self, value: &str, path: &FieldPath) -> Option<Problem> {
        let length = value.chars().count();
        let rule = self.format.map_or("", |(_, rule)| rule);
        let must_be = |rule: &str| format!("it must be {rule}");
        let (reason, message, remedy) = if length < self.min {
            let remedy = if rule.is_empty() { "fill it in".to_owned() } else { must_be(rule) };
            let message = if length == 0 { "is empty" } else { "is too short" };
            (Reason::TooShort, message.to_owned(), remedy)
        } else if length > self.max {
            (Reason::TooLong, format!("has {length} characters"), format!("shorten it to {}", self.max))
        } else if self.format.is_some_and(|(fits, _)| !fits(value)) {
            (Reason::InvalidFormat, "has the wrong form".to_owned(), must_be(rule))
        } else if !self.values.is_empty() && !self.values.contains(&value) {
            (Reason::UnsupportedValue, "is not supported".to_owned(), format!("use {}", one_of(self.values)))
        } else {
            return None;
        };
        Some(Problem::error(reason, path.clone(), message, remedy).with_value(value))
    }
}

/// The value of a field; null is absence, as the API server prunes nulls that are not allowed before it validates.
fn present<'v>(map: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    map.get(key).filter(|value| !value.is_null())
}

fn one_of(values: &[&str]) -> String {
    let named: Vec<_> = values.iter().map(|value| if value.is_empty() { "\"\"" } else { value }).collect();
    match named.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn wrong_type(value: &Value, wanted: &str, path: &FieldPath) -> Problem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let remedy = match value {
        Value::Bool(_) | Value::Number(_) if wanted == "a string" => "quote it as it stands there",
        _ => "correct it",
    };
    let message = format!("is {found}, and must be {wanted}");
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Problem::error(Reason::InvalidType, path.clone(), message, remedy).with_value(value)
}
