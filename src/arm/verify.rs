//! Looks at an issuer as Entra does: as nobody in particular.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Arm, Refusal};
use crate::{
    finding::chain,
    provision::{Issuer, KeySet},
};

/// More than any document of an issuer.
const LIMIT: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_secs(2);

impl Arm {
    /// # Errors
    /// Where everybody who verifies its tokens would not find its documents, or would find others.
    pub async fn verify(&self, issuer: &Issuer, keys: &KeySet) -> Result<(), Refusal> {
        let subject = format!("the issuer {issuer} is of no use to Entra yet");
        let started = tokio::time::Instant::now();
        loop {
            match self.look(issuer, keys).await {
                Ok(()) => return Ok(()),
                Err(why) if started.elapsed() > PATIENCE => return Err(Refusal::new(&subject, &why)),
                Err(why) => (self.waits)(&why),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(&self, issuer: &Issuer, keys: &KeySet) -> Result<(), String> {
        let [key_set, discovery] = Issuer::DOCUMENTS.map(|path| issuer.below(path));
        let found = self.fetch(&discovery).await?;
        let found: Value = serde_json::from_slice(&found).map_err(|_| format!("{discovery} is no JSON"))?;
        let says = found.get("issuer").and_then(Value::as_str).unwrap_or_default();
        if says != issuer.to_string() {
            return Err(format!("{discovery} says that its issuer is {says:?}"));
        }
        let published = KeySet::read(&self.fetch(&key_set).await?).map_err(|error| format!("{key_set} {error}"))?;
        let missing: Vec<_> = keys.ids().into_iter().filter(|id| !published.ids().contains(id)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{key_set} has not the keys {}", missing.join(", "))) }
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let unanswered = |error: reqwest::Error| format!("{url} does not answer: {}", chain(&error.without_url()));
        let mut answer = self.http().get(url).send().await.map_err(unanswered)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{url} answers to nobody in particular with HTTP status {}", answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            body.extend_from_slice(&chunk);
            if body.len() > LIMIT {
                return Err(format!("{url} is larger than 1 MiB"));
            }
        }
        Ok(body)
    }
}
