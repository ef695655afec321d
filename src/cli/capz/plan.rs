//! `hcp-identity capz plan`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;
use serde_json::Value;

use crate::{
    capz::{
        Certificate, IdentityId, KeyFiles, Plan, Request, SecretName, SignIn, Subscription, Tokens, pair, pair_secret,
        plan,
    },
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        input::{is_open_to_others, read_secret},
        output::{Change, Folder},
        report,
    },
    credential::Secret,
    manifest::{Format, Writer, on_lines},
    names::{ClientId, Namespace, ObjectName, TenantId},
    provision::{Issuer, KeySet, discovery},
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

  hcp-identity capz plan --cluster-name prod --issuer https://oidc.example.com/prod/ \\
    --tenant-id 99999999-2222-4333-8444-555555555555 --private-key sa.key --public-key sa.pub --output-dir capz

  hcp-identity capz plan ... -o json | jq -r '.tokens.federatedCredentials[].subject'")]
pub(super) struct Args {
    /// Name of the cluster that is to manage others.
    #[arg(long, value_name = "NAME", value_parser = |name: &str| ObjectName::new(name))]
    cluster_name: ObjectName,

    /// Namespace of the cluster and of its AzureClusterIdentity.
    #[arg(long, value_name = "NAMESPACE", default_value = "default", value_parser = |name: &str| Namespace::new(name))]
    namespace: Namespace,

    /// Name of the AzureClusterIdentity.
    #[arg(long, value_name = "NAME", default_value = "cluster-identity", value_parser = |name: &str| ObjectName::new(name))]
    identity_name: ObjectName,

    /// Type of the AzureClusterIdentity.
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = IdentityType::WorkloadIdentity)]
    identity_type: IdentityType,

    /// Issuer of the cluster's tokens, exactly as the federated credentials are to have it: for WorkloadIdentity.
    #[arg(long, value_name = "URL", value_parser = Issuer::new)]
    issuer: Option<Issuer>,

    /// Client id of the identity or application that CAPZ signs in as, once it is known.
    #[arg(long, value_name = "ID", value_parser = |id: &str| ClientId::new(id))]
    client_id: Option<ClientId>,

    /// Its tenant.
    #[arg(long, value_name = "ID", value_parser = super::tenant)]
    tenant_id: TenantId,

    /// Subscription in which clusters are made.
    #[arg(long, value_name = "ID", value_parser = Subscription::new)]
    subscription_id: Option<Subscription>,

    /// A namespace whose clusters may use the AzureClusterIdentity; may be repeated. Otherwise that of --namespace.
    #[arg(long = "allowed-namespace", value_name = "NAMESPACE", value_parser = |name: &str| Namespace::new(name))]
    allowed_namespaces: Vec<Namespace>,

    /// Resource id of the identity that nodes sign in as.
    #[arg(long, value_name = "ID", value_parser = IdentityId::new)]
    user_assigned_identity: Option<IdentityId>,

    /// Private key that the cluster signs tokens with. It is looked at together with --public-key.
    #[arg(long, value_name = "FILE", requires = "public_key")]
    private_key: Option<PathBuf>,

    /// Its public half.
    #[arg(long, value_name = "FILE", requires = "private_key")]
    public_key: Option<PathBuf>,

    /// Secret with the client secret or the certificate, in --namespace: for the types of service principals.
    #[arg(long, value_name = "NAME", value_parser = |name: &str| ObjectName::new(name))]
    secret_name: Option<ObjectName>,

    /// Where the certificate is mounted: for ServicePrincipalCertificate.
    #[arg(long, value_name = "PATH")]
    certificate_path: Option<String>,

    /// Where the credential is mounted: for UserAssignedIdentityCredential.
    #[arg(long, value_name = "PATH")]
    credentials_path: Option<String>,

    /// Cloud of the credential: for UserAssignedIdentityCredential.
    #[arg(long, value_name = "CLOUD", value_parser = ["public", "usgovernment", "china"])]
    credentials_cloud: Option<String>,

    /// Folder for the files; it is made if it is missing.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// As AzureClusterIdentity spells them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum IdentityType {
    WorkloadIdentity,
    ServicePrincipal,
    ManualServicePrincipal,
    ServicePrincipalCertificate,
    #[value(name = "UserAssignedMSI")]
    UserAssignedMsi,
    UserAssignedIdentityCredential,
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

/// The files of a pair, as read.
struct KeyPair {
    private: Secret,
    public: Secret,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let (key_files, key_pair) = key_pair(args)?;
    let request = request(args, key_files)?;
    let plan = plan(&request)?;
    let files = match &args.output_dir {
        Some(folder) => write(folder, &files(&request, &plan, key_pair.as_ref())?)?,
        None => Vec::new(),
    };
    print(&Answer { plan, files }, args.output, text)?;
    Ok(Outcome::Done)
}

