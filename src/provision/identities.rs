//! The managed identities of a cluster's components: what each may do where, and who signs in as it.
//!
//! Names, scopes and what is granted are those of `ccoctl azure create-managed-identities`.

use std::{collections::HashMap, fmt};

use serde::Serialize;

use super::{
    BadName, Credential, CredentialsRequest, CredentialsRequests, Issuer, Mark, RESOURCE_GROUP, Resource, Tags,
    credentials_request::Found,
    is_resource_group,
    resource::{PREFIX, REGION, is_prefix, is_region},
};
use crate::{
    finding::{FieldPath, Finding, Problem, Reason},
    names::{IssuerUrl, is_identity_name, service_account},
};

/// A cluster whose components get identities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cluster {
    name: String,
    region: String,
    /// Of the issuer and the identities.
    oidc_group: String,
    /// Of the cluster itself: the installer wants it empty.
    installation_group: String,
    dns_zone_group: Option<String>,
    network_group: Option<String>,
    issuer: Issuer,
    tags: Tags,
}

/// What a cluster is known by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    pub name: &'a str,
    pub region: &'a str,
    pub oidc_group: Option<&'a str>,
    pub installation_group: Option<&'a str>,
    pub dns_zone_group: Option<&'a str>,
    pub network_group: Option<&'a str>,
}

/// Everything that is made for the components of a cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityPlan {
    pub groups: Vec<Resource>,
    /// Resource groups that must be there.
    pub groups_of_others: Vec<String>,
    pub identities: Vec<ManagedIdentity>,
}

/// The identity of a component.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedIdentity {
    pub name: String,
    pub resource_group: String,
    pub location: String,
    pub tags: Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_role: Option<CustomRole>,
    pub grants: Vec<Grant>,
    pub federated_credentials: Vec<Credential>,
    #[serde(skip)]
    issuer: IssuerUrl,
    #[serde(skip)]
    pub request: CredentialsRequest,
}

/// A role that is made for one identity.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomRole {
    pub name: String,
    pub actions: Vec<String>,
    pub data_actions: Vec<String>,
}

/// A role, by its display name, on a resource group.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub role: String,
    pub resource_group: String,
}

/// Azure has no longer ones.
const LONGEST: usize = 128;
const DISTINCT: &str =
    "another group than that of the issuer (--oidc-resource-group-name): the installer wants it empty";

/// Components that work in other groups than that of the cluster, by the name of their request.
struct Elsewhere {
    dns_zone: &'static [&'static str],
    network: &'static [&'static str],
}

const ELSEWHERE: Elsewhere = Elsewhere {
    dns_zone: &["openshift-ingress-azure"],
    network: &[
        "azure-file-csi-driver-operator",
        "openshift-azure-cloud-controller-manager",
        "openshift-cloud-network-config-controller-azure",
        "openshift-image-registry-azure",
        "openshift-ingress-azure",
        "openshift-machine-api-azure",
    ],
};

impl Cluster {
    /// ccoctl's defaults for what is not given.
    ///
    /// # Errors
    /// What Azure could not have, all of it.
    pub fn new(given: &Given<'_>, issuer: Issuer, tags: Tags) -> Result<Self, Vec<BadName>> {
        let Given { name, region, .. } = *given;
        let oidc_group = given.oidc_group.map_or_else(|| format!("{name}-oidc"), str::to_owned);
        let installation_group = given.installation_group.unwrap_or(name);
        let groups = [
            ("--oidc-resource-group-name", Some(&*oidc_group)),
            ("--installation-resource-group-name", Some(installation_group)),
            ("--dnszone-resource-group-name", given.dns_zone_group),
            ("--network-resource-group-name", given.network_group),
        ];
        let groups = groups.into_iter().filter_map(|(flag, group)| Some((flag, group?)));
        let groups = groups.map(|(flag, group)| (is_resource_group(group), flag, group, RESOURCE_GROUP));
        let distinct = !oidc_group.eq_ignore_ascii_case(installation_group);
        let others = [
            (is_prefix(name), "--name", name, PREFIX),
            (is_region(region), "--region", region, REGION),
            (distinct, "--installation-resource-group-name", installation_group, DISTINCT),
        ];
        let bad = others.into_iter().chain(groups).filter(|(good, ..)| !good);
        let bad: Vec<_> = bad.map(|(_, flag, value, rule)| BadName { flag, value: value.to_owned(), rule }).collect();
        if !bad.is_empty() {
            return Err(bad);
        }
        Ok(Self {
            name: name.to_owned(),
            region: region.to_owned(),
            installation_group: installation_group.to_owned(),
            dns_zone_group: given.dns_zone_group.map(str::to_owned),
            network_group: given.network_group.map(str::to_owned),
            oidc_group,
            issuer,
            tags,
        })
    }

    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark::of(&self.name)
    }

    /// The groups that a component works in.
    fn scopes(&self, request: &str) -> Vec<&str> {
        let mut scopes = vec![&*self.installation_group];
        for (names, group) in [(ELSEWHERE.dns_zone, &self.dns_zone_group), (ELSEWHERE.network, &self.network_group)] {
            let group = group.as_deref().filter(|_| names.contains(&request));
            let group = group.filter(|group| !scopes.iter().any(|known| known.eq_ignore_ascii_case(group)));
            scopes.extend(group);
        }
        scopes
    }

    fn group(&self, name: &str) -> Resource {
        Resource::ResourceGroup { name: name.to_owned(), location: self.region.clone(), tags: self.tags.clone() }
    }

    fn identity(&self, request: CredentialsRequest) -> ManagedIdentity {
        let full = format!("{}-{}-{}", self.name, request.secret_namespace, request.secret_name);
        let name = full.get(..LONGEST).unwrap_or(&full).to_owned();
        let powers = &request.powers;
        let custom_role = (!powers.actions.is_empty() || !powers.data_actions.is_empty()).then(|| CustomRole {
            name: name.clone(),
            actions: powers.actions.clone(),
            data_actions: powers.data_actions.clone(),
        });
        let roles = powers.roles.iter().chain(custom_role.as_ref().map(|role| &role.name));
        let scopes = self.scopes(&request.name);
        let grants = roles.flat_map(|role| {
            scopes.iter().map(|group| Grant { role: role.clone(), resource_group: (*group).to_owned() })
        });
        let mut identity = ManagedIdentity {
            resource_group: self.oidc_group.clone(),
            location: self.region.clone(),
            tags: self.tags.clone(),
            grants: grants.collect(),
            federated_credentials: Vec::new(),
            issuer: self.issuer.url().clone(),
            custom_role,
            name,
            request,
        };
        identity.trust(&self.issuer);
        identity
    }
}

