//! A JSON patch (RFC 6902), as much of it as is needed.

use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    Add { path: String, value: Value },
    Replace { path: String, value: Value },
}

/// Elements at the end of a list, in order; a list that is not there comes with them.
pub(super) fn append(list: &Value, path: &str, elements: Vec<Value>) -> Vec<Operation> {
    if elements.is_empty() {
        return Vec::new();
    }
    if list.is_array() {
        let at_its_end = |value| Operation::Add { path: format!("{path}/-"), value };
        return elements.into_iter().map(at_its_end).collect();
    }
    vec![Operation::Add { path: path.to_owned(), value: Value::Array(elements) }]
}

/// The element in the place of the first of its name, or at the end.
pub(super) fn put(list: &Value, path: &str, element: Value) -> Vec<Operation> {
    let elements = list.as_array().map(Vec::as_slice).unwrap_or_default();
    match elements.iter().position(|other| other["name"] == element["name"]) {
        Some(at) if elements[at] == element => Vec::new(),
        Some(at) => vec![Operation::Replace { path: format!("{path}/{at}"), value: element }],
        None => append(list, path, vec![element]),
    }
}
