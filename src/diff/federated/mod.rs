//! A control plane that signs in with tokens of its own: whether what HyperShift's operators write for that is there, and
//! names the identities that the HostedCluster names.
//!
//! Nothing of it is ours: there is no change among the answers.

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{ComponentState, Said, failed_mounts::words, names, workloads::text};
use crate::{
    component::{Component, MinterFlag, Place, Presence, TOKEN_FILE, TOKEN_FOLDER, TokenEnv},
    condition::Reason,
    finding::Quoted,
    observed::{Item, Observed, Owner, Phase, Pod, Sighted, Workload},
    plan::{AUDIENCE, Template, WorkloadIdentities, WorkloadIdentity, same_path},
    settings::Settings,
};

/// What a look is told beside what is there.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'s> {
    /// How pods differ from HyperShift's.
    pub settings: Option<&'s Settings>,
    /// Whether AzureClusterIdentities are watched.
    pub capz: bool,
    /// Whether Secrets and ServiceAccounts are asked for.
    pub configuration: bool,
}

/// The state of each component that the HostedCluster names an identity for, in the order of the table.
#[must_use]
pub fn federated(identities: &WorkloadIdentities, observed: &Observed, sight: Sight<'_>) -> Vec<ComponentState> {
    identities.named.iter().map(|identity| Look { identities, observed, sight, identity }.state()).collect()
}

struct Look<'l> {
    identities: &'l WorkloadIdentities,
    observed: &'l Observed,
    sight: Sight<'l>,
    identity: &'l WorkloadIdentity,
}

impl<'l> Look<'l> {
    fn state(&self) -> ComponentState {
        let workloads: Vec<_> = self.observed.workloads.iter().filter(|workload| self.is_about(workload)).collect();
        let mut said: Vec<Said> = workloads.iter().flat_map(|workload| self.template(workload)).collect();
        said.extend(self.cluster_identity());
        said.extend(self.configuration());
        if workloads.is_empty() {
            // What is missing is on its way, as its pod is.
            said.iter_mut().filter(|(reason, _)| *reason == Reason::NotFederated).for_each(|(reason, _)| {
                *reason = Reason::WaitingForWorkload;
            });
            let (app, containers) = self.pod();
            let container = containers.first().map(|(name, _)| *name).unwrap_or_default();
            let message =
                format!("no Deployment whose pods have the label app={app} and the container {container} yet");
            said.push((Reason::WaitingForWorkload, message));
        }
        let wired = said.is_empty();
        let pods = self.pods();
        if wired {
            said.extend(waits_for_pods(&workloads, &pods, self.observed));
        }
        said.extend(self.unseen());
        said.sort_by_key(|(reason, _)| *reason);
        let reason = said.first().map_or(Reason::Ready, |(reason, _)| *reason);
        let mut messages = said.into_iter().map(|(_, message)| message);
        ComponentState {
            message: messages.next().unwrap_or_default(),
            notes: messages.collect(),
            wired,
            pods: pods.len(),
            mounted_pods: pods.iter().filter(|pod| pod.phase == Phase::Running).count(),
            ..ComponentState::new(self.identity.component, reason)
        }
    }

