//! `hcp-identity run`.

mod webhook;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail};
use kube::Client;
use tokio::{sync::watch as channel, task::JoinSet};
use tracing_subscriber::{
    EnvFilter, filter::ParseError, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use self::webhook::Webhook;
use super::{
    CommandResult, Outcome,
    environment::{self, HYPERSHIFT_KEY_VAULT_USER},
    input,
    settings_flags::SettingsFlags,
    target::TargetArgs,
};
use crate::{
    cluster::{
        apply::Writer,
        certificates,
        client::{Heard, Retries, certificate_authority, connect},
        configuration,
        daemon::{self, Applied, Shared},
        lease::{Candidate, Fence},
        metrics::Metrics,
        policies::follow_policies,
        reload::{self as settings_reload, Reloaded},
        report::{Pod, tell_invalid_settings},
        serve,
    },
    settings::{
        SettingsFile,
        daemon::{CredentialCheck, CredentialSettings, DaemonSettings},
    },
    vault::{self, Access, Level},
    verification::Known,
};

/// Run the daemon: wire every HostedCluster of a management cluster, and say how each one is.
///
/// Watches HostedClusters and what belongs to them. Creates the provider classes that are missing, wires Deployments where
/// podPatch is workload, changes nothing that somebody else has written otherwise, and tells what it sees in one
/// ControlPlaneIdentity per HostedCluster. Several replicas may run: a Lease says which one writes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # As in manifests/: settings from a mounted ConfigMap
  hcp-identity run --settings /etc/hcp-identity/settings.yaml

  # By hand, changing nothing but its own status
  hcp-identity run --mode observe --key-vault-user-client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11")]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// Settings file (YAML). Read anew when it changes.
    #[arg(long, value_name = "FILE", env = "HCP_IDENTITY_SETTINGS")]
    settings: Option<PathBuf>,

    #[command(flatten)]
    flags: SettingsFlags,

    /// Namespace of the Lease.
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", default_value = "hcp-identity")]
    lease_namespace: String,

    /// Name of the Lease.
    #[arg(long, value_name = "NAME", default_value = "hcp-identity")]
    lease_name: String,

    /// This replica's name in the Lease.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    identity: Option<String>,

    /// UID of the pod that this is, which gets the event when new settings are invalid.
    #[arg(long, value_name = "UID", env = "POD_UID", hide = true)]
    pod_uid: Option<String>,
}

/// Ours, so that a filter of others' targets can stand in the settings.
type LogLevel = reload::Handle<EnvFilter, tracing_subscriber::Registry>;

pub(super) fn run(args: &Args) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(serve_until_stopped(args))
}

