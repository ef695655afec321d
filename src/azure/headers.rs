//! Headers of Azure's answers.

use std::time::Duration;

use azure_core::http::headers::Headers;

pub(crate) fn header<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known.as_str().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// When Azure wants to be asked again, at the earliest.
pub(crate) fn retry_after(headers: &Headers) -> Option<Duration> {
    header(headers, "retry-after")?.trim().parse().ok().map(Duration::from_secs)
}
