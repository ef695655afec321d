//! What Azure Resource Manager answers.

use super::row::{Match::Texts, Row, Source};

pub(super) static ROWS: &[Row] = &[
    Row {
        reason: "LinkedAuthorizationFailed",
        source: Source::ResourceManager,
        matches: Texts(&["LinkedAuthorizationFailed"]),
        cause: "the identity may do it, but not join the linked resource (subnet, security group, identity)",
        next: "assign the role on the linked resource too",
        command: "az role assignment list --assignee {client} --all -o table",
    },
    Row {
        reason: "AuthorizationFailed",
        source: Source::ResourceManager,
        matches: Texts(&["does not have authorization to perform action"]),
        cause: "the identity has no role that allows this action there, or got it minutes ago",
        next: "assign the component's role on the scope, and wait five minutes",
        command: "az role assignment list --assignee {client} --scope {scope} --include-inherited -o table",
    },
    Row {
        reason: "SubscriptionNotFound",
        source: Source::ResourceManager,
        matches: Texts(&["SubscriptionNotFound"]),
        cause: "the subscription does not exist, or the identity's tenant cannot see it",
        next: "check subscriptionID, and that the identity has a role in it",
        command: "az account show --subscription SUBSCRIPTION",
    },
    Row {
        reason: "ResourceGroupNotFound",
        source: Source::ResourceManager,
        matches: Texts(&["ResourceGroupNotFound"]),
        cause: "the resource group is gone",
        next: "a customer may have deleted it; a HostedCluster that is being deleted can be stuck on it",
        command: "az group show --name GROUP",
    },
    Row {
        reason: "TokenOfAnotherTenant",
        source: Source::ResourceManager,
        matches: Texts(&["InvalidAuthenticationTokenTenant"]),
        cause: "the token is of another tenant than the subscription",
        next: "store a credential of the subscription's tenant",
        command: "hcp-identity check credential FILE --tenant-id {tenant}",
    },
    Row {
        reason: "TokenExpired",
        source: Source::ResourceManager,
        matches: Texts(&["ExpiredAuthenticationToken"]),
        cause: "the token has expired: a clock is wrong, or a process holds an old one",
        next: "compare the clocks; restart the component if it lasts",
        command: "",
    },
    Row {
        reason: "PrincipalNotFound",
        source: Source::ResourceManager,
        matches: Texts(&["PrincipalNotFound"]),
        cause: "the identity is so new that role assignments do not know it yet, or it is deleted",
        next: "wait a minute and try again; give principalType ServicePrincipal",
        command: "az ad sp show --id {client}",
    },
    Row {
        reason: "ArmThrottled",
        source: Source::ResourceManager,
        matches: Texts(&["SubscriptionRequestsThrottled"]),
        cause: "too many requests of the subscription in a short time",
        next: "wait as long as Retry-After says; look for a component that loops",
        command: "",
    },
    Row {
        reason: "ConcurrentFederatedCredentials",
        source: Source::ResourceManager,
        matches: Texts(&["ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"]),
        cause: "Azure writes the federated credentials of one identity one at a time",
        next: "try again; create them one after the other",
        command: "",
    },
];
