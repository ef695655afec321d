//! How what Azure says is told.

use crate::explain::explain;

/// Cause and next step where they are known; the beginning of the text where not.
pub(crate) fn told(subject: &str, text: &str) -> String {
    match explain(text) {
        Some(explanation) => {
            format!("{subject}: {}; {} ({})", explanation.cause, explanation.next, explanation.reason)
        }
        None => format!("{subject}: {}", beginning(text, SHOWN)),
    }
}

const SHOWN: usize = 300;

/// So much of the first line of what somebody else says.
pub(crate) fn beginning(text: &str, characters: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no answer");
    line.chars().filter(|character| !character.is_control()).take(characters).collect()
}
