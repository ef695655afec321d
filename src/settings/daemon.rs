//! What the daemon is told beyond a plan's settings: whether and how it writes, and which HostedClusters are its own.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use jiff::SignedDuration;
use kube_core::{Selector, SelectorExt as _};
use serde::Deserialize;

pub use super::choices::{
    AzureClusterIdentityWriting, Certificates, ConfigurationCheck, CredentialCheck, Mode, PodPatch, PolicyFallback,
    Rotation,
};
pub use super::identities::WorkloadIdentityFile;
use super::{Settings, SettingsError, SettingsFile, selector};
use crate::workload_identity;

/// How the webhook is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookSettings {
    pub certificates: Certificates,
    /// Where `tls.crt` and `tls.key` are, unless they are our own.
    pub certificate_folder: PathBuf,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { certificates: Certificates::Own, certificate_folder: "/etc/hcp-identity-webhook".into() }
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WebhookFile {
    pub certificates: Option<Certificates>,
    pub certificate_folder: Option<PathBuf>,
}

/// What is to be known of credentials, and how long what goes by itself may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CredentialSettings {
    pub check: CredentialCheck,
    pub interval: SignedDuration,
    pub rotation: Rotation,
    /// The latest reload of a consumer after its mount has changed.
    pub consumer_reload: SignedDuration,
    /// How often the CSI driver looks for a new version.
    pub driver_poll_interval: SignedDuration,
    /// Whether another client id than the HostedCluster's is an error.
    pub strict_client_id: bool,
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self {
            check: CredentialCheck::None,
            interval: SignedDuration::from_mins(10),
            rotation: Rotation::Observe,
            consumer_reload: SignedDuration::from_hours(6),
            driver_poll_interval: SignedDuration::from_hours(1),
            strict_client_id: false,
        }
    }
}

