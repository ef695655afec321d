//! When a credential works: three calendars that need not agree, of the JSON, of the certificate and of Key Vault.

use jiff::{SignedDuration, Timestamp};

use super::{Expectation, Field, Problem, Reason, bundle::Bundle, date, document::Document};

const FRESH: &str = "store a fresh credential: see whether what renews it is running";

/// Says what the dates say, and the earliest end.
pub(super) fn judge(
    document: &Document,
    bundle: &Bundle,
    expected: &Expectation,
    now: Timestamp,
    problems: &mut Vec<Problem>,
) -> Option<Timestamp> {
    let mut read = |field| read(document, field, problems);
    let not_before = read(Field::NotBefore);
    let not_after = read(Field::NotAfter);
    let renew_after = read(Field::RenewAfter);
    let cannot_renew_after = read(Field::CannotRenewAfter);
    let signer = bundle.signer();
    let certificate = (signer.map(|signer| signer.not_before), signer.map(|signer| signer.not_after));
    let calendars = [
        (Some(Field::NotBefore), "the credential", not_before, not_after),
        (Some(Field::ClientSecret), "its certificate", certificate.0, certificate.1),
        (None, "the vault's version", expected.vault.not_before, expected.vault.expires),
    ];
    for (field, what, start, end) in calendars {
        if let Some(start) = start.filter(|start| *start > now) {
            let message = format!("{what} is valid from {start} only");
            problems.push(Problem::error(Reason::NotYetValid, field, message, "wait, or set the clock right"));
        }
        let end_field = if field == Some(Field::NotBefore) { Some(Field::NotAfter) } else { field };
        problems.extend(end.and_then(|end| ended(end_field, what, end, expected.warn_within, now)));
    }
    disagreement(not_after, certificate.1, problems);
    renewal(renew_after, cannot_renew_after, expected.warn_within, now, problems);
    if let (Some(in_use), Some(not_before)) = (expected.in_use, not_before)
        && not_before <= in_use
    {
        let message = format!(
            "is {not_before}, no later than {in_use} of the credential in use: a running consumer ignores it in silence"
        );
        let remedy = "issue a credential with a later not_before, or restart the consumers";
        problems.push(Problem::error(Reason::NotNewer, Field::NotBefore, message, remedy));
    }
    [not_after, certificate.1, expected.vault.expires].into_iter().flatten().min()
}

fn read(document: &Document, field: Field, problems: &mut Vec<Problem>) -> Option<Timestamp> {
    let Some(text) = document.text(field) else {
        if document.is_absent(field) && field != Field::NotBefore {
            let message = "is missing: nobody can tell when to renew";
            problems.push(Problem::warning(
                Reason::MissingDate,
                field,
                message,
                "store the credential with all four dates",
            ));
        }
        return None;
    };
    let date = date::read(text);
    if date.is_none() {
        let remedy = "write it as 2026-03-01T14:11:00Z";
        problems.push(match field {
            Field::NotBefore => {
                let message = "is no date of RFC 3339: the consumer starts with it, and refuses every later reload";
                Problem::error(Reason::InvalidDate, field, message, remedy)
            }
            _ => Problem::warning(Reason::InvalidDate, field, "is no date of RFC 3339", remedy),
        });
    }
    date
}

fn ended(field: Option<Field>, what: &str, end: Timestamp, within: SignedDuration, now: Timestamp) -> Option<Problem> {
    if end <= now {
        return Some(Problem::error(Reason::Expired, field, format!("{what} has ended on {end}"), FRESH));
    }
    let left = end.duration_since(now);
    (left <= within).then(|| {
        let message = format!("{what} ends on {end}, in {}", days(left));
        Problem::warning(Reason::ExpiresSoon, field, message, FRESH)
    })
}

/// Who trusts `not_after` must not be too late.
fn disagreement(not_after: Option<Timestamp>, certificate: Option<Timestamp>, problems: &mut Vec<Problem>) {
    let (Some(not_after), Some(certificate)) = (not_after, certificate) else { return };
    if not_after > certificate {
        let message = format!("is {not_after}, and the certificate ends before, on {certificate}");
        let remedy = "watch the certificate's end; see what writes the credential";
        problems.push(Problem::warning(Reason::DatesDisagree, Field::NotAfter, message, remedy));
    }
}

fn renewal(
    renew_after: Option<Timestamp>,
    cannot_renew_after: Option<Timestamp>,
    within: SignedDuration,
    now: Timestamp,
    problems: &mut Vec<Problem>,
) {
    if let Some(due) = renew_after.filter(|due| *due <= now) {
        let message = format!("has passed on {due}: the credential should have been renewed");
        problems.push(Problem::warning(Reason::RenewalOverdue, Field::RenewAfter, message, FRESH));
    }
    let Some(last) = cannot_renew_after else { return };
    let field = Field::CannotRenewAfter;
    if last <= now {
        let message = format!("has passed on {last}: it can no longer be renewed by itself");
        let remedy = "have the identity service issue a new credential for the identity";
        problems.push(Problem::error(Reason::NotRenewable, field, message, remedy));
    } else if last.duration_since(now) <= within {
        let message = format!("is {last}: from then on it cannot be renewed by itself");
        problems.push(Problem::warning(Reason::NotRenewableSoon, field, message, FRESH));
    }
}

fn days(left: SignedDuration) -> String {
    match left.as_hours() {
        hours @ 0..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}
