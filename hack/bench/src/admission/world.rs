//! The control planes that the webhook knows of.

use std::{collections::BTreeMap, fs::File, sync::Arc};

use hcp_identity::{
    admission::{ControlPlane, ControlPlanes},
    plan::{Plan, plan},
    settings::{Settings, SettingsFile},
};
use serde_json::Value;

use crate::Result;

const KEY_VAULT_USER: &str = "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11";

/// By their namespaces.
pub struct World(BTreeMap<String, Arc<Plan>>);

impl World {
    pub fn read(clusters: &str) -> Result<Self> {
        let settings =
            Settings::new(Some(KEY_VAULT_USER), SettingsFile::default()).map_err(|error| format!("{error:?}"))?;
        let settings = Arc::new(settings);
        let mut file = File::open(clusters)?;
        let mut plans = BTreeMap::new();
        for cluster in serde_saphyr::read::<_, Value>(&mut file) {
            let planned = plan(&serde_json::from_value(cluster?)?, &settings);
            let plan = planned.plan.ok_or_else(|| format!("{:?}", planned.problems))?;
            plans.insert(plan.identities().namespace.to_string(), Arc::new(plan));
        }
        Ok(Self(plans))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Plan)> {
        self.0.iter().map(|(namespace, plan)| (namespace.as_str(), &**plan))
    }
}

impl ControlPlanes for World {
    fn control_plane(&self, namespace: &str) -> ControlPlane {
        match self.0.get(namespace) {
            Some(plan) => ControlPlane::Wired { plan: Arc::clone(plan), held: BTreeMap::new() },
            None => ControlPlane::Unknown,
        }
    }
}
