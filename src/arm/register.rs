//! Resource providers, which a new subscription has to be told that it uses.

use serde_json::Value;

use super::{Arm, Refusal, id::PROVIDERS};

impl Arm {
    /// Registers the provider of a resource, as the tools and SDKs of Azure do, and waits until it is.
    ///
    /// # Errors
    /// What Azure refuses: not everybody who may make a resource may register its provider.
    pub(super) async fn register(&self, id: &str) -> Result<(), Refusal> {
        let provider = provider(id);
        let subject = format!("cannot register the resource provider {provider}");
        let remedy = format!("{MAY} (az provider register --namespace {provider} --wait)");
        let known = self.in_subscription(&format!("/providers/{provider}"));
        let asked = self.post(&subject, &format!("{known}/register"), PROVIDERS).await;
        asked.map_err(|refusal| refusal.remedied(&["AuthorizationFailed"], &remedy))?;
        let look = async || {
            let state = self.get(&subject, &known, PROVIDERS).await?;
            match state.as_ref().and_then(|state| state.get("registrationState")).and_then(Value::as_str) {
                Some("Registered") => Ok(()),
                _ => Err(Refusal::coded(&subject, GOES_ON, "Azure has not finished it; run this again later")),
            }
        };
        self.patiently(&[GOES_ON], look).await
    }
}

const GOES_ON: &str = "Registering";
const MAY: &str = "somebody with the role \"Contributor\" or \"Owner\" on the subscription can, once and for all";

/// `Microsoft.Storage`, of what it makes.
fn provider(id: &str) -> &str {
    let below = id.rsplit_once("/providers/").map_or("Microsoft.Resources", |(_, below)| below);
    below.split('/').next().unwrap_or(below)
}