    fn row(&self) -> &'static Component {
        Component::of(self.identity.component)
    }

    /// Label and containers of the pod that signs in, the first of the row.
    fn pod(&self) -> (&'l str, Vec<(&'l str, Presence)>) {
        let row = self.row();
        if let Some(pod) = self.sight.settings.and_then(|settings| settings.pods(row).into_iter().next()) {
            return (pod.app, pod.containers);
        }
        let containers = row.pods.first().map(|pod| pod.containers).unwrap_or_default();
        let app = row.pods.first().map(|pod| pod.app).unwrap_or_default();
        (app, containers.iter().map(|container| (container.name, container.presence)).collect())
    }

    fn is_about(&self, workload: &Workload) -> bool {
        let (app, containers) = self.pod();
        let mut required = containers.iter().filter(|(_, presence)| *presence == Presence::Required);
        Template::new(&workload.template).app() == Some(app)
            && required.all(|(name, _)| has(workload, &["containers"], name))
    }

    fn pods(&self) -> Vec<&'l Pod> {
        let (app, _) = self.pod();
        self.observed.pods.iter().filter(|pod| *pod.app == *app && pod.phase != Phase::Ended).collect()
    }

    /// What a pod template lacks of a minter and its volume, and of the identity, and what it has of another one.
    fn template(&self, workload: &Workload) -> Vec<Said> {
        let token = &self.row().federated.token;
        let (mut lacks, mut others) = (Vec::new(), Vec::new());
        match ["containers", "initContainers"].iter().find_map(|list| named(workload, list, token.minter)) {
            Some(minter) => self.minted(minter, &mut others),
            None => lacks.push(format!("the container {}, which mints its tokens", token.minter)),
        }
        if !has(workload, &["volumes"], token.volume) {
            lacks.push(format!("the volume {}, which they are written to", token.volume));
        }
        for (container, _) in self.pod().1 {
            let Some(container) = named(workload, "containers", container) else { continue };
            self.mounts(workload, container, &mut lacks);
            if token.told_by.contains(&Place::Environment) {
                self.environment(workload, container, &mut lacks, &mut others);
            }
        }
        let deployment = &workload.name;
        let lacks = (!lacks.is_empty()).then(|| {
            let message = format!("Deployment {deployment} lacks {}; {}", lacks.join(", "), token.written_by);
            (Reason::NotFederated, message)
        });
        let others = (!others.is_empty()).then(|| {
            let message = format!("Deployment {deployment} has {}; {}", others.join(", "), token.written_by);
            (Reason::OtherIdentity, message)
        });
        lacks.into_iter().chain(others).collect()
    }

    /// Tokens that no federated credential lets in. What a minter is not told, it has a default for; what stands elsewhere is
    /// not known here.
    fn minted(&self, minter: &Value, others: &mut Vec<String>) {
        let accounts = self.row().federated.service_accounts;
        let name = text(minter, "name").unwrap_or_default();
        for flag in MinterFlag::ALL {
            let wanted: Vec<_> = match flag {
                MinterFlag::Audience => vec![AUDIENCE],
                MinterFlag::Namespace => accounts.iter().map(|account| account.namespace).take(1).collect(),
                MinterFlag::Name => accounts.iter().map(|account| account.name).collect(),
            };
            let arguments = minter.get("args").and_then(Value::as_array).into_iter().flatten();
            let found = arguments.filter_map(Value::as_str).filter_map(|argument| flag.value(argument)).next_back();
            let Some(found) = found.filter(|found| !wanted.contains(found) && !found.contains("$(")) else { continue };
            let (found, wanted) = (Quoted(found), wanted.join(" or "));
            others.push(format!("{flag}={found} in the container {name}, and {wanted} is wanted"));
        }
    }

    /// What a container does not find where it looks.
    fn mounts(&self, workload: &Workload, container: &Value, lacks: &mut Vec<String>) {
        let token = &self.row().federated.token;
        let name = text(container, "name").unwrap_or_default();
        let is_there = has(workload, &["volumes"], token.volume);
        if is_there && mounted(container, TOKEN_FOLDER) != Some(token.volume) {
            lacks.push(format!("the mount of the volume {} at {TOKEN_FOLDER} in the container {name}", token.volume));
        }
        let secrets = token.told_by.iter().filter_map(|place| place.secret());
        for (secret, folder) in secrets.zip(token.secret_folder) {
            if !mounted(container, folder).is_some_and(|volume| can_be(workload, volume, secret)) {
                lacks.push(format!("the mount of the Secret {secret} at {folder} in the container {name}"));
            }
        }
    }

    fn environment(&self, workload: &Workload, container: &Value, lacks: &mut Vec<String>, others: &mut Vec<String>) {
        let name = text(container, "name").unwrap_or_default();
        for variable in TokenEnv::ALL {
            let wanted = self.wanted(variable);
            let Some(found) = element(container, "env", &variable.to_string()) else {
                lacks.push(format!("{variable}={wanted} in the container {name}"));
                continue;
            };
            // What stands elsewhere is not known here.
            let Some(value) = text(found, "value").filter(|value| !same(value, wanted)) else { continue };
            let by = written_by(workload, &Item::Env(name.into(), variable.to_string().into()));
            let found = Quoted(value);
            others.push(format!("{variable}={found} in the container {name}{by}, and {wanted} is wanted"));
        }
    }

    fn wanted(&self, variable: TokenEnv) -> &'l str {
        match variable {
            TokenEnv::ClientId => &self.identity.client_id,
            TokenEnv::TenantId => &self.identities.tenant,
            TokenEnv::TokenFile => TOKEN_FILE,
        }
    }

    /// What Cluster API signs in by, where the row is its.
    fn cluster_identity(&self) -> Option<Said> {
        if !self.row().azure_cluster_identity || !self.sight.capz {
            return None;
        }
        let name = &self.identities.cluster.name;
        if !self.observed.capz_installed {
            let message = "the CRD AzureClusterIdentity is not installed; install Cluster API Provider Azure";
            return Some((Reason::CapzNotInstalled, message.to_owned()));
        }
        let Some(found) = &self.observed.capz_identity else {
            let message = format!("AzureClusterIdentity {name} is missing; hypershift-operator writes it: see its log");
            return Some((Reason::NotFederated, message));
        };
        let wanted: [(&str, &str); 3] = [
            ("type", "WorkloadIdentity"),
            ("clientID", &self.identity.client_id),
            ("tenantID", &self.identities.tenant),
        ];
        let other = wanted.into_iter().find_map(|(field, wanted)| {
            let value = text(&found.spec, field).unwrap_or_default();
            (!same(value, wanted)).then(|| {
                let owners = found.owners.iter().filter(|owner| owner.fields.iter().any(|owned| **owned == *field));
                let by = by(owners.map(|Owner { manager, .. }| &**manager));
                format!("spec.{field}: {}{by}, and {wanted} is wanted", Quoted(value))
            })
        })?;
        let message = format!("AzureClusterIdentity {name} has {other}; hypershift-operator writes it: see its log");
        Some((Reason::OtherIdentity, message))
    }

    /// The objects that say to the pod as whom it signs in, as far as they were looked at.
    fn configuration(&self) -> Vec<Said> {
        let Some(configuration) = &self.observed.configuration else { return Vec::new() };
        let told_by = self.row().federated.token.told_by;
        let seen = told_by.iter().filter_map(|place| Some((*place, configuration.objects.get(place)?.as_ref())));
        seen.filter_map(|(place, seen)| self.object(place, seen)).collect()
    }

    fn object(&self, place: Place, seen: Option<&Sighted>) -> Option<Said> {
        let operator = place.operator()?;
        let written_by = format!("{operator} writes it: see its log");
        let Some(seen) = seen else {
            return Some((Reason::NotFederated, format!("{} is missing; {written_by}", object_name(place))));
        };
        let by = by(seen.managers.iter().map(|manager| &**manager));
        let missing: Vec<_> = seen.lacks(place).collect();
        if !missing.is_empty() {
            let message = format!("{}{by} lacks {}; {written_by}", object_name(place), missing.join(", "));
            return Some((Reason::NotFederated, message));
        }
        let annotated = place.annotations().iter().zip([&*self.identity.client_id, &*self.identities.tenant]);
        let other = annotated.into_iter().find_map(|(name, wanted)| {
            let found = seen.annotations.get(*name).map(|value| &**value).unwrap_or_default();
            (!same(found, wanted)).then(|| format!("{name}: {}{by}, and {wanted} is wanted", Quoted(found)))
        })?;
        Some((Reason::OtherIdentity, format!("{} has {other}; {written_by}", object_name(place))))
    }

    /// What nobody has looked at.
    fn unseen(&self) -> Vec<Said> {
        let row = self.row();
        let identity = (row.azure_cluster_identity && !self.sight.capz).then(|| {
            let name = &self.identities.cluster.name;
            format!("AzureClusterIdentity {name} is not looked at, as azureClusterIdentity is none")
        });
        let objects = row.federated.token.told_by.iter().filter(|place| **place != Place::Environment);
        let known = self.observed.configuration.as_ref();
        let unknown = objects.filter(|place| known.is_none_or(|known| !known.objects.contains_key(place)));
        let unknown: Vec<_> = unknown.map(|place| object_name(*place)).collect();
        let why = match known.and_then(|known| known.trouble.as_deref()) {
            Some(trouble) => trouble,
            None if self.sight.configuration => "its turn has not come",
            None => "configurationCheck is none",
        };
        let objects = (!unknown.is_empty()).then(|| format!("not looked at: {}, as {why}", unknown.join(", ")));
        identity.into_iter().chain(objects).map(|message| (Reason::Ready, message)).collect()
    }
}

