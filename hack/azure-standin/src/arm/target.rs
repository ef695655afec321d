//! What a path of ARM names: a thing, all things of a type, or an action on a thing. Names are compared without case.

use http::Method;

use super::kind::{Kind, Type};

/// A path, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) wanted: Wanted,
    /// What stands before the provider: of an extension, the thing that it is about.
    pub(super) scope: Scope,
    /// The names after the provider, outermost first.
    pub(super) names: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    One,
    All,
    Action(String),
}

/// A subscription, a resource group or a resource, as it was written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn new(path: &str) -> Self {
        Self(format!("/{}", path.trim_matches('/')))
    }

    pub(super) fn path(&self) -> &str {
        &self.0
    }

    pub(super) fn subscription(&self) -> &str {
        self.part("subscriptions").unwrap_or_default()
    }

    pub(super) fn group(&self) -> Option<&str> {
        self.part("resourcegroups")
    }

    fn part(&self, name: &str) -> Option<&str> {
        let mut parts = self.0.split('/').skip(1);
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            if key.eq_ignore_ascii_case(name) {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// Whether what is assigned here is in force there: there, or below.
    pub(super) fn covers(&self, other: &str) -> bool {
        let (own, other) = (self.0.to_lowercase(), other.to_lowercase());
        other.strip_prefix(own.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Target {
    /// None if the stand-in has no such type.
    pub(super) fn of(method: &Method, segments: &[String]) -> Option<Self> {
        let provider = segments.iter().rposition(|part| part.eq_ignore_ascii_case("providers"));
        match provider {
            Some(at) => Self::of_provider(method, &segments[..at], &segments[at + 1..]),
            None => Self::of_resources(segments),
        }
    }

    fn of_resources(segments: &[String]) -> Option<Self> {
        let lower: Vec<_> = segments.iter().map(|part| part.to_lowercase()).collect();
        let parts: Vec<&str> = lower.iter().map(String::as_str).collect();
        let (kind, wanted) = match parts.as_slice() {
            ["subscriptions", _] => (Kind::Subscription, Wanted::One),
            ["subscriptions", _, "resourcegroups"] => (Kind::ResourceGroup, Wanted::All),
            ["subscriptions", _, "resourcegroups", _] => (Kind::ResourceGroup, Wanted::One),
            ["subscriptions", _, "resourcegroups", _, "resources"] => (Kind::Resource, Wanted::All),
            ["subscriptions", _, "operationresults", _] => (Kind::Operation, Wanted::One),
            _ => return None,
        };
        let names = segments.last().cloned().into_iter().collect();
        Some(Self { kind, wanted, scope: Scope::new(&segments.join("/")), names })
    }

    fn of_provider(method: &Method, scope: &[String], rest: &[String]) -> Option<Self> {
        let (namespace, rest) = rest.split_first()?;
        let types: Vec<_> = rest.iter().step_by(2).map(String::as_str).collect();
        let names: Vec<_> = rest.iter().skip(1).step_by(2).cloned().collect();
        let scope = Scope::new(&scope.join("/"));
        let is_action = method == Method::POST && types.len() > names.len();
        let (types, wanted) = match types.split_last() {
            Some((action, types)) if is_action => (types.to_vec(), Wanted::Action((*action).to_owned())),
            _ if types.len() > names.len() => (types, Wanted::All),
            _ => (types, Wanted::One),
        };
        let kind = match (types.as_slice(), &wanted) {
            ([], Wanted::Action(_)) if namespace.eq_ignore_ascii_case("Microsoft.Storage") => Kind::StorageAccount,
            _ => Type::named(namespace, &types.join("/"))?.kind,
        };
        Some(Self { kind, wanted, scope, names })
    }

    /// The last name: of a thing its own, else that of the thing around.
    pub(super) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    pub(super) fn outer(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    pub(super) fn group(&self) -> &str {
        self.scope.group().unwrap_or_default()
    }

    /// The id of the thing, for authorization and for errors.
    pub(super) fn id(&self) -> String {
        let kind = self.kind.row();
        if kind.namespace == "Microsoft.Resources" {
            return self.scope.path().to_owned();
        }
        let mut id = format!("{}/providers/{}", self.scope.path(), kind.namespace);
        for (part, name) in kind.name.split('/').zip(&self.names) {
            id = format!("{id}/{part}/{name}");
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: &Method, path: &str) -> Option<Target> {
        let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Target::of(method, &segments)
    }

    const GROUP: &str = "/subscriptions/s/resourceGroups/g";

    #[test]
    fn a_path_names_one_or_all_or_an_action() {
        let path = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts");
        let all = target(&Method::GET, &path).unwrap();
        assert_eq!((all.kind, &all.wanted), (Kind::StorageAccount, &Wanted::All));
        let one = target(&Method::GET, &format!("{path}/a")).unwrap();
        assert_eq!((&one.wanted, one.name(), one.group()), (&Wanted::One, "a", "g"));
        let action = target(&Method::POST, &format!("{path}/a/listKeys")).unwrap();
        assert_eq!((action.wanted, action.names), (Wanted::Action("listKeys".into()), vec!["a".to_owned()]));
    }

    #[test]
    fn an_extension_is_about_what_stands_before_it() {
        let vault = format!("{GROUP}/providers/Microsoft.KeyVault/vaults/v");
        let one =
            target(&Method::PUT, &format!("{vault}/providers/Microsoft.Authorization/roleAssignments/x")).unwrap();
        assert_eq!((one.kind, one.scope.path()), (Kind::RoleAssignment, vault.as_str()));
        assert_eq!(one.scope.subscription(), "s");
    }

    #[test]
    fn names_of_types_have_no_case() {
        let path = "/SUBSCRIPTIONS/s/resourcegroups/g/PROVIDERS/microsoft.managedidentity/USERASSIGNEDIDENTITIES/i";
        assert_eq!(target(&Method::GET, path).unwrap().kind, Kind::Identity);
        assert_eq!(target(&Method::GET, &format!("{GROUP}/providers/Microsoft.Compute/disks/d")), None);
    }

    #[test]
    fn a_scope_covers_what_is_below_it() {
        let scope = Scope::new(GROUP);
        assert!(scope.covers(&GROUP.to_uppercase()) && scope.covers(&format!("{GROUP}/providers/x")));
        assert!(!scope.covers("/subscriptions/s/resourceGroups/g2") && !scope.covers("/subscriptions/s"));
        assert!(Scope::new("/").covers(GROUP));
    }
}
