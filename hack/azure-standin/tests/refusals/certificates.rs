//! Client assertions signed by the key of a certificate.

use azure_standin::azure::Rules;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::{SignedDuration, Timestamp};

use crate::world::{
    APPLICATION, Assertion, CERTIFICATE, EXPIRED, MISNAMED, NOW, OPERATOR, OTHER_CERTIFICATE, TENANT, azure,
    azure_with, registered, sign_in, signer, with_principal,
};

/// By the thumbprint of a registered certificate.
fn assertion() -> Assertion {
    Assertion::by(&CERTIFICATE, APPLICATION)
}

/// By subject and issuer.
fn chained() -> Assertion {
    Assertion::by(&CERTIFICATE, OPERATOR)
}

async fn refusal(assertion: Assertion) -> String {
    sign_in(&azure(), APPLICATION, &assertion.token()).await.unwrap_err()
}

async fn refusal_of_chain(assertion: Assertion) -> String {
    sign_in(&azure(), OPERATOR, &assertion.token()).await.unwrap_err()
}

const REVIEW: &str = "Review the documentation at \
    https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials .";

#[tokio::test]
async fn a_registered_certificate_signs_in() {
    for algorithm in ["PS256", "RS256"] {
        let token = assertion().header("alg", algorithm).token();
        assert!(sign_in(&azure(), APPLICATION, &token).await.is_ok(), "{algorithm}");
    }
}

#[tokio::test]
async fn so_it_does_without_its_chain_and_by_either_thumbprint() {
    let sha1 = registered(&CERTIFICATE.certificate_pem).0.thumbprint();
    let bytes: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&sha1[2 * at..2 * at + 2], 16).unwrap()).collect();
    let x5t = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let assertion = assertion().without_header("x5c");
    assert!(sign_in(&azure(), APPLICATION, &assertion.token()).await.is_ok());
    let of_go = BASE64_STANDARD.encode(BASE64_URL_SAFE_NO_PAD.decode(&x5t).unwrap());
    let assertion = assertion.without_header("x5t#S256").header("x5t", of_go);
    assert!(sign_in(&azure(), APPLICATION, &assertion.token()).await.is_ok());
    let assertion = assertion.header("x5t", x5t);
    assert!(sign_in(&azure(), APPLICATION, &assertion.token()).await.is_ok());
}

#[tokio::test]
async fn a_chain_to_the_trusted_authority_signs_in() {
    assert!(sign_in(&azure(), OPERATOR, &chained().token()).await.is_ok());
}

#[tokio::test]
async fn every_form_of_the_tenants_endpoint_is_an_audience() {
    for audience in [
        format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        format!("https://login.microsoftonline.com/{TENANT}/oauth2/token"),
        format!("https://westus2.login.microsoft.com/{TENANT}/oauth2/v2.0/token"),
    ] {
        let token = assertion().claim("aud", audience.clone()).token();
        assert!(sign_in(&azure(), APPLICATION, &token).await.is_ok(), "{audience}");
    }
}

#[tokio::test]
async fn another_audience_is_refused() {
    for audience in [
        "https://vault.azure.net".to_owned(),
        "https://login.microsoftonline.com/other/oauth2/v2.0/token".to_owned(),
        format!("https://login.microsoftonline.com/{TENANT}/"),
        format!("https://evil.example/{TENANT}/oauth2/v2.0/token"),
        format!("https://evil-login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"),
    ] {
        let expected = "401 invalid_client AADSTS700023: Client assertion audience claim does not match Realm issuer.";
        assert_eq!(
            refusal(assertion().claim("aud", audience.clone())).await,
            format!("{expected} {REVIEW}"),
            "{audience}"
        );
    }
}

#[tokio::test]
async fn issuer_and_subject_are_the_client() {
    for claim in ["iss", "sub"] {
        assert_eq!(
            refusal(assertion().claim(claim, OPERATOR)).await,
            format!(
                "401 invalid_client AADSTS700021: Client assertion application identifier doesn't match 'client_id' \
                 parameter. {REVIEW}"
            )
        );
    }
}

