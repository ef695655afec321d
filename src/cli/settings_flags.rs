//! Every setting as a flag and as a variable: a layer over the settings file.

use std::{collections::BTreeMap, error::Error, path::PathBuf, str::FromStr};

use anyhow::{Result, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use strum::VariantNames;

use super::environment::KEY_VAULT_USER;
use crate::settings::{
    ClassSettings, SettingsFile,
    daemon::{
        AzureClusterIdentityWriting, Certificates, ConfigurationCheck, CredentialCheck, ListenFile, Mode, PodPatch,
        PolicyFallback, Rotation, SelectionFile, WebhookFile, WorkloadIdentityFile,
    },
};
use crate::workload_identity::Paths;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Settings (each overrides the settings file)")]
pub(super) struct SettingsFlags {
    /// Client id of the managed identity with which the CSI driver reads the Key Vault (keyVaultUserClientID).
    #[arg(long, value_name = "ID", env = KEY_VAULT_USER)]
    key_vault_user_client_id: Option<String>,

    /// enforce, or observe: write nothing but our own status, events and Lease.
    #[arg(long, value_name = "MODE", value_parser = choice::<Mode>(), env = "HCP_IDENTITY_MODE")]
    mode: Option<Mode>,

    /// How pods come to their wiring: workload (on the Deployments), webhook or policy (as they are created, by our webhook or
    /// by admission policies) or none (HyperShift wires its own).
    #[arg(long, value_name = "HOW", value_parser = choice::<PodPatch>(), env = "HCP_IDENTITY_POD_PATCH")]
    pod_patch: Option<PodPatch>,

    /// What wires pods where podPatch is policy and the API server does not serve the policies: none or webhook
    /// (policyFallback).
    #[arg(long, value_name = "HOW", value_parser = choice::<PolicyFallback>(), env = "HCP_IDENTITY_POLICY_FALLBACK")]
    policy_fallback: Option<PolicyFallback>,

    /// Who makes the webhook's certificate: self, cert-manager or files (webhook.certificates).
    #[arg(long, value_name = "WHO", value_parser = choice::<Certificates>(), env = "HCP_IDENTITY_WEBHOOK_CERTIFICATES")]
    webhook_certificates: Option<Certificates>,

    /// Where tls.crt and tls.key are, unless they are made by hcp-identity itself (webhook.certificateFolder).
    #[arg(long, value_name = "FOLDER", env = "HCP_IDENTITY_WEBHOOK_CERTIFICATE_FOLDER")]
    webhook_certificate_folder: Option<PathBuf>,

    /// Whether pods are given a workload identity, as azure-workload-identity's webhook does
    /// (workloadIdentityWebhook.enabled).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "HCP_IDENTITY_WORKLOAD_IDENTITY_WEBHOOK")]
    workload_identity_webhook: Option<bool>,

    /// The tenant of these identities, where a ServiceAccount says no other (workloadIdentityWebhook.tenantID).
    #[arg(long, value_name = "ID", env = "HCP_IDENTITY_WORKLOAD_IDENTITY_TENANT_ID")]
    workload_identity_tenant_id: Option<String>,

    /// Whose Entra they sign in at (workloadIdentityWebhook.cloud) [default: AzurePublicCloud].
    #[arg(long, value_name = "CLOUD", env = "HCP_IDENTITY_WORKLOAD_IDENTITY_CLOUD")]
    workload_identity_cloud: Option<String>,

    /// Whom their tokens are for (workloadIdentityWebhook.audience) [default: api://AzureADTokenExchange].
    #[arg(long, value_name = "AUDIENCE", env = "HCP_IDENTITY_WORKLOAD_IDENTITY_AUDIENCE")]
    workload_identity_audience: Option<String>,

    /// Where pods find their tokens: as of version 1.6 of azure-workload-identity, or as of older ones: v1.6 or older
    /// (workloadIdentityWebhook.paths).
    #[arg(long, value_name = "PATHS", value_parser = choice::<Paths>(), env = "HCP_IDENTITY_WORKLOAD_IDENTITY_PATHS")]
    workload_identity_paths: Option<Paths>,

    /// Whether the AzureClusterIdentity of each HostedCluster is written: none or apply.
    #[arg(long, value_name = "HOW", value_parser = choice::<AzureClusterIdentityWriting>(), env = "HCP_IDENTITY_AZURE_CLUSTER_IDENTITY")]
    azure_cluster_identity: Option<AzureClusterIdentityWriting>,

    /// Whether the Secrets and ServiceAccounts are looked at that say to pods with workload identities who they are: none or
    /// metadata (configurationCheck).
    #[arg(long, value_name = "LEVEL", value_parser = choice::<ConfigurationCheck>(), env = "HCP_IDENTITY_CONFIGURATION_CHECK")]
    configuration_check: Option<ConfigurationCheck>,

    /// How closely credentials are looked at in their vault: none, metadata, content or signIn (credentialCheck).
    #[arg(long, value_name = "LEVEL", value_parser = choice::<CredentialCheck>(), env = "HCP_IDENTITY_CREDENTIAL_CHECK")]
    credential_check: Option<CredentialCheck>,

    /// How often they are looked at (checkInterval) [default: 10m].
    #[arg(long, value_name = "DURATION", env = "HCP_IDENTITY_CHECK_INTERVAL")]
    check_interval: Option<String>,

    /// What is done about pods that may hold an old credential for too long: observe or restart (rotation).
    #[arg(long, value_name = "HOW", value_parser = choice::<Rotation>(), env = "HCP_IDENTITY_ROTATION")]
    rotation: Option<Rotation>,

    /// The latest reload of a consumer after its mount has changed (consumerReload) [default: 6h].
    #[arg(long, value_name = "DURATION", env = "HCP_IDENTITY_CONSUMER_RELOAD")]
    consumer_reload: Option<String>,

    /// How often the CSI driver looks for a new version, its rotation poll interval (driverPollInterval) [default: 1h].
    #[arg(long, value_name = "DURATION", env = "HCP_IDENTITY_DRIVER_POLL_INTERVAL")]
    driver_poll_interval: Option<String>,

    /// Whether another client id than the HostedCluster's fails the check (strictClientID).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "HCP_IDENTITY_STRICT_CLIENT_ID")]
    strict_client_id: Option<bool>,

    /// Parameters beside HyperShift's six, NAME=VALUE (secretProviderClass.extraParameters).
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', env = "HCP_IDENTITY_EXTRA_PARAMETERS")]
    extra_parameters: Vec<String>,

    /// Overrides of the table of components, as YAML: {ingress: {app: …, container: …, mountPath: …}}.
    #[arg(long, value_name = "YAML", env = "HCP_IDENTITY_COMPONENTS")]
    components: Option<String>,

    /// Namespaces of HostedClusters; all if there is none (selection.namespaces).
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', env = "HCP_IDENTITY_NAMESPACES")]
    namespaces: Vec<String>,

    /// Labels of HostedClusters (selection.labelSelector).
    #[arg(long, value_name = "SELECTOR", env = "HCP_IDENTITY_LABEL_SELECTOR")]
    label_selector: Option<String>,

    /// HyperShift's scope annotation; empty: HostedClusters without it (selection.scope).
    #[arg(long, value_name = "SCOPE", env = "HCP_IDENTITY_SCOPE")]
    scope: Option<String>,

    /// Address of /metrics (listen.metrics) [default: :8080].
    #[arg(long, value_name = "ADDRESS", env = "HCP_IDENTITY_LISTEN_METRICS")]
    listen_metrics: Option<String>,

    /// Address of /livez and /readyz (listen.health) [default: :8081].
    #[arg(long, value_name = "ADDRESS", env = "HCP_IDENTITY_LISTEN_HEALTH")]
    listen_health: Option<String>,

    /// Address of the webhook (listen.webhook) [default: :9443].
    #[arg(long, value_name = "ADDRESS", env = "HCP_IDENTITY_LISTEN_WEBHOOK")]
    listen_webhook: Option<String>,

    /// error, warn, info, debug, trace, or a filter of tracing (logLevel) [default: info].
    #[arg(long, value_name = "LEVEL", env = "HCP_IDENTITY_LOG_LEVEL")]
    log_level: Option<String>,
}

/// One of the words that the settings file has.
fn choice<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Error + Send + Sync> + VariantNames + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS).try_map(|word| word.parse::<T>())
}