fn object_name(place: Place) -> String {
    match place {
        Place::Environment => "the environment".to_owned(),
        Place::Config(name, _) | Place::Keys(name, _) => format!("Secret {name}"),
        Place::ServiceAccount(name, _) => format!("ServiceAccount {name}"),
    }
}

/// Whether the pods have got what their templates have.
fn waits_for_pods(workloads: &[&Workload], pods: &[&Pod], observed: &Observed) -> Option<Said> {
    let pending: Vec<_> = pods.iter().copied().filter(|pod| pod.phase == Phase::Pending).collect();
    let message = if let Some(first) = pending.first() {
        let of_pod = observed.failed_mounts.iter().filter(|failed| pending.iter().any(|pod| failed.is_of(pod)));
        let failed = of_pod.min_by_key(|failed| (failed.volume.is_empty(), &failed.volume));
        let why =
            failed.map_or_else(|| format!("`kubectl describe pod {}` shows what it waits for", first.name), words);
        format!("{} has not started; {why}", names(&pending))
    } else if pods.is_empty() {
        "no pod of it is there yet; `kubectl get pods` in the control plane namespace".to_owned()
    } else {
        let rolling = workloads.iter().find(|workload| workload.rolling)?;
        let name = &rolling.name;
        format!("Deployment {name} is being rolled out: pods of its earlier template may still run, as they were")
    };
    Some((Reason::WaitingForPod, message))
}