#[tokio::test]
async fn a_claim_that_is_missing_is_named() {
    for claim in ["iss", "sub", "aud", "exp", "jti"] {
        assert_eq!(
            refusal(assertion().without(claim)).await,
            format!(
                "400 invalid_request AADSTS90014: The required field '{claim}' is missing from the credential. Ensure \
                 that you have all the necessary parameters for the login request."
            )
        );
    }
}

#[tokio::test]
async fn an_expired_assertion_is_refused_after_five_minutes_of_grace() {
    assert!(sign_in(&azure(), APPLICATION, &assertion().claim("exp", NOW - 299).token()).await.is_ok());
    assert_eq!(
        refusal(assertion().claim("exp", NOW - 300)).await,
        format!(
            "401 invalid_client AADSTS700024: Client assertion is not within its valid time range. Current time: \
             2026-06-01T12:00:00.0000000Z, assertion valid from 2026-06-01T12:00:00.0000000Z, expiry time of assertion \
             2026-06-01T11:55:00.0000000Z. {REVIEW}"
        )
    );
}

#[tokio::test]
async fn an_assertion_of_the_future_is_refused_after_five_minutes_of_grace() {
    assert!(sign_in(&azure(), APPLICATION, &assertion().claim("nbf", NOW + 300).token()).await.is_ok());
    let refusal = refusal(assertion().claim("nbf", NOW + 301)).await;
    assert!(refusal.starts_with("401 invalid_client AADSTS700024: "), "{refusal}");
}

#[tokio::test]
async fn an_assertion_for_more_than_a_day_is_refused_unless_the_rules_say_otherwise() {
    let token = assertion().claim("exp", NOW + 86_401).token();
    let refusal = sign_in(&azure(), APPLICATION, &token).await.unwrap_err();
    assert_eq!(
        refusal,
        "401 invalid_client AADSTS70023: External OIDC Provider token must have a lifetime of less than or equal to 1.00:00:00."
    );
    let azure = azure_with(Rules { longest_assertion: None, ..Rules::default() });
    assert!(sign_in(&azure, APPLICATION, &token).await.is_ok());
}

#[tokio::test]
async fn an_assertion_is_good_once_unless_the_rules_say_otherwise() {
    let token = assertion().token();
    let azure = azure();
    assert!(sign_in(&azure, APPLICATION, &token).await.is_ok());
    let refusal = sign_in(&azure, APPLICATION, &token).await.unwrap_err();
    assert!(refusal.starts_with("400 invalid_request AADSTS50027: JWT token is invalid or malformed."), "{refusal}");
    assert!(sign_in(&azure, APPLICATION, &assertion().claim("jti", "d").token()).await.is_ok());
    let lenient = azure_with(Rules { refuse_replays: false, ..Rules::default() });
    assert!(sign_in(&lenient, APPLICATION, &token).await.is_ok());
    assert!(sign_in(&lenient, APPLICATION, &token).await.is_ok());
}

#[tokio::test]
async fn an_assertion_that_was_refused_is_not_spent() {
    let azure = azure();
    let early = assertion().claim("nbf", NOW + 400).token();
    assert!(sign_in(&azure, APPLICATION, &early).await.is_err());
    azure.clock.advance(SignedDuration::from_secs(200));
    assert!(sign_in(&azure, APPLICATION, &early).await.is_ok());
}

#[tokio::test]
async fn the_signature_is_verified() {
    let other = assertion().signed_by(signer(&OTHER_CERTIFICATE));
    let certificate = registered(&CERTIFICATE.certificate_pem).0;
    assert_eq!(
        refusal(other).await,
        format!(
            "401 invalid_client AADSTS700027: Client assertion contains an invalid signature. [Reason - The provided \
             signature value did not match the expected signature value., Thumbprint of key used by client: '{}', \
             Found key 'Start=05/22/2026 12:00:00, End=08/30/2026 12:00:00']",
            certificate.thumbprint()
        )
    );
}

