//! The other entry: what [`crate::workload_identity`] makes of a pod. Here a pod may be denied, where the original denies it.

use std::sync::Arc;

use serde_json::json;

use super::{
    Answer, Outcome, Refusal,
    review::{Request, Response, read},
};
use crate::workload_identity::{Lookup, Settings, mutate, service_account_name};

/// What admission has to know to give pods their identity.
pub trait WorkloadIdentities: Send + Sync + 'static {
    /// None, as long as that is turned off.
    fn settings(&self) -> Option<Arc<Settings>>;
    /// What is known by now.
    fn service_account(&self, namespace: &str, name: &str) -> Lookup;
}

/// An AdmissionReview that is to be answered.
pub struct Question(Request);

impl Question {
    /// # Errors
    /// A body that is no AdmissionReview of `admission.k8s.io/v1`: there is nobody to answer.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        read(body).map(Self)
    }

    /// Namespace and name of the ServiceAccount to look up, if it is asked about a pod at its creation.
    #[must_use]
    pub fn service_account(&self) -> Option<(&str, &str)> {
        let Self(request) = self;
        request.is_misdirected().is_none().then(|| (&*request.namespace, service_account_name(&request.object)))
    }

    /// # Guarantees
    /// A pod is denied where [`mutate`] denies it. What is no pod at its creation is allowed as it is, with a warning.
    #[must_use]
    pub fn answer(&self, account: &Lookup, settings: &Settings) -> Answer {
        let Self(request) = self;
        let (outcome, response) = decide(request, account, settings);
        Answer { body: response.to(request), outcome }
    }
}

fn decide(request: &Request, account: &Lookup, settings: &Settings) -> (Outcome, Response) {
    if let Some(what) = request.is_misdirected() {
        let warning =
            format!("hcp-identity gives pods their workload identity as they are created, and was asked about {what}");
        return (Outcome::Misdirected, Response { warnings: vec![warning], ..Response::default() });
    }
    match mutate(&request.object, &request.namespace, account, settings) {
        Ok(mutation) => {
            let outcome = if mutation.patch.is_empty() { Outcome::Unchanged } else { Outcome::Identified };
            let patch = mutation.patch.iter().map(|operation| json!(operation)).collect();
            (outcome, Response { patch, warnings: mutation.warnings, ..Response::default() })
        }
        Err(denial) => {
            (Outcome::Denied, Response { denial: Some((denial.code, denial.message)), ..Response::default() })
        }
    }
}
