//! Looks at an issuer as Entra does: as nobody in particular.

use std::time::Duration;

use serde_json::Value;

use super::{Arm, Refusal};
use crate::{
    azure::public_document,
    provision::{Issuer, KeySet},
};

const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_secs(2);

impl Arm {
    /// # Errors
    /// Where everybody who verifies its tokens would not find its documents, or would find others.
    pub async fn verify(&self, issuer: &Issuer, keys: &KeySet) -> Result<(), Refusal> {
        if self.rehearsal.is_some() {
            return Ok(());
        }
        let subject = format!("the issuer {issuer} is of no use to Entra yet");
        let started = tokio::time::Instant::now();
        loop {
            match self.look(issuer, keys).await {
                Ok(()) => return Ok(()),
                Err(why) if started.elapsed() > PATIENCE => return Err(Refusal::new(&subject, &why)),
                Err(why) => self.tell_of_wait(&why),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(&self, issuer: &Issuer, keys: &KeySet) -> Result<(), String> {
        let [key_set, discovery] = [Issuer::KEYS, Issuer::DISCOVERY].map(|path| issuer.below(path));
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
        match public_document(self.http(), url).await {
            Ok((200, body)) => Ok(body),
            Ok((status, _)) => Err(format!("{url} answers to nobody in particular with HTTP status {status}")),
            Err(why) => Err(format!("{url} cannot be read: {why}")),
        }
    }
}
