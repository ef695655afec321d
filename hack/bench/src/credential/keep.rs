//! A process that keeps credentials known as the daemon does: one thread, a sweep every two seconds.

use std::{io::stdin, process::exit, sync::Arc, thread, time::Duration};

use hcp_identity::{
    vault::{Access, Level, Orders, keep_known},
    verification::{Known, Standing},
};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{ALLOCATOR, Result, document};

/// A line when all are known, and when asked by a line another with how many bytes are allocated and how often that was, and
/// the end.
#[tokio::main(flavor = "current_thread")]
pub async fn keep(proxy: &str, authority: &str, count: usize, level: Level) -> Result<()> {
    thread::spawn(|| {
        let asked = stdin().read_line(&mut String::new());
        let stats = ALLOCATOR.stats();
        println!("{} {}", stats.bytes_allocated - stats.bytes_deallocated, stats.allocations + stats.reallocations);
        exit(i32::from(asked.is_err()));
    });
    let access = Access { proxy: Some(proxy.to_owned()), authorities: Some(authority.to_owned()), ..Access::default() };
    let orders = Orders { level, interval: Duration::from_secs(2), strict_client_id: true, rechecks: 0 };
    // Whoever drops these wants no more.
    let (_wanting, wanted) = watch::channel(Arc::new(document::wanted(count)));
    let (_ordering, ordered) = watch::channel(orders);
    let (known, mut news) = watch::channel(Arc::new(Known::default()));
    let keeping = keep_known(access, Timestamp::now, wanted, ordered, &known);
    let telling = async {
        let outcome = news
            .wait_for(|known| {
                known.vaults.values().for_each(|trouble| eprintln!("{}", trouble.message));
                known.credentials.len() == count && are_known(known, level)
            })
            .await
            // What is seen is locked as long as it is held.
            .map(drop);
        println!("{}", if outcome.is_ok() { "known" } else { "never known" });
        std::future::pending::<()>().await;
    };
    tokio::select! {
        kept = keeping => Ok(kept?),
        () = telling => Ok(()),
    }
}

/// A sweep that finds fault would be another one to measure.
fn are_known(known: &Known, level: Level) -> bool {
    let mut standings = known.credentials.values().map(|one| &one.standing);
    if let Some(failed) = standings.clone().find(|standing| matches!(standing, Standing::Failed { .. })) {
        eprintln!("{failed:?}");
        exit(1);
    }
    level == Level::Metadata || standings.all(|standing| *standing == Standing::Passed)
}
