//! The Secrets Store CSI driver and its Azure provider: whether a credential can be mounted, and is renewed once it is.
//!
//! Their DaemonSets are told by what they mount of the node. Names and labels differ from one distribution to the next.

use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{Node, Pod},
        storage::v1::{CSIDriver, CSINode},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Api, Client, ResourceExt};

use super::{
    Check, Reason,
    look::{Unseen, list, seen},
    nodes::{Nodes, Where},
};

pub(super) const NAME: &str = "secrets-store.csi.k8s.io";
const ROTATION_FLAG: &str = "--enable-secret-rotation";
const POLL_FLAG: &str = "--rotation-poll-interval";
const INSTALL: &str = "install the Secrets Store CSI driver, or its add-on, with secret rotation";

/// What has to run on every node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Driver,
    Provider,
}

pub(super) async fn checks(client: &Client) -> Vec<Check> {
    let object = seen("get CSIDrivers", Api::<CSIDriver>::all(client.clone()).get(NAME).await);
    let sets = list("DaemonSets", &Api::<DaemonSet>::all(client.clone()), "").await;
    let nodes = list("Nodes", &Api::<Node>::all(client.clone()), "").await.map(|nodes| Nodes::of(&nodes));
    let registered = list("CSINodes", &Api::<CSINode>::all(client.clone()), "").await;
    vec![
        object_of(object),
        rotation(&sets),
        registration(&nodes, &registered),
        pods(client, Part::Driver, &sets, &nodes).await,
        pods(client, Part::Provider, &sets, &nodes).await,
    ]
}

fn object_of(object: Result<Option<CSIDriver>, Unseen>) -> Check {
    const CHECK: &str = "CSIDriver";
    let driver = match object {
        Err(unseen) => return Check::unseen(CHECK, &unseen),
        Ok(None) => {
            return Check::error(CHECK, Reason::DriverNotInstalled, format!("there is no CSIDriver {NAME}"))
                .remedy(INSTALL);
        }
        Ok(Some(driver)) => driver.spec,
    };
    let inline = driver.volume_lifecycle_modes.iter().flatten().any(|mode| mode == "Ephemeral");
    if !inline || driver.pod_info_on_mount != Some(true) {
        let message = format!(
            "CSIDriver {NAME} lacks podInfoOnMount: true or the volumeLifecycleMode Ephemeral, so that no pod can mount"
        );
        return Check::error(CHECK, Reason::DriverMisconfigured, message)
            .remedy("apply the CSIDriver of the driver's release again");
    }
    if driver.requires_republish != Some(true) {
        let message =
            format!("CSIDriver {NAME} lacks requiresRepublish: true; drivers of 1.6 and later renew only with it");
        return Check::warning(CHECK, Reason::NotRepublished, message)
            .remedy("apply the CSIDriver of the driver's release again, with rotation");
    }
    let tokens = driver.token_requests.map_or(0, |requests| requests.len());
    Check::ok(CHECK, format!("{NAME} is republished; {tokens} tokenRequests, of which the provider classes need none"))
}

fn rotation(sets: &Result<Vec<DaemonSet>, Unseen>) -> Check {
    const CHECK: &str = "CSI driver rotation";
    let sets = match sets {
        Err(unseen) => return Check::unseen(CHECK, unseen),
        Ok(sets) => sets,
    };
    let Some(set) = sets.iter().find(|set| part(set) == Some(Part::Driver)) else {
        return Check::skipped(CHECK, Reason::NothingToLookAt, "there is no DaemonSet of the driver");
    };
    let on = matches!(argument(set, ROTATION_FLAG).as_deref(), Some("true" | ""));
    if !on {
        let message = format!(
            "DaemonSet {} runs without {ROTATION_FLAG}=true: a pod keeps the credential that it started with until it expires",
            reference(set)
        );
        return Check::error(CHECK, Reason::RotationOff, message)
            .remedy("turn rotation on in the driver's release or add-on");
    }
    let every = argument(set, POLL_FLAG).map(|interval| format!(", every {interval}")).unwrap_or_default();
    Check::ok(CHECK, format!("on{every}"))
}