async fn serve_until_stopped(args: &Args) -> CommandResult {
    let flags = args.flags.layer()?;
    let text = args.settings.as_deref().map(input::read_small).transpose()?.unwrap_or_default();
    let settings = load(&flags, &text).map_err(|why| anyhow!(why))?;
    let listen = settings.listen;
    let health = serve::bind("probes", listen.health).await.map_err(|why| anyhow!(why))?;
    let scraped = serve::bind("metrics", listen.metrics).await.map_err(|why| anyhow!(why))?;

    let (heard, metrics, fence) = (Heard::default(), Arc::new(Metrics::default()), Fence::default());
    metrics.settings_are_valid();
    let client = connect(&args.target.target(), Retries::OfTheCaller, &heard, &metrics).await?;
    let version = check_server(&client).await?;
    // Taken at the start where it is wanted then: a port that is taken is said to whoever starts it.
    let asked = match settings.answers_reviews() {
        true => Some(webhook::bind(&settings).await.map_err(|why| anyhow!(why))?),
        false => None,
    };
    // Until here one line says what is wrong, to the person who starts it.
    let level = start_logging(&settings.log_level)?;
    tracing::debug!(version, "found the API server");
    let (sender, applied) = channel::channel(Arc::new(Applied { settings, epoch: 0 }));
    let (knows, known) = channel::channel(Arc::default());
    let shared = Arc::new(Shared::new(applied, known, heard, Arc::clone(&metrics)));
    let writer = Writer::new(client.clone(), Some(fence.clone()), Arc::clone(&metrics));
    let identity = args.identity.clone().unwrap_or_else(|| format!("hcp-identity-{}", std::process::id()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity, health = %listen.health, metrics = %listen.metrics, "starting");

    let (served, certificate) = channel::channel(None);
    let webhook = Arc::new(Webhook::new(Arc::clone(&shared), certificate));
    let mut tasks = JoinSet::new();
    daemon::watch_all(&shared, &client, &mut tasks);
    let unready = Arc::clone(&webhook);
    tasks.spawn(serve::health(health, Arc::clone(&shared), move || unready.unready()));
    let serving = Arc::clone(&webhook);
    let serving = tokio::spawn(async move { serving.serve(asked).await });
    tasks.spawn(serve::metrics(scraped, Arc::clone(&shared)));
    tasks.spawn(daemon::follow_settings(Arc::clone(&shared)));
    tasks.spawn(daemon::follow_credentials(Arc::clone(&shared)));
    tasks.spawn(configuration::follow(Arc::clone(&shared), client.clone()));
    tasks.spawn(follow_policies(Arc::clone(&shared), client.clone()));
    let orders = certificates::Orders::new(&args.lease_namespace, environment::now);
    let stands = Arc::clone(&shared);
    let tell = move |standing: &certificates::Standing| stands.webhook_stands(standing);
    tasks.spawn(certificates::keep(client.clone(), orders, shared.applied(), served, tell));
    tasks.spawn(ask_vaults(Arc::clone(&shared), knows));
    if let Some(path) = args.settings.clone() {
        let load = Box::new(move |text: &str| load(&flags, text));
        let (namespace, name) = (args.lease_namespace.clone(), identity.clone());
        let pod = args.pod_uid.clone().map(|uid| Pod { namespace, name, uid });
        let told_with = (client.clone(), Arc::clone(&metrics));
        let tell = move |reloaded: &Reloaded, settings: &DaemonSettings| {
            tell_reload(reloaded, settings, &level);
            if let (Reloaded::Kept { why }, Some(pod)) = (reloaded, &pod) {
                let (client, metrics) = told_with.clone();
                tokio::spawn(tell_invalid_settings(client, metrics, pod.clone(), why.clone()));
            }
        };
        tasks.spawn(settings_reload::follow(path, load, sender, Arc::clone(&metrics), tell, None));
    } else {
        // Dropped, the settings would seem to have ended.
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
    }
    let (stop_leading, stopped_leading) = tokio::sync::oneshot::channel::<()>();
    let leading = Arc::new(channel::Sender::new(false));
    let candidate = Candidate::new(&client, &args.lease_namespace, &args.lease_name, &identity, fence.clone());
    let lead = tokio::spawn(daemon::lead(candidate, fence, Arc::clone(&leading), metrics, async {
        drop(stopped_leading.await);
    }));
    let mut work = tokio::spawn(daemon::work(Arc::clone(&shared), writer, leading.subscribe(), stop(args)));
    let ended = tokio::select! {
        ended = &mut work => ended.map_err(anyhow::Error::from),
        Some(ended) = tasks.join_next() => Err(ended.err().map_or_else(|| anyhow!("a part of the daemon has ended"), Into::into)),
    };
    // What is under way is finished; then another replica may go on at once.
    drop(stop_leading);
    lead.await?;
    webhook.stop();
    serving.await?;
    tracing::info!("stopped");
    ended.map(|()| Outcome::Done)
}

/// Asks the vaults for what is wanted, as the settings say by then.
async fn ask_vaults(shared: Arc<Shared>, knows: channel::Sender<Arc<Known>>) {
    let (mut applied, mut rechecks) = (shared.applied(), shared.rechecks());
    let orders = |applied: &Applied, rechecks: u64| orders(&applied.settings.credentials, rechecks);
    let (sender, ordered) = channel::channel(orders(&applied.borrow_and_update(), *rechecks.borrow_and_update()));
    let follow = async {
        loop {
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                changed = rechecks.changed() => if changed.is_err() { return },
            }
            let new = orders(&applied.borrow_and_update(), *rechecks.borrow_and_update());
            sender.send_if_modified(|old| std::mem::replace(old, new) != new);
        }
    };
    let access = Access::of(environment::variable);
    let keep = vault::keep_known(access, environment::now, shared.wanted(), ordered, &knows);
    tokio::select! {
        () = follow => {}
        kept = keep => if let Err(refusal) = kept {
            tracing::error!(error = %refusal, "no vault can be asked: credentials stay unchecked");
        }
    }
    // What is known stays so.
    knows.closed().await;
}

