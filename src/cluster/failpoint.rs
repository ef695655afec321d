//! Where a test can end the process: before and after each write. Without the variable this is one comparison.

#[cfg(not(debug_assertions))]
pub(super) fn before(_: &str, _: &str) {}
#[cfg(not(debug_assertions))]
pub(super) fn after(_: &str, _: &str) {}

#[cfg(debug_assertions)]
pub(super) use debug::{after, before};

/// Only in builds with debug assertions: what is shipped has no way to be ended from its environment.
#[cfg(debug_assertions)]
mod debug {
    use std::sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    };

    /// `before:apply:deployments:3`: the third time that it comes by there.
    static AT: LazyLock<Option<String>> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "a test says where to end")]
        std::env::var("HCP_IDENTITY_FAILPOINT").ok()
    });
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    pub(in crate::cluster) fn before(verb: &str, resource: &str) {
        pass("before", verb, resource);
    }

    pub(in crate::cluster) fn after(verb: &str, resource: &str) {
        pass("after", verb, resource);
    }

    fn pass(when: &str, verb: &str, resource: &str) {
        let Some(at) = AT.as_deref() else { return };
        let Some((point, count)) = at.rsplit_once(':') else { return };
        if point == format!("{when}:{verb}:{resource}") || point == format!("{when}:*:*") {
            let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
            if count.parse() == Ok(passed) {
                // As abrupt as kill -9.
                std::process::abort();
            }
        }
    }
}
