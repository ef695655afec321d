//! The ServiceAccounts whose tokens CAPZ and the Azure Service Operator sign in with.

use super::{
    Gathered, Spot,
    identity::Kind,
    manager::{Manager, Who},
};
use crate::{
    capz::plan::{ASO_ACCOUNT, CAPZ_ACCOUNT, NAMESPACE},
    finding::{FieldPath, Finding, Problem, Reason},
    input::Located,
    names::service_account,
};

/// One of them, with the client that azure-workload-identity's webhook would name to its pods.
pub(super) struct KnownAccount {
    spot: Spot,
    client: String,
}

const CLIENT: &str = "azure.workload.identity/client-id";

pub(super) fn look(object: &Located) -> Option<KnownAccount> {
    let metadata = object.node().get("metadata")?;
    metadata.text("name").filter(|name| [CAPZ_ACCOUNT, ASO_ACCOUNT].contains(name))?;
    let client = metadata.get("annotations")?.text(CLIENT)?.to_owned();
    let spot = Spot::of(object, &FieldPath::of("metadata.annotations").key(CLIENT));
    Some(KnownAccount { spot, client })
}

/// A manager whose tokens are not of whom the federated credentials of a plan are.
pub(super) fn of_manager(manager: &Manager) -> Option<Finding> {
    let account = &manager.account;
    let planned = if manager.who == Who::Aso { ASO_ACCOUNT } else { CAPZ_ACCOUNT };
    let namespace = account.namespace.as_deref().unwrap_or(NAMESPACE);
    let found = service_account(namespace, &account.name);
    let planned = service_account(NAMESPACE, planned);
    if found == planned {
        return None;
    }
    let message = format!("its tokens are of {found}, and the federated credential of a plan is for {planned}");
    let remedy = "make a federated credential for this subject; Entra compares it exactly (AADSTS700213)";
    Some(account.spot.finding(warning(message, remedy)))
}

/// Accounts that name a client which no identity has.
pub(super) fn of_others(all: &Gathered) -> impl Iterator<Item = Finding> {
    let is_known = |client: &str| {
        all.identities.iter().any(|identity| match &identity.kind {
            Kind::WorkloadIdentity(known) => known.eq_ignore_ascii_case(client),
            _ => false,
        })
    };
    all.accounts.iter().filter(move |account| !is_known(&account.client)).map(|account| {
        let message =
            "is the client of no AzureClusterIdentity of type WorkloadIdentity: CAPZ signs in as the client of those";
        let remedy = "remove the annotation, or correct the one that is wrong";
        account.spot.finding(warning(message.to_owned(), remedy).with_value(&account.client))
    })
}

fn warning(message: String, remedy: &str) -> Problem {
    Problem::warning(Reason::ServiceAccountMismatch, FieldPath::root(), message, remedy)
}