impl CredentialSettings {
    fn new(file: &SettingsFile, errors: &mut Vec<SettingsError>) -> Self {
        let default = Self::default();
        let mut time = |key, value: &Option<String>, shortest, default| {
            duration(key, value.as_deref(), shortest, default).unwrap_or_else(|error| {
                errors.push(error);
                default
            })
        };
        // A vault answers 4000 times in ten seconds, and others ask as well.
        let minute = SignedDuration::from_mins(1);
        let interval = time("checkInterval", &file.check_interval, minute, default.interval);
        let reload = time("consumerReload", &file.consumer_reload, SignedDuration::ZERO, default.consumer_reload);
        let poll = &file.driver_poll_interval;
        let driver_poll_interval = time("driverPollInterval", poll, SignedDuration::ZERO, default.driver_poll_interval);
        let check = file.credential_check.unwrap_or_default();
        let rotation = file.rotation.unwrap_or_default();
        if rotation == Rotation::Restart && check < CredentialCheck::Content {
            errors.push(SettingsError::RestartUnchecked);
        }
        Self {
            check,
            interval,
            rotation,
            consumer_reload: reload,
            driver_poll_interval,
            strict_client_id: file.strict_client_id.unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SelectionFile {
    pub namespaces: Option<Vec<String>>,
    pub label_selector: Option<String>,
    pub scope: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ListenFile {
    pub metrics: Option<String>,
    pub health: Option<String>,
    pub webhook: Option<String>,
}

/// The daemon's settings, checked.
#[derive(Clone, Debug)]
pub struct DaemonSettings {
    /// What `plan` is told; absent where nobody has said who reads the vault. The daemon runs and says so.
    pub wiring: Option<Arc<Settings>>,
    pub mode: Mode,
    pub pod_patch: PodPatch,
    pub policy_fallback: PolicyFallback,
    pub webhook: WebhookSettings,
    /// How pods are given a workload identity; absent where that is turned off.
    pub workload_identity: Option<Arc<workload_identity::Settings>>,
    pub azure_cluster_identity: AzureClusterIdentityWriting,
    pub configuration_check: ConfigurationCheck,
    pub credentials: CredentialSettings,
    pub selection: Selection,
    /// Only read at the start, like the log's form.
    pub listen: Listen,
    /// A filter of `tracing`: a level, or `target=level` and so on.
    pub log_level: String,
}

/// Which HostedClusters are the daemon's.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Empty: all.
    pub namespaces: Vec<String>,
    pub labels: Option<Selector>,
    /// Absent: all; empty: those without the annotation; otherwise those with exactly this value, as HyperShift does.
    pub scope: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    pub metrics: SocketAddr,
    pub health: SocketAddr,
    pub webhook: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let at = |port: u16| SocketAddr::from(([0, 0, 0, 0], port));
        Self { metrics: at(8080), health: at(8081), webhook: at(9443) }
    }
}

impl Selection {
    #[must_use]
    pub fn selects(&self, namespace: &str, labels: &BTreeMap<String, String>, scope: Option<&str>) -> bool {
        (self.namespaces.is_empty() || self.namespaces.iter().any(|wanted| wanted == namespace))
            && self.labels.as_ref().is_none_or(|selector| selector.matches(labels))
            && self.scope.as_deref().is_none_or(|wanted| wanted == scope.unwrap_or_default())
    }
}

impl SettingsFile {
    /// What is set here, and the rest of what is set below: flags over a file.
    #[must_use]
    pub fn over(mut self, below: Self) -> Self {
        let mut components = below.components;
        components.append(&mut self.components);
        let mut extra_parameters = below.secret_provider_class.extra_parameters;
        extra_parameters.append(&mut self.secret_provider_class.extra_parameters);
        Self {
            key_vault_user_client_id: self.key_vault_user_client_id.or(below.key_vault_user_client_id),
            mode: self.mode.or(below.mode),
            pod_patch: self.pod_patch.or(below.pod_patch),
            policy_fallback: self.policy_fallback.or(below.policy_fallback),
            webhook: WebhookFile {
                certificates: self.webhook.certificates.or(below.webhook.certificates),
                certificate_folder: self.webhook.certificate_folder.or(below.webhook.certificate_folder),
            },
            workload_identity_webhook: self.workload_identity_webhook.over(below.workload_identity_webhook),
            azure_cluster_identity: self.azure_cluster_identity.or(below.azure_cluster_identity),
            configuration_check: self.configuration_check.or(below.configuration_check),
            credential_check: self.credential_check.or(below.credential_check),
            check_interval: self.check_interval.or(below.check_interval),
            rotation: self.rotation.or(below.rotation),
            consumer_reload: self.consumer_reload.or(below.consumer_reload),
            driver_poll_interval: self.driver_poll_interval.or(below.driver_poll_interval),
            strict_client_id: self.strict_client_id.or(below.strict_client_id),
            secret_provider_class: super::ClassSettings { extra_parameters },
            components,
            selection: SelectionFile {
                namespaces: self.selection.namespaces.or(below.selection.namespaces),
                label_selector: self.selection.label_selector.or(below.selection.label_selector),
                scope: self.selection.scope.or(below.selection.scope),
            },
            listen: ListenFile {
                metrics: self.listen.metrics.or(below.listen.metrics),
                health: self.listen.health.or(below.listen.health),
                webhook: self.listen.webhook.or(below.listen.webhook),
            },
            log_level: self.log_level.or(below.log_level),
        }
    }
}

impl DaemonSettings {
    /// Checks what flags, environment and file have given together.
    ///
    /// # Errors
    /// Everything that is wrong. A missing key vault user is not: that is a state of the daemon.
    pub fn new(file: SettingsFile) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let mut keep = |result: Result<_, SettingsError>| result.map_err(|error| errors.push(error)).ok();
        let default = Listen::default();
        let metrics = address("listen.metrics", file.listen.metrics.as_deref(), default.metrics);
        let health = address("listen.health", file.listen.health.as_deref(), default.health);
        let webhook = address("listen.webhook", file.listen.webhook.as_deref(), default.webhook);
        let listen = (keep(metrics), keep(health), keep(webhook));
        let workload_identity = file.workload_identity_webhook.checked().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let labels = match file.selection.label_selector.as_deref() {
            None | Some("") => None,
            Some(text) => match selector::parse(text) {
                Ok(selector) => Some(selector),
                Err(error) => {
                    errors.push(SettingsError::InvalidLabelSelector { value: text.into(), why: error });
                    None
                }
            },
        };
        let credentials = CredentialSettings::new(&file, &mut errors);
        let user = file.key_vault_user_client_id.clone();
        let selection = Selection {
            namespaces: file.selection.namespaces.clone().unwrap_or_default(),
            labels,
            scope: file.selection.scope.clone(),
        };
        let (mode, pod_patch) = (file.mode.unwrap_or_default(), file.pod_patch.unwrap_or_default());
        let policy_fallback = file.policy_fallback.unwrap_or_default();
        let webhook = WebhookSettings::from(file.webhook.clone());
        let azure_cluster_identity = file.azure_cluster_identity.unwrap_or_default();
        let configuration_check = file.configuration_check.unwrap_or_default();
        let log_level = file.log_level.clone().unwrap_or_else(|| "info".to_owned());
        let wiring = match Settings::new(user.as_deref(), file) {
            Ok(settings) => Some(Arc::new(settings)),
            Err(all) => {
                errors.extend(all.into_iter().filter(|error| *error != SettingsError::NoKeyVaultUser));
                None
            }
        };
        match listen {
            (Some(metrics), Some(health), Some(webhook_at)) if errors.is_empty() => Ok(Self {
                wiring,
                mode,
                pod_patch,
                policy_fallback,
                webhook,
                workload_identity,
                azure_cluster_identity,
                configuration_check,
                credentials,
                selection,
                listen: Listen { metrics, health, webhook: webhook_at },
                log_level,
            }),
            _ => Err(errors),
        }
    }
}

impl DaemonSettings {
    /// Whether pods that are created are to be wired by our webhook.
    #[must_use]
    pub fn serves_webhook(&self) -> bool {
        let falls_back = self.pod_patch == PodPatch::Policy && self.policy_fallback == PolicyFallback::Webhook;
        self.pod_patch == PodPatch::Webhook || falls_back
    }

