//! How long a pod waits for what is known of its ServiceAccount.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::router::Refused;
use crate::{
    admission::{
        Answer,
        identities::{Question, WorkloadIdentities},
    },
    workload_identity::Lookup,
};

/// The API server creates no pod whose ServiceAccount it does not know: one that is not known here has been created a moment
/// ago, and its watch will tell. azure-workload-identity asks the API server instead; we wait, a third of the time that there
/// is.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn answer(body: Vec<u8>, identities: Arc<dyn WorkloadIdentities>) -> Result<Answer, Refused> {
    let question = Question::read(&body)?;
    drop(body);
    let settings = identities.settings().ok_or(Refused::TurnedOff)?;
    let account = match question.service_account() {
        Some((namespace, name)) => known(&*identities, namespace, name).await,
        None => Lookup::Missing,
    };
    Ok(question.answer(&account, &settings))
}

async fn known(identities: &dyn WorkloadIdentities, namespace: &str, name: &str) -> Lookup {
    let end = Instant::now() + PATIENCE;
    loop {
        let account = identities.service_account(namespace, name);
        if matches!(account, Lookup::Found(_)) || Instant::now() >= end {
            return account;
        }
        sleep(PAUSE).await;
    }
}
