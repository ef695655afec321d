//! A credential for Rust programs: a `TokenCredential` over the file that the Secrets Store CSI driver mounts, or over whatever else a
//! program has been given, by one precedence.
//!
//! The driver renews a mount by a swap of the link `..data`. A watch on the file sees at most its end, and nothing after it. So the
//! folder is watched, and what is in the file is compared now and then all the same. Only a credential that judges valid is taken into use.

mod choice;
mod federated;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::ClientOptions,
};
use azure_identity::{ClientAssertionCredential, ClientAssertionCredentialOptions};
use tokio::{sync::watch, task::JoinHandle};

pub use choice::{Choice, ChoiceError, Origin, SecretKey, Sources, choose, credential};

use crate::{
    assertion::{Assertion, now},
    credential::{Expectation, Facts, ObjectEncoding, Secret, SignIn, judge},
    watched::Watched,
};

/// How a mounted credential is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often the file is looked at without a sign that it has changed.
    pub backstop: Duration,
    /// Transport and retries. The cloud is the credential's own; where it names none, this one.
    pub client_options: ClientOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self { backstop: Duration::from_secs(60), client_options: ClientOptions::default() }
    }
}

/// Why a credential cannot be used. Nothing of it is quoted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MountError {
    #[error("cannot read the credential {path}: {why}; see that the pod mounts it")]
    Unreadable { path: PathBuf, why: String },
    #[error("the credential {path} is not valid: {problems}")]
    Invalid { path: PathBuf, problems: String },
    #[error("the credential {path} cannot sign in: {why}")]
    Unusable { path: PathBuf, why: String },
}

/// Which credential is in use, and what became of the last change of the file.
#[derive(Clone, Debug)]
pub struct InUse {
    /// How many credentials have been taken into use, the first one included.
    pub taken: u64,
    pub facts: Facts,
    /// Why the file as it is now is not in use, where it is not.
    pub refused: Option<MountError>,
}

/// A credential that follows its file.
///
/// # Guarantees
/// A valid new credential is used for every token that is asked for after [`MountedCredential::in_use`] tells of it; an invalid one, or
/// none, leaves the one before in use. Tokens are kept per scope and asked for anew minutes before they expire. `Debug` and errors show no key.
///
/// # Assumptions
/// It is opened within a Tokio runtime, which drives it until it is dropped.
pub struct MountedCredential {
    shared: Arc<Shared>,
    following: JoinHandle<()>,
}

struct Shared {
    path: PathBuf,
    options: Options,
    credential: RwLock<Arc<dyn TokenCredential>>,
    in_use: watch::Sender<InUse>,
}

impl MountedCredential {
    /// Reads the file, and follows it from then on.
    ///
    /// # Errors
    /// If there is no valid credential in the file. Later on that is told by [`MountedCredential::in_use`].
    pub fn open(path: impl Into<PathBuf>, options: Options) -> Result<Self, MountError> {
        let path = path.into();
        // Before the file is read, so that no change is missed.
        let watched = Watched::new(&path, options.backstop);
        let file = read(&path)?;
        let (credential, facts) = signing_in(&path, &file, &options)?;
        let (in_use, _) = watch::channel(InUse { taken: 1, facts, refused: None });
        let shared = Arc::new(Shared { path, options, credential: RwLock::new(credential), in_use });
        let following = tokio::spawn(follow(Arc::clone(&shared), fingerprint(&file), watched));
        Ok(Self { shared, following })
    }

    /// What is in use, now and whenever the file changes.
    #[must_use]
    pub fn in_use(&self) -> watch::Receiver<InUse> {
        self.shared.in_use.subscribe()
    }
}

impl Drop for MountedCredential {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl fmt::Debug for MountedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountedCredential").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TokenCredential for MountedCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let credential = Arc::clone(&self.shared.credential.read().unwrap_or_else(PoisonError::into_inner));
        credential.get_token(scopes, options).await
    }
}

/// Looks at the file at every sign of a change, and now and then without one.
async fn follow(shared: Arc<Shared>, mut last: Fingerprint, mut watched: Watched) {
    loop {
        watched.sign().await;
        let file = read(&shared.path);
        let now = file.as_ref().map_or(Fingerprint::default(), fingerprint);
        if now != std::mem::replace(&mut last, now) {
            shared.take(file);
        }
    }
}

impl Shared {
    /// Takes what is in the file into use, if it is valid.
    fn take(&self, file: Result<Secret, MountError>) {
        match file.and_then(|file| signing_in(&self.path, &file, &self.options)) {
            Ok((credential, facts)) => {
                *self.credential.write().unwrap_or_else(PoisonError::into_inner) = credential;
                tracing::info!(path = %self.path.display(), "a new credential is in use");
                self.in_use.send_modify(|in_use| *in_use = InUse { taken: in_use.taken + 1, facts, refused: None });
            }
            Err(error) => {
                tracing::warn!(%error, "the credential before stays in use");
                self.in_use.send_modify(|in_use| in_use.refused = Some(error));
            }
        }
    }
}

type Fingerprint = [u8; 32];

fn fingerprint(file: &Secret) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(digest(&SHA256, file.expose()).as_ref());
    fingerprint
}

fn read(path: &Path) -> Result<Secret, MountError> {
    #[expect(clippy::disallowed_methods, reason = "the file is read anew when it changes")]
    let file = std::fs::read(path);
    file.map(Secret::new).map_err(|error| MountError::Unreadable { path: path.to_owned(), why: error.to_string() })
}

/// What signs in with a file's content, if that is valid.
fn signing_in(path: &Path, file: &Secret, options: &Options) -> Result<(Arc<dyn TokenCredential>, Facts), MountError> {
    let verdict = judge(file, ObjectEncoding::Utf8, &Expectation::default(), now());
    if !verdict.is_valid() {
        let problems: Vec<_> = verdict.problems.iter().map(ToString::to_string).collect();
        return Err(MountError::Invalid { path: path.to_owned(), problems: problems.join("; ") });
    }
    let unusable = |why: String| MountError::Unusable { path: path.to_owned(), why };
    let sign_in = SignIn::read(file, ObjectEncoding::Utf8);
    let sign_in = sign_in.ok_or_else(|| unusable("it names no authentication_endpoint".to_owned()))?;
    let client_options = at(&sign_in.endpoint, &options.client_options);
    let (tenant, client) = (sign_in.tenant_id.clone(), sign_in.client_id.clone());
    let options = ClientAssertionCredentialOptions { client_options };
    let credential = ClientAssertionCredential::new(tenant, client, Assertion(sign_in), Some(options));
    Ok((credential.map_err(|error| unusable(error.to_string()))?, verdict.facts))
}

/// The same options, with the Entra at a URL.
fn at(authority: &str, options: &ClientOptions) -> ClientOptions {
    let mut own = CustomConfiguration::default();
    own.authority_host = authority.to_owned();
    ClientOptions { cloud: Some(Arc::new(CloudConfiguration::Custom(own))), ..options.clone() }
}
