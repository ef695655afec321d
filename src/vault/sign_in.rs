//! Signs in as the consumer does: a client assertion, PS256, with the chain of the certificate, to the credential's own
//! authority.

use jiff::Timestamp;

use super::{
    access::Azure,
    refusal::{Kind, Refusal},
};
use crate::{assertion::assertion, credential::SignIn, finding::chain, names::is_uuid};

impl Azure {
    /// Whether Entra gives a token for this credential. The token is not looked at.
    ///
    /// # Errors
    /// [`Kind::SignInRefused`] if Entra does not; another kind if it did not answer.
    pub async fn sign_in(&self, credential: &SignIn, cloud: &str, now: Timestamp) -> Result<(), Refusal> {
        let SignIn { client_id, tenant_id, endpoint, .. } = credential;
        let subject = format!("cannot sign in as {} to tenant {}", shown(client_id), shown(tenant_id));
        let refused = |text: &str| Refusal::new(Kind::SignInRefused, &subject, text);
        if !credential.endpoint_is_known && self.access.authority.as_deref() != Some(endpoint.as_str()) {
            return Err(refused(
                "its authentication_endpoint is no host of Entra that is known here, and is not asked; set \
                 AZURE_AUTHORITY_HOST where it is one",
            ));
        }
        let scope = self.access.resource_manager_scope_of(cloud);
        let scope = scope.ok_or_else(|| refused("the cloud is not known; set HCP_IDENTITY_RESOURCE_MANAGER"))?;
        let assertion = assertion(credential, now).ok_or_else(|| refused("its key cannot sign"))?;
        let form = [
            ("client_assertion", assertion.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_id", client_id),
            ("grant_type", "client_credentials"),
            ("scope", &scope),
        ];
        let unanswered =
            |error: reqwest::Error| Refusal::new(Kind::Unavailable, &subject, &chain(&error.without_url()));
        let answer = self.http.post(credential.token_url()).form(&form).send().await.map_err(unanswered)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer.text().await.map_err(unanswered)?;
        Err(Refusal {
            retry_after: retry_after.map(std::time::Duration::from_secs),
            ..Refusal::new(kind(status.as_u16(), &body), &subject, &description(&body))
        })
    }
}

/// What is no id may be a key in the wrong place.
fn shown(id: &str) -> &str {
    if is_uuid(id) { id } else { "something that is no UUID" }
}

/// Only what Entra says of the credential counts as a refusal of it.
fn kind(status: u16, body: &str) -> Kind {
    match status {
        429 => Kind::Throttled,
        400 | 401 if body.contains("AADSTS") && !body.contains("AADSTS90033") => Kind::SignInRefused,
        _ => Kind::Unavailable,
    }
}

fn description(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let description = json.as_ref().and_then(|json| json.get("error_description")?.as_str());
    description.unwrap_or("its authority answered with something else than Entra").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_entra_says_of_the_credential_is_a_refusal_of_it() {
        let refused = "{\"error_description\":\"AADSTS700027: no such key\"}";
        assert_eq!(kind(401, refused), Kind::SignInRefused);
        assert_eq!(kind(400, "{\"error_description\":\"AADSTS90033: A transient error\"}"), Kind::Unavailable);
        assert_eq!(kind(401, "proxy authentication"), Kind::Unavailable);
        assert_eq!(kind(500, refused), Kind::Unavailable);
        assert_eq!(kind(429, refused), Kind::Throttled);
        assert_eq!(description(refused), "AADSTS700027: no such key");
    }
}
