//! A vault of `hack/azure-standin` in this process, and what another one asks of it and needs for what it knows.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use azure_standin::{Settings, Standin, operation::Operation, vault::store::NewVersion};
use hcp_identity::vault::Level;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    Result,
    document::{TENANT, VAULT, client_id, secret, with_secret},
};

const READER: &str = "44444444-4444-4444-4444-444444444444";
/// Sweeps after the one in which everything becomes known.
const LATER: usize = 5;
/// Of the list of secrets.
const PAGE: usize = 25;

/// Prints what was asked until all was known and in the sweeps after that, and the memory of the other process, as JSON.
#[tokio::main]
pub async fn sweep(client_secret: &[u8], secrets: usize, wanted: usize) -> Result<()> {
    let standin = Standin::start(Settings::default()).await?;
    fill(&standin, client_secret, secrets, &[])?;
    let mut keeper = Keeper::start(&standin, wanted, Level::Content)?;
    let pages = secrets.div_ceil(PAGE);
    let journal = &standin.azure().journal;
    let known = tokio::task::block_in_place(|| keeper.line())?;
    if known != "known" {
        return Err(known.into());
    }
    let first = journal.counts();
    journal.clear();
    while wanted > 0 && journal.count(Operation::ListSecrets) < LATER * pages {
        sleep(Duration::from_millis(20)).await;
    }
    let later = journal.counts();
    // The last answer is still to be read, and the next sweep is almost two seconds away.
    sleep(Duration::from_millis(500)).await;
    let (resident, peak) = keeper.memory()?;
    let (allocated, _) = keeper.end()?;
    let found = json!({
        "first": first, "later": later, "laterSweeps": LATER,
        "resident": resident, "peak": peak, "allocated": allocated,
    });
    println!("{found}");
    standin.stop().await;
    Ok(())
}

/// Takes all secrets of a vault to a level for the first time, and prints what that took of the other process for each: its
/// processor in microseconds, and how often it allocated.
#[tokio::main]
pub async fn level(file: &str, secrets: usize, level: Level) -> Result<()> {
    let standin = Standin::start(Settings::default()).await?;
    let certificate = std::fs::read_to_string(std::path::Path::new(file).with_file_name("leaf.pem"))?;
    fill(&standin, &std::fs::read(file)?, secrets, &[certificate])?;
    let mut keeper = Keeper::start(&standin, secrets, level)?;
    let known = tokio::task::block_in_place(|| keeper.line())?;
    if known != "known" {
        return Err(known.into());
    }
    let processor = keeper.processor()?;
    let (_, allocations) = keeper.end()?;
    println!("{} {}", processor.as_micros() / secrets as u128, allocations / secrets);
    standin.stop().await;
    Ok(())
}

/// Each credential's client knows these certificates.
fn fill(standin: &Standin, client_secret: &[u8], secrets: usize, certificates: &[String]) -> Result<()> {
    let azure = standin.azure();
    let mut principals = vec![json!({"clientId": READER, "objectId": READER, "tenant": TENANT, "onMachine": true})];
    if !certificates.is_empty() {
        principals.extend(
            (0..secrets)
                .map(client_id)
                .map(|id| json!({"clientId": id, "objectId": id, "tenant": TENANT, "certificates": certificates})),
        );
    }
    azure.load(serde_json::from_value(json!({
        "tenants": [{"id": TENANT}],
        "principals": principals,
        "vaults": [{
            "name": VAULT, "tenant": TENANT, "permissions": [{"objectId": READER, "role": "secretsUser"}],
        }],
    }))?);
    let now = azure.clock.now();
    azure.with_world_mut(|world| {
        for number in 0..secrets {
            let version = NewVersion::of(with_secret(client_secret, &client_id(number)));
            if !world.set_secret(VAULT, &secret(number), version, now) {
                return Err("the vault does not take a secret".into());
            }
        }
        Ok(())
    })
}

/// `credential keep`.
struct Keeper {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Keeper {
    fn start(standin: &Standin, wanted: usize, level: Level) -> Result<Self> {
        let about = standin.about();
        let mut process = Command::new(std::env::current_exe()?)
            .arg("keep")
            .arg(format!("http://{}", about.proxy))
            .arg(&about.ca_pem)
            .arg(wanted.to_string())
            .arg(level.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("it has no output")?;
        Ok(Self { process, lines: BufReader::new(output).lines() })
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.lines.next().ok_or("it has ended")??)
    }

    /// What is resident, and its peak, in KiB.
    fn memory(&self) -> Result<(usize, usize)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let field = |name: &str| -> Result<usize> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// The processor time that it has taken.
    fn processor(&self) -> Result<Duration> {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = status.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 =
            [11, 12].iter().map(|at| fields.get(*at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)).sum();
        // Of Linux, whatever the architecture.
        const A_SECOND: u64 = 100;
        Ok(Duration::from_millis(ticks * 1000 / A_SECOND))
    }

    /// Asks it for its last line: bytes that are allocated, and how often it allocated.
    fn end(mut self) -> Result<(usize, usize)> {
        self.process.stdin.take().ok_or("it has no input")?.write_all(b"\n")?;
        let line = self.line()?;
        self.process.wait()?;
        let (bytes, count) = line.split_once(' ').ok_or("its last line is another one")?;
        Ok((bytes.parse()?, count.parse()?))
    }
}
