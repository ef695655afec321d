//! A run that ended at any of its calls, whatever that was, is completed by the next one.

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation,
};
use hcp_identity::{
    arm::{Arm, Refusal},
    provision::{FederatedIdentity, Federation, Names},
};
use serde_json::json;

use crate::{
    apply,
    world::{OWNER, SUBSCRIPTION, World, plan, requests},
};

const STORAGE: &str = "2024-01-01";

fn arm(world: &World) -> Arm {
    Arm::new(&world.access(OWNER), "", SUBSCRIPTION).unwrap()
}

/// What was asked of Azure Resource Manager, each once.
fn calls(world: &World) -> Vec<(Operation, String)> {
    let mut calls = Vec::new();
    for entry in world.standin.azure().journal.entries() {
        let call = (entry.operation, entry.path);
        if entry.host.starts_with("management.") && !calls.contains(&call) {
            calls.push(call);
        }
    }
    calls
}

fn killed() -> Effect {
    let (code, message) = ("Killed".to_owned(), "as if nobody had asked".to_owned());
    Effect::Refuse { status: 400, code, message, retry_after_seconds: None }
}

/// Runs it to the end in a world. In another one, a run ends at each of those calls in turn; then one does what is left.
async fn is_completed<T>(start: impl AsyncFn() -> (World, T), run: impl AsyncFn(&World, &T) -> Result<(), Refusal>) {
    let (world, of) = start().await;
    run(&world, &of).await.unwrap();
    let (calls, whole) = (calls(&world), world.shown().await);

    let (world, of) = start().await;
    for (operation, path) in calls {
        let fault = Fault { path_contains: Some(path.clone()), ..Fault::times(operation, 1, killed()) };
        world.standin.azure().faults.add(fault);
        match run(&world, &of).await {
            Err(refusal) => assert_eq!(refusal.code, "Killed", "{operation:?} {path}: {refusal}"),
            // An operation of Azure's has a name of its own each time.
            Ok(()) => assert_eq!(operation, Operation::PollOperation, "{path} is not asked for again"),
        }
    }
    run(&world, &of).await.unwrap();
    assert_eq!(world.shown().await, whole);
    let writes = world.writes();
    run(&world, &of).await.unwrap();
    assert_eq!(world.writes(), writes, "nothing is left to do");
}

#[tokio::test]
async fn a_deletion_that_ended_anywhere_is_completed_by_the_next_one() {
    let start = async || {
        let world = World::start().await;
        world.made(&plan(&requests())).await;
        let account = format!("{}/providers/Microsoft.Storage/storageAccounts/prod", world.group("prod-oidc"));
        let (tag, owned) = ("openshift.io_cloud-credential-operator_prod", "owned");
        let body = json!({
            "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "location": "westeurope", "tags": {tag: owned},
        });
        world.put(&account, STORAGE, body).await;
        world.standin.azure().journal.clear();
        (world, ())
    };
    let delete = async |world: &World, (): &()| {
        let arm = arm(world);
        let names = Names::new("prod", "any", None, None, None).unwrap();
        for doomed in arm.belongings(&names, Some("prod"), true).await?.doomed {
            arm.destroy(&doomed).await?;
        }
        Ok(())
    };
    is_completed(start, delete).await;
}

fn wanted(input: &str) -> Vec<FederatedIdentity> {
    let mut findings = |finding| panic!("{finding:?}");
    let mut federation = Federation::new(&mut findings);
    federation.read(&"hostedcluster.yaml".into(), input.as_bytes()).unwrap();
    federation.finish().0
}

/// Of HostedClusters, and of CAPZ, which has them by the same way.
#[tokio::test]
async fn federated_credentials_of_a_run_that_ended_anywhere_are_completed_by_the_next_one() {
    let apply =
        async |world: &World, input: &String| arm(world).apply_credentials(&wanted(input), &mut |_, _| ()).await;
    is_completed(apply::world, apply).await;
}
