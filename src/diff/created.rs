//! Pods as they are created: which components they could mount now.

use std::collections::BTreeMap;

use super::classes::{differing, fitting};
use crate::{
    component::{Component, Id},
    condition::Reason,
    observed::Class,
    plan::Plan,
    verification::Verification,
};

/// Which components a pod that is created now is not to be given, and why: it could not mount them, or not sign in with
/// them. What nobody has looked at is given: a pod that starts without its volume does not get it later.
#[must_use]
pub fn held(
    plan: &Plan,
    classes: &BTreeMap<Id, Class>,
    verified: &BTreeMap<Id, Verification>,
) -> BTreeMap<Id, (Reason, String)> {
    let wanted = plan.identities().named.iter().zip(plan.provider_classes());
    let held = wanted.filter_map(|(identity, wanted)| {
        let id = identity.component;
        let class = Component::of(id).class;
        let why = match classes.get(&id) {
            None => (Reason::Applying, format!("the SecretProviderClass {class} is not there yet")),
            Some(there) if there.deleting => {
                (Reason::Applying, format!("the SecretProviderClass {class} is being deleted"))
            }
            Some(there) => {
                let fields = differing(&fitting(wanted, there).0, there);
                if fields.is_empty() {
                    let failed = verified.get(&id).and_then(Verification::failure);
                    return failed.map(|message| (id, (Reason::CredentialFailed, message.to_owned())));
                }
                let message =
                    format!("the SecretProviderClass {class} differs from the HostedCluster in {}", fields.join(", "));
                (Reason::ForeignDrift, message)
            }
        };
        Some((id, why))
    });
    held.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hcp_identity_api::hosted_cluster::HostedCluster;

    use super::*;
    use crate::{diff::tests::World, plan::plan, testing::settings, verification::Standing};

    #[test]
    fn a_pod_is_given_what_it_can_mount_and_nobody_knows_to_be_broken() {
        let mut world = World::classes_and_workloads();
        let held = |world: &World| held(&world.plan(), &world.observed.classes, &world.observed.verified);
        assert_eq!(held(&world), BTreeMap::new());
        world.observed.classes.remove(&Id::Kms);
        world.observed.classes.get_mut(&Id::Disk).unwrap().deleting = true;
        world.observed.classes.get_mut(&Id::File).unwrap().parameters.insert("tenantId".into(), "another".into());
        for (id, standing) in [
            (Id::Ingress, Standing::Failed { message: "it has ended".into() }),
            (Id::Network, Standing::Unknown),
            (Id::Registry, Standing::PassedBefore),
        ] {
            world.observed.verified.insert(id, Verification { standing, ..Verification::default() });
        }
        let held = held(&world);
        let reasons: Vec<_> = held.iter().map(|(id, (reason, _))| (*id, *reason)).collect();
        assert_eq!(
            reasons,
            [
                (Id::Ingress, Reason::CredentialFailed),
                (Id::Disk, Reason::Applying),
                (Id::File, Reason::ForeignDrift),
                (Id::Kms, Reason::Applying),
            ]
        );
        assert_eq!(held[&Id::Ingress].1, "it has ended");
        assert!(held[&Id::File].1.contains("differs from the HostedCluster in tenantId"), "{:?}", held[&Id::File]);
    }

    /// As long as a class that an operator has adopted lacks nothing but what that operator would take away, it can be mounted.
    #[test]
    fn extra_parameters_that_hypershift_takes_away_hold_nothing_up() {
        let mut world = World::classes_and_workloads();
        world.observed.classes.get_mut(&Id::Ingress).unwrap().adopted = true;
        let mut settings = settings();
        Arc::make_mut(&mut settings).extra_parameters.insert("cloudName".into(), "AzureUSGovernmentCloud".into());
        let cluster = serde_json::from_value::<HostedCluster>(world.cluster.clone()).unwrap();
        let held = held(&plan(&cluster, &settings).plan.unwrap(), &world.observed.classes, &BTreeMap::new());
        assert!(!held.contains_key(&Id::Ingress) && held.contains_key(&Id::Kms), "{held:?}");
    }
}
