//! `hcp-identity check credential`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use jiff::Timestamp;

use crate::{
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        environment, input, report,
    },
    credential::{Facts, Verdict, judge},
};

use super::expected::Expected;

/// Check a credential as the component that signs in with it will read it.
///
/// FILE is the value of the Key Vault secret, or what is mounted in a pod (/mnt/certs/NAME): then leave out
/// --object-encoding, because the mount has decoded it already. Nothing is sent anywhere, and no key is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity check credential credential.json
  az keyvault secret show --vault-name VAULT --name NAME --query value -o tsv |
    hcp-identity check credential - --object-encoding base64 --client-id ID -o json
  hcp-identity check credential FILE --at 2026-12-31T00:00:00Z   # will it still work then?")]
pub(super) struct Args {
    /// The credential, or - for standard input.
    file: PathBuf,

    #[command(flatten)]
    expected: Expected,

    /// Judge as of this time instead of now (RFC 3339).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let value = input::read_secret(&args.file)?;
    let now = args.at.unwrap_or_else(environment::now);
    let verdict = judge(&value, args.expected.encoding(), &args.expected.expectation(), now);
    print(&verdict, args.output, text)?;
    Ok(if verdict.is_valid() { Outcome::Done } else { Outcome::Findings })
}

pub(super) fn text(out: &mut dyn Write, verdict: &Verdict) -> io::Result<()> {
    for problem in &verdict.problems {
        let style = report::style(problem.severity);
        let line = problem.to_string();
        let (severity, rest) = line.split_once('[').unwrap_or(("", &line));
        writeln!(out, "{style}{severity}{style:#}[{rest}")?;
    }
    writeln!(out, "consumer: {}", verdict.consumer)?;
    let Facts { client_id, tenant_id, endpoint, not_before, usable_until, renew_after, key_bits, .. } = &verdict.facts;
    let mut line = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name}: {value}"),
        None => Ok(()),
    };
    line("client id", client_id.clone())?;
    line("tenant id", tenant_id.clone())?;
    line("endpoint", endpoint.clone())?;
    line("not before", not_before.map(|date| date.to_string()))?;
    line("usable until", usable_until.map(|date| date.to_string()))?;
    line("renew after", renew_after.map(|date| date.to_string()))?;
    line("key", key_bits.map(|bits| format!("RSA, {bits} bits")))?;
    for certificate in &verdict.facts.certificates {
        let name = certificate.common_name.as_deref().unwrap_or_default().escape_debug();
        let dates = format!("{} to {}", certificate.not_before, certificate.not_after);
        line("certificate", Some(format!("CN={name}, {dates}, thumbprint {}", certificate.thumbprint)))?;
    }
    Ok(())
}