/// Without checks nothing is wanted, and no vault is asked.
fn orders(settings: &CredentialSettings, rechecks: u64) -> vault::Orders {
    let level = match settings.check {
        CredentialCheck::None | CredentialCheck::Metadata => Level::Metadata,
        CredentialCheck::Content => Level::Content,
        CredentialCheck::SignIn => Level::SignIn,
    };
    let interval = settings.interval.unsigned_abs();
    vault::Orders { level, interval, strict_client_id: settings.strict_client_id, rechecks }
}

/// Flags and their variables over the file, and HyperShift's variable under it.
pub(super) fn load(flags: &SettingsFile, text: &str) -> Result<DaemonSettings, String> {
    let file = SettingsFile::parse(text).map_err(|error| format!("cannot read the settings: {error}"))?;
    let mut settings = flags.clone().over(file);
    settings.key_vault_user_client_id = settings
        .key_vault_user_client_id
        .filter(|id| !id.is_empty())
        .or_else(|| environment::variable(HYPERSHIFT_KEY_VAULT_USER));
    let settings = DaemonSettings::new(settings)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    match filter(&settings.log_level) {
        Ok(_) => Ok(settings),
        Err(error) => Err(format!("logLevel {:?} is no level such as info or debug: {error}", settings.log_level)),
    }
}

/// The SDK of Azure tells of every request; what comes of one is told by us.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    const QUIET: [&str; 3] = ["azure_core", "azure_identity", "typespec_client_core"];
    let is_named = |target: &&str| level.contains(*target);
    let quiet = QUIET.iter().filter(|target| !is_named(target)).map(|target| format!(",{target}=error"));
    EnvFilter::try_new(format!("{level}{}", quiet.collect::<String>()))
}

fn start_logging(level: &str) -> Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(json).try_init()?;
    Ok(handle)
}

fn tell_reload(reloaded: &Reloaded, settings: &DaemonSettings, level: &LogLevel) {
    match reloaded {
        Reloaded::Taken => {
            if let Ok(filter) = filter(&settings.log_level)
                && let Err(error) = level.reload(filter)
            {
                tracing::warn!(%error, "the log level was not changed");
            }
            tracing::info!("new settings are in use");
        }
        Reloaded::Kept { why } => tracing::error!(why, "the new settings are invalid; the ones before stay in use"),
    }
}

/// One question before anything else, so that a wrong address or certificate is one clear line.
async fn check_server(client: &Client) -> Result<String> {
    let asked = tokio::time::timeout(std::time::Duration::from_secs(20), client.apiserver_version()).await;
    match asked {
        Ok(Ok(version)) => Ok(version.git_version),
        Ok(Err(error)) => bail!("cannot talk to the API server: {}", crate::cluster::client::chain(&error)),
        Err(_) => bail!("the API server does not answer within 20 seconds"),
    }
}

/// A signal, or another CA of the API server: a client keeps the one that it has begun with, and a pod is started again.
fn stop(args: &Args) -> impl Future<Output = ()> + use<> {
    let authority = certificate_authority(&args.target.target());
    async {
        let other = async {
            match authority {
                Some(path) => settings_reload::until_other(path).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop_signal() => {}
            () = other => tracing::info!("the API server's CA has changed: ending, to be started again with it"),
        }
    }
}

/// SIGTERM, as a pod's end begins, or Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
