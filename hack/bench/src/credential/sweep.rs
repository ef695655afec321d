//! A vault of `hack/azure-standin` in this process, and what another one asks of it and needs for what it knows.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use azure_standin::{Settings, Standin, operation::Operation, vault::store::NewVersion};
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
    fill(&standin, client_secret, secrets)?;
    let mut keeper = Keeper::start(&standin, wanted)?;
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
    let allocated: usize = keeper.end()?.parse()?;
    let found = json!({
        "first": first, "later": later, "laterSweeps": LATER,
        "resident": resident, "peak": peak, "allocated": allocated,
    });
    println!("{found}");
    standin.stop().await;
    Ok(())
}

fn fill(standin: &Standin, client_secret: &[u8], secrets: usize) -> Result<()> {
    let azure = standin.azure();
    azure.load(serde_json::from_value(json!({
        "tenants": [{"id": TENANT}],
        "principals": [{"clientId": READER, "objectId": READER, "tenant": TENANT, "onMachine": true}],
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
    fn start(standin: &Standin, wanted: usize) -> Result<Self> {
        let about = standin.about();
        let mut process = Command::new(std::env::current_exe()?)
            .arg("keep")
            .arg(format!("http://{}", about.proxy))
            .arg(&about.ca_pem)
            .arg(wanted.to_string())
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

    /// Asks it for its last line.
    fn end(mut self) -> Result<String> {
        self.process.stdin.take().ok_or("it has no input")?.write_all(b"\n")?;
        let line = self.line()?;
        self.process.wait()?;
        Ok(line)
    }
}
