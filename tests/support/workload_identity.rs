//! The world of a pod that asks for a workload identity, as test cases write it.

use hcp_identity::workload_identity::{Lookup, Paths, ServiceAccount, Settings};
use serde_json::Value;

pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// `null` is none.
pub fn account(account: &Value) -> Lookup {
    if account.is_null() {
        return Lookup::Missing;
    }
    let annotations = account["metadata"]["annotations"].as_object().into_iter().flatten();
    let annotations = annotations.map(|(key, value)| (key.as_str(), value.as_str().expect("a string")));
    Lookup::Found(ServiceAccount::new(annotations))
}

/// Of these fields, or what they are without.
pub fn settings(settings: &Value) -> Settings {
    let text = |key: &str| settings[key].as_str().unwrap_or_default();
    let paths = match text("paths") {
        "older" => Paths::Older,
        _ => Paths::V1_6,
    };
    Settings::new(TENANT, text("cloud"), text("audience"), paths).expect("settings")
}
