//! A token of a service account, as its issuer made it: read, and never shown.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use super::token::{DAY_HOURS, HOUR, MOST_HOURS};
use crate::{
    capz::plan::{ASO_ACCOUNT, AUDIENCE, CAPZ_ACCOUNT, NAMESPACE},
    credential::Secret,
    finding::{FieldPath, Finding, ObjectRef, Place, Problem, Reason},
    names::service_account,
};

/// The service accounts whose tokens Entra is shown, and what these are for.
pub const ACCOUNTS: [(&str, &str, &str); 2] = [(NAMESPACE, CAPZ_ACCOUNT, AUDIENCE), (NAMESPACE, ASO_ACCOUNT, AUDIENCE)];

/// What a token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    /// The service account that it was asked for.
    account: ObjectRef,
    pub(super) key: String,
    issuer: String,
    subject: String,
    audiences: Vec<String>,
    seconds: i64,
}

impl Claims {
    /// None where it is no token.
    #[must_use]
    pub fn read(namespace: &str, name: &str, token: &Secret) -> Option<Self> {
        let token = std::str::from_utf8(token.expose()).ok()?;
        let mut parts = token.split('.').map(|part| {
            let part = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Value>(&part).ok()
        });
        let (header, claims) = (parts.next()??, parts.next()??);
        let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
        let time = |key: &str| claims.get(key).and_then(Value::as_i64);
        let audiences = match claims.get("aud")? {
            Value::String(one) => vec![one.clone()],
            several => several.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        };
        Some(Self {
            account: account(namespace, name),
            key: text(&header, "kid")?,
            issuer: text(&claims, "iss")?,
            subject: text(&claims, "sub")?,
            audiences,
            seconds: time("exp")? - time("iat")?,
        })
    }

    /// What Entra would not take it for. `told` is the issuer that the API server names, which is held against the wanted one
    /// already.
    pub(super) fn findings(&self, cluster: &str, wanted: Option<&str>, told: Option<&str>) -> Vec<Finding> {
        let subject = service_account(&self.account.namespace, &self.account.name);
        let mut problems = Vec::new();
        if wanted.is_some_and(|wanted| wanted != self.issuer) && told != Some(&self.issuer) {
            let message =
                format!("the token is of another issuer than {:?} (AADSTS700211)", wanted.unwrap_or_default());
            let remedy = "give the API server the issuer of the federated credentials (--service-account-issuer), as the first one";
            problems.push(error(Reason::IssuerMismatch, "iss", message, remedy).with_value(&*self.issuer));
        }
        if self.subject != subject {
            let message = format!("the token is not of {subject} (AADSTS700213)");
            let remedy = "make a federated credential for this subject";
            problems.push(error(Reason::ServiceAccountMismatch, "sub", message, remedy).with_value(&*self.subject));
        }
        if self.audiences != [AUDIENCE] {
            let message = format!("the token is not for {AUDIENCE} alone (AADSTS700212)");
            let remedy = "see what changes tokens that the API server is asked for";
            problems.push(error(Reason::TokenNotMounted, "aud", message, remedy).with_value(self.audiences.join(" ")));
        }
        if self.seconds > MOST_HOURS * HOUR {
            let message =
                format!("the token lives longer than {MOST_HOURS} hours, and Entra takes none that does (AADSTS70023)");
            let remedy = format!(
                "let the API server give tokens of {DAY_HOURS} hours at most (--service-account-max-token-expiration)"
            );
            let problem = error(Reason::TokenLifetimeTooLong, "exp", message, &remedy);
            problems.push(problem.with_value(self.seconds.to_string()));
        }
        let place = Place::within(&cluster.into());
        let finding = |problem| Finding { place: place.clone(), object: Some(self.account.clone()), problem };
        problems.into_iter().map(finding).collect()
    }
}

#[cfg(test)]
impl Claims {
    /// One that Entra would take.
    pub(super) fn signed_with(key: &str, issuer: &str) -> Self {
        Self {
            account: account(NAMESPACE, CAPZ_ACCOUNT),
            key: key.to_owned(),
            issuer: issuer.to_owned(),
            subject: service_account(NAMESPACE, CAPZ_ACCOUNT),
            audiences: vec![AUDIENCE.to_owned()],
            seconds: HOUR,
        }
    }
}

fn account(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef { kind: "ServiceAccount".to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}

fn error(reason: Reason, field: &str, message: String, remedy: &str) -> Problem {
    Problem::error(reason, FieldPath::of(field), message, remedy)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://oidc.example.com/prod/";

    fn reasons(change: impl Fn(&mut Value)) -> Vec<(Reason, String)> {
        let mut claims = json!({
            "iss": ISSUER, "sub": "system:serviceaccount:capz-system:capz-manager",
            "aud": [AUDIENCE], "iat": 1000, "exp": 4600,
        });
        change(&mut claims);
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.signature", part(&json!({"alg": "RS256", "kid": "a"})), part(&claims));
        let claims = Claims::read(NAMESPACE, CAPZ_ACCOUNT, &Secret::new(token.into_bytes())).unwrap();
        let findings = claims.findings("cluster", Some(ISSUER), Some("https://told.example.com"));
        findings
            .into_iter()
            .map(|finding| (finding.problem.reason, finding.problem.value.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn each_claim_that_entra_would_not_take_is_told_with_its_value() {
        assert_eq!(reasons(|_| ()), []);
        assert_eq!(reasons(|claims| claims["aud"] = json!(AUDIENCE)), []);
        assert_eq!(reasons(|claims| claims["exp"] = json!(1000 + 25 * 3600)), []);
        for (claim, value, reason, told) in [
            ("iss", json!("https://oidc.example.com/prod"), Reason::IssuerMismatch, "https://oidc.example.com/prod"),
            ("sub", json!("system:serviceaccount:a:b"), Reason::ServiceAccountMismatch, "system:serviceaccount:a:b"),
            ("aud", json!(["openshift"]), Reason::TokenNotMounted, "openshift"),
            ("exp", json!(1001 + 25 * 3600), Reason::TokenLifetimeTooLong, "90001"),
        ] {
            assert_eq!(reasons(|claims| claims[claim] = value.clone()), [(reason, told.to_owned())]);
        }
        // What the API server says of itself is held against the issuer elsewhere.
        assert_eq!(reasons(|claims| claims["iss"] = json!("https://told.example.com")), []);
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        for text in ["", "a.b.c", "e30.e30.x", "e30"] {
            assert_eq!(Claims::read(NAMESPACE, CAPZ_ACCOUNT, &Secret::new(text.into())), None, "{text}");
        }
    }
}