#[tokio::test]
async fn an_algorithm_that_entra_does_not_know_is_refused() {
    for algorithm in ["HS256", "none", "ES256"] {
        let refusal = refusal(assertion().header("alg", algorithm)).await;
        assert_eq!(
            refusal,
            format!(
                "401 invalid_client AADSTS5002738: Invalid JWT token. '{algorithm}' is not a supported signature \
                 algorithm. Supported signing algorithms are: 'RS256,RS384,RS512,PS256'"
            )
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_registered_is_not_found() {
    let azure = azure();
    with_principal(&azure, APPLICATION, |one| one.certificates = vec![registered(&MISNAMED.certificate_pem)]);
    let refusal = sign_in(&azure, APPLICATION, &assertion().token()).await.unwrap_err();
    let thumbprint = registered(&CERTIFICATE.certificate_pem).0.thumbprint();
    let expected = format!(
        "401 invalid_client AADSTS700027: The certificate with identifier used to sign the client assertion is not \
         registered on application. [Reason - The key was not found., Thumbprint of key used by client: \
         '{thumbprint}', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys \
         for app Id '{APPLICATION}'. "
    );
    assert!(refusal.starts_with(&expected), "{refusal}");
}

#[tokio::test]
async fn the_header_names_a_key() {
    assert_eq!(
        refusal(assertion().without_header("x5t#S256")).await,
        "401 invalid_client AADSTS5002723: Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 \
         thumbprint, nor keyId specified in token header."
    );
}

#[tokio::test]
async fn a_registered_certificate_expires() {
    let azure = azure();
    azure.clock.stop_at(Timestamp::from_second(NOW + 91 * 86_400).unwrap());
    let later = NOW + 91 * 86_400;
    let token = assertion().claim("nbf", later).claim("exp", later + 600).token();
    let refusal = sign_in(&azure, APPLICATION, &token).await.unwrap_err();
    let expected = "401 invalid_client AADSTS700027: Client assertion contains an invalid signature. [Reason - The key \
                    used is expired., Thumbprint of key used by client: ";
    assert!(refusal.starts_with(expected), "{refusal}");
}

#[tokio::test]
async fn a_chain_to_another_authority_is_invalid() {
    assert_eq!(
        refusal_of_chain(Assertion::by(&OTHER_CERTIFICATE, OPERATOR)).await,
        "401 invalid_client AADSTS7000213: Invalid certificate chain."
    );
}

#[tokio::test]
async fn a_chain_does_not_fall_back_to_a_registered_thumbprint() {
    let azure = azure();
    with_principal(&azure, OPERATOR, |one| one.certificates = vec![registered(&OTHER_CERTIFICATE.certificate_pem)]);
    let refusal = sign_in(&azure, OPERATOR, &Assertion::by(&OTHER_CERTIFICATE, OPERATOR).token()).await.unwrap_err();
    assert_eq!(refusal, "401 invalid_client AADSTS7000213: Invalid certificate chain.");
}

#[tokio::test]
async fn a_certificate_of_another_subject_is_not_found() {
    let refusal = refusal_of_chain(Assertion::by(&MISNAMED, OPERATOR)).await;
    assert!(refusal.contains("[Reason - The key was not found., Thumbprint of key used by client: "), "{refusal}");
}

#[tokio::test]
async fn an_expired_certificate_of_a_chain_is_refused() {
    let refusal = refusal_of_chain(Assertion::by(&EXPIRED, OPERATOR)).await;
    assert!(
        refusal.contains(
            "AADSTS700027: Client assertion contains an invalid signature. [Reason - The key used is expired."
        ),
        "{refusal}"
    );
}

#[tokio::test]
async fn without_its_chain_a_trusted_subject_is_not_known() {
    let refusal = refusal_of_chain(chained().without_header("x5c")).await;
    assert!(refusal.contains("AADSTS700027: ") && refusal.contains("The key was not found."), "{refusal}");
}

#[tokio::test]
async fn the_chain_is_of_der_and_not_of_pem() {
    let pem = BASE64_STANDARD.encode(&CERTIFICATE.certificate_pem);
    assert_eq!(
        refusal_of_chain(chained().header("x5c", vec![pem])).await,
        "400 invalid_request AADSTS50027: JWT token is invalid or malformed. An entry of 'x5c' is not the base64 of a \
         DER."
    );
}

#[tokio::test]
async fn what_is_no_token_is_malformed() {
    let refusal = sign_in(&azure(), APPLICATION, "no.token").await.unwrap_err();
    assert_eq!(refusal, "400 invalid_request AADSTS50027: JWT token is invalid or malformed.");
}
