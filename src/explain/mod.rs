//! From the text of an error to its cause and what to do.
//!
//! One table, a part a file; a text is explained by the first row that fits. Nothing of the text but names that stand
//! where names do comes out again.

mod component;
mod entra;
mod key_vault;
mod mount;
mod recognise;
mod resource_manager;
mod row;

use memchr::memmem;
use serde::Serialize;

pub use recognise::{Recognised, recognise};
pub use row::{Match, Row, Source};

use crate::finding::beginning;

/// Of a longer text the beginning counts.
const MOST_BYTES: usize = 64 << 10;

/// Why something failed, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// The stable name of the row.
    pub reason: &'static str,
    pub source: Source,
    pub cause: &'static str,
    pub next: &'static str,
    /// Empty where no command helps.
    pub command: String,
}

/// The table, in the order in which it is tried.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    // What a component says of a mounted file comes before what the mount says: both speak of base64.
    let parts = [entra::ROWS, resource_manager::ROWS, key_vault::ROWS, component::ROWS, mount::ROWS];
    parts.into_iter().flatten()
}

/// Explains a text, if a row fits it.
///
/// # Guarantees
/// Linear in a bounded part of the text, whatever it is. Values of the text come out only where they are names.
#[must_use]
pub fn explain(text: &str) -> Option<Explanation> {
    let text = beginning(text, MOST_BYTES);
    let recognised = recognise(text);
    let row = rows().find(|row| fits(row, text, &recognised))?;
    Some(Explanation {
        reason: row.reason,
        source: row.source,
        cause: row.cause,
        next: row.next,
        command: command(row.command, &recognised),
    })
}

fn fits(row: &Row, text: &str, recognised: &Recognised) -> bool {
    match row.matches {
        Match::Aadsts(code) => recognised.get("aadsts") == Some(code.to_string().as_str()),
        Match::Texts(texts) => texts.iter().all(|part| memmem::find(text.as_bytes(), part.as_bytes()).is_some()),
    }
}

/// Puts what the text names into the command, and in capitals what it does not.
fn command(template: &str, recognised: &Recognised) -> String {
    let mut command = template.to_owned();
    for kind in ["client", "tenant", "vault", "secret", "scope", "path"] {
        let value = recognised.get(kind).map_or_else(|| kind.to_uppercase(), str::to_owned);
        command = command.replace(&format!("{{{kind}}}"), &value);
    }
    command
}
