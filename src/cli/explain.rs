//! `hcp-identity explain`.

use std::io::{self, Write};

use serde::Serialize;

use super::{
    CommandResult, Outcome,
    answer::{OutputFormat, print},
    input,
};
use crate::explain::{Explanation, Recognised, explain, recognise};

/// Explain an error: what caused it, what to do, and the command to run.
///
/// Knows what Entra (AADSTS…), Azure Resource Manager, Key Vault, the Secrets Store CSI driver and its Azure provider,
/// kubelet and the components' library say. Nothing is sent anywhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity explain 'AADSTS700027: Client assertion failed signature validation.'
  kubectl get events -n NAMESPACE --field-selector reason=FailedMount -o jsonpath='{.items[-1:].message}' | hcp-identity explain -")]
pub(super) struct Args {
    /// The error text, as much of it as there is, or - for standard input.
    #[arg(required = true)]
    text: Vec<String>,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Serialize)]
struct Answer {
    explanation: Option<Explanation>,
    recognised: Recognised,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let text = match args.text.as_slice() {
        [only] if only == "-" => String::from_utf8_lossy(input::read_secret("-".as_ref())?.expose()).into_owned(),
        words => words.join(" "),
    };
    let answer = Answer { explanation: explain(&text), recognised: recognise(&text) };
    let outcome = if answer.explanation.is_some() { Outcome::Done } else { Outcome::Findings };
    print(&answer, args.output, text_of)?;
    Ok(outcome)
}

fn text_of(out: &mut dyn Write, Answer { explanation, recognised }: &Answer) -> io::Result<()> {
    match explanation {
        None => {
            writeln!(out, "unknown: nothing here explains this text")?;
            writeln!(out, "next: look for the innermost message of the chain, and paste that")?;
        }
        Some(Explanation { reason, source, cause, next, command }) => {
            writeln!(out, "{reason} ({source})")?;
            writeln!(out, "cause: {cause}")?;
            writeln!(out, "next: {next}")?;
            if !command.is_empty() {
                writeln!(out, "run: {command}")?;
            }
        }
    }
    for (name, value) in recognised.iter() {
        writeln!(out, "{name}: {value}")?;
    }
    Ok(())
}
