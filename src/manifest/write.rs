//! Objects out: a YAML stream or one JSON `List`.
//!
//! The YAML is serde-saphyr's, which quotes every string that a YAML 1.1 reader such as kubectl would take for something
//! else. Objects are written one at a time; nothing is held.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::Serialize;

/// How objects are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    #[default]
    Yaml,
    Json,
}

/// Writes objects to a stream. [`Writer::finish`] completes it.
pub struct Writer<W> {
    out: W,
    format: Format,
    written: usize,
}

impl<W: Write> Writer<W> {
    #[must_use]
    pub fn new(out: W, format: Format) -> Self {
        Self { out, format, written: 0 }
    }

    /// # Errors
    /// What writing fails with.
    pub fn write(&mut self, object: &impl Serialize) -> io::Result<()> {
        self.separate()?;
        match self.format {
            Format::Yaml => {
                let mut text = serde_saphyr::to_string(object).map_err(io::Error::other)?;
                if starts_a_block_with_a_tab(&text) {
                    let quoted = serde_saphyr::ser_options! { prefer_block_scalars: false };
                    text = serde_saphyr::to_string_with_options(object, quoted).map_err(io::Error::other)?;
                }
                self.out.write_all(text.as_bytes())?;
            }
            Format::Json => {
                let text = serde_json::to_string_pretty(object)?;
                self.out.write_all(escape_what_yaml_lacks(&text).as_bytes())?;
            }
        }
        self.written += 1;
        Ok(())
    }

    /// # Errors
    /// What writing fails with.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(match (self.format, self.written) {
            (Format::Yaml, _) => b"",
            (Format::Json, 0) => b"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": []}\n",
            (Format::Json, _) => b"\n]}\n",
        })?;
        self.out.flush()
    }

    fn separate(&mut self) -> io::Result<()> {
        self.out.write_all(match (self.format, self.written) {
            (Format::Yaml, 0) => b"",
            (Format::Yaml, _) => b"---\n",
            (Format::Json, 0) => b"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n",
            (Format::Json, _) => b",\n",
        })
    }
}

/// The YAML of a value, every string of it on one line: for a place between other lines.
///
/// # Errors
/// Where it has no YAML.
pub fn on_lines(value: &impl Serialize) -> io::Result<String> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).map_err(io::Error::other)
}

/// JSON strings may hold control characters that no YAML reader takes, our own included. They stand in strings only.
fn escape_what_yaml_lacks(json: &str) -> Cow<'_, str> {
    let lacks = |character| matches!(character, '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(lacks) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            character if lacks(character) => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            character => escaped.push(character),
        }
    }
    escaped.into()
}

/// Whether a block scalar may start with a tab: kubectl refuses that, as it looks for the indentation there.
fn starts_a_block_with_a_tab(yaml: &str) -> bool {
    // Hardly any object has one, and every object comes by here.
    if memchr::memchr(b'\t', yaml.as_bytes()).is_none() {
        return false;
    }
    let starts_with_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let mut lines = yaml.lines().filter(|line| !line.trim_start_matches(' ').is_empty()).peekable();
    while let Some(line) = lines.next() {
        if line.ends_with(['|', '>', '-', '+']) && lines.peek().is_some_and(|next| starts_with_tab(next)) {
            return true;
        }
    }
    false
}
