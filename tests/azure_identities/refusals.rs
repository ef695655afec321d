//! What is refused, before anything is made where that can be known, and what is said then.

use azure_standin::operation::Operation;
use hcp_identity::{
    arm::OldRoles,
    finding::Reason,
    provision::{Cluster, Given, Issuer, Tags},
};
use serde_json::json;

use crate::world::{
    IDENTITIES, ISSUER, OTHER_SUBSCRIPTION, OWNER, PROD, ROLES, STRANGER, SUBSCRIPTION, World, plan, planned, requests,
};

const INGRESS: &str = "prod-openshift-ingress-operator-cloud-credentials";
const REGISTRY: &str = "prod-openshift-image-registry-installer-cloud-credentials";

#[tokio::test]
async fn all_roles_that_are_misspelt_are_told_before_anything_is_made() {
    let world = World::start().await;
    let mut misspelt = requests();
    misspelt[0].roles = &["Contributer", "Contributor", "It's mine"];
    let message = world.refused(&plan(&misspelt)).await;
    assert_eq!(
        message,
        "cannot assign roles: no role that can be assigned in the subscription has the name \"Contributer\" or \"It's mine\"; \
         see az role definition list --query '[].roleName'"
    );
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn groups_of_others_that_are_not_there_are_told_before_anything_is_made() {
    let world = World::start().await;
    let given = Given { dns_zone_group: Some("nowhere"), network_group: Some("neither"), ..PROD };
    let message = world.refused(&planned(&requests(), &given).0).await;
    assert!(
        message.starts_with("cannot assign roles: there is no resource group nowhere, neither in the "),
        "{message}"
    );
    assert_eq!(world.writes(), 0);
}

/// The run makes it.
#[tokio::test]
async fn a_group_of_the_cluster_itself_may_be_that_of_its_network() {
    let world = World::start().await;
    let given = Given { dns_zone_group: Some("PROD-oidc"), network_group: Some("prod"), ..PROD };
    world.made(&planned(&requests(), &given).0).await;
}

#[tokio::test]
async fn a_group_in_another_region_is_told_before_anything_is_made() {
    let world = World::start().await;
    world.put(&world.group("prod"), "2021-04-01", json!({"location": "northeurope"})).await;
    let writes = world.writes();
    let message = world.refused(&plan(&requests())).await;
    assert!(message.starts_with("cannot make the resource group prod: it is in northeurope and not in "), "{message}");
    assert_eq!(world.writes(), writes);
}

#[tokio::test]
async fn who_may_not_is_told_which_role_it_takes() {
    let world = World::start().await;
    let (told, done) = world.make_as(STRANGER, SUBSCRIPTION, &plan(&requests()), OldRoles::Prune).await;
    let message = done.unwrap_err().message;
    assert!(told.is_empty() && message.contains("(AuthorizationFailed)"), "{message}");
    let contributes = json!({"properties": {
        "principalId": STRANGER,
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c",
    }});
    let root = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments");
    world.put(&format!("{root}/aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"), ROLES, contributes).await;
    let (told, done) = world.make_as(STRANGER, SUBSCRIPTION, &plan(&requests()), OldRoles::Prune).await;
    let message = done.unwrap_err().message;
    assert!(message.starts_with(&format!("cannot make the custom role {REGISTRY}: ")), "{message}");
    assert!(message.contains("the caller needs the role \"User Access Administrator\""), "{message}");
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[tokio::test]
async fn a_second_subscription_is_told_at_once_that_names_of_roles_are_the_tenants() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let (given, _) = planned(&requests(), &Given { dns_zone_group: None, network_group: None, ..PROD });
    let (_, done) = world.make_as(OWNER, OTHER_SUBSCRIPTION, &given, OldRoles::Prune).await;
    let message = done.unwrap_err().message;
    assert!(message.contains("unique in a tenant") && message.contains("give another --name"), "{message}");
    assert_eq!(world.count(Operation::WriteRoleDefinition), 2);
}

#[tokio::test]
async fn a_role_of_somebody_else_that_has_the_name_is_not_changed() {
    let world = World::start().await;
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let role = json!({"properties": {
        "roleName": REGISTRY, "description": "mine", "permissions": [{"actions": ["*/read"]}], "assignableScopes": [scope],
    }});
    let path =
        format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
    world.put(&path, ROLES, role).await;
    let message = world.refused(&plan(&requests())).await;
    assert!(message.contains("was made otherwise and allows something else"), "{message}");
    assert_eq!(world.count(Operation::WriteRoleDefinition), 1);
}

#[tokio::test]
async fn an_identity_without_room_for_its_credentials_is_told_before_one_is_written() {
    let world = World::start().await;
    world.put(&world.group("prod-oidc"), "2021-04-01", json!({"location": "westeurope"})).await;
    world.put(&world.identity(INGRESS), IDENTITIES, json!({"location": "westeurope"})).await;
    for number in 0..20 {
        let body =
            json!({"properties": {"issuer": "https://i.test", "subject": number.to_string(), "audiences": ["a"]}});
        let path = format!("{}/federatedIdentityCredentials/one-{number}", world.identity(INGRESS));
        world.put(&path, IDENTITIES, body).await;
    }
    let message = world.refused(&plan(&requests())).await;
    assert!(message.contains("it has 20 and needs 1 more, and Azure lets an identity have 20"), "{message}");
    assert_eq!(world.count(Operation::WriteFederatedCredential), 20);
}

/// Of the name that ours would have, and of no mark: who signs in as it would be locked out.
#[tokio::test]
async fn a_credential_of_an_identity_of_somebody_else_is_not_taken_from_them() {
    let world = World::start().await;
    world.put(&world.group("prod-oidc"), "2021-04-01", json!({"location": "westeurope"})).await;
    world.put(&world.identity(INGRESS), IDENTITIES, json!({"location": "westeurope"})).await;
    let path = format!("{}/federatedIdentityCredentials/ingress-operator", world.identity(INGRESS));
    let body = json!({"properties": {"issuer": "https://i.test", "subject": "a", "audiences": ["openshift"]}});
    let made = world.put(&path, IDENTITIES, body).await;
    let message = world.refused(&plan(&requests())).await;
    assert!(message.contains("lets in somebody else"), "{message}");
    assert_eq!(world.get(&path, IDENTITIES).await, made);
    // Neither does who signs in as it get a role.
    assert_eq!(world.count(Operation::WriteRoleAssignment), 0);
}

#[test]
fn a_request_of_more_than_twenty_service_accounts_is_refused() {
    let mut many = requests();
    many[0].accounts = (0..21).map(|number| format!("account-{number}")).collect();
    let (plan, findings) = planned(&many, &PROD);
    assert_eq!(plan.identities.len(), 1);
    assert_eq!(
        findings.iter().map(|one| one.problem.reason).collect::<Vec<_>>(),
        [Reason::TooManyFederatedCredentials]
    );
}

#[test]
fn two_identities_that_would_be_cut_to_one_name_are_refused() {
    let mut long = requests();
    long[0].secret = "openshift-a/cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-a";
    long[1].secret = "openshift-a/cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-credentials-cloud-b";
    let (plan, findings) = planned(&long, &PROD);
    assert_eq!((plan.identities.len(), plan.identities[0].name.len()), (1, 128));
    let finding = findings[0].to_string();
    assert!(finding.starts_with("error[SharedIdentityName]: requests.yaml:3:"), "{finding}");
    assert!(
        finding.contains(
            "CredentialsRequest openshift-cloud-credential-operator/openshift-ingress-azure (requests.yaml:1)"
        ),
        "{finding}"
    );
}

#[test]
fn a_name_that_azure_cannot_have_is_refused() {
    let mut dotted = requests();
    dotted[0].secret = "openshift-a/cloud.credentials";
    let (_, findings) = planned(&dotted, &PROD);
    assert_eq!(findings.iter().map(|one| one.problem.reason).collect::<Vec<_>>(), [Reason::InvalidName]);
}

#[test]
fn all_flags_that_azure_could_not_have_are_told_at_once() {
    let given = Given {
        name: "prod.",
        region: "",
        oidc_group: Some("a"),
        installation_group: Some("A"),
        dns_zone_group: Some("b/c"),
        network_group: Some("d."),
    };
    let bad = Cluster::new(&given, Issuer::new(ISSUER).unwrap(), Tags::new()).unwrap_err();
    assert_eq!(
        bad.iter().map(|bad| bad.flag).collect::<Vec<_>>(),
        [
            "--name",
            "--region",
            "--installation-resource-group-name",
            "--dnszone-resource-group-name",
            "--network-resource-group-name"
        ]
    );
}
