//! Keeps what is known of the wanted secrets up to date, as long as somebody wants any.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::rand;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Access, Azure, Level, Refusal,
    memory::{Memory, Rules},
    pace::Pace,
    sweep::Order,
};
use crate::verification::{Known, Trouble, Wanted};

/// How far, how often and how strictly. May change at any time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Orders {
    pub level: Level,
    pub interval: Duration,
    /// Whether another client id than the HostedCluster's is an error.
    pub strict_client_id: bool,
    /// How often somebody has asked for another look.
    pub rechecks: u64,
}

/// News come in bursts.
const SETTLE: Duration = Duration::from_millis(500);
/// Between two rounds over a vault, whatever the news.
const BREATH: Duration = Duration::from_secs(5);
/// Where nothing is wanted.
const IDLE: Duration = Duration::from_secs(3600);

/// A vault: its name and its cloud.
type Address = (Box<str>, Box<str>);

struct Keeper {
    memory: Memory,
    pace: Pace,
    trouble: Option<Trouble>,
    last: Option<Instant>,
    next: Instant,
}

/// Checks every interval, with jitter, and at once when something new is wanted. Ends when nobody can want anything any
/// more.
///
/// # Guarantees
/// Sends only what differs. What was known stays known while its vault does not tell.
///
/// # Errors
/// If HTTPS cannot be set up.
pub async fn keep_known(
    access: Access,
    now: impl Fn() -> Timestamp,
    mut wanted: watch::Receiver<Arc<BTreeSet<Wanted>>>,
    mut orders: watch::Receiver<Orders>,
    known: &watch::Sender<Arc<Known>>,
) -> Result<(), Refusal> {
    let azure = Azure::new(access)?;
    let mut keepers: BTreeMap<Address, Keeper> = BTreeMap::new();
    loop {
        let all = Arc::clone(&wanted.borrow_and_update());
        let current = *orders.borrow_and_update();
        take_up(&mut keepers, &all);
        sweep_due(&azure, &mut keepers, &all, current, &now).await;
        send(known, &keepers);
        let next = keepers.values().map(|keeper| keeper.next).min().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = sleep_until(next) => {}
            changed = wanted.changed() => if changed.is_err() { return Ok(()) },
            changed = orders.changed() => {
                if changed.is_err() { return Ok(()) }
                keepers.values_mut().for_each(Keeper::bring_forward);
            }
        }
    }
}

/// A keeper for each vault that something is wanted of, sooner where something new is.
fn take_up(keepers: &mut BTreeMap<Address, Keeper>, all: &BTreeSet<Wanted>) {
    let addresses: BTreeSet<Address> = all.iter().map(address).collect();
    keepers.retain(|address, _| addresses.contains(address));
    for wanted in all {
        let keeper = keepers.entry(address(wanted)).or_insert_with(Keeper::new);
        if !keeper.memory.knows(wanted) {
            keeper.bring_forward();
        }
    }
    keepers.values_mut().for_each(|keeper| keeper.memory.retain(all));
}

async fn sweep_due(
    azure: &Azure,
    keepers: &mut BTreeMap<Address, Keeper>,
    all: &BTreeSet<Wanted>,
    orders: Orders,
    now: &impl Fn() -> Timestamp,
) {
    let Orders { level, interval, strict_client_id, .. } = orders;
    let due = keepers.iter_mut().filter(|(_, keeper)| keeper.next <= Instant::now());
    let sweeps = due.map(|((vault, cloud), keeper)| async move {
        let wanted = all.iter().filter(|one| one.vault == *vault && one.cloud == *cloud).collect();
        let rules = Rules { level, strict_client_id };
        let swept = Order { vault, cloud, wanted, rules, now: now() }.sweep(azure, &mut keeper.memory).await;
        keeper.take_trouble(swept.trouble, now());
        let began = Instant::now();
        keeper.last = Some(began);
        keeper.next = began + keeper.pace.pause(swept.ending, interval, chance());
    });
    join_all(sweeps).await;
}

impl Keeper {
    fn new() -> Self {
        let next = Instant::now() + SETTLE;
        Self { memory: Memory::default(), pace: Pace::default(), trouble: None, last: None, next }
    }

    fn bring_forward(&mut self) {
        if self.pace.takes_news() {
            let soon = Instant::now() + SETTLE;
            self.next = self.next.min(self.last.map_or(soon, |last| soon.max(last + BREATH)));
        }
    }

    fn take_trouble(&mut self, message: Option<String>, now: Timestamp) {
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = message.map(|message| Trouble { message, since });
    }
}

fn address(wanted: &Wanted) -> Address {
    (wanted.vault.clone(), wanted.cloud.clone())
}

fn send(known: &watch::Sender<Arc<Known>>, keepers: &BTreeMap<Address, Keeper>) {
    let verifications = keepers.values().flat_map(|keeper| keeper.memory.verifications());
    let troubles = keepers.iter().filter_map(|((vault, _), keeper)| Some((vault.clone(), keeper.trouble.clone()?)));
    let current = Known {
        credentials: verifications.map(|(wanted, verification)| (wanted.clone(), Arc::clone(verification))).collect(),
        vaults: troubles.collect(),
    };
    known.send_if_modified(|sent| {
        let differs = **sent != current;
        if differs {
            *sent = Arc::new(current);
        }
        differs
    });
}

/// From 0 to 1; the middle where there is no chance to be had.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
