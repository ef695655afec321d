//! The metadata service and App Service's endpoint.

use azure_standin::{exchange::Call, jwt::Token};
use serde_json::json;

use crate::world::{APPLICATION, WORKLOAD, answered, azure, get, json_of, object_of, with, with_principal};

const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
                        &resource=https%3A%2F%2Fvault.azure.net";
const APP_SERVICE: &str = "http://127.0.0.1/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net";

fn metadata(url: &str) -> Call {
    with(get(url), "metadata", "true")
}

fn app_service(azure: &azure_standin::azure::Azure, url: &str) -> Call {
    with(get(url), "x-identity-header", azure.app_service_secret().reveal())
}

#[tokio::test]
async fn the_machine_has_a_token_of_its_identity_by_any_of_its_names() {
    let names = [
        String::new(),
        format!("&client_id={WORKLOAD}"),
        format!("&object_id={}", object_of(WORKLOAD)),
        "&msi_res_id=/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/id".to_owned(),
    ];
    for name in names {
        let body = json_of(&answered(&azure(), &metadata(&format!("{METADATA}{name}"))).await);
        let token = Token::parse(body["access_token"].as_str().unwrap()).unwrap();
        assert_eq!(token.text("appid"), Some(WORKLOAD), "{name}");
        assert_eq!(token.text("aud"), Some("https://vault.azure.net"));
        assert_eq!(body["expires_in"], "86400");
        assert_eq!(body["client_id"], WORKLOAD);
    }
}

async fn refusal(azure: &azure_standin::azure::Azure, call: Call) -> String {
    let answer = answered(azure, &call).await;
    let body = json_of(&answer);
    let text = body["error_description"].as_str().or_else(|| body["message"].as_str()).unwrap();
    format!("{} {text}", answer.status().as_u16())
}

#[tokio::test]
async fn the_metadata_header_is_required() {
    let azure = azure();
    assert_eq!(refusal(&azure, get(METADATA)).await, "400 Required metadata header not specified");
    let no = with(get(METADATA), "metadata", "false");
    assert_eq!(refusal(&azure, no).await, "400 Required metadata header not specified");
}

#[tokio::test]
async fn the_metadata_service_does_not_answer_over_tls() {
    let call = metadata(&METADATA.replace("http:", "https:"));
    assert_eq!(answered(&azure(), &call).await.status(), 502);
}

#[tokio::test]
async fn an_identity_that_the_machine_does_not_have_is_not_found() {
    let azure = azure();
    let call = metadata(&format!("{METADATA}&client_id={APPLICATION}"));
    assert_eq!(refusal(&azure, call).await, "400 Identity not found");
    with_principal(&azure, WORKLOAD, |one| one.on_machine = false);
    assert_eq!(refusal(&azure, metadata(METADATA)).await, "400 Identity not found");
}

#[tokio::test]
async fn one_of_two_identities_has_to_be_named() {
    let azure = azure();
    with_principal(&azure, APPLICATION, |one| one.on_machine = true);
    let refusal = refusal(&azure, metadata(METADATA)).await;
    assert!(refusal.starts_with("400 Multiple user assigned identities exist, please specify the clientId"));
    let named = metadata(&format!("{METADATA}&client_id={WORKLOAD}"));
    assert_eq!(answered(&azure, &named).await.status(), 200);
}

#[tokio::test]
async fn version_and_resource_are_required() {
    let azure = azure();
    let base = "http://169.254.169.254/metadata/identity/oauth2/token";
    let without_version = metadata(&format!("{base}?resource=https%3A%2F%2Fvault.azure.net"));
    assert_eq!(refusal(&azure, without_version).await, "400 Required query variable 'api-version' is missing");
    let without_resource = metadata(&format!("{base}?api-version=2018-02-01"));
    assert_eq!(refusal(&azure, without_resource).await, "400 Required audience parameter not specified");
    let other_version = metadata(&METADATA.replace("2018-02-01", "2017-01-01"));
    assert_eq!(refusal(&azure, other_version).await, "400 The requested api-version is not supported");
    let no_resource = metadata(&METADATA.replace("https%3A%2F%2F", ""));
    assert!(refusal(&azure, no_resource).await.starts_with("400 AADSTS500011: The resource principal named vault"));
}

#[tokio::test]
async fn app_service_answers_who_has_its_header() {
    let azure = azure();
    let body = json_of(&answered(&azure, &app_service(&azure, APP_SERVICE)).await);
    assert_eq!((&body["resource"], &body["token_type"]), (&json!("https://vault.azure.net"), &json!("Bearer")));
    let refusal = refusal(&azure, get(APP_SERVICE)).await;
    assert_eq!(refusal, "401 The X-IDENTITY-HEADER of the request is missing or wrong.");
}

#[tokio::test]
async fn app_service_does_not_find_an_identity_either() {
    let azure = azure();
    let call = app_service(&azure, &format!("{APP_SERVICE}&client_id={APPLICATION}"));
    assert_eq!(
        refusal(&azure, call).await,
        "400 No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
    );
    let call = app_service(&azure, &APP_SERVICE.replace("2019-08-01", "2017-09-01"));
    assert_eq!(refusal(&azure, call).await, "400 The api-version is missing or is not supported.");
}