    /// Whether reviews of pods are to be answered, whatever they ask for.
    #[must_use]
    pub fn answers_reviews(&self) -> bool {
        self.serves_webhook() || self.workload_identity.is_some()
    }
}

impl From<WebhookFile> for WebhookSettings {
    fn from(file: WebhookFile) -> Self {
        let default = Self::default();
        Self {
            certificates: file.certificates.unwrap_or(default.certificates),
            certificate_folder: file.certificate_folder.unwrap_or(default.certificate_folder),
        }
    }
}

/// `:8080` is every address of the host, as Go's programs have it.
fn address(key: &'static str, value: Option<&str>, default: SocketAddr) -> Result<SocketAddr, SettingsError> {
    let Some(value) = value else { return Ok(default) };
    let whole = if value.starts_with(':') { format!("0.0.0.0{value}") } else { value.to_owned() };
    whole.parse().map_err(|_| SettingsError::InvalidAddress { key, value: value.to_owned() })
}

/// As Go writes them, so that the CSI driver's own settings can be taken over.
fn duration(
    key: &'static str,
    value: Option<&str>,
    shortest: SignedDuration,
    default: SignedDuration,
) -> Result<SignedDuration, SettingsError> {
    const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);
    let Some(value) = value else { return Ok(default) };
    let duration = value.parse::<SignedDuration>().ok();
    let sound = duration.filter(|duration| (shortest..=LONGEST).contains(duration));
    sound.ok_or_else(|| SettingsError::InvalidDuration {
        key,
        value: value.to_owned(),
        rule: match duration {
            Some(duration) if duration < shortest => format!("it must be {shortest:#} or longer"),
            Some(_) => "it must be shorter than a year".to_owned(),
            None => "it must be a duration such as 90s, 10m or 6h".to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(yaml: &str) -> Result<DaemonSettings, Vec<SettingsError>> {
        DaemonSettings::new(SettingsFile::parse(yaml).unwrap())
    }

    #[test]
    fn without_a_key_vault_user_the_daemon_runs_and_wires_nothing() {
        assert!(daemon("mode: observe").unwrap().wiring.is_none());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let yaml =
            "keyVaultUserClientID: me\nlisten: {metrics: here, health: ':x'}\nselection: {labelSelector: 'a in'}";
        assert_eq!(daemon(yaml).unwrap_err().len(), 4);
    }

    #[test]
    fn a_port_alone_is_every_address() {
        let listen = daemon("listen: {metrics: ':9090', health: '127.0.0.1:1'}").unwrap().listen;
        assert_eq!(
            (listen.metrics.to_string(), listen.health.to_string()),
            ("0.0.0.0:9090".into(), "127.0.0.1:1".into())
        );
    }

    #[test]
    fn credentials_are_not_checked_unless_somebody_wants_it() {
        assert_eq!(daemon("{}").unwrap().credentials, CredentialSettings::default());
        let yaml = "credentialCheck: signIn\ncheckInterval: 1h30m\nrotation: restart\nconsumerReload: 90s\nstrictClientID: true";
        let credentials = daemon(yaml).unwrap().credentials;
        assert_eq!((credentials.check, credentials.rotation), (CredentialCheck::SignIn, Rotation::Restart));
        assert_eq!((credentials.interval.as_mins(), credentials.consumer_reload.as_secs()), (90, 90));
        assert!(credentials.strict_client_id);
    }

    #[test]
    fn odd_durations_are_refused_with_what_they_may_be() {
        let message = |yaml: &str| daemon(yaml).unwrap_err().iter().map(ToString::to_string).collect::<String>();
        assert_eq!(message("checkInterval: 10s"), "checkInterval is \"10s\": it must be 1m or longer");
        assert_eq!(message("consumerReload: -1h"), "consumerReload is \"-1h\": it must be 0s or longer");
        for odd in ["soon", "'10'", "9000h", "''"] {
            assert!(message(&format!("driverPollInterval: {odd}")).starts_with("driverPollInterval is "), "{odd}");
        }
    }

    /// Restarted, a pod would begin with the very credential that nobody has looked at.
    #[test]
    fn nothing_is_restarted_unchecked() {
        for check in ["none", "metadata"] {
            let errors = daemon(&format!("rotation: restart\ncredentialCheck: {check}")).unwrap_err();
            assert_eq!(errors, [SettingsError::RestartUnchecked]);
        }
    }

    #[test]
    fn flags_win_over_the_file_key_by_key() {
        let flags = SettingsFile::parse("mode: observe\nsecretProviderClass: {extraParameters: {a: flag}}").unwrap();
        let file = SettingsFile::parse(
            "mode: enforce\nlogLevel: debug\nsecretProviderClass: {extraParameters: {a: file, b: file}}",
        );
        let both = flags.over(file.unwrap());
        assert_eq!((both.mode, both.log_level.as_deref()), (Some(Mode::Observe), Some("debug")));
        let parameters: Vec<_> = both.secret_provider_class.extra_parameters.into_iter().collect();
        assert_eq!(parameters, [("a".into(), "flag".into()), ("b".into(), "file".into())]);
    }

    /// `support/util/util.go`: both empty matches, and a scope never takes what has another or none.
    #[test]
    fn scopes_match_as_hypershifts_do() {
        let labels = BTreeMap::from([("tier".to_owned(), "prod".to_owned())]);
        let selects = |yaml: &str, scope| daemon(yaml).unwrap().selection.selects("clusters", &labels, scope);
        assert!(selects("{}", Some("a")) && selects("{}", None));
        assert!(selects("selection: {scope: ''}", None) && !selects("selection: {scope: ''}", Some("a")));
        assert!(selects("selection: {scope: a}", Some("a")) && !selects("selection: {scope: a}", None));
        assert!(selects("selection: {namespaces: [clusters]}", None));
        assert!(!selects("selection: {namespaces: [other]}", None));
        assert!(selects("selection: {labelSelector: 'tier in (prod)'}", None));
        assert!(!selects("selection: {labelSelector: '!tier'}", None));
    }
}
