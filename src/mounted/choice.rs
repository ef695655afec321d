//! Which credential a program signs in with, of what it has been given. The decision is a function of its arguments; reading them is
//! apart from it.

use std::{
    collections::BTreeMap,
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use azure_core::{
    cloud::CloudConfiguration,
    credentials::{Secret as AzureSecret, TokenCredential},
    http::ClientOptions,
};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
};
use strum::{EnumIter, IntoEnumIterator as _, IntoStaticStr};

use super::{MountError, MountedCredential, Options, at, federated::TokenFile};
use crate::{
    component::{COMPONENTS, EnvValue},
    credential::Secret,
    names::is_uuid,
};

/// The keys of a config Secret that say how to sign in, as cloud-credential-operator, `ccoctl` and HyperShift write them.
#[derive(Clone, Copy, Debug, EnumIter, Eq, IntoStaticStr, Ord, PartialEq, PartialOrd)]
pub enum SecretKey {
    #[strum(serialize = "azure_client_id")]
    ClientId,
    #[strum(serialize = "azure_tenant_id")]
    TenantId,
    #[strum(serialize = "azure_client_secret")]
    ClientSecret,
    #[strum(serialize = "azure_federated_token_file")]
    FederatedTokenFile,
}

/// What a program has been given to sign in with.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    secret: BTreeMap<SecretKey, Secret>,
    environment: BTreeMap<&'static str, Secret>,
}

/// Where a choice was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    ConfigSecret,
    Environment,
}

/// What signs in.
#[derive(Clone, Debug)]
pub enum Choice {
    /// UserAssignedIdentityCredentials in a file, which bring their own tenant, client and Entra.
    Mounted {
        path: PathBuf,
    },
    ClientSecret {
        tenant_id: String,
        client_id: String,
        secret: Secret,
        authority: Option<String>,
    },
    /// The token of a service account. Its file need not be there yet.
    Federated {
        tenant_id: String,
        client_id: String,
        token_file: PathBuf,
        authority: Option<String>,
    },
}

/// Why a program has no credential. No value is quoted that may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    #[error(
        "nothing is given to sign in with: no mounted credential ({variables}), and no client id, neither in a config Secret \
         (azure_client_id) nor in the environment (AZURE_CLIENT_ID)"
    )]
    Nothing { variables: String },
    #[error("{variable} is no absolute path of a credential; set it to where the pod mounts it")]
    NoPath { variable: &'static str },
    #[error("{origin} has a client id and no {what}; add {key}")]
    Incomplete { origin: Origin, what: &'static str, key: &'static str },
    #[error("{key} of {origin} is no client id: it must be a UUID")]
    NoClientId { origin: Origin, key: &'static str },
    #[error("{key} of {origin} is no text; write it anew")]
    NotText { origin: Origin, key: &'static str },
    #[error("cannot read the config Secret {path}: {why}; see that the pod mounts it")]
    Unreadable { path: PathBuf, why: io::Error },
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("cannot sign in with what is given: {why}")]
    Unusable { why: azure_core::Error },
}

const AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";

/// Where pods of OpenShift have the token of their service account, if nothing else is said.
const TOKEN_FILE: &str = "/var/run/secrets/openshift/serviceaccount/token";

/// A credential of what a program has been given, as [`choose`] chooses.
///
/// # Assumptions
/// Those of [`MountedCredential`].
///
/// # Errors
/// Why there is none.
pub fn credential(sources: &Sources, options: Options) -> Result<Arc<dyn TokenCredential>, ChoiceError> {
    choose(sources)?.open(options)
}

/// What signs in: a mounted credential; else the client id of the config Secret; else that of the environment. With a client id goes
/// the client secret beside it; without one, the token of a service account.
///
/// # Guarantees
/// No client id is used with the client secret of another source. The config Secret may leave to the environment what says nothing
/// of who signs in: the tenant and the token file.
///
/// # Errors
/// What is missing, or no value that can be used. What a source of lower rank has is not looked at then.
pub fn choose(sources: &Sources) -> Result<Choice, ChoiceError> {
    if let Some(path) = mounted(sources)? {
        return Ok(Choice::Mounted { path });
    }
    for origin in [Origin::ConfigSecret, Origin::Environment] {
        if let Some(client_id) = sources.text(origin, SecretKey::ClientId)? {
            return chosen(sources, origin, client_id);
        }
    }
    Err(ChoiceError::Nothing { variables: credential_path_variables().collect::<Vec<_>>().join(", ") })
}

/// The environment variables in which pods find the path of their credential.
fn credential_path_variables() -> impl Iterator<Item = &'static str> {
    let env = COMPONENTS.iter().flat_map(|component| component.pods).flat_map(|pod| pod.env);
    let mut seen = BTreeSet::new();
    env.filter(|env| env.value == EnvValue::CredentialPath).map(|env| env.name).filter(move |name| seen.insert(*name))
}

