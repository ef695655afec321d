//! Lists come in pages of at most 25, and the next one is at a URL that the client is given.

use http::StatusCode;
use serde_json::{Value, json};

use super::refusal::{self, Refused};
use crate::exchange::{Answer, Call, json};

const LARGEST: usize = 25;

/// The page that the request is for.
pub(super) fn answer(call: &Call, url: &str, mut all: Vec<Value>) -> Result<Answer, Refused> {
    let size = match call.query("maxresults") {
        None => LARGEST,
        Some(text) => text.parse().ok().filter(|size| (1..=LARGEST).contains(size)).ok_or_else(invalid_size)?,
    };
    let from = match call.query("$skiptoken") {
        None => 0,
        Some(text) => text.parse().map_err(|_| refusal::bad_parameter("Property $skiptoken has invalid value\r\n"))?,
    };
    let rest = all.split_off(all.len().min(from));
    let next = (rest.len() > size).then(|| next_link(call, url, from + size, size));
    let page: Vec<_> = rest.into_iter().take(size).collect();
    Ok(json(StatusCode::OK, &json!({"value": page, "nextLink": next})))
}

/// With the port, as Key Vault writes it.
fn next_link(call: &Call, url: &str, from: usize, size: usize) -> String {
    let version = call.query("api-version").unwrap_or_default();
    let path = &call.path;
    format!("{url}:443{path}?api-version={version}&$skiptoken={from}&maxresults={size}")
}

fn invalid_size() -> Refused {
    refusal::bad_parameter("Property maxresults has invalid value\r\n")
}