/// Client and tenant ids are the same in either case.
fn same(found: &str, wanted: &str) -> bool {
    if wanted == TOKEN_FILE { found == wanted } else { found.eq_ignore_ascii_case(wanted) }
}

fn written_by(workload: &Workload, item: &Item) -> String {
    let owners = workload.owners.iter().filter(|(owned, _)| owned == item).flat_map(|(_, owners)| owners);
    by(owners.map(|owner| &**owner))
}

fn by<'o>(managers: impl Iterator<Item = &'o str>) -> String {
    let managers = managers.collect::<Vec<_>>().join(", ");
    if managers.is_empty() { managers } else { format!(" (written by {managers})") }
}

/// The volume that a container mounts at a path.
fn mounted<'v>(container: &'v Value, path: &str) -> Option<&'v str> {
    let mut mounts = container.get("volumeMounts")?.as_array()?.iter();
    let mount = mounts.find(|mount| text(mount, "mountPath").is_some_and(|found| same_path(found, path)))?;
    text(mount, "name")
}

/// Whether a volume is of a Secret; of one that is no Secret's volume, such as a projected one, that is not known here.
fn can_be(workload: &Workload, volume: &str, secret: &str) -> bool {
    let found = named(workload, "volumes", volume).and_then(|volume| volume.get("secret"));
    found.is_none_or(|found| text(found, "secretName") == Some(secret))
}

fn has(workload: &Workload, lists: &[&str], name: &str) -> bool {
    lists.iter().any(|list| named(workload, list, name).is_some())
}

fn named<'w>(workload: &'w Workload, list: &str, name: &str) -> Option<&'w Value> {
    element(workload.template.get("spec")?, list, name)
}

fn element<'v>(owner: &'v Value, list: &str, name: &str) -> Option<&'v Value> {
    owner.get(list)?.as_array()?.iter().find(|element| text(element, "name") == Some(name))
}