impl SettingsFlags {
    /// As the layer over the file.
    pub(super) fn layer(&self) -> Result<SettingsFile> {
        let this = self.clone();
        let mut extra_parameters = BTreeMap::new();
        for parameter in &this.extra_parameters {
            let (name, value) = parameter
                .split_once('=')
                .ok_or_else(|| anyhow!("--extra-parameters {parameter:?} is not NAME=VALUE"))?;
            extra_parameters.insert(name.to_owned(), value.to_owned());
        }
        let components = match &this.components {
            None => BTreeMap::new(),
            Some(yaml) => {
                let file = SettingsFile::parse(&format!("components: {yaml}"));
                file.map_err(|error| anyhow!("--components cannot be read: {error}"))?.components
            }
        };
        Ok(SettingsFile {
            key_vault_user_client_id: this.key_vault_user_client_id.filter(|id| !id.is_empty()),
            mode: this.mode,
            pod_patch: this.pod_patch,
            policy_fallback: this.policy_fallback,
            webhook: WebhookFile {
                certificates: this.webhook_certificates,
                certificate_folder: this.webhook_certificate_folder,
            },
            workload_identity_webhook: WorkloadIdentityFile {
                enabled: this.workload_identity_webhook,
                tenant_id: this.workload_identity_tenant_id,
                cloud: this.workload_identity_cloud,
                audience: this.workload_identity_audience,
                paths: this.workload_identity_paths,
            },
            azure_cluster_identity: this.azure_cluster_identity,
            configuration_check: this.configuration_check,
            credential_check: this.credential_check,
            check_interval: this.check_interval,
            rotation: this.rotation,
            consumer_reload: this.consumer_reload,
            driver_poll_interval: this.driver_poll_interval,
            strict_client_id: this.strict_client_id,
            secret_provider_class: ClassSettings { extra_parameters },
            components,
            selection: SelectionFile {
                namespaces: Some(this.namespaces).filter(|namespaces| !namespaces.is_empty()),
                label_selector: this.label_selector,
                scope: this.scope,
            },
            listen: ListenFile {
                metrics: this.listen_metrics,
                health: this.listen_health,
                webhook: this.listen_webhook,
            },
            log_level: this.log_level,
        })
    }
}
