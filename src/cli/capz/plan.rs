//! `hcp-identity capz plan`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Result;
use serde::Serialize;

use super::{
    request::{Flags, KeyPair},
    yaml,
};
use crate::{
    capz::{Plan, Request, SignIn, Tokens, pair_secret, plan},
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        output::{Change, Folder},
    },
    credential::Secret,
    manifest::on_lines,
    provision::discovery,
};

/// Print what a management cluster needs to sign in to Azure.
///
/// Key pair, issuer, the two federated credentials, roles, AzureClusterIdentity, the identity of machines, the configuration of
/// kind, and the Secret for a cluster that takes over: in the order in which they are made. Nothing of it is made, and nobody is asked.
/// With --output-dir the files of it are written: kind.yaml, azure-cluster-identity.yaml, openid-configuration, jwks and
/// CLUSTER-sa.yaml, the last one with the private key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  openssl genrsa -out sa.key 2048 && openssl rsa -in sa.key -pubout -out sa.pub

  hcp-identity capz plan --cluster-name prod --private-key sa.key --public-key sa.pub \\
    --issuer https://oidc.example.com/prod/ \\
    --tenant-id 99999999-2222-4333-8444-555555555555 --output-dir capz -o json |
    jq -r '.tokens.federatedCredentials[].subject'")]
pub(super) struct Args {
    #[command(flatten)]
    flags: Flags,

    /// Folder for the files; it is made if it is missing.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    plan: Plan,
    files: Vec<Written>,
}

#[derive(Serialize)]
struct Written {
    path: PathBuf,
    change: Change,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let (request, key_pair) = args.flags.read()?;
    let plan = plan(&request)?;
    let files = match &args.output_dir {
        Some(folder) => {
            let folder = Folder::take(folder, &[])?;
            write(&folder, &files(&request, &plan, key_pair.as_ref(), &folder)?)?
        }
        None => Vec::new(),
    };
    print(&Answer { plan, files }, args.output, text)?;
    Ok(Outcome::Done)
}

/// What --output-dir is for.
fn files(request: &Request, plan: &Plan, pair: Option<&KeyPair>, folder: &Folder) -> Result<Vec<(String, Secret)>> {
    let mut files = Vec::new();
    if let Some(identity) = &plan.azure_cluster_identity {
        files.push(("azure-cluster-identity.yaml".to_owned(), Secret::new(yaml(identity)?)));
    }
    if let (Some(tokens), SignIn::WorkloadIdentity { issuer }) = (&plan.tokens, &request.sign_in) {
        files.push(("kind.yaml".to_owned(), Secret::new(yaml(&tokens.kind)?)));
        files.push(("openid-configuration".to_owned(), Secret::new(discovery(issuer)?.into_bytes())));
        if let (Some(key), Some(pair)) = (&request.key_pair.key, pair) {
            let keys = folder.keys("jwks", key, &[])?;
            files.push(("jwks".to_owned(), Secret::new(keys.text()?.into_bytes())));
            let secret = pair_secret(request, &pair.private, pair.public.expose())?;
            files.push((format!("{}.yaml", tokens.secret.name), secret));
        }
    }
    Ok(files)
}

fn write(folder: &Folder, files: &[(String, Secret)]) -> Result<Vec<Written>> {
    let write = |(name, content): &(String, Secret)| {
        let there = folder.read(name)?;
        let change = match there {
            Some(there) if there.expose() == content.expose() => folder.restrict(name)?,
            Some(_) => Change::Replaced,
            None => Change::Created,
        };
        if matches!(change, Change::Replaced | Change::Created) {
            folder.write(name, content.expose())?;
        }
        Ok(Written { path: folder.path(name), change })
    };
    files.iter().map(write).collect()
}

fn text(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    let Answer { plan, files } = answer;
    if let Some(tokens) = &plan.tokens {
        text_of_tokens(out, tokens)?;
    }
    writeln!(out, "Roles")?;
    for role in &plan.role_assignments {
        writeln!(out, "  {} on {}\n    for {}", role.role, role.scope, role.identity)?;
    }
    for argument in &plan.manager_arguments {
        writeln!(out, "Argument of CAPZ's manager\n  {argument}")?;
    }
    if let Some(identity) = &plan.azure_cluster_identity {
        writeln!(out, "AzureClusterIdentity")?;
        indented(out, &yaml(identity)?)?;
    }
    if let Some(machine) = &plan.machine {
        writeln!(out, "Spec of machines")?;
        indented(out, on_lines(machine)?.as_bytes())?;
    }
    if let Some(tokens) = &plan.tokens {
        writeln!(out, "Configuration of kind")?;
        indented(out, &yaml(&tokens.kind)?)?;
        let secret = &tokens.secret;
        writeln!(
            out,
            "Secret for a cluster that takes over, before it is made\n  {}/{}",
            secret.namespace, secret.name
        )?;
        writeln!(out, "    keys      {} (the public key), {} (the private key)", secret.keys[0], secret.keys[1])?;
    }
    for note in &plan.notes {
        writeln!(out, "Note: {note}")?;
    }
    for Written { path, change } in files {
        let change: &str = change.into();
        writeln!(out, "{change}: {}", path.display())?;
    }
    Ok(())
}

fn text_of_tokens(out: &mut dyn Write, tokens: &Tokens) -> io::Result<()> {
    let pair = &tokens.key_pair;
    writeln!(out, "Key pair\n  private   {}\n  public    {}", pair.private_key, pair.public_key)?;
    if let Some(id) = &pair.key_id {
        writeln!(out, "  key id    {id}")?;
    }
    let issuer = &tokens.issuer;
    writeln!(out, "Issuer, answering whoever asks\n  url       {}", issuer.url)?;
    writeln!(out, "  discovery {}\n  keys      {}", issuer.discovery_document, issuer.key_set)?;
    writeln!(out, "Federated credentials, made one after the other")?;
    for credential in &tokens.federated_credentials {
        writeln!(out, "  {}\n    issuer    {}", credential.name, credential.issuer)?;
        writeln!(out, "    subject   {}\n    audience  {}", credential.subject, credential.audience)?;
    }
    Ok(())
}

fn indented(out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
    String::from_utf8_lossy(text).lines().try_for_each(|line| writeln!(out, "  {line}"))
}
