//! What an error text names: codes, vaults, secrets, pods, ids.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{finding::beginning, names::is_uuid};

/// Names and values, by kind. Only what a name can be made of is taken, so that it can stand in a command.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Recognised(BTreeMap<&'static str, String>);

impl Recognised {
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&str> {
        self.0.get(kind).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(kind, value)| (*kind, value.as_str()))
    }
}

/// What stands behind a text, and of which characters it is made.
struct Pattern {
    kind: &'static str,
    before: &'static str,
    of: fn(char) -> bool,
    /// What must follow.
    after: &'static str,
    is: fn(&str) -> bool,
}

const LONGEST: usize = 127;

const fn pattern(kind: &'static str, before: &'static str, after: &'static str) -> Pattern {
    Pattern { kind, before, of: of_a_name, after, is: any }
}

const fn number(kind: &'static str, before: &'static str) -> Pattern {
    Pattern { kind, before, of: |character| character.is_ascii_digit(), after: "", is: is_status }
}

const fn id(kind: &'static str, before: &'static str) -> Pattern {
    Pattern { kind, before, of: of_an_id, after: "", is: is_uuid }
}

const fn path(kind: &'static str, before: &'static str, after: &'static str) -> Pattern {
    Pattern { kind, before, of: of_a_path, after, is: any }
}

/// The first of a kind that fits counts.
const PATTERNS: [Pattern; 39] = [
    Pattern { kind: "aadsts", before: "AADSTS", of: |character| character.is_ascii_digit(), after: "", is: is_code },
    number("status", "RESPONSE "),
    number("status", "StatusCode="),
    number("status", "status code: "),
    number("status", "status code "),
    pattern("code", "ERROR CODE: ", ""),
    pattern("code", "\"code\":\"", "\""),
    pattern("code", "\"code\": \"", "\""),
    pattern("code", "Code=\"", "\""),
    pattern("secret", "objectName:", ","),
    pattern("secret", ".net/secrets/", ""),
    pattern("secret", "(name/id) ", " was not found in this key vault"),
    pattern("vault", "https://", ".vault."),
    pattern("vault", "Vault: ", ";"),
    pattern("vault", "Invalid vault name: \"", ""),
    id("client", "Application with identifier '"),
    id("client", "Application '"),
    id("client", "for app '"),
    id("client", "The client '"),
    id("client", "for application '"),
    id("client", "client application "),
    id("client", "appid="),
    id("client", "client_id="),
    id("tenant", "in the directory '"),
    id("tenant", "in the directory "),
    id("tenant", "Tenant '"),
    id("tenant", "the tenant '"),
    id("tenant", "the tenant "),
    id("tenant", "in tenant '"),
    id("tenant", "login.microsoftonline.com/"),
    id("tenant", "https://sts.windows.net/"),
    pattern("thumbprint", "Thumbprint of key used by client: '", "'"),
    path("pod", "for pod ", ""),
    path("pod", "pod=\"", "\""),
    path("provider class", "failed to get secretproviderclass ", ","),
    pattern("volume", "failed for volume \"", "\""),
    path("action", "perform action '", "'"),
    path("scope", "over scope '", "'"),
    path("path", "credential file ", ":"),
];

fn any(_: &str) -> bool {
    true
}

fn is_status(digits: &str) -> bool {
    digits.len() == 3
}

fn is_code(digits: &str) -> bool {
    (5..=8).contains(&digits.len())
}

fn of_an_id(character: char) -> bool {
    character.is_ascii_hexdigit() || character == '-'
}

fn of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}

fn of_a_path(character: char) -> bool {
    of_a_name(character) || "/._".contains(character)
}

/// What a text names, as far as it is looked at.
#[must_use]
pub fn recognise(text: &str) -> Recognised {
    let text = beginning(text, super::MOST_BYTES);
    let mut found = Recognised::default();
    for pattern in &PATTERNS {
        if !found.0.contains_key(pattern.kind)
            && let Some(value) = text.match_indices(pattern.before).find_map(|(at, _)| value(text, at, pattern))
        {
            found.0.insert(pattern.kind, value.to_owned());
        }
    }
    found
}

fn value<'t>(text: &'t str, at: usize, pattern: &Pattern) -> Option<&'t str> {
    let rest = text.get(at + pattern.before.len()..)?;
    // A character more than is taken, to see that the value has ended.
    let end = rest.char_indices().take(LONGEST + 1).find(|(_, character)| !(pattern.of)(*character));
    let end = end.map_or(rest.len().min(LONGEST + 1), |(end, _)| end);
    let value = rest.get(..end)?.trim_end_matches(['.', '/']);
    let fits = !value.is_empty()
        && !value.starts_with('-')
        && value.len() <= LONGEST
        && rest.get(value.len()..)?.starts_with(pattern.after)
        && (pattern.is)(value);
    fits.then_some(value)
}
