//! Tokens of a cluster as assertions.

use std::sync::{Arc, LazyLock};

use azure_standin::{
    azure::{Azure, KeptKeys, Rules},
    fault::{Effect, Fault},
    operation::Operation,
    signer::Signer,
    world::PublicDocument,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::world::{
    Assertion, CERTIFICATE, CLUSTER, ISSUER, NOW, SERVICE_ACCOUNT, WORKLOAD, azure, azure_with, sign_in, signer,
    with_principal,
};

async fn refusal(assertion: Assertion) -> String {
    sign_in(&azure(), WORKLOAD, &assertion.token()).await.unwrap_err()
}

const CHECK: &str = "Check your federated identity credential Subject, Audience and Issuer against the presented \
                     assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

fn no_match(code: u32, what: &str) -> String {
    format!(
        "401 invalid_client AADSTS{code}: No matching federated identity record found for presented assertion {what}"
    )
}

#[tokio::test]
async fn a_token_of_the_cluster_signs_in_again_and_again() {
    let azure = azure();
    let token = Assertion::of_cluster().token();
    for _ in 0..2 {
        assert!(sign_in(&azure, WORKLOAD, &token).await.is_ok());
    }
    assert_eq!(azure.journal.count(Operation::GetDocument), 2);
}

#[tokio::test]
async fn the_issuer_matches_to_the_last_slash() {
    let issuer = format!("{ISSUER}/");
    let refusal = refusal(Assertion::of_cluster().claim("iss", issuer.clone())).await;
    assert_eq!(refusal, format!("{} {CHECK}", no_match(700_211, &format!("issuer '{issuer}'."))));
}

#[tokio::test]
async fn the_subject_matches() {
    let refusal = refusal(Assertion::of_cluster().claim("sub", "system:serviceaccount:hcp:other")).await;
    assert_eq!(refusal, format!("{} {CHECK}", no_match(700_213, "subject 'system:serviceaccount:hcp:other'.")));
}

#[tokio::test]
async fn the_subject_matches_in_its_case() {
    let subject = SERVICE_ACCOUNT.replace("hcp", "HCP");
    let refusal = refusal(Assertion::of_cluster().claim("sub", subject.clone())).await;
    let note = "The subject matches with case-insensitive comparison, but not with case-sensitive comparison.";
    let begin = format!("{} {note} Check your", no_match(7_002_138, &format!("subject '{subject}'.")));
    assert!(refusal.starts_with(&begin), "{refusal}");
}

#[tokio::test]
async fn the_audience_matches() {
    let refusal = refusal(Assertion::of_cluster().claim("aud", "api://AzureADTokenExchange")).await;
    assert_eq!(refusal, format!("{} {CHECK}", no_match(700_212, "audience 'api://AzureADTokenExchange'.")));
}

#[tokio::test]
async fn without_federated_credentials_none_is_looked_for() {
    let azure = azure();
    with_principal(&azure, WORKLOAD, |one| one.federated_credentials.clear());
    let refusal = sign_in(&azure, WORKLOAD, &Assertion::of_cluster().token()).await.unwrap_err();
    assert_eq!(
        refusal,
        format!(
            "401 invalid_client AADSTS70025: The client '{WORKLOAD}'(test) has no configured federated identity \
             credentials."
        )
    );
}

#[tokio::test]
async fn entras_own_tokens_are_no_assertions() {
    let refusal = refusal(Assertion::of_cluster().claim("iss", "https://sts.windows.net/t/")).await;
    let expected = "401 invalid_client AADSTS700222: AAD-issued tokens may not be used for federated identity flows.";
    assert_eq!(refusal, expected);
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let refusal = refusal(Assertion::of_cluster().claim("exp", NOW - 301)).await;
    assert!(
        refusal.starts_with("401 invalid_client AADSTS700024: Client assertion is not within its valid time range.")
    );
}

#[tokio::test]
async fn a_token_for_more_than_a_day_is_refused() {
    assert!(sign_in(&azure(), WORKLOAD, &Assertion::of_cluster().claim("exp", NOW + 90_000).token()).await.is_ok());
    let refusal = refusal(Assertion::of_cluster().claim("exp", NOW + 90_001)).await;
    assert!(refusal.starts_with("401 invalid_client AADSTS70023: "), "{refusal}");
}

#[tokio::test]
async fn a_key_that_the_issuer_does_not_publish_is_not_found() {
    let refusal = refusal(Assertion::of_cluster().header("kid", "old")).await;
    assert_eq!(
        refusal,
        format!(
            "401 invalid_client AADSTS7000272: The certificate with identifier 'old' used to sign the federated \
             credential could not be found in the metadata of identity provider {ISSUER}. Please validate that your \
             Identity Provider's metadata exposes the key used to sign the incoming token."
        )
    );
}

#[tokio::test]
async fn the_signature_is_verified_with_the_issuers_key() {
    let forged = Assertion::of_cluster().signed_by(signer(&CERTIFICATE)).token();
    let refusal = sign_in(&azure(), WORKLOAD, &forged).await.unwrap_err();
    assert!(refusal.contains("AADSTS700027: ") && refusal.contains(&CLUSTER.key_id()), "{refusal}");
}

#[tokio::test]
async fn only_rs256_is_taken() {
    let refusal = refusal(Assertion::of_cluster().header("alg", "PS256")).await;
    assert!(refusal.starts_with("401 invalid_client AADSTS5002738: Invalid JWT token. 'PS256' is not"), "{refusal}");
}

/// The issuer has another key from now on.
fn rotate(azure: &Azure) {
    let keys = PublicDocument { url: format!("{ISSUER}/openid/v1/jwks"), body: NEXT.key_set().to_string() };
    azure.with_world_mut(|world| world.publish(keys));
}

static NEXT: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));

