//! The Deployments that sign in: CAPZ's manager, and the Azure Service Operator beside it.

use super::{Spot, items, token};
use crate::{
    finding::{FieldPath, Finding},
    input::Located,
    manifest::{Content, Node},
};

pub(super) struct Manager {
    pub(super) who: Who,
    pub(super) arguments: Spot,
    /// The one namespace that it looks after; None: all of them.
    pub(super) watched: Option<String>,
    pub(super) aso_secrets: AsoSecrets,
    /// What keeps it from having its token, once it needs one.
    pub(super) token: Vec<Finding>,
    /// Whose token it is.
    pub(super) account: Account,
}

/// A ServiceAccount as a Deployment names it.
pub(super) struct Account {
    pub(super) spot: Spot,
    /// None where the namespace is that of whoever applies it.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    Capz,
    /// CAPZ as HyperShift runs it, one for each control plane. It gets its token another way.
    CapzOfHyperShift,
    Aso,
}

/// Whether CAPZ makes the Secrets with which the Azure Service Operator signs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AsoSecrets {
    On,
    Off,
}

const CAPZ: &str = "capz-controller-manager";
const CAPZ_OF_HYPERSHIFT: &str = "capi-provider";
const ASO: &str = "azureserviceoperator-controller-manager";
pub(super) const NAMES: [&str; 3] = [CAPZ, CAPZ_OF_HYPERSHIFT, ASO];

pub(super) fn look(object: &Located) -> Option<Manager> {
    let node = object.node();
    let who = match node.get("metadata")?.text("name")? {
        CAPZ => Who::Capz,
        CAPZ_OF_HYPERSHIFT => Who::CapzOfHyperShift,
        ASO => Who::Aso,
        _ => return None,
    };
    let template = super::at(node, "spec.template")?;
    let pod = template.get("spec")?;
    let containers = || items(pod.get("containers")).enumerate();
    let (index, manager) = containers().find(|(_, container)| container.text("name") == Some("manager"))?;
    let arguments: Vec<_> = items(manager.get("args")).chain(items(manager.get("command"))).collect();
    let flag = |name: &str| arguments.iter().find_map(|argument| flag(argument, name));
    let disabled = flag("disable-controllers-or-webhooks").unwrap_or_default();
    let is_off = disabled.split(',').any(|name| name.trim() == "DisableASOSecretController");
    let pod_path = FieldPath::of("spec.template.spec");
    Some(Manager {
        who,
        arguments: Spot::of(object, &pod_path.key("containers").index(index).key("args")),
        watched: flag("namespace").filter(|name| !name.is_empty()).map(|name| namespace(name, object)),
        aso_secrets: if is_off { AsoSecrets::Off } else { AsoSecrets::On },
        token: token::problems(who, template, manager).into_iter().map(|problem| object.finding(problem)).collect(),
        account: account(object, pod, &pod_path),
    })
}

fn account(object: &Located, pod: &Node, pod_path: &FieldPath) -> Account {
    // The field of old is set to the same by the API server.
    let name = pod.text("serviceAccountName").or_else(|| pod.text("serviceAccount"));
    let namespace = object.reference().namespace;
    Account {
        spot: Spot::of(object, &pod_path.key("serviceAccountName")),
        namespace: Some(namespace).filter(|namespace| !namespace.is_empty()),
        name: name.filter(|name| !name.is_empty()).unwrap_or("default").to_owned(),
    }
}

fn flag<'n>(argument: &'n Node, name: &str) -> Option<&'n str> {
    let Content::String(text) = &argument.content else { return None };
    text.trim_start_matches('-').strip_prefix(name)?.strip_prefix('=')
}

/// A variable stands for the Deployment's own namespace, as HyperShift has it.
fn namespace(name: &str, object: &Located) -> String {
    if name.starts_with("$(") { object.reference().namespace } else { name.to_owned() }
}
