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
