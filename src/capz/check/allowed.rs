//! Which namespaces an identity is for, as CAPZ decides it.

use std::collections::BTreeMap;

use crate::{
    capz::cluster_identity::{ALLOWED_NAMESPACES, field_of},
    finding::{Problem, Reason},
    manifest::{Content, Node},
};

pub(super) type Labels = BTreeMap<Box<str>, Box<str>>;

/// The label that every namespace has of the API server.
const NAME: &str = "kubernetes.io/metadata.name";

/// `spec.allowedNamespaces`.
#[derive(Debug)]
pub(super) enum Allowed {
    Everybody,
    Nobody,
    These { list: Vec<Box<str>>, selector: Vec<Requirement> },
}

/// What a label has to be.
#[derive(Debug)]
pub(super) struct Requirement {
    key: Box<str>,
    operator: Operator,
    values: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Whether a namespace may use an identity, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Yes,
    No,
    Unknown,
}

/// Name and labels of a Namespace.
pub(super) fn labels(node: &Node) -> Option<(Box<str>, Labels)> {
    let metadata = node.get("metadata")?;
    let name = metadata.text("name")?;
    let mut labels = Labels::from([(NAME.into(), name.into())]);
    if let Some(Content::Mapping(entries)) = metadata.get("labels").map(|labels| &labels.content) {
        for entry in entries {
            if let Content::String(value) = &entry.value.content {
                labels.insert(entry.key.clone(), value.clone());
            }
        }
    }
    Some((name.into(), labels))
}

/// Reads the field. Without it nobody is allowed; empty, everybody; and an empty selector selects nobody.
pub(super) fn read(field: Option<&Node>) -> (Allowed, Vec<Problem>) {
    let Some(field) = field.filter(|field| !field.is_null()) else {
        let message = "is missing: nobody may use the identity, not even clusters in its own namespace";
        return (Allowed::Nobody, vec![nobody(message)]);
    };
    let (list, selector) = match (list(field), selector(field)) {
        (Ok(list), Ok(selector)) if matches!(field.content, Content::Mapping(_)) => (list, selector),
        _ => {
            let message = "is not what CAPZ reads: it is an object with a list of names or a selector of labels";
            return (Allowed::Nobody, vec![problem(Reason::InvalidType, message, "correct it")]);
        }
    };
    match (list, selector) {
        (None, None) => (Allowed::Everybody, Vec::new()),
        (list, selector) => {
            let (list, selector) = (list.unwrap_or_default(), selector.unwrap_or_default());
            let problems = if list.is_empty() && selector.is_empty() {
                vec![nobody("is a list without names, or a selector without labels: nobody may use the identity")]
            } else {
                Vec::new()
            };
            (Allowed::These { list, selector }, problems)
        }
    }
}

fn nobody(message: &str) -> Problem {
    let remedy = "list the namespaces of the clusters that use it, or write {} for all of them";
    Problem::warning(Reason::AllowedNamespacesMatchNobody, field_of(ALLOWED_NAMESPACES), message, remedy)
}

fn problem(reason: Reason, message: &str, remedy: &str) -> Problem {
    Problem::error(reason, field_of(ALLOWED_NAMESPACES), message, remedy)
}

/// A part of the field that cannot be read.
struct Unreadable;

fn list(field: &Node) -> Result<Option<Vec<Box<str>>>, Unreadable> {
    present(field, "list").map(strings).transpose()
}

fn selector(field: &Node) -> Result<Option<Vec<Requirement>>, Unreadable> {
    let Some(selector) = present(field, "selector") else { return Ok(None) };
    let mut requirements = Vec::new();
    match present(selector, "matchLabels").map(|labels| &labels.content) {
        None => {}
        Some(Content::Mapping(entries)) => {
            for entry in entries {
                let Content::String(value) = &entry.value.content else { return Err(Unreadable) };
                let values = vec![value.clone()];
                requirements.push(Requirement { key: entry.key.clone(), operator: Operator::In, values });
            }
        }
        Some(_) => return Err(Unreadable),
    }
    match present(selector, "matchExpressions").map(|expressions| &expressions.content) {
        None => {}
        Some(Content::Sequence(items)) => {
            for item in items {
                requirements.push(requirement(item)?);
            }
        }
        Some(_) => return Err(Unreadable),
    }
    Ok(Some(requirements))
}

fn requirement(item: &Node) -> Result<Requirement, Unreadable> {
    let operator = match item.text("operator") {
        Some("In") => Operator::In,
        Some("NotIn") => Operator::NotIn,
        Some("Exists") => Operator::Exists,
        Some("DoesNotExist") => Operator::DoesNotExist,
        _ => return Err(Unreadable),
    };
    let values = present(item, "values").map(strings).transpose()?.unwrap_or_default();
    let takes_values = matches!(operator, Operator::In | Operator::NotIn);
    let key = item.text("key").filter(|key| !key.is_empty() && takes_values != values.is_empty());
    Ok(Requirement { key: key.ok_or(Unreadable)?.into(), operator, values })
}

fn strings(node: &Node) -> Result<Vec<Box<str>>, Unreadable> {
    let Content::Sequence(items) = &node.content else { return Err(Unreadable) };
    items
        .iter()
        .map(|item| match &item.content {
            Content::String(text) => Ok(text.clone()),
            _ => Err(Unreadable),
        })
        .collect()
}

fn present<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.get(key).filter(|value| !value.is_null())
}

impl Allowed {
    /// Whether clusters of a namespace may use the identity; `labels` are those of the namespace, where it is known.
    pub(super) fn allows(&self, namespace: &str, labels: Option<&Labels>) -> Verdict {
        match self {
            Self::Everybody => Verdict::Yes,
            Self::Nobody => Verdict::No,
            Self::These { list, .. } if list.iter().any(|allowed| **allowed == *namespace) => Verdict::Yes,
            Self::These { selector, .. } if selector.is_empty() => Verdict::No,
            Self::These { selector, .. } => match labels {
                Some(labels) if selector.iter().all(|requirement| requirement.is_met(labels)) => Verdict::Yes,
                Some(_) => Verdict::No,
                None => Verdict::Unknown,
            },
        }
    }

    /// Whether it says that nobody may, which has been reported.
    pub(super) fn is_nobody(&self) -> bool {
        match self {
            Self::Everybody => false,
            Self::Nobody => true,
            Self::These { list, selector } => list.is_empty() && selector.is_empty(),
        }
    }
}

impl Requirement {
    fn is_met(&self, labels: &Labels) -> bool {
        let found = labels.get(&self.key);
        match self.operator {
            Operator::In => found.is_some_and(|found| self.values.contains(found)),
            Operator::NotIn => found.is_none_or(|found| !self.values.contains(found)),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
        }
    }
}
