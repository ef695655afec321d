//! How long a token lives.

use std::{num::IntErrorKind, ops::RangeInclusive};

use super::{Denial, ServiceAccount, pod::Pod, service_account::TOKEN_EXPIRATION};

/// What Kubernetes gives, if nobody says otherwise.
const DEFAULT: i64 = 3600;
/// Below is what Kubernetes does not allow, above what Entra does not.
const ALLOWED: RangeInclusive<i64> = 3600..=86400;

/// In seconds: what the pod says, or its ServiceAccount. The words of a denial are the original's.
pub(super) fn expiration(pod: &Pod<'_>, account: &ServiceAccount) -> Result<i64, Denial> {
    let of_pod = pod.annotation(TOKEN_EXPIRATION);
    let said = of_pod.filter(|text| !text.is_empty()).or(account.token_expiration.as_deref());
    let expiration = said.filter(|text| !text.is_empty()).map_or(Ok(DEFAULT), seconds)?;
    if ALLOWED.contains(&expiration) {
        return Ok(expiration);
    }
    let (least, most) = (ALLOWED.start(), ALLOWED.end());
    Err(Denial::bad_request(format!(
        "token expiration {expiration} not valid. Expected value to be between {least} and {most}"
    )))
}

fn seconds(text: &str) -> Result<i64, Denial> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        let what = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Denial::bad_request(format!("strconv.ParseInt: parsing {text:?}: {what}"))
    })
}
