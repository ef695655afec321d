//! Token requests, whatever they prove.

use azure_standin::{exchange::Call, secret::Redacted, world::ClientSecret};
use http::Method;
use jiff::Timestamp;

use crate::world::{
    APPLICATION, Assertion, CERTIFICATE, DOMAIN, NOW, TENANT, VAULT_SCOPE, answered, azure, fields, get, json_of, post,
    token_url, with_principal,
};

fn assertion() -> String {
    Assertion::by(&CERTIFICATE, APPLICATION).token()
}

#[tokio::test]
async fn a_tenant_has_its_id_and_its_domain() {
    let assertion = assertion();
    for tenant in [TENANT, DOMAIN] {
        let azure = azure();
        assert!(post(&azure, &token_url(tenant), &fields(APPLICATION, &assertion)).await.is_ok(), "{tenant}");
    }
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() {
    let other = "99999999-9999-9999-9999-999999999999";
    let refusal = post(&azure(), &token_url(other), &fields(APPLICATION, &assertion())).await.unwrap_err();
    assert_eq!(
        refusal,
        format!(
            "400 invalid_request AADSTS90002: Tenant '{other}' not found. Check to make sure you have the correct \
             tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may \
             happen if there are no active subscriptions for the tenant."
        )
    );
}

#[tokio::test]
async fn a_tenant_of_another_cloud_is_not_found() {
    let url = format!("https://login.microsoftonline.us/{TENANT}/oauth2/v2.0/token");
    let refusal = post(&azure(), &url, &fields(APPLICATION, &assertion())).await.unwrap_err();
    assert!(refusal.starts_with("400 invalid_request AADSTS90002: "), "{refusal}");
}

#[tokio::test]
async fn a_name_that_no_tenant_can_have_is_refused() {
    let refusal = post(&azure(), &token_url("tenant"), &fields(APPLICATION, &assertion())).await.unwrap_err();
    assert_eq!(
        refusal,
        "400 invalid_request AADSTS900023: Specified tenant identifier 'tenant' is neither a valid DNS name, nor a \
         valid external domain."
    );
}

#[tokio::test]
async fn an_unknown_application_is_not_found() {
    let other = "99999999-9999-9999-9999-999999999999";
    let refusal = post(&azure(), &token_url(TENANT), &fields(other, &assertion())).await.unwrap_err();
    assert_eq!(
        refusal,
        format!(
            "400 unauthorized_client AADSTS700016: Application with identifier '{other}' was not found in the \
             directory '{TENANT}'. This can happen if the application has not been installed by the administrator of \
             the tenant or consented to by any user in the tenant. You may have sent your authentication request to \
             the wrong tenant."
        )
    );
}

#[tokio::test]
async fn a_field_that_is_missing_is_named() {
    let assertion = assertion();
    for name in ["grant_type", "client_id", "client_assertion_type", "scope"] {
        let mut fields = fields(APPLICATION, &assertion);
        fields.retain(|(field, _)| *field != name);
        let refusal = post(&azure(), &token_url(TENANT), &fields).await.unwrap_err();
        let expected = "400 invalid_request AADSTS900144: The request body must contain the following parameter: ";
        assert_eq!(refusal, format!("{expected}'{name}'."));
    }
}

#[tokio::test]
async fn without_a_credential_there_is_no_token() {
    let fields = [("grant_type", "client_credentials"), ("client_id", APPLICATION), ("scope", VAULT_SCOPE)];
    assert_eq!(
        post(&azure(), &token_url(TENANT), &fields).await.unwrap_err(),
        "401 invalid_client AADSTS7000218: The request body must contain the following parameter: 'client_assertion' \
         or 'client_secret'."
    );
}

#[tokio::test]
async fn other_grants_are_not_supported() {
    let assertion = assertion();
    let mut fields = fields(APPLICATION, &assertion);
    fields[0].1 = "password";
    assert_eq!(
        post(&azure(), &token_url(TENANT), &fields).await.unwrap_err(),
        "400 unsupported_grant_type AADSTS70003: The app requested an unsupported grant type 'password'."
    );
}

#[tokio::test]
async fn a_scope_ends_with_default() {
    let assertion = assertion();
    let mut fields = fields(APPLICATION, &assertion);
    fields[4].1 = "https://vault.azure.net/.default openid offline_access profile";
    assert!(post(&azure(), &token_url(TENANT), &fields).await.is_ok());
    fields[4].1 = "https://vault.azure.net/.default https://management.azure.com/.default";
    assert!(post(&azure(), &token_url(TENANT), &fields).await.is_err());
    fields[4].1 = "https://vault.azure.net";
    let refusal = post(&azure(), &token_url(TENANT), &fields).await.unwrap_err();
    assert!(refusal.starts_with("400 invalid_scope AADSTS1002012: The provided value for scope https://vault"));
}

#[tokio::test]
async fn a_resource_is_a_uri() {
    let assertion = assertion();
    let mut fields = fields(APPLICATION, &assertion);
    fields[4].1 = "vault/.default";
    let refusal = post(&azure(), &token_url(TENANT), &fields).await.unwrap_err();
    assert!(refusal.starts_with("400 invalid_resource AADSTS500011: The resource principal named vault was not found"));
}

#[tokio::test]
async fn tokens_are_not_to_be_had_by_get() {
    let answer = answered(&azure(), &get(&token_url(TENANT))).await;
    let text = json_of(&answer)["error_description"].as_str().unwrap().to_owned();
    assert!(text.starts_with("AADSTS900561: The endpoint only accepts POST requests. Received a GET request. Trace"));
}

#[tokio::test]
async fn a_secret_is_good_until_it_expires() {
    let azure = azure();
    let not_after = Timestamp::from_second(NOW + 60).unwrap();
    let secret = ClientSecret { value: Redacted::new("right"), not_after };
    with_principal(&azure, APPLICATION, |one| one.client_secrets = vec![secret]);
    let fields = |secret| {
        [
            ("grant_type", "client_credentials"),
            ("client_id", APPLICATION),
            ("scope", VAULT_SCOPE),
            ("client_secret", secret),
        ]
    };
    assert!(post(&azure, &token_url(TENANT), &fields("right")).await.is_ok());
    assert_eq!(
        post(&azure, &token_url(TENANT), &fields("wrong")).await.unwrap_err(),
        format!(
            "401 invalid_client AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the \
             request is the client secret value, not the client secret ID, for a secret added to app '{APPLICATION}'."
        )
    );
    azure.clock.stop_at(not_after);
    let refusal = post(&azure, &token_url(TENANT), &fields("right")).await.unwrap_err();
    let expected = "401 invalid_client AADSTS7000222: The provided client secret keys for app ";
    assert!(refusal.starts_with(&format!("{expected}'{APPLICATION}' are expired. ")), "{refusal}");
}

#[tokio::test]
async fn a_refusal_has_the_fields_of_entra() {
    let call = Call::new(Method::POST, &token_url(TENANT)).unwrap();
    let body = json_of(&answered(&azure(), &call).await);
    assert_eq!(body["error_codes"], serde_json::json!([900_144]));
    assert_eq!(body["timestamp"], "2026-06-01 12:00:00Z");
    assert_eq!(body["error_uri"], "https://login.microsoftonline.com/error?code=900144");
    let ids = (body["trace_id"].as_str().unwrap(), body["correlation_id"].as_str().unwrap());
    let end = format!(" Trace ID: {} Correlation ID: {} Timestamp: 2026-06-01 12:00:00Z", ids.0, ids.1);
    assert!(body["error_description"].as_str().unwrap().ends_with(&end));
}

#[tokio::test]
async fn what_sdks_look_up_is_there() {
    let azure = azure();
    let login = "https://login.microsoftonline.com";
    let discovery =
        json_of(&answered(&azure, &get(&format!("{login}/{DOMAIN}/v2.0/.well-known/openid-configuration"))).await);
    assert_eq!(discovery["token_endpoint"], token_url(TENANT));
    let keys = json_of(&answered(&azure, &get(discovery["jwks_uri"].as_str().unwrap())).await);
    assert_eq!(keys["keys"][0]["kid"], azure.signer().key_id());
    let endpoint = format!("authorization_endpoint={login}/{TENANT}/oauth2/v2.0/authorize");
    let instances = json_of(
        &answered(&azure, &get(&format!("{login}/common/discovery/instance?api-version=1.1&{endpoint}"))).await,
    );
    assert_eq!(
        instances["tenant_discovery_endpoint"],
        format!("{login}/{TENANT}/v2.0/.well-known/openid-configuration")
    );
    assert!(instances["metadata"][0]["aliases"].as_array().unwrap().contains(&"login.microsoftonline.com".into()));
}
