//! The API server itself: its version and its clock.

use http::{Request, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::{Client, client::Body};

use super::{Check, Reason};
use crate::cluster::client::chain;

/// The oldest whose API this program is built against.
const OLDEST: (u32, u32) = (1, 33);
const SKEW_WARNING: SignedDuration = SignedDuration::from_secs(30);
/// Entra accepts no assertion that is further off.
const SKEW_ERROR: SignedDuration = SignedDuration::from_mins(5);

/// What it said of itself, and when.
pub(super) struct Answer {
    version: String,
    asked: Timestamp,
    answered: Timestamp,
    date: Option<Timestamp>,
}

pub(super) async fn ask(client: &Client, now: fn() -> Timestamp) -> Result<Answer, String> {
    let failed = |why: String| format!("cannot ask the API server for its version: {why}");
    let request = Request::get("/version").body(Body::empty()).map_err(|error| failed(error.to_string()))?;
    let asked = now();
    let response = client.send(request).await.map_err(|error| failed(chain(&error)))?;
    let answered = now();
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return Err(failed(format!("it answered {}", parts.status)));
    }
    let date =
        parts.headers.get(header::DATE).and_then(|value| rfc2822::DateTimeParser::new().parse_timestamp(value).ok());
    let body = body.collect_bytes().await.map_err(|error| failed(error.to_string()))?;
    let info: Info = serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
    Ok(Answer { version: info.git_version, asked, answered, date })
}

pub(super) fn checks(answer: &Answer) -> Vec<Check> {
    vec![version(&answer.version), clock(answer)]
}

fn version(found: &str) -> Check {
    const NAME: &str = "server version";
    let (major, minor) = OLDEST;
    match numbers(found) {
        Some(numbers) if numbers >= OLDEST => Check::ok(NAME, found),
        _ => Check::warning(
            NAME,
            Reason::OldVersion,
            format!("{found} is older than {major}.{minor}, the oldest known to work"),
        )
        .remedy(format!("use a management cluster of Kubernetes {major}.{minor} or later")),
    }
}

/// `v1.36.3`, and the likes of `v1.33.5-aks-1` and `v1.33+`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v')?.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn clock(answer: &Answer) -> Check {
    const NAME: &str = "clock";
    let Some(date) = answer.date else {
        return Check::skipped(NAME, Reason::NothingToLookAt, "the API server's answer has no date");
    };
    let skew = skew(answer, date);
    let seconds = skew.as_secs();
    let direction = if skew.is_positive() { "ahead of" } else { "behind" };
    let message = format!("this machine is {} s {direction} the API server", seconds.abs());
    let remedy = "let both follow the same time; a token or a certificate is refused where the clock is far off";
    match skew.abs() {
        skew if skew > SKEW_ERROR => Check::error(NAME, Reason::ClockSkew, message).remedy(remedy),
        skew if skew > SKEW_WARNING => Check::warning(NAME, Reason::ClockSkew, message).remedy(remedy),
        _ => Check::ok(NAME, format!("within {} s of the API server's", SKEW_WARNING.as_secs())),
    }
}

/// How far this clock is ahead at least. The date is of some moment between the question and the answer, without its fraction
/// of a second.
fn skew(answer: &Answer, date: Timestamp) -> SignedDuration {
    let (early, late) =
        (answer.answered.duration_since(date), answer.asked.duration_since(date) - SignedDuration::from_secs(1));
    if early.is_negative() { early } else { late.max(SignedDuration::ZERO) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fitness::Verdict;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn of_clock(asked: i64, answered: i64) -> Verdict {
        clock(&Answer { version: String::new(), asked: at(asked), answered: at(answered), date: Some(at(0)) }).verdict
    }

    #[test]
    fn a_clock_is_judged_by_what_is_certain_of_it() {
        for (asked, answered, verdict) in [
            (0, 0, Verdict::Ok),
            (31, 31, Verdict::Ok),
            (32, 32, Verdict::Warning),
            (-30, -30, Verdict::Ok),
            (-31, -31, Verdict::Warning),
            (301, 301, Verdict::Warning),
            (302, 302, Verdict::Error),
            (-301, -301, Verdict::Error),
            // It took ten minutes to answer, and may have looked at its clock at any moment of them.
            (-300, 300, Verdict::Ok),
        ] {
            assert_eq!(of_clock(asked, answered), verdict, "{asked} {answered}");
        }
        let silent = Answer { version: String::new(), asked: at(0), answered: at(0), date: None };
        assert_eq!(clock(&silent).verdict, Verdict::Skipped);
    }

    #[test]
    fn versions_of_distributions_are_read() {
        for (text, verdict) in [
            ("v1.33.0", Verdict::Ok),
            ("v1.36.3", Verdict::Ok),
            ("v1.33.5-aks-20260101", Verdict::Ok),
            ("v1.34+", Verdict::Ok),
            ("v2.0.0", Verdict::Ok),
            ("v1.32.9", Verdict::Warning),
            ("dev", Verdict::Warning),
        ] {
            assert_eq!(version(text).verdict, verdict, "{text}");
        }
    }
}