fn key_pair(args: &Args) -> Result<(KeyFiles, Option<KeyPair>)> {
    let (Some(private_path), Some(public_path)) = (&args.private_key, &args.public_key) else {
        return Ok((KeyFiles { private: "sa.key".to_owned(), public: "sa.pub".to_owned(), key: None }, None));
    };
    let files = KeyPair { private: read_secret(private_path)?, public: read_secret(public_path)? };
    let key = pair(&files.private, files.public.expose())
        .map_err(|why| anyhow!("{} and {}: {why}", private_path.display(), public_path.display()))?;
    if is_open_to_others(private_path)? {
        report::note(&format!("{} can be read by others: chmod 600 it", private_path.display()));
    }
    let name = |path: &Path| path.to_string_lossy().into_owned();
    Ok((KeyFiles { private: name(private_path), public: name(public_path), key: Some(key) }, Some(files)))
}

fn request(args: &Args, key_pair: KeyFiles) -> Result<Request> {
    Ok(Request {
        cluster: args.cluster_name.clone(),
        namespace: args.namespace.clone(),
        identity_name: args.identity_name.clone(),
        sign_in: sign_in(args)?,
        client: args.client_id.clone(),
        tenant: args.tenant_id.clone(),
        subscription: args.subscription_id.clone(),
        allowed_namespaces: args.allowed_namespaces.clone(),
        machine_identity: args.user_assigned_identity.clone(),
        key_pair,
    })
}

impl IdentityType {
    /// The flags that are for this type, and what is said where they are missing.
    fn flags(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::WorkloadIdentity => (&["--issuer", "--private-key"], "--issuer"),
            Self::ServicePrincipal | Self::ManualServicePrincipal => (&["--secret-name"], "--secret-name"),
            Self::ServicePrincipalCertificate => {
                (&["--secret-name", "--certificate-path"], "either --secret-name or --certificate-path")
            }
            Self::UserAssignedMsi => (&[], ""),
            Self::UserAssignedIdentityCredential => {
                (&["--credentials-path", "--credentials-cloud"], "--credentials-path")
            }
        }
    }
}

/// What the type needs, and nothing that is for another one.
fn sign_in(args: &Args) -> Result<SignIn> {
    let (flags, needed) = args.identity_type.flags();
    let given = [
        ("--issuer", args.issuer.is_some()),
        ("--private-key", args.private_key.is_some()),
        ("--secret-name", args.secret_name.is_some()),
        ("--certificate-path", args.certificate_path.is_some()),
        ("--credentials-path", args.credentials_path.is_some()),
        ("--credentials-cloud", args.credentials_cloud.is_some()),
    ];
    if let Some((flag, _)) = given.iter().find(|(flag, given)| *given && !flags.contains(flag)) {
        bail!("{flag} is for another --identity-type");
    }
    given_sign_in(args).ok_or_else(|| anyhow!("this --identity-type needs {needed}"))
}

fn given_sign_in(args: &Args) -> Option<SignIn> {
    let secret = || args.secret_name.clone().map(|name| SecretName { name, namespace: args.namespace.clone() });
    Some(match args.identity_type {
        IdentityType::WorkloadIdentity => SignIn::WorkloadIdentity { issuer: args.issuer.clone()? },
        IdentityType::ServicePrincipal => SignIn::ServicePrincipal { secret: secret()? },
        IdentityType::ManualServicePrincipal => SignIn::ManualServicePrincipal { secret: secret()? },
        IdentityType::ServicePrincipalCertificate => {
            let certificate = match (secret(), args.certificate_path.clone()) {
                (Some(secret), None) => Certificate::Secret(secret),
                (None, Some(path)) => Certificate::Path(path),
                _ => return None,
            };
            SignIn::ServicePrincipalCertificate { certificate }
        }
        IdentityType::UserAssignedMsi => SignIn::UserAssignedMsi,
        IdentityType::UserAssignedIdentityCredential => {
            let cloud = args.credentials_cloud.clone().unwrap_or_else(|| "public".to_owned());
            SignIn::CredentialFile { path: args.credentials_path.clone()?, cloud }
        }
    })
}

/// What --output-dir is for.
fn files(request: &Request, plan: &Plan, pair: Option<&KeyPair>) -> Result<Vec<(String, Secret)>> {
    let mut files = Vec::new();
    if let Some(identity) = &plan.azure_cluster_identity {
        files.push(("azure-cluster-identity.yaml".to_owned(), Secret::new(yaml(identity)?)));
    }
    if let (Some(tokens), SignIn::WorkloadIdentity { issuer }) = (&plan.tokens, &request.sign_in) {
        files.push(("kind.yaml".to_owned(), Secret::new(yaml(&tokens.kind)?)));
        files.push(("openid-configuration".to_owned(), Secret::new(discovery(issuer)?.into_bytes())));
        if let (Some(key), Some(pair)) = (&request.key_pair.key, pair) {
            files.push(("jwks".to_owned(), Secret::new(KeySet::of(key).text()?.into_bytes())));
            let secret = pair_secret(request, &pair.private, pair.public.expose())?;
            files.push((format!("{}.yaml", tokens.secret.name), secret));
        }
    }
    Ok(files)
}

fn yaml(value: &Value) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Format::Yaml);
    writer.write(value)?;
    writer.finish()?;
    Ok(bytes)
}

fn write(path: &Path, files: &[(String, Secret)]) -> Result<Vec<Written>> {
    let folder = Folder::take(path, &[])?;
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