impl CredentialsRequests<'_> {
    /// What is made for them. Whole only where no finding is an error.
    #[must_use]
    pub fn plan(self, cluster: &Cluster) -> IdentityPlan {
        let (all, findings) = self.into_parts();
        let mut identities = Vec::with_capacity(all.len());
        let mut known: HashMap<String, usize> = HashMap::new();
        for (at, found) in all.iter().enumerate() {
            let identity = cluster.identity(found.request.clone());
            let first = *known.entry(identity.name.to_ascii_lowercase()).or_insert(at);
            let problem = if !is_identity_name(&identity.name) {
                Some(no_name(&identity.name))
            } else if let Some(other) = all.get(first).filter(|_| first != at) {
                Some(same_name(&identity.name, other))
            } else {
                identities.push(identity);
                None
            };
            if let Some(problem) = problem {
                findings(Finding { place: found.place.clone(), object: Some(found.object.clone()), problem });
            }
        }
        let ours = [&cluster.oidc_group, &cluster.installation_group];
        let groups_of_others = [&cluster.dns_zone_group, &cluster.network_group].into_iter().flatten();
        let groups_of_others = groups_of_others.filter(|one| !ours.iter().any(|ours| ours.eq_ignore_ascii_case(one)));
        IdentityPlan {
            groups_of_others: groups_of_others.cloned().collect(),
            groups: ours.map(|group| cluster.group(group)).to_vec(),
            identities,
        }
    }
}

fn no_name(identity: &str) -> Problem {
    let message =
        "gives its identity a name that Azure cannot have: letters, digits, hyphens and underscores are what it takes";
    let remedy = "give the Secret a name without dots";
    let field = FieldPath::of("spec.secretRef.name");
    Problem::error(Reason::InvalidName, field, message, remedy).with_value(identity)
}

fn same_name(identity: &str, Found { object, place, .. }: &Found) -> Problem {
    let message = format!(
        "gives its identity the same name as {object} ({}:{}), as names are cut at {LONGEST} characters: each would have the roles of both",
        place.source, place.line
    );
    let remedy = "give a shorter --name, or the Secret a shorter one";
    Problem::error(Reason::SharedIdentityName, FieldPath::of("spec.secretRef"), message, remedy).with_value(identity)
}

impl IdentityPlan {
    /// For a cluster whose issuer is known once something else has been made.
    pub fn set_issuer(&mut self, issuer: &Issuer) {
        self.identities.iter_mut().for_each(|identity| identity.trust(issuer));
    }

    /// What is made, in order, as it is told.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        let groups = self.groups.iter().map(ToString::to_string);
        groups.chain(self.identities.iter().flat_map(ManagedIdentity::steps))
    }
}

impl ManagedIdentity {
    fn steps(&self) -> Vec<String> {
        let mut steps = vec![self.to_string()];
        steps.extend(self.custom_role.as_ref().map(ToString::to_string));
        steps.extend(self.grants.iter().map(|grant| self.grant(grant)));
        steps.extend(self.federated_credentials.iter().map(|credential| credential_of(&credential.name, &self.name)));
        steps
    }

    fn trust(&mut self, issuer: &Issuer) {
        self.issuer.clone_from(issuer.url());
        let accounts = &self.request.service_accounts;
        self.federated_credentials = accounts.iter().map(|account| self.credential(account)).collect();
    }

    /// The federated credential that a service account of the component gets, which has its name.
    pub(crate) fn credential(&self, account: &str) -> Credential {
        Credential {
            name: account.to_owned(),
            issuer: self.issuer.clone(),
            subject: service_account(&self.request.secret_namespace, account),
            audiences: Credential::AUDIENCES,
        }
    }

    /// How a grant is told.
    pub(crate) fn grant(&self, Grant { role, resource_group }: &Grant) -> String {
        role_of(role, &self.name, resource_group)
    }
}

/// How a role that somebody has somewhere is told.
pub(crate) fn role_of(role: &str, who: &str, scope: &str) -> String {
    format!("role {role:?} of {who} on {scope}")
}

/// How a federated credential is told.
pub(crate) fn credential_of(name: &str, identity: &str) -> String {
    format!("federated credential {name} of {identity}")
}

impl fmt::Display for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "identity {}", self.name)
    }
}

impl fmt::Display for CustomRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "custom role {}", self.name)
    }
}