fn mounted(sources: &Sources) -> Result<Option<PathBuf>, ChoiceError> {
    for variable in credential_path_variables() {
        if let Some(path) = sources.variable(variable)?.map(PathBuf::from) {
            return if path.is_absolute() { Ok(Some(path)) } else { Err(ChoiceError::NoPath { variable }) };
        }
    }
    Ok(None)
}

fn chosen(sources: &Sources, origin: Origin, client_id: String) -> Result<Choice, ChoiceError> {
    if !is_uuid(&client_id) {
        return Err(ChoiceError::NoClientId { origin, key: origin.name(SecretKey::ClientId) });
    }
    let missing = |what, key| ChoiceError::Incomplete { origin, what, key: origin.name(key) };
    let or_environment = |key| match sources.text(origin, key) {
        Ok(None) => sources.text(Origin::Environment, key),
        found => found,
    };
    let tenant_id = or_environment(SecretKey::TenantId)?.ok_or_else(|| missing("tenant id", SecretKey::TenantId))?;
    let authority = sources.variable(AUTHORITY_HOST)?;
    if let Some(secret) = sources.text(origin, SecretKey::ClientSecret)? {
        let secret = Secret::new(secret.into_bytes());
        return Ok(Choice::ClientSecret { tenant_id, client_id, secret, authority });
    }
    let token_file = match (or_environment(SecretKey::FederatedTokenFile)?, origin) {
        (Some(path), _) => path,
        (None, Origin::ConfigSecret) => TOKEN_FILE.to_owned(),
        (None, Origin::Environment) => {
            return Err(missing("client secret and no federated token file", SecretKey::FederatedTokenFile));
        }
    };
    Ok(Choice::Federated { tenant_id, client_id, token_file: token_file.into(), authority })
}

impl Choice {
    /// Makes a credential of it. A token file is read whenever Entra is asked, a mounted credential whenever it changes; a client
    /// secret stays as it is.
    ///
    /// # Errors
    /// A mounted credential that is not valid, or a tenant or an authority that cannot be used.
    pub fn open(self, options: Options) -> Result<Arc<dyn TokenCredential>, ChoiceError> {
        let unusable = |why| ChoiceError::Unusable { why };
        match self {
            Self::Mounted { path } => Ok(Arc::new(MountedCredential::open(path, options)?)),
            Self::ClientSecret { tenant_id, client_id, secret, authority } => {
                let client_options = client_options(authority, options.client_options);
                let options = ClientSecretCredentialOptions { client_options };
                let secret = AzureSecret::new(String::from_utf8_lossy(secret.expose()).into_owned());
                Ok(ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options)).map_err(unusable)?)
            }
            Self::Federated { tenant_id, client_id, token_file, authority } => {
                let client_options = client_options(authority, options.client_options);
                let options = ClientAssertionCredentialOptions { client_options };
                let token = TokenFile(token_file);
                Ok(ClientAssertionCredential::new(tenant_id, client_id, token, Some(options)).map_err(unusable)?)
            }
        }
    }
}

/// The Entra that is named, else that of the options, else the public one: never what the process happens to have in its environment.
fn client_options(authority: Option<String>, options: ClientOptions) -> ClientOptions {
    match authority {
        Some(authority) => at(&authority, &options),
        None if options.cloud.is_none() => {
            ClientOptions { cloud: Some(Arc::new(CloudConfiguration::AzurePublic)), ..options }
        }
        None => options,
    }
}

