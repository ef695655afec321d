//! Go's `equality.Semantic.DeepDerivative`, over JSON.

use serde_json::Value;

/// Whether `live` has everything that `desired` sets. What is empty in `desired` is not compared; a list is compared
/// by index, and may be longer in `live`; a map may have more keys there.
pub(crate) fn is_derivative(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Null, _) => true,
        (Value::String(desired), _) if desired.is_empty() => true,
        (Value::Array(desired), _) if desired.is_empty() => true,
        (Value::Object(desired), _) if desired.is_empty() => true,
        (Value::Array(desired), Value::Array(live)) => {
            desired.len() <= live.len() && desired.iter().zip(live).all(|(desired, live)| is_derivative(desired, live))
        }
        (Value::Object(desired), Value::Object(live)) => {
            desired.iter().all(|(key, desired)| is_derivative(desired, live.get(key).unwrap_or(&Value::Null)))
        }
        (desired, live) => desired == live,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_derivative;

    #[test]
    fn what_is_appended_is_tolerated_and_what_is_inserted_is_not() {
        let desired = json!({"volumes": [{"name": "a"}, {"name": "b"}]});
        assert!(is_derivative(&desired, &json!({"volumes": [{"name": "a"}, {"name": "b"}, {"name": "c"}]})));
        assert!(!is_derivative(&desired, &json!({"volumes": [{"name": "c"}, {"name": "a"}, {"name": "b"}]})));
        assert!(!is_derivative(&desired, &json!({"volumes": [{"name": "a"}]})));
    }

    #[test]
    fn what_is_empty_in_the_desired_state_is_not_compared() {
        let desired = json!({"a": "", "b": {}, "c": [], "d": null});
        assert!(is_derivative(&desired, &json!({"a": "x", "b": {"y": 1}, "c": [1], "d": 1, "e": 1})));
        assert!(is_derivative(&desired, &json!({})));
        assert!(!is_derivative(&json!({"a": "y"}), &json!({"a": "x"})));
        assert!(!is_derivative(&json!({"a": "y"}), &json!({})));
    }
}