fn of_next() -> String {
    Assertion::of_cluster().header("kid", NEXT.key_id()).signed_by(Arc::clone(&NEXT)).token()
}

#[tokio::test]
async fn a_new_key_is_asked_for_when_it_is_first_used() {
    let azure = azure();
    assert!(sign_in(&azure, WORKLOAD, &Assertion::of_cluster().token()).await.is_ok());
    assert!(sign_in(&azure, WORKLOAD, &of_next()).await.unwrap_err().contains("AADSTS7000272: "));
    rotate(&azure);
    assert!(sign_in(&azure, WORKLOAD, &of_next()).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_gone_is_good_for_an_hour() {
    let azure = azure();
    let old = Assertion::of_cluster().claim("exp", NOW + 3 * 3600).token();
    assert!(sign_in(&azure, WORKLOAD, &old).await.is_ok());
    rotate(&azure);
    azure.clock.advance(SignedDuration::from_mins(59));
    assert!(sign_in(&azure, WORKLOAD, &old).await.is_ok());
    azure.clock.advance(SignedDuration::from_mins(1));
    assert!(sign_in(&azure, WORKLOAD, &old).await.unwrap_err().contains("AADSTS7000272: "));
}

#[tokio::test]
async fn keys_outlive_an_issuer_that_fails_by_a_day() {
    let azure = azure();
    let token = Assertion::of_cluster().claim("exp", NOW + 25 * 3600).token();
    assert!(sign_in(&azure, WORKLOAD, &token).await.is_ok());
    azure.with_world_mut(|world| world.documents.clear());
    azure.clock.advance(SignedDuration::from_hours(23));
    assert!(sign_in(&azure, WORKLOAD, &token).await.is_ok());
    azure.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(sign_in(&azure, WORKLOAD, &token).await.unwrap_err(), UNREACHABLE);
}

#[tokio::test]
async fn an_issuer_can_be_left_alone_for_a_while() {
    let kept = KeptKeys { asked_again: SignedDuration::from_mins(5), ..KeptKeys::default() };
    let azure = azure_with(Rules { issuer_keys: kept, ..Rules::default() });
    assert!(sign_in(&azure, WORKLOAD, &Assertion::of_cluster().token()).await.is_ok());
    rotate(&azure);
    assert!(sign_in(&azure, WORKLOAD, &of_next()).await.unwrap_err().contains("AADSTS7000272: "));
    azure.clock.advance(SignedDuration::from_mins(5));
    assert!(sign_in(&azure, WORKLOAD, &of_next()).await.is_ok());
}

const UNREACHABLE: &str = "400 invalid_request AADSTS50166: Request to External OIDC endpoint failed.";

#[tokio::test]
async fn an_issuer_without_documents_cannot_be_reached() {
    let azure = azure();
    azure.with_world_mut(|world| world.documents.clear());
    let token = Assertion::of_cluster().token();
    assert_eq!(sign_in(&azure, WORKLOAD, &token).await.unwrap_err(), UNREACHABLE);
}

#[tokio::test]
async fn an_issuer_that_fails_cannot_be_reached() {
    for effect in [Effect::Status { status: 500, retry_after_seconds: None }, Effect::Cut, Effect::Torn] {
        let azure = azure();
        azure.faults.add(Fault::times(Operation::GetDocument, 1, effect));
        let token = Assertion::of_cluster().token();
        assert_eq!(sign_in(&azure, WORKLOAD, &token).await.unwrap_err(), UNREACHABLE);
        assert!(sign_in(&azure, WORKLOAD, &token).await.is_ok());
    }
}

#[tokio::test]
async fn the_discovery_document_is_of_the_issuer_itself() {
    let azure = azure();
    let discovery = json!({"issuer": format!("{ISSUER}/"), "jwks_uri": format!("{ISSUER}/openid/v1/jwks")});
    let document =
        PublicDocument { url: format!("{ISSUER}/.well-known/openid-configuration"), body: discovery.to_string() };
    azure.with_world_mut(|world| world.publish(document));
    let token = Assertion::of_cluster().token();
    assert_eq!(sign_in(&azure, WORKLOAD, &token).await.unwrap_err(), UNREACHABLE);
}

#[tokio::test]
async fn an_issuer_without_tls_cannot_be_reached() {
    let azure = azure();
    let issuer = ISSUER.replace("https", "http");
    with_principal(&azure, WORKLOAD, |one| one.federated_credentials[0].issuer.clone_from(&issuer));
    let token = Assertion::of_cluster().claim("iss", issuer).token();
    assert_eq!(sign_in(&azure, WORKLOAD, &token).await.unwrap_err(), UNREACHABLE);
}