impl Sources {
    /// The values of a config Secret; keys that say nothing of how to sign in are passed over.
    #[must_use]
    pub fn with_secret<'k>(mut self, values: impl IntoIterator<Item = (&'k str, Secret)>) -> Self {
        for (name, value) in values {
            if let Some(key) = SecretKey::iter().find(|key| <&str>::from(key) == name) {
                self.secret.insert(key, value);
            }
        }
        self
    }

    /// A config Secret as it is mounted: a folder with a file for each key.
    ///
    /// # Errors
    /// Where the folder, or a file in it, cannot be read. A key need not be there.
    pub fn with_secret_folder(mut self, folder: &Path) -> Result<Self, ChoiceError> {
        let unreadable = |path: &Path, why| ChoiceError::Unreadable { path: path.to_owned(), why };
        #[expect(clippy::disallowed_methods, reason = "this is where a mounted Secret becomes an argument")]
        std::fs::read_dir(folder).map_err(|why| unreadable(folder, why))?;
        for key in SecretKey::iter() {
            let path = folder.join(<&str>::from(key));
            #[expect(clippy::disallowed_methods, reason = "this is where a mounted Secret becomes an argument")]
            match std::fs::read(&path) {
                Ok(value) => drop(self.secret.insert(key, Secret::new(value))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, error)),
            }
        }
        Ok(self)
    }

    /// What an environment says, such as `|name| std::env::var(name).ok()`. It is asked for the names of the webhook of workload
    /// identities, for `AZURE_CLIENT_SECRET`, and for those that HyperShift tells the path of a mounted credential by.
    #[must_use]
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let of_keys = SecretKey::iter().map(|key| Origin::Environment.name(key));
        for name in of_keys.chain(credential_path_variables()).chain([AUTHORITY_HOST]) {
            if let Some(value) = variable(name) {
                self.environment.insert(name, Secret::new(value.into_bytes()));
            }
        }
        self
    }

    /// A value without the white space around it; none where nothing is left.
    fn text(&self, origin: Origin, key: SecretKey) -> Result<Option<String>, ChoiceError> {
        match origin {
            Origin::ConfigSecret => text(self.secret.get(&key), origin, key.into()),
            Origin::Environment => self.variable(origin.name(key)),
        }
    }

    fn variable(&self, name: &'static str) -> Result<Option<String>, ChoiceError> {
        text(self.environment.get(name), Origin::Environment, name)
    }
}

