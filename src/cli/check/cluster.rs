//! `hcp-identity check cluster`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anstyle::{AnsiColor, Style};
use anyhow::anyhow;
use kube::Client;

use crate::{
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        cluster_command::with_client,
        environment, input, report,
        run::load,
        settings_flags::SettingsFlags,
        target::TargetArgs,
    },
    cluster::fitness::{Check, Examination, Lease, Verdict, examine, named_vaults},
    vault::{Access, Azure, Refusal},
};

/// Check whether a management cluster is fit for hcp-identity.
///
/// Looks at the API server's version and clock, the kinds that it serves, what whoever asks may do of what the daemon does with these
/// settings, and at the Secrets Store CSI driver and its Azure provider on every node. Nothing is written. It reads more than the
/// daemon may; what whoever asks may not read is skipped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity check cluster
  hcp-identity check cluster --settings settings.yaml --as system:serviceaccount:hcp-identity:hcp-identity   # may the daemon?
  kubectl exec -n hcp-identity deploy/hcp-identity -- hcp-identity check cluster --vaults                      # may it see vaults?
  hcp-identity check cluster -o json | jq '.checks[] | select(.verdict == \"error\")'")]
pub(super) struct Args {
    /// Settings file (YAML), as for run.
    #[arg(long, value_name = "FILE", env = "HCP_IDENTITY_SETTINGS")]
    settings: Option<PathBuf>,

    /// Namespace of the Lease.
    #[arg(long, value_name = "NAMESPACE", default_value = "hcp-identity")]
    lease_namespace: String,

    /// Name of the Lease.
    #[arg(long, value_name = "NAME", default_value = "hcp-identity")]
    lease_name: String,

    /// List the secrets of every vault that a HostedCluster names, too: as the identity that this process has in Azure, which is
    /// the daemon's only in its pod. No value is read.
    #[arg(long)]
    vaults: bool,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,

    #[command(flatten)]
    flags: SettingsFlags,

    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let text = args.settings.as_deref().map(input::read_small).transpose()?.unwrap_or_default();
    let settings = load(&args.flags.layer()?, &text).map_err(|why| anyhow!(why))?;
    let lease = Lease { namespace: &args.lease_namespace, name: &args.lease_name };
    let examination = with_client(&args.target, async |client| {
        let mut examination = examine(&client, &settings, lease, environment::now).await.map_err(|why| anyhow!(why))?;
        if args.vaults {
            examination.checks.extend(vaults(&client).await?);
        }
        Ok(examination)
    })?;
    print(&examination, args.output, lines)?;
    let errors = count(&examination, Verdict::Error);
    report::note(&format!(
        "as {}: {}, {}, {} ok, {} skipped",
        examination.user.escape_debug(),
        report::counted(errors, "error", "errors"),
        report::counted(count(&examination, Verdict::Warning), "warning", "warnings"),
        count(&examination, Verdict::Ok),
        count(&examination, Verdict::Skipped),
    ));
    Ok(if errors == 0 { Outcome::Done } else { Outcome::Findings })
}

/// Whether Entra knows this process, and each vault tells it what it has.
async fn vaults(client: &Client) -> Result<Vec<Check>, Refusal> {
    let named = match named_vaults(client).await {
        Ok(named) if named.is_empty() => return Ok(vec![Check::no_vaults()]),
        Ok(named) => named,
        Err(check) => return Ok(vec![*check]),
    };
    let azure = Azure::new(Access::of(environment::variable))?;
    let ask = async |name: &str, cloud: &str| {
        let mut secrets = 0;
        azure.vault(name, cloud)?.list(|_, _| secrets += 1).await?;
        Ok::<_, Refusal>(secrets)
    };
    let mut checks = Vec::new();
    for (name, cloud) in &named {
        checks.push(Check::vault(name, ask(name, cloud).await.map_err(|refusal| refusal.message)));
    }
    Ok(checks)
}

fn count(examination: &Examination, verdict: Verdict) -> usize {
    examination.checks.iter().filter(|check| check.verdict == verdict).count()
}

fn lines(out: &mut dyn Write, examination: &Examination) -> io::Result<()> {
    examination.checks.iter().try_for_each(|check| line(out, check))
}

/// As a finding: severity, reason, what, why, and what to do.
fn line(out: &mut dyn Write, check: &Check) -> io::Result<()> {
    let Check { check: name, verdict, reason, message, remedy } = check;
    let style = style(*verdict);
    let message = report::visible(message);
    write!(out, "{style}{verdict}{style:#}[{reason}]: {name}: {message}")?;
    match remedy {
        Some(remedy) => writeln!(out, "; {remedy}"),
        None => writeln!(out),
    }
}

fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Ok => AnsiColor::Green,
        Verdict::Warning => AnsiColor::Yellow,
        Verdict::Error => AnsiColor::Red,
        Verdict::Skipped => AnsiColor::Cyan,
    };
    colour.on_default().bold()
}
