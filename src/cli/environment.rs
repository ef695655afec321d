//! The one place that reads the environment and the clock. An empty variable is one that is not set, as HyperShift treats its own.

/// Ours.
pub(super) const KEY_VAULT_USER: &str = "HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID";
/// HyperShift's, with the same meaning: the default where nothing else is given.
pub(super) const HYPERSHIFT_KEY_VAULT_USER: &str = "ARO_HCP_KEY_VAULT_USER_CLIENT_ID";

pub(super) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment becomes an argument")]
    let value = std::env::var_os(name)?;
    // What is not Unicode is no UUID either, and is reported as such.
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

pub(super) fn now() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock becomes an argument")]
    jiff::Timestamp::now()
}
