//! What can go wrong with a stream of events on its way.

use std::{
    collections::{HashMap, VecDeque},
    io,
    time::Duration,
};

use axum::body::{Body, BodyDataStream, Bytes};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[derive(Clone, Copy)]
pub enum Tampering {
    /// Ends in the middle of an event, properly or not. Each stream gets a little further than the one before: a list that
    /// never comes to its end is nothing that anybody can live with.
    Cut,
    /// Ends before the first event.
    Empty,
    /// Each event comes twice.
    Twice,
    /// Events of different objects that come together change places.
    Swapped,
    /// After each event its object once more as it was before, and again as it is.
    BackAndForth,
    /// After an event the server says that it no longer knows what has come since.
    Gone,
    Changed(fn(&mut Value)),
}

/// How long something may come after something else to come together with it.
const TOGETHER: Duration = Duration::from_millis(300);

impl Tampering {
    /// The number counts streams.
    pub fn applied_to(self, body: Body, number: u32) -> Body {
        let (sender, receiver) = mpsc::channel(1);
        let lines = Lines { frames: body.into_data_stream(), rest: Vec::new(), whole: VecDeque::new() };
        tokio::spawn(async move {
            // Nobody listens any more.
            let _: Option<()> = self.pass(lines, &Out(sender), number).await;
        });
        let next = |mut receiver: mpsc::Receiver<_>| async { receiver.recv().await.map(|line| (line, receiver)) };
        Body::from_stream(futures::stream::unfold(receiver, next))
    }

    async fn pass(self, mut lines: Lines, out: &Out, number: u32) -> Option<()> {
        match self {
            Self::Cut => {
                for _ in 0..1 << (number / 8).min(16) {
                    out.line(lines.next().await?).await?;
                }
                let line = lines.next().await?;
                out.line(line[..line.len() / 2].to_vec()).await?;
                if number.is_multiple_of(2) {
                    out.0.send(Err(io::Error::other("cut"))).await.ok()?;
                }
                Some(())
            }
            Self::Empty => Some(()),
            Self::Twice => loop {
                let line = lines.next().await?;
                out.line(line.clone()).await?;
                out.line(line).await?;
            },
            Self::Swapped => loop {
                let first = lines.next().await?;
                let second = tokio::time::timeout(TOGETHER, lines.next()).await;
                let second = second.unwrap_or_default().unwrap_or_default();
                let swapped = may_change_places(&first, &second);
                for line in if swapped { [second, first] } else { [first, second] } {
                    out.line(line).await?;
                }
            },
            Self::BackAndForth => {
                let mut before = HashMap::new();
                loop {
                    let line = lines.next().await?;
                    out.line(line.clone()).await?;
                    let uid = parse(&line)["object"]["metadata"]["uid"].to_string();
                    if let Some(old) = before.insert(uid, line.clone()) {
                        out.line(old).await?;
                        out.line(line).await?;
                    }
                }
            }
            Self::Gone => {
                out.line(lines.next().await?).await?;
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
                    "message": "The resourceVersion for the provided watch is too old.",
                });
                out.line(format!("{}\n", json!({"type": "ERROR", "object": status})).into_bytes()).await
            }
            Self::Changed(change) => loop {
                let mut event = parse(&lines.next().await?);
                change(&mut event["object"]);
                out.line(format!("{event}\n").into_bytes()).await?;
            },
        }
    }
}

fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap_or_default()
}

/// Where a list ends is no event, and of one object the API server keeps the order.
fn may_change_places(first: &[u8], second: &[u8]) -> bool {
    let (first, second) = (parse(first), parse(second));
    let is_news = |event: &Value| event["type"].as_str().is_some_and(|kind| kind != "BOOKMARK");
    let uid = |event: &Value| event["object"]["metadata"]["uid"].clone();
    is_news(&first) && is_news(&second) && uid(&first) != uid(&second)
}

struct Out(mpsc::Sender<io::Result<Bytes>>);

impl Out {
    async fn line(&self, line: Vec<u8>) -> Option<()> {
        if line.is_empty() { Some(()) } else { self.0.send(Ok(line.into())).await.ok() }
    }
}

struct Lines {
    frames: BodyDataStream,
    rest: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
}

impl Lines {
    /// May be given up while it waits.
    async fn next(&mut self) -> Option<Vec<u8>> {
        while self.whole.is_empty() {
            let frame = self.frames.next().await?.ok()?;
            self.rest.extend_from_slice(&frame);
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(end + 1);
                self.whole.push_back(std::mem::replace(&mut self.rest, rest));
            }
        }
        self.whole.pop_front()
    }
}