fn text(value: Option<&Secret>, origin: Origin, key: &'static str) -> Result<Option<String>, ChoiceError> {
    let Some(value) = value else { return Ok(None) };
    let text = str::from_utf8(value.expose()).map_err(|_| ChoiceError::NotText { origin, key })?.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

impl Origin {
    /// What a key is called there.
    fn name(self, key: SecretKey) -> &'static str {
        match (self, key) {
            (Self::ConfigSecret, key) => key.into(),
            (Self::Environment, SecretKey::ClientId) => "AZURE_CLIENT_ID",
            (Self::Environment, SecretKey::TenantId) => "AZURE_TENANT_ID",
            (Self::Environment, SecretKey::ClientSecret) => "AZURE_CLIENT_SECRET",
            (Self::Environment, SecretKey::FederatedTokenFile) => "AZURE_FEDERATED_TOKEN_FILE",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigSecret => "the config Secret",
            Self::Environment => "the environment",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "11111111-2222-4333-8444-000000000001";
    const ENVIRONMENT: &str = "11111111-2222-4333-8444-000000000002";

    /// `key=value` of a config Secret, and of an environment.
    fn sources(secret: &[&str], environment: &[&str]) -> Sources {
        let pairs = |all: &[&str]| -> Vec<(String, String)> {
            let pair =
                |text: &&str| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
            all.iter().map(pair).collect()
        };
        let (secret, environment) = (pairs(secret), pairs(environment));
        let secret = secret.iter().map(|(key, value)| (key.as_str(), Secret::new(value.clone().into_bytes())));
        let find = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Sources::default().with_secret(secret).with_environment(find)
    }

    fn chosen(secret: &[&str], environment: &[&str]) -> String {
        match choose(&sources(secret, environment)) {
            Ok(Choice::Mounted { path }) => format!("mounted {}", path.display()),
            Ok(Choice::ClientSecret { tenant_id, client_id, secret, authority }) => {
                let secret = String::from_utf8(secret.expose().to_vec()).unwrap();
                format!("{client_id} of {tenant_id} by {secret} at {authority:?}")
            }
            Ok(Choice::Federated { tenant_id, client_id, token_file, authority }) => {
                format!("{client_id} of {tenant_id} by {} at {authority:?}", token_file.display())
            }
            Err(error) => error.to_string(),
        }
    }

    /// What the webhook of workload identities sets.
    const WEBHOOK: [&str; 4] = [
        "AZURE_CLIENT_ID=11111111-2222-4333-8444-000000000002",
        "AZURE_TENANT_ID=e",
        "AZURE_FEDERATED_TOKEN_FILE=/e/token",
        "AZURE_AUTHORITY_HOST=https://login.microsoftonline.us/",
    ];
    /// What ccoctl writes.
    const CONFIG: [&str; 4] = [
        "azure_client_id=11111111-2222-4333-8444-000000000001",
        "azure_tenant_id=s",
        "azure_region=eastus",
        "azure_federated_token_file=/s/token",
    ];

    #[test]
    fn a_mounted_credential_comes_before_all_else() {
        let path = ["MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH=/mnt/x", "ARO_HCP_CLIENT_CREDENTIALS_PATH=/mnt/y"];
        assert_eq!(chosen(&CONFIG, &[&WEBHOOK[..], &path].concat()), "mounted /mnt/x");
        assert_eq!(chosen(&CONFIG, &[&WEBHOOK[..], &path[1..]].concat()), "mounted /mnt/y");
        // cluster-network-operator has a file's name in it, and no credential.
        let refused = chosen(&CONFIG, &["MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH=prod-network"]);
        assert!(refused.starts_with("MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH is no absolute path"), "{refused}");
        assert!(chosen(&[], &["MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH= "]).starts_with("nothing is given"));
    }

    #[test]
    fn the_config_secret_comes_before_the_environment() {
        let government = "Some(\"https://login.microsoftonline.us/\")";
        assert_eq!(chosen(&CONFIG, &WEBHOOK), format!("{SECRET} of s by /s/token at {government}"));
        assert_eq!(chosen(&CONFIG, &[]), format!("{SECRET} of s by /s/token at None"));
        assert_eq!(chosen(&[], &WEBHOOK), format!("{ENVIRONMENT} of e by /e/token at {government}"));
        assert_eq!(
            chosen(&["azure_client_id=\n"], &WEBHOOK),
            format!("{ENVIRONMENT} of e by /e/token at {government}")
        );
    }

    #[test]
    fn a_client_secret_comes_before_a_token_of_its_own_source() {
        let with_secret = [&CONFIG[..], &["azure_client_secret= hush\n"]].concat();
        assert_eq!(chosen(&with_secret, &[]), format!("{SECRET} of s by hush at None"));
        let empty = [&CONFIG[..], &["azure_client_secret="]].concat();
        assert_eq!(chosen(&empty, &[]), format!("{SECRET} of s by /s/token at None"));
        let environment = [&WEBHOOK[..3], &["AZURE_CLIENT_SECRET=hush"]].concat();
        assert_eq!(chosen(&[], &environment), format!("{ENVIRONMENT} of e by hush at None"));
        // That of another source is not the client id's.
        assert_eq!(chosen(&CONFIG, &["AZURE_CLIENT_SECRET=hush"]), format!("{SECRET} of s by /s/token at None"));
    }

    #[test]
    fn a_config_secret_leaves_tenant_and_token_to_the_environment() {
        assert_eq!(chosen(&CONFIG[..1], &WEBHOOK[..3]), format!("{SECRET} of e by /e/token at None"));
        let by_default = format!("{SECRET} of s by /var/run/secrets/openshift/serviceaccount/token at None");
        assert_eq!(chosen(&CONFIG[..2], &[]), by_default);
    }

    #[test]
    fn what_is_missing_is_named() {
        let nothing = chosen(&[], &[]);
        for name in [
            "MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH, ARO_HCP_CLIENT_CREDENTIALS_PATH",
            "azure_client_id",
            "AZURE_CLIENT_ID",
        ] {
            assert!(nothing.contains(name), "{nothing}");
        }
        assert_eq!(
            chosen(&CONFIG[..1], &[]),
            "the config Secret has a client id and no tenant id; add azure_tenant_id"
        );
        assert_eq!(chosen(&[], &WEBHOOK[..1]), "the environment has a client id and no tenant id; add AZURE_TENANT_ID");
        let no_token = chosen(&[], &WEBHOOK[..2]);
        assert!(no_token.ends_with("no federated token file; add AZURE_FEDERATED_TOKEN_FILE"), "{no_token}");
        assert_eq!(
            chosen(&["azure_client_id=hush"], &WEBHOOK),
            "azure_client_id of the config Secret is no client id: it must be a UUID"
        );
        let bytes = Sources::default().with_secret([("azure_client_id", Secret::new(vec![0xff]))]);
        assert!(matches!(choose(&bytes), Err(ChoiceError::NotText { key: "azure_client_id", .. })));
    }

    #[test]
    fn nothing_that_is_shown_has_the_client_secret_in_it() {
        let with_secret = [&CONFIG[..], &["azure_client_secret=canary"]].concat();
        let sources = sources(&with_secret, &["AZURE_CLIENT_SECRET=canary"]);
        let choice = choose(&sources).unwrap();
        let shown = format!("{sources:?} {choice:?} {:?}", choice.clone().open(Options::default()).unwrap());
        assert!(shown.contains(SECRET) && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn an_authority_without_tls_is_refused() {
        let plain = sources(&CONFIG, &["AZURE_AUTHORITY_HOST=http://login.example"]);
        assert!(matches!(credential(&plain, Options::default()), Err(ChoiceError::Unusable { .. })));
    }
}
