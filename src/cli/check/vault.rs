//! `hcp-identity check vault`.

use std::io::{self, Write};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use super::{credential, expected::Expected};
use crate::{
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        environment, report,
    },
    credential::{Expectation, Reason, SignIn, VaultDates, Verdict, judge},
    finding::Severity,
    vault::{Access, Azure, Fetched, Kind, Level, Listed, Refusal, Vault},
};

/// Check a secret where it is: whether the vault lists it, gives its value away, and whether the credential works.
///
/// Runs as the identity that the environment names: AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE for
/// an identity that trusts the cluster, else a managed identity of the machine. Nothing secret is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity check vault VAULT SECRET --level metadata     # no value leaves the vault
  hcp-identity check vault VAULT SECRET --client-id ID --level sign-in -o json")]
pub(super) struct Args {
    /// The name of the Key Vault.
    vault: String,

    /// The name of the secret.
    secret: String,

    /// How far to go.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Depth::Content)]
    level: Depth,

    #[command(flatten)]
    expected: Expected,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Depth {
    /// What the vault lists; needs the permission to list.
    Metadata,
    /// The value is read and judged; needs the permission to get.
    Content,
    /// The credential signs in, once.
    SignIn,
}

impl From<Depth> for Level {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Metadata => Self::Metadata,
            Depth::Content => Self::Content,
            Depth::SignIn => Self::SignIn,
        }
    }
}

/// What became of one of the three things that are tried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
enum Step {
    #[default]
    NotTried,
    Allowed,
    Refused,
}

#[derive(Debug, Serialize)]
struct Problem {
    severity: Severity,
    reason: String,
    message: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    list: Step,
    read: Step,
    sign_in: Step,
    enabled: Option<bool>,
    version: Option<Box<str>>,
    created: Option<Timestamp>,
    not_before: Option<Timestamp>,
    expires: Option<Timestamp>,
    /// What the vault and Entra say.
    problems: Vec<Problem>,
    /// What is said of the value.
    credential: Option<Verdict>,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let azure = Azure::new(Access::of(environment::variable))?;
    let answer = runtime.block_on(ask(&azure, args))?;
    print(&answer, args.output, text)?;
    let refused = answer.problems.iter().any(|problem| problem.severity == Severity::Error);
    let invalid = answer.credential.as_ref().is_some_and(|verdict| !verdict.is_valid());
    Ok(if refused || invalid { Outcome::Findings } else { Outcome::Done })
}

async fn ask(azure: &Azure, args: &Args) -> Result<Answer, Refusal> {
    let cloud = args.expected.cloud.as_deref().unwrap_or_default();
    let vault = azure.vault(&args.vault, cloud)?;
    let level = Level::from(args.level);
    let mut answer = Answer::default();
    answer.list(&vault, &args.secret, level).await?;
    if level > Level::Metadata
        && let Some(fetched) = answer.read(&vault, &args.secret).await?
    {
        answer.judge(azure, &fetched, args, level).await?;
    }
    Ok(answer)
}

impl Answer {
    async fn list(&mut self, vault: &Vault, secret: &str, level: Level) -> Result<(), Refusal> {
        let mut found = None;
        let listed = vault.list(|name, listed| {
            if name.eq_ignore_ascii_case(secret) {
                found = Some(listed);
            }
        });
        let outcome = listed.await;
        // Who may read and not list is served all the same, at a request a secret.
        let severity = if level == Level::Metadata { Severity::Error } else { Severity::Warning };
        self.list = self.take(&outcome, severity)?;
        match found {
            Some(listed) => {
                self.take_attributes(&listed);
                if level == Level::Metadata {
                    self.judge_attributes(&listed);
                }
            }
            // Whoever reads is told so by the vault.
            None if self.list == Step::Allowed && level == Level::Metadata => self.missing(secret),
            None => {}
        }
        Ok(())
    }

    async fn read(&mut self, vault: &Vault, secret: &str) -> Result<Option<Fetched>, Refusal> {
        let outcome = vault.get(secret).await;
        self.read = self.take(&outcome, Severity::Error)?;
        let fetched = outcome.ok();
        if let Some(fetched) = &fetched {
            self.version.clone_from(&fetched.version);
            self.take_attributes(&fetched.listed);
        }
        Ok(fetched)
    }

    async fn judge(&mut self, azure: &Azure, fetched: &Fetched, args: &Args, level: Level) -> Result<(), Refusal> {
        let now = environment::now();
        let encoding = args.expected.encoding();
        let expected = Expectation { vault: fetched.listed.dates, ..args.expected.expectation() };
        let verdict = judge(&fetched.value, encoding, &expected, now);
        let credential =
            SignIn::read(&fetched.value, encoding).filter(|_| level == Level::SignIn && verdict.is_valid());
        self.credential = Some(verdict);
        if let Some(credential) = credential {
            let cloud = args.expected.cloud.as_deref().unwrap_or_default();
            self.sign_in = self.take(&azure.sign_in(&credential, cloud, now).await, Severity::Error)?;
        }
        Ok(())
    }

    /// A refusal is an answer; no answer is none.
    fn take<T>(&mut self, outcome: &Result<T, Refusal>, severity: Severity) -> Result<Step, Refusal> {
        match outcome {
            Ok(_) => Ok(Step::Allowed),
            Err(refusal) if matches!(refusal.kind, Kind::Unavailable | Kind::Throttled) => Err(refusal.clone()),
            Err(refusal) => {
                let (reason, message) = (refusal.kind.to_string(), refusal.message.clone());
                self.problems.push(Problem { severity, reason, message });
                Ok(Step::Refused)
            }
        }
    }

    fn take_attributes(&mut self, listed: &Listed) {
        let Listed { enabled, created, dates: VaultDates { not_before, expires }, .. } = *listed;
        self.enabled = Some(enabled);
        (self.created, self.not_before, self.expires) = (created, not_before, expires);
    }

    fn judge_attributes(&mut self, listed: &Listed) {
        if !listed.enabled {
            self.error(
                Kind::Disabled,
                "the secret is disabled: no pod can mount it; enable it, or store a new version".to_owned(),
            );
        }
        if let Some(expires) = listed.dates.expires.filter(|expires| *expires <= environment::now()) {
            let message = format!("the vault's version has ended on {expires}; store a fresh credential");
            self.error(Reason::Expired, message);
        }
    }

    fn missing(&mut self, secret: &str) {
        let message =
            format!("the vault lists no secret {secret}; compare credentialsSecretName with the vault's secrets");
        self.error(Kind::Missing, message);
    }

    fn error(&mut self, reason: impl std::fmt::Display, message: String) {
        self.problems.push(Problem { severity: Severity::Error, reason: reason.to_string(), message });
    }
}

fn text(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for Problem { severity, reason, message } in &answer.problems {
        let style = report::style(*severity);
        writeln!(out, "{style}{severity}{style:#}[{reason}]: {message}")?;
    }
    if let Some(verdict) = &answer.credential {
        credential::text(out, verdict)?;
    }
    let mut line = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name}: {value}"),
        None => Ok(()),
    };
    let date = |date: Option<Timestamp>| date.map(|date| date.to_string());
    line("version", answer.version.as_deref().map(str::to_owned))?;
    line("enabled", answer.enabled.map(|enabled| enabled.to_string()))?;
    line("created", date(answer.created))?;
    line("vault not before", date(answer.not_before))?;
    line("vault expires", date(answer.expires))?;
    line("list", Some(answer.list.to_string()))?;
    line("read", Some(answer.read.to_string()))?;
    line("sign-in", Some(answer.sign_in.to_string()))
}
