//! The audit log of the test cluster: who asked for what, and what the API server said.

use std::{fs::File, io::BufRead as _, path::Path};

use serde_json::Value;

#[derive(Debug)]
pub struct Request {
    pub user: String,
    pub verb: String,
    pub group: String,
    /// With its subresource, if any.
    pub resource: String,
    pub code: u64,
    pub uri: String,
}

/// The requests of the service accounts of stages.
#[expect(clippy::disallowed_methods, reason = "the log is a file")]
pub fn of_stages(log: &Path) -> impl Iterator<Item = Request> + use<> {
    let file = File::open(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let lines = std::io::BufReader::new(file).lines().map(|line| line.expect("readable"));
    // The last line may be half written.
    lines.filter(|line| line.contains(":hcp-identity\"")).filter_map(|line| request(&serde_json::from_str(&line).ok()?))
}

fn request(line: &Value) -> Option<Request> {
    let user = line["user"]["username"].as_str()?;
    let namespace = user.strip_prefix("system:serviceaccount:")?.strip_suffix(":hcp-identity")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &line["objectRef"];
    let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
    Some(Request {
        user: namespace.to_owned(),
        verb: text(&line["verb"]),
        group: text(&object["apiGroup"]),
        resource: text(&object["resource"]) + &subresource,
        code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
        uri: text(&line["requestURI"]),
    })
}
