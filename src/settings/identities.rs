//! Whether pods are given a workload identity, and which.

use std::sync::Arc;

use serde::Deserialize;

use super::SettingsError;
use crate::workload_identity::{Paths, Settings};

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WorkloadIdentityFile {
    pub enabled: Option<bool>,
    #[serde(rename = "tenantID")]
    pub tenant_id: Option<String>,
    pub cloud: Option<String>,
    pub audience: Option<String>,
    pub paths: Option<Paths>,
}

impl WorkloadIdentityFile {
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            enabled: self.enabled.or(below.enabled),
            tenant_id: self.tenant_id.or(below.tenant_id),
            cloud: self.cloud.or(below.cloud),
            audience: self.audience.or(below.audience),
            paths: self.paths.or(below.paths),
        }
    }

    /// None, unless it is enabled: then nothing of it matters.
    pub(super) fn checked(&self) -> Result<Option<Arc<Settings>>, SettingsError> {
        if !self.enabled.unwrap_or_default() {
            return Ok(None);
        }
        let text = |value: &'_ Option<String>| value.clone().unwrap_or_default();
        let paths = self.paths.unwrap_or_default();
        Settings::new(&text(&self.tenant_id), &text(&self.cloud), &text(&self.audience), paths)
            .map(|settings| Some(Arc::new(settings)))
            .map_err(SettingsError::WorkloadIdentity)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        settings::{SettingsFile, daemon::DaemonSettings},
        workload_identity::{Paths, Settings},
    };

    fn daemon(yaml: &str) -> Result<DaemonSettings, String> {
        let file = SettingsFile::parse(&format!("workloadIdentityWebhook: {yaml}"))?;
        DaemonSettings::new(file).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn it_is_off_unless_somebody_enables_it() {
        for yaml in ["{}", "{enabled: false}", "{tenantID: t, cloud: AzureMoonCloud}"] {
            assert_eq!(daemon(yaml).unwrap().workload_identity, None, "{yaml}");
        }
    }

    #[test]
    fn it_is_as_the_settings_say() {
        let yaml = "{enabled: true, tenantID: t, cloud: AzureChinaCloud, audience: a, paths: older}";
        let expected = Settings::new("t", "AzureChinaCloud", "a", Paths::Older).unwrap();
        assert_eq!(daemon(yaml).unwrap().workload_identity.as_deref(), Some(&expected));
        let expected = Settings::new("t", "", "", Paths::V1_6).unwrap();
        for yaml in ["{enabled: true, tenantID: t}", "{enabled: true, tenantID: t, paths: v1.6}"] {
            assert_eq!(daemon(yaml).unwrap().workload_identity.as_deref(), Some(&expected));
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let message = |yaml| daemon(yaml).err().unwrap_or_default();
        assert!(message("{enabled: true}").starts_with("workloadIdentityWebhook: the tenant ID is empty; "));
        let unknown = message("{enabled: true, tenantID: t, cloud: AzureMoonCloud}");
        assert!(unknown.contains("\"AzureMoonCloud\" is not known; known are AzurePublicCloud, "), "{unknown}");
        let paths = message("{paths: v1.5}");
        assert!(paths.starts_with("workloadIdentityWebhook.paths: unknown variant `v1.5`"), "{paths}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let parse = |yaml| SettingsFile::parse(yaml).unwrap();
        let flags = parse("workloadIdentityWebhook: {enabled: true, paths: older}");
        let file = parse("workloadIdentityWebhook: {enabled: false, tenantID: t, audience: a, paths: v1.6}");
        let expected = Settings::new("t", "", "a", Paths::Older).unwrap();
        let daemon = DaemonSettings::new(flags.over(file)).unwrap();
        assert_eq!(daemon.workload_identity.as_deref(), Some(&expected));
    }
}
