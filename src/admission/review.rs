//! An AdmissionReview as it comes and as it goes: of the question only what is looked at is kept.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Why there is nothing to answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the body is no AdmissionReview: {0}")]
    Unreadable(String),
    #[error(
        "the body is {kind} of {api_version}, and not AdmissionReview of admission.k8s.io/v1; the webhook configuration needs \
         admissionReviewVersions: [v1]"
    )]
    AnotherKind { api_version: String, kind: String },
    #[error("the AdmissionReview has no request, and is no question")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) uid: String,
    #[serde(default)]
    kind: GroupVersionKind,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) object: Value,
}

/// What is answered; without anything in it, that all is well.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// Why not, if it is not allowed: a status code of HTTP, and words.
    pub(super) denial: Option<(u16, String)>,
    /// Operations of a JSON patch (RFC 6902).
    pub(super) patch: Vec<Value>,
    pub(super) warnings: Vec<String>,
    pub(super) audit: BTreeMap<&'static str, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

/// What a message repeats of names that are no names.
const SHOWN: usize = 64;
/// And of what a parser says, which repeats the text that it did not expect.
const SAID: usize = 160;

pub(super) fn read(body: &[u8]) -> Result<Request, Refusal> {
    let unreadable = |error: serde_json::Error| Refusal::Unreadable(shown(&error.to_string(), SAID));
    let review: Review = serde_json::from_slice(body).map_err(unreadable)?;
    if review.api_version != API_VERSION || review.kind != KIND {
        let named = |text: &str| if text.is_empty() { "nothing".to_owned() } else { shown(text, SHOWN) };
        return Err(Refusal::AnotherKind { api_version: named(&review.api_version), kind: named(&review.kind) });
    }
    review.request.ok_or(Refusal::NoRequest)
}

impl Request {
    /// What is asked about, if it is no pod that is being created.
    pub(super) fn is_misdirected(&self) -> Option<String> {
        let GroupVersionKind { group, version, kind } = &self.kind;
        let is_pod = group.is_empty() && version == "v1" && kind == "Pod" && self.sub_resource.is_empty();
        let shown = |text: &str| shown(text, SHOWN);
        (!is_pod || self.operation != "CREATE").then(|| {
            format!("{} of {} {}", shown(&self.operation), shown(kind), shown(&self.sub_resource)).trim().to_owned()
        })
    }
}

impl Response {
    /// The AdmissionReview that answers a request.
    pub(super) fn to(&self, request: &Request) -> Value {
        let mut response = json!({"uid": request.uid, "allowed": self.denial.is_none()});
        if let Some((code, message)) = &self.denial {
            response["status"] = json!({"code": code, "message": message});
        }
        if !self.patch.is_empty() {
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(BASE64_STANDARD.encode(json!(self.patch).to_string()));
        }
        if !self.warnings.is_empty() {
            response["warnings"] = json!(self.warnings);
        }
        if !self.audit.is_empty() {
            response["auditAnnotations"] = json!(self.audit);
        }
        json!({"apiVersion": API_VERSION, "kind": KIND, "response": response})
    }
}

/// The beginning, on one line.
fn shown(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
