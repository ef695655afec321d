//! The control interface: the clock, faults, the world and the journal, over HTTP on loopback.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    arm::Behaviour,
    azure::Azure,
    exchange::{Answer, Call, json, text},
    fault::Fault,
    world::{Document, World},
};

/// Where the stand-in is, and by what its TLS is trusted.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    pub proxy: SocketAddr,
    pub tls: SocketAddr,
    pub plain: SocketAddr,
    pub control: SocketAddr,
    pub ca_pem: String,
    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of App Service.
    pub identity_endpoint: String,
    pub identity_header: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Turn {
    StopAt(Timestamp),
    AdvanceSeconds(i64),
    Reset(Nothing),
}

#[derive(Deserialize)]
struct Nothing {}

pub(crate) fn answer(azure: &Azure, about: &About, call: &Call) -> Answer {
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", []) => body(about),
        ("GET", ["ca.pem"]) => text(StatusCode::OK, "application/x-pem-file", about.ca_pem.clone()),
        ("GET", ["clock"]) => time(azure),
        ("PUT", ["clock"]) => with_body(call, |turn| set_clock(azure, &turn)),
        ("GET", ["faults"]) => body(&azure.faults.all()),
        ("POST", ["faults"]) => with_body(call, |fault: Fault| {
            azure.faults.add(fault);
            body(&azure.faults.all())
        }),
        ("DELETE", ["faults"]) => done(|| azure.faults.clear()),
        ("PUT", ["world"]) => with_body(call, |document: Document| done(|| azure.load(document))),
        ("DELETE", ["world"]) => done(|| azure.with_world_mut(|world| *world = World::default())),
        ("GET", ["arm"]) => body(&azure.with_world(|world| world.arm.behaviour())),
        ("PUT", ["arm"]) => with_body(call, |behaviour: Behaviour| {
            azure.with_world_mut(|world| world.arm.behave(behaviour));
            body(&azure.with_world(|world| world.arm.behaviour()))
        }),
        ("GET", ["requests"]) => body(&azure.journal.entries()),
        ("GET", ["counts"]) => body(&azure.journal.counts()),
        ("DELETE", ["requests"]) => done(|| azure.journal.clear()),
        _ => unknown(&call.method, &call.path),
    }
}

fn set_clock(azure: &Azure, turn: &Turn) -> Answer {
    match turn {
        Turn::StopAt(at) => azure.clock.stop_at(*at),
        Turn::AdvanceSeconds(seconds) => azure.clock.advance(SignedDuration::from_secs(*seconds)),
        Turn::Reset(Nothing {}) => azure.clock.reset(),
    }
    time(azure)
}

fn time(azure: &Azure) -> Answer {
    json(StatusCode::OK, &json!({"now": azure.clock.now()}))
}

/// Bodies are YAML, and so JSON as well.
fn with_body<T: serde::de::DeserializeOwned>(call: &Call, then: impl FnOnce(T) -> Answer) -> Answer {
    let parsed = std::str::from_utf8(&call.body).map_err(|error| error.to_string());
    match parsed.and_then(|text| serde_saphyr::from_str(text).map_err(|error| error.to_string())) {
        Ok(value) => then(value),
        Err(error) => json(StatusCode::BAD_REQUEST, &json!({"error": error})),
    }
}

fn body(value: &impl Serialize) -> Answer {
    match serde_json::to_value(value) {
        Ok(value) => json(StatusCode::OK, &value),
        Err(error) => json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
    }
}

fn done(change: impl FnOnce()) -> Answer {
    change();
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn unknown(method: &Method, path: &str) -> Answer {
    json(StatusCode::NOT_FOUND, &json!({"error": format!("the control interface has no {method} {path}")}))
}
