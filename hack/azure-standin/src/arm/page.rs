//! Lists come in pages, and the next one is at a URL that the client is given.

use serde_json::{Value, json};

use super::{
    ok,
    refusal::{self, Refused},
};
use crate::{
    cloud::Cloud,
    exchange::{Answer, Call},
};

pub(super) fn answer(call: &Call, cloud: Cloud, size: usize, mut all: Vec<Value>) -> Result<Answer, Refused> {
    let number = |name: &str| -> Result<Option<usize>, Refused> {
        let text = call.query(name);
        text.map(|text| text.parse().map_err(|_| refusal::bad("InvalidParameter", &format!("{name} is invalid."))))
            .transpose()
    };
    let size = number("$top")?.unwrap_or(size).max(1);
    let from = number("$skiptoken")?.unwrap_or_default();
    let rest = all.split_off(all.len().min(from));
    let next = (rest.len() > size).then(|| next_link(call, cloud, from + size));
    let page: Vec<_> = rest.into_iter().take(size).collect();
    let mut body = json!({"value": page});
    if let Some(next) = next {
        body["nextLink"] = json!(next);
    }
    Ok(ok(&body))
}

fn next_link(call: &Call, cloud: Cloud, from: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(call.query.iter().filter(|(name, _)| name != "$skiptoken"));
    query.append_pair("$skiptoken", &from.to_string());
    format!("https://{}{}?{}", cloud.names().manager, call.path, query.finish())
}
