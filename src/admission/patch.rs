//! Additions as a JSON patch (RFC 6902).

use serde_json::{Value, json};

use crate::plan::{Addition, Element};

/// Each element at the end of its list, in order; a list that is not there comes with its first element.
pub(super) fn patch(pod: &Value, additions: &[Addition]) -> Vec<Value> {
    let mut made: Vec<String> = Vec::new();
    let mut operations = Vec::with_capacity(additions.len());
    for addition in additions {
        let (list, value) = match &addition.element {
            Element::Volume(volume) => ("/spec/volumes".to_owned(), volume),
            Element::Mount { container, mount } => (format!("/spec/containers/{container}/volumeMounts"), mount),
            Element::Env { container, env } => (format!("/spec/containers/{container}/env"), env),
        };
        let is_there = made.contains(&list) || pod.pointer(&list).is_some_and(Value::is_array);
        if is_there {
            operations.push(json!({"op": "add", "path": format!("{list}/-"), "value": value}));
        } else {
            operations.push(json!({"op": "add", "path": list, "value": [value]}));
            made.push(list);
        }
    }
    operations
}
