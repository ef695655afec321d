//! How long answers take, and how many there are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::body::Bytes;
use serde_json::json;
use tokio::{
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    task::{JoinSet, yield_now},
};

use crate::{
    Result,
    client::{Connection, Server},
    pods::{control_plane_pods, question},
    world::World,
};

/// Different questions; enough to come by every pod and many namespaces.
const QUESTIONS: usize = 600;

type Due = (Instant, Bytes);

/// A question is asked when its time has come, whatever became of those before it; what it has to wait for is a part of how
/// long it takes.
pub async fn open(server: &Server, world: &World, seconds: u32, connections: usize, rate: u32) -> Result<()> {
    let questions = questions(world)?;
    let (sender, queue) = unbounded_channel::<Due>();
    let queue = Arc::new(Mutex::new(queue));
    let mut askers = JoinSet::new();
    for _ in 0..connections {
        askers.spawn(ask_when_due(server.connect().await?, Arc::clone(&queue)));
    }
    let start = Instant::now();
    for (number, question) in (0..rate * seconds).zip(questions.iter().cycle()) {
        let due = start + Duration::from_secs(1) * number / rate;
        // A timer of the runtime would be a millisecond late.
        while Instant::now() < due {
            yield_now().await;
        }
        sender.send((due, question.clone()))?;
    }
    drop(sender);
    report(askers, start).await
}

async fn ask_when_due(mut connection: Connection, queue: Arc<Mutex<UnboundedReceiver<Due>>>) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    loop {
        let next = queue.lock().await.recv().await;
        let Some((due, question)) = next else { return Ok(took) };
        connection.ask(question).await?;
        took.push(due.elapsed());
    }
}

pub async fn closed(server: &Server, world: &World, seconds: u64, connections: usize) -> Result<()> {
    let questions: Arc<[Bytes]> = questions(world)?.into();
    let mut askers = JoinSet::new();
    let mut all = Vec::new();
    for _ in 0..connections {
        all.push(server.connect().await?);
    }
    let start = Instant::now();
    for (number, connection) in all.into_iter().enumerate() {
        let first = number * questions.len() / connections;
        askers.spawn(ask_until(start + Duration::from_secs(seconds), connection, Arc::clone(&questions), first));
    }
    report(askers, start).await
}

async fn ask_until(
    end: Instant,
    mut connection: Connection,
    questions: Arc<[Bytes]>,
    first: usize,
) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for question in questions.iter().cycle().skip(first) {
        let start = Instant::now();
        if start >= end {
            break;
        }
        connection.ask(question.clone()).await?;
        took.push(start.elapsed());
    }
    Ok(took)
}

fn questions(world: &World) -> Result<Vec<Bytes>> {
    let pods = control_plane_pods()?;
    let namespaces: Vec<&str> = world.iter().map(|(namespace, _)| namespace).collect();
    let pods = pods.iter().cycle().zip(namespaces.into_iter().cycle());
    Ok(pods.take(QUESTIONS).map(|(pod, namespace)| question(pod, namespace).to_string().into()).collect())
}

/// A question without an answer ends the benchmark.
async fn report(mut askers: JoinSet<Result<Vec<Duration>>>, start: Instant) -> Result<()> {
    let mut took = Vec::new();
    while let Some(asker) = askers.join_next().await {
        took.extend(asker??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).map(Duration::as_secs_f64);
    let figures = json!({
        "asked": took.len(), "rate": took.len() as f64 / elapsed,
        "p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "longest": took.last().map(Duration::as_secs_f64),
    });
    println!("{figures}");
    Ok(())
}
