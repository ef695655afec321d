//! What `capz plan` and `capz apply` are told: for what, and with which key pair.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::{
    capz::{Certificate, IdentityId, KeyFiles, Request, SecretName, SignIn, Subscription, pair},
    cli::{
        input::{is_open_to_others, read_secret},
        report,
    },
    credential::Secret,
    names::{ClientId, Namespace, ObjectName, TenantId},
    provision::{Issuer, SigningKey},
};

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
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

/// The files of a pair, as read.
pub(super) struct KeyPair {
    pub(super) private: Secret,
    pub(super) public: Secret,
}

impl Flags {
    /// What is asked for, and the pair if it is given.
    pub(super) fn read(&self) -> Result<(Request, Option<KeyPair>)> {
        let (files, pair) = key_pair(self)?;
        Ok((request(self, files)?, pair))
    }
}

fn key_pair(args: &Flags) -> Result<(KeyFiles, Option<KeyPair>)> {
    let (Some(private_path), Some(public_path)) = (&args.private_key, &args.public_key) else {
        return Ok((KeyFiles { private: "sa.key".to_owned(), public: "sa.pub".to_owned(), key: None }, None));
    };
    let (key, files) = read_pair(private_path, public_path)?;
    let name = |path: &Path| path.to_string_lossy().into_owned();
    Ok((KeyFiles { private: name(private_path), public: name(public_path), key: Some(key) }, Some(files)))
}

/// Two files that belong together.
pub(super) fn read_pair(private_path: &Path, public_path: &Path) -> Result<(SigningKey, KeyPair)> {
    let files = KeyPair { private: read_secret(private_path)?, public: read_secret(public_path)? };
    let key = pair(&files.private, files.public.expose())
        .map_err(|why| anyhow!("{} and {}: {why}", private_path.display(), public_path.display()))?;
    if is_open_to_others(private_path)? {
        report::note(&format!("{} can be read by others: chmod 600 it", private_path.display()));
    }
    Ok((key, files))
}

fn request(args: &Flags, key_pair: KeyFiles) -> Result<Request> {
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
fn sign_in(args: &Flags) -> Result<SignIn> {
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

fn given_sign_in(args: &Flags) -> Option<SignIn> {
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
