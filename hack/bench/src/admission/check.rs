//! That a webhook makes of every pod what the plan makes of it: one that is fast and wrong is not measured.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hcp_identity::plan::{Plan, Template, Wired};
use json_patch::Patch;
use serde_json::Value;

use crate::{
    Result,
    client::{Connection, Server},
    pods::{control_plane_pods, question},
    world::World,
};

/// Control planes that are gone through, at most.
const CHECKED: usize = 5;

pub async fn check(server: &Server, world: &World) -> Result<()> {
    let mut connection = server.connect().await?;
    for (namespace, plan) in world.iter().take(CHECKED) {
        let mut wired = 0;
        for pod in control_plane_pods()? {
            let expected = wired_by(plan, &pod)?;
            wired += usize::from(expected != pod);
            // Once wired, there is nothing to add.
            for pod in [&pod, &expected] {
                is_made(&mut connection, pod, namespace, &expected).await?;
            }
        }
        if wired == 0 {
            return Err(format!("{namespace}: there is nothing to wire").into());
        }
        println!("{namespace}: {wired} pods are wired as planned");
    }
    Ok(())
}

fn wired_by(plan: &Plan, pod: &Value) -> Result<Value> {
    let mut wired = pod.clone();
    match plan.wire_created(&Template::new(pod)) {
        Ok(Wired::NotOurs) => {}
        Ok(Wired::Missing(additions)) => additions.iter().for_each(|addition| addition.apply(&mut wired["spec"])),
        Err(problems) => return Err(format!("{problems:?}").into()),
    }
    Ok(wired)
}

async fn is_made(connection: &mut Connection, pod: &Value, namespace: &str, expected: &Value) -> Result<()> {
    let (question, expected) = (question(pod, namespace), &question(expected, namespace)["request"]["object"]);
    let answer: Value = serde_json::from_slice(&connection.ask(question.to_string().into()).await?)?;
    let mut made = question["request"]["object"].clone();
    let patch = answer["response"]["patch"].as_str().map(|patch| BASE64_STANDARD.decode(patch)).transpose()?;
    let patch: Patch = patch.map_or(Ok(Patch::default()), |patch| serde_json::from_slice(&patch))?;
    json_patch::patch(&mut made, &patch)?;
    let is_admitted = answer["response"]["allowed"] == true && answer["response"]["uid"] == question["request"]["uid"];
    if is_admitted && made == *expected {
        return Ok(());
    }
    Err(format!("{namespace}: {} is not made as planned by {patch}", pod["metadata"]["generateName"]).into())
}
