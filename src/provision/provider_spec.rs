//! What a CredentialsRequest asks of Azure: what its component may do, and which service accounts it is.

use crate::{
    finding::{FieldPath, Problem, Reason},
    input::Located,
    manifest::{Content, Node},
    names::ObjectName,
};

use super::FederatedIdentity;

/// What a component may do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Powers {
    /// Roles that are there, by their display names.
    pub roles: Vec<String>,
    /// Of a role that is made for it.
    pub actions: Vec<String>,
    pub data_actions: Vec<String>,
}

const ROLE_BINDINGS: &str = "spec.providerSpec.roleBindings";
const PERMISSIONS: &str = "spec.providerSpec.permissions";
const DATA_PERMISSIONS: &str = "spec.providerSpec.dataPermissions";
const SERVICE_ACCOUNTS: &str = "spec.serviceAccountNames";

impl Powers {
    /// What cannot be read is a problem, and left out.
    pub(super) fn read(object: &Located, problems: &mut Vec<Problem>) -> Self {
        let bindings = items(object, ROLE_BINDINGS, problems);
        let roles = bindings.into_iter().filter_map(|(field, binding)| {
            let role = binding.get("role").unwrap_or(binding);
            text(field.key("role"), role, problems)
        });
        Self {
            roles: unique(roles.map(|(_, role)| role).collect()),
            actions: texts(object, PERMISSIONS, problems),
            data_actions: texts(object, DATA_PERMISSIONS, problems),
        }
    }
}

/// The names of the service accounts of a component, each of which becomes the name of a federated credential.
pub(super) fn service_accounts(object: &Located, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut names = Vec::new();
    for (field, node) in items(object, SERVICE_ACCOUNTS, problems) {
        let Some((field, name)) = text(field, node, problems) else { continue };
        if is_service_account(&name) {
            names.push(name);
            continue;
        }
        let message = "is no name of a service account that Azure takes for a federated credential";
        let problem = Problem::error(Reason::InvalidName, field, message, SERVICE_ACCOUNT);
        problems.push(problem.with_value(name));
    }
    let names = unique(names);
    if names.len() > FederatedIdentity::MOST_CREDENTIALS {
        problems.push(too_many(names.len()));
    }
    names
}

/// Of a component that nobody can sign in as.
pub(super) fn nobody() -> Problem {
    let message = "names no service account: its identity gets no federated credential, and nobody can sign in as it";
    let remedy = "name the service accounts of the component's pods, if it has any";
    Problem::note(Reason::ServiceAccountsNotNamed, FieldPath::of(SERVICE_ACCOUNTS), message, remedy)
}

fn too_many(count: usize) -> Problem {
    let most = FederatedIdentity::MOST_CREDENTIALS;
    let message =
        format!("names {count} service accounts, and Azure lets an identity have {most} federated credentials");
    let remedy = "split the request into two, each with a Secret of its own";
    Problem::error(Reason::TooManyFederatedCredentials, FieldPath::of(SERVICE_ACCOUNTS), message, remedy)
}

const SERVICE_ACCOUNT: &str =
    "it must be 3 to 120 lower-case letters, digits and hyphens, starting and ending with a letter or digit";

/// <https://learn.microsoft.com/azure/templates/microsoft.managedidentity/userassignedidentities/federatedidentitycredentials>
fn is_service_account(name: &str) -> bool {
    (3..=120).contains(&name.len()) && !name.contains('.') && ObjectName::new(name).is_ok()
}

fn texts(object: &Located, field: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    let items = items(object, field, problems);
    unique(items.into_iter().filter_map(|(field, node)| text(field, node, problems)).map(|(_, text)| text).collect())
}

fn items<'o>(object: &'o Located, field: &str, problems: &mut Vec<Problem>) -> Vec<(FieldPath, &'o Node)> {
    let found = field.split('.').try_fold(object.node(), |node, key| node.get(key));
    let field = FieldPath::of(field);
    match found.map(|node| &node.content) {
        None | Some(Content::Null) => Vec::new(),
        Some(Content::Sequence(items)) => items.iter().enumerate().map(|(at, node)| (field.index(at), node)).collect(),
        Some(_) => {
            problems.push(Problem::error(Reason::InvalidType, field, "is no list", "write a list"));
            Vec::new()
        }
    }
}

fn text(field: FieldPath, node: &Node, problems: &mut Vec<Problem>) -> Option<(FieldPath, String)> {
    let problem = match &node.content {
        Content::String(text) if !text.trim().is_empty() => return Some((field, text.to_string())),
        Content::String(_) | Content::Null => {
            Problem::error(Reason::Required, field, "is empty", "fill it in, or leave the item out")
        }
        _ => Problem::error(Reason::InvalidType, field, "is no string", "write a string, in quotes if need be"),
    };
    problems.push(problem);
    None
}

/// In the order in which they stand; what stands there twice is meant once.
fn unique(texts: Vec<String>) -> Vec<String> {
    let mut known = Vec::with_capacity(texts.len());
    for text in texts {
        if !known.contains(&text) {
            known.push(text);
        }
    }
    known
}