/// Whether kubelet knows the driver on each node.
fn registration(nodes: &Result<Nodes, Unseen>, registered: &Result<Vec<CSINode>, Unseen>) -> Check {
    const CHECK: &str = "CSI driver on nodes";
    let (nodes, registered) = match (nodes, registered) {
        (Err(unseen), _) | (_, Err(unseen)) => return Check::unseen(CHECK, unseen),
        (Ok(nodes), Ok(registered)) => (nodes, registered),
    };
    let with = registered.iter().filter(|node| node.spec.drivers.iter().any(|driver| driver.name == NAME));
    let lacking = nodes.without(&with.map(ResourceExt::name_any).collect());
    let told = Where { check: CHECK, what: "is not registered with kubelet", reason: Reason::DriverNotOnNode };
    nodes.judge(&told, &lacking, "look at the driver's pod and its node-driver-registrar there")
}

async fn pods(
    client: &Client,
    part: Part,
    sets: &Result<Vec<DaemonSet>, Unseen>,
    nodes: &Result<Nodes, Unseen>,
) -> Check {
    let check = part.check();
    let sets = match sets {
        Err(unseen) => return Check::unseen(check, unseen),
        Ok(sets) => sets.iter().filter(|set| self::part(set) == Some(part)).collect::<Vec<_>>(),
    };
    if sets.is_empty() {
        let (reason, message, remedy) = part.missing();
        return Check::error(check, reason, message).remedy(remedy);
    }
    let mut ready = Default::default();
    for set in &sets {
        match ready_on(client, set).await {
            Ok(found) => ready = &ready | &found,
            Err(unseen) => return Check::unseen(check, &unseen),
        }
    }
    let nodes = match nodes {
        Err(unseen) => return Check::unseen(check, unseen),
        Ok(nodes) => nodes,
    };
    let told = Where { check, what: "has no ready pod of it", reason: part.not_ready() };
    let names: Vec<_> = sets.iter().map(|set| reference(set)).collect();
    nodes.judge(&told, &nodes.without(&ready), &format!("look at the pods of DaemonSet {} there", names.join(", ")))
}

impl Part {
    fn check(self) -> &'static str {
        match self {
            Self::Driver => "CSI driver pods",
            Self::Provider => "Azure provider pods",
        }
    }

    fn missing(self) -> (Reason, &'static str, &'static str) {
        match self {
            Self::Driver => {
                (Reason::DriverNotInstalled, "there is no DaemonSet of the Secrets Store CSI driver", INSTALL)
            }
            Self::Provider => (
                Reason::ProviderNotInstalled,
                "there is no DaemonSet of the driver's Azure provider",
                "install the Azure provider of the Secrets Store CSI driver",
            ),
        }
    }

    fn not_ready(self) -> Reason {
        match self {
            Self::Driver => Reason::DriverNotReady,
            Self::Provider => Reason::ProviderNotReady,
        }
    }
}

/// What a DaemonSet is, by what it mounts of the node: the driver its socket for kubelet, a provider the folder of sockets in
/// which the driver looks for it by name.
fn part(set: &DaemonSet) -> Option<Part> {
    let spec = set.spec.as_ref()?.template.spec.as_ref()?;
    let paths =
        spec.volumes.iter().flatten().filter_map(|volume| Some(volume.host_path.as_ref()?.path.trim_end_matches('/')));
    let mounts = |end: &str| paths.clone().any(|path| path.ends_with(end));
    if mounts("/csi-secrets-store") {
        return Some(Part::Driver);
    }
    let says_azure = spec.containers.iter().any(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        image.contains("provider-azure")
            || container.args.iter().flatten().any(|argument| argument.ends_with("/azure.sock"))
    });
    (mounts("/secrets-store-csi-providers") && says_azure).then_some(Part::Provider)
}

/// The value of a flag of some container: empty where it stands alone.
fn argument(set: &DaemonSet, flag: &str) -> Option<String> {
    let spec = set.spec.as_ref()?.template.spec.as_ref()?;
    let mut words =
        spec.containers.iter().flat_map(|container| container.command.iter().chain(&container.args).flatten());
    words.find_map(|word| {
        let rest = word.strip_prefix(flag)?;
        if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('=').map(str::to_owned) }
    })
}

/// The nodes on which a DaemonSet has a ready pod.
async fn ready_on(client: &Client, set: &DaemonSet) -> Result<std::collections::BTreeSet<String>, Unseen> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &set.namespace().unwrap_or_default());
    let selector = set.spec.as_ref().map(|spec| labels(&spec.selector)).unwrap_or_default();
    let pods = list("Pods", &api, &selector).await?;
    Ok(pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect())
}

fn labels(selector: &LabelSelector) -> String {
    selector.clone().try_into().map(|selector: kube::core::Selector| selector.to_string()).unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn reference(set: &DaemonSet) -> String {
    format!("{}/{}", set.namespace().unwrap_or_default(), set.name_any())
}
